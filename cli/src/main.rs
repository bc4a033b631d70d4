//! The `rappel` command.

mod api;
mod bench;
mod chat;
mod doctor;
mod eval;
mod import;
mod layer;
mod means;
mod metrics;
mod migrate;
mod queue;
mod relevance;
mod search;
mod setup;
mod stop;
mod terminal;
mod tune;
mod up;

use std::{
    env,
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode},
    time::Duration,
};

use clap::{Parser, Subcommand};
use database::DatabaseError;

use self::stop::{Ended, Interrupted, Stop};

/// Semantic search over the Postgres you already have.
#[derive(Parser)]
#[command(name = "rappel", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Serve the API on this machine, with sample documents to try it on.
    Up(up::Up),
    /// Bring the database schema up to date.
    Migrate(migrate::Migrate),
    /// Load documents: a file straight into the database, or an object through an API's queue.
    Import(import::Import),
    /// Ask a question.
    Search(search::Search),
    /// Talk with the documents.
    Chat(chat::Chat),
    /// Measure the quality of the search on a judged set.
    Eval(eval::Eval),
    /// Find the settings of the search that suit a judged set.
    Tune(tune::Tune),
    /// Make the means that a model's embeddings are centred by.
    Means(means::Means),
    /// Fit the coefficients of a model's relevance on judged sets.
    Relevance(relevance::FitRelevance),
    /// Measure how fast Rappel is, beside what it replaces.
    Bench(bench::Bench),
    /// Say what is wrong between here and an answered search, and what to do about it.
    Doctor(doctor::Doctor),
    /// Read a file for `import`, within limits.
    #[command(hide = true)]
    ReadFile {
        /// Format, bytes of memory, and seconds.
        arguments: Vec<String>,
    },
    /// Lay the files of the Lambda layer into a folder; `sam build` calls this.
    Layer(layer::Layer),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Action::ReadFile { arguments } = &cli.command {
        // Before there is a runtime, whose threads would need memory as well.
        return match extract::serve(arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error.into()),
        };
    }
    without_telemetry();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    let outcome = runtime.block_on(run(cli.command));
    // A thread that waits for a terminal or a pipe would never end.
    runtime.shutdown_timeout(LAST_WORK);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if terminal::is_closed(&error) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// How long what was begun on other threads may take to its end, such as an inference.
const LAST_WORK: Duration = Duration::from_secs(5);

/// An error in the words of the command: where functions have a variable, it has an option.
fn told(error: &anyhow::Error) -> String {
    let text = telemetry::chain(error.as_ref()).replace("MODEL_DIR", "--model");
    let is_mismatch = error.chain().any(|cause| {
        let database = match cause.downcast_ref() {
            Some(shared::Error::Database(error)) => Some(error),
            _ => cause.downcast_ref(),
        };
        matches!(database, Some(DatabaseError::ModelMismatch(_)))
    });
    if is_mismatch && !text.contains("--model") {
        return format!("{text}: name the database's model with --model");
    }
    text
}

async fn run(action: Action) -> anyhow::Result<()> {
    let stop = Stop::listen()?;
    match action {
        Action::Up(up) => up.run(&stop).await,
        Action::Import(import) => import.run(&stop).await,
        Action::Migrate(migrate) => stop.or(migrate.run()).await,
        Action::Search(search) => stop.or(search.run()).await,
        Action::Chat(chat) => stop.or(chat.run()).await,
        Action::Eval(eval) => stop.or(eval.run()).await,
        Action::Tune(tune) => stop.or(tune.run()).await,
        Action::Means(means) => stop.or(means.run()).await,
        Action::Relevance(fit) => stop.or(fit.run()).await,
        Action::Bench(bench) => Box::pin(stop.or(bench.run())).await,
        Action::Doctor(doctor) => Box::pin(stop.or(doctor.run())).await,
        Action::Layer(layer) => stop.or(layer.run()).await,
        // It has been answered before the runtime was started.
        Action::ReadFile { .. } => Ok(()),
    }
}

/// Tells an error, unless it has been told, and the exit status that tells it.
fn failed(error: &anyhow::Error) -> ExitCode {
    if let Some(Ended(status)) = error.downcast_ref() {
        return ExitCode::from(*status);
    }
    if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
        terminal::note("interrupted");
        return ExitCode::from(interrupted.status());
    }
    terminal::note(&format!("error: {}", told(error)));
    ExitCode::FAILURE
}

/// ONNX Runtime reports usage unless this variable is set before it is loaded, and a process cannot
/// safely change its own environment: it starts itself again with the variable.
fn without_telemetry() {
    const VARIABLE: &str = "ORT_DISABLE_TELEMETRY";
    if env::var_os(VARIABLE).is_some() {
        return;
    }
    if let Ok(program) = env::current_exe() {
        // Returns only when it failed; then the program runs on as it is.
        let error = Command::new(program)
            .args(env::args_os().skip(1))
            .env(VARIABLE, "1")
            .exec();
        terminal::note(&format!("warning: {VARIABLE} could not be set: {error}"));
    }
}
