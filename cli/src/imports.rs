//! `rappel imports`: what was given up of imports on the queue is tried again.

use std::{env, io::Write as _, time::Duration};

use anyhow::{Context as _, bail};
use aws::sqs::Queue;
use bulk_imports::Redriven;
use clap::{Args, Subcommand};
use database::Database;
use reqwest::Url;

use crate::{
    setup::Target,
    stop::Reported,
    terminal::{self, note},
};

/// Manage imports on the queue.
#[derive(Args)]
pub(crate) struct Imports {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Retry failed imports after their cause is removed: move dead letters back to the queue.
    Redrive(Redrive),
}

#[derive(Args)]
struct Redrive {
    /// The dead-letter queue of a deployment: its ARN, which is the stack's output `ImportDeadLetters`, or its URL. Needs
    /// AWS credentials in the environment. Without it, imports are reopened in the database, for `rappel up`.
    #[arg(long, value_name = "QUEUE")]
    dead_letters: Option<String>,
    #[command(flatten)]
    target: Target,
}

/// Time limits for connecting to SQS and for a request, which may wait for messages.
const CONNECT: Duration = Duration::from_secs(5);
const REQUEST: Duration = Duration::from_secs(20);

/// The exit status when something stays.
const LEFT: u8 = 3;

impl Imports {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let Action::Redrive(redrive) = &self.action;
        match &redrive.dead_letters {
            Some(dead) => move_back(&dead_letters(dead)?).await,
            None => reopen(&redrive.target).await,
        }
    }
}

/// Moves the messages of `dead` to the queue that they came from.
async fn move_back(dead: &Queue) -> anyhow::Result<()> {
    let name = dead.name();
    let sources = dead.sources().await;
    let sources = sources.with_context(|| format!("cannot ask SQS about the queue {name}"))?;
    let [source] = &sources[..] else {
        bail!(
            "{} queues have {name} as their dead-letter queue, where one is expected: give the stack's output \
             ImportDeadLetters",
            sources.len()
        );
    };
    let queue = dead.beside(source.clone());
    let mut redriven = Redriven::default();
    let outcome = bulk_imports::redrive(dead, &queue, &mut redriven).await;
    let mut out = terminal::out();
    let moved = counted(redriven.moved, "message");
    writeln!(out, "{moved} moved to {}", queue.name())?;
    outcome.with_context(|| {
        format!("the others stay in {name}; it is safe to run this command again")
    })?;
    if redriven.left > 0 {
        note(&format!(
            "{} in {name}: not of Rappel, or failed again",
            counted(redriven.left, "message")
        ));
        return Err(Reported(LEFT).into());
    }
    if redriven.moved > 0 {
        return Ok(());
    }
    match dead.about().await? {
        0 => Ok(()),
        about => {
            note(&format!(
                "about {} in {name} cannot be received now, because another program has just received them: run this \
                 command again in a minute",
                counted(about, "message")
            ));
            Err(Reported(LEFT).into())
        }
    }
}

async fn reopen(target: &Target) -> anyhow::Result<()> {
    let setup = target.prepare("").await?;
    setup.require_schema().await?;
    let database = Database::new(&setup.database)?;
    let reopened = bulk_imports::reopen_failed(&database).await;
    database.close().await;
    setup.stop().await?;
    let reopened = reopened?;
    let (parts, documents) = (
        counted(reopened.parts, "part"),
        counted(reopened.documents, "document"),
    );
    writeln!(terminal::out(), "{parts} and {documents} reopened")?;
    if reopened.parts + reopened.documents > 0 {
        note(
            "`rappel up` retries them when it starts; a running API when the state of the import is read, twenty minutes \
             after its last progress",
        );
    }
    Ok(())
}

/// A queue by its ARN or URL.
fn dead_letters(text: &str) -> anyhow::Result<Queue> {
    let client = http_client::builder()
        .connect_timeout(CONNECT)
        .timeout(REQUEST)
        .build()?;
    if let Some(queue) = Queue::of_arn(client.clone(), text) {
        return Ok(queue);
    }
    let url = text.parse::<Url>().ok().filter(Url::has_host);
    let url = url.with_context(|| {
        format!("--dead-letters is {text:?}: expected the ARN or the URL of a queue of SQS")
    })?;
    let host = url.host_str().unwrap_or_default();
    let region = host
        .strip_prefix("sqs.")
        .and_then(|rest| rest.split('.').next());
    let region = match region {
        Some(region) => region.to_owned(),
        None => env::var("AWS_REGION").context("the queue's URL has no region: set AWS_REGION")?,
    };
    Ok(Queue::new(client, region, text.to_owned()))
}

fn counted(count: u64, what: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {what}{ending}")
}
