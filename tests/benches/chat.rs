//! What a chat adds to its language model, on the built functions behind the laptop's gateway:
//!
//! - the time to the first byte, to the first word and to the end, beside a search alone;
//! - what a reader that does not read costs in memory, while the model writes as fast as it can.
//!
//! `cargo bench -p tests --bench chat`. The model answers at once, so all of the time is Rappel's.

use std::{
    io::{self, Write as _},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tests::{
    App,
    language_model::{LanguageModel, Reply, Step},
    peak_memory,
};
use tokio::time::sleep;

const ANSWERS: usize = 100;
const QUESTION: &str = "Que faire devant une brûlure ?";

#[tokio::main]
async fn main() -> Result<()> {
    let answer = || Reply::text(&["La passer", " sous l’eau", " tempérée", " [1]."]);
    let replies = (0..=ANSWERS).map(|_| answer());
    let flood = Reply::Stream(vec![Step::Flood]);
    let (app, model) = App::through(async |_| {
        let model = LanguageModel::replying(replies.chain([flood])).await?;
        let environment = model.environment();
        Ok((model, environment))
    })
    .await?;
    app.invoke("migrate", json!({})).await?;
    app.ingest_samples(&["sante-brulure", "recette-soupe-oignon"])
        .await?;
    times(&app).await?;
    let asked = model.asked().len();
    ensure!(asked == ANSWERS + 1, "the model was asked {asked} times");
    memory(&app, &model).await
}

async fn times(app: &App) -> Result<()> {
    let question = json!({ "question": QUESTION });
    let (mut search, mut sources, mut word, mut end) = (vec![], vec![], vec![], vec![]);
    for round in 0..=ANSWERS {
        let start = Instant::now();
        app.hits(json!({ "query": QUESTION, "limit": 6 })).await?;
        let searched = start.elapsed();
        let start = Instant::now();
        let mut events = app.events("/chat", &question).await?;
        events.expect("sources").await?;
        let found = start.elapsed();
        events.expect("delta").await?;
        let begun = start.elapsed();
        events.text().await?;
        // The first round starts the sandboxes.
        if round > 0 {
            search.push(searched);
            sources.push(found);
            word.push(begun);
            end.push(start.elapsed());
        }
    }
    let mut out = io::stdout();
    writeln!(
        out,
        "{ANSWERS} answers, milliseconds            p50     p99"
    )?;
    for (name, times) in [
        ("a search alone", &mut search),
        ("a chat, to its sources", &mut sources),
        ("to its first word", &mut word),
        ("to its end", &mut end),
    ] {
        times.sort_unstable();
        let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e3;
        writeln!(out, "{name:32}{:8.2}{:8.2}", at(50), at(99))?;
    }
    Ok(())
}

/// Opens a chat, reads nothing of it, and waits until the model cannot write any more.
async fn memory(app: &App, model: &LanguageModel) -> Result<()> {
    let sandbox = *app
        .sandboxes("chat")
        .first()
        .context("a sandbox answered")?;
    let before = peak_memory(sandbox)?;
    let response = app.open("/chat", &json!({ "question": QUESTION })).await?;
    let mut written = 0;
    while model.flooded() > written || written == 0 {
        written = model.flooded();
        sleep(Duration::from_secs(1)).await;
    }
    let grown = peak_memory(sandbox)?.saturating_sub(before) / 1024;
    writeln!(
        io::stdout(),
        "a reader that does not read: the model wrote {} kB, then had to wait; the sandbox grew by {grown} kB",
        written / 1024
    )?;
    drop(response);
    Ok(())
}
