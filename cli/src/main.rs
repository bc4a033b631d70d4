//! The `rappel` command.

mod api;
mod bench;
mod chat;
mod doctor;
mod eval;
mod import;
mod layer;
mod lines;
mod means;
mod metrics;
mod migrate;
mod queue;
mod relevance;
mod search;
mod setup;
mod tune;
mod up;

use std::{
    env,
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode},
};

use clap::{Parser, Subcommand};

/// Semantic search over the Postgres you already have.
#[derive(Parser)]
#[command(version, propagate_version = true)]
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
    /// Lay the files of the Lambda layer into a folder; `sam build` calls this.
    Layer(layer::Layer),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    without_telemetry();
    let runtime = tokio::runtime::Runtime::new().map_err(anyhow::Error::from);
    match runtime.and_then(|runtime| runtime.block_on(run(cli.command))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            setup::note(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
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
        Action::Means(means) => means.run().await,
        Action::Relevance(fit) => fit.run().await,
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
        setup::note(&format!("warning: {VARIABLE} could not be set: {error}"));
    }
}
