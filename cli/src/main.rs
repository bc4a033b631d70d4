//! The `rappel` command.

mod api;
mod bench;
mod chat;
mod doctor;
mod eval;
mod import;
mod layer;
mod lines;
mod metrics;
mod migrate;
mod queue;
mod search;
mod setup;
mod terminal;
mod tune;
mod up;

use std::{
    env,
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode},
};

use clap::{Parser, Subcommand};
use shared::database::DatabaseError;

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
    /// Measure how fast Rappel is, beside what it replaces.
    Bench(bench::Bench),
    /// Say what is wrong between here and an answered search, and what to do about it.
    Doctor(doctor::Doctor),
    /// Lay the files of the Lambda layer into a folder; `sam build` calls this.
    Layer(layer::Layer),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    without_telemetry();
    let runtime = tokio::runtime::Runtime::new().map_err(anyhow::Error::from);
    match runtime.and_then(|runtime| runtime.block_on(run(cli.command))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if terminal::is_closed(&error) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::note(&format!("error: {}", told(&error)));
            ExitCode::FAILURE
        }
    }
}

/// An error in the words of the command: where functions have a variable, it has an option.
fn told(error: &anyhow::Error) -> String {
    let text = shared::chain(error.as_ref()).replace("MODEL_DIR", "--model");
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
    match action {
        Action::Up(up) => up.run().await,
        Action::Migrate(migrate) => migrate.run().await,
        Action::Import(import) => import.run().await,
        Action::Search(search) => search.run().await,
        Action::Chat(chat) => chat.run().await,
        Action::Eval(eval) => eval.run().await,
        Action::Tune(tune) => tune.run().await,
        Action::Bench(bench) => bench.run().await,
        Action::Doctor(doctor) => doctor.run().await,
        Action::Layer(layer) => layer.run().await,
    }
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
