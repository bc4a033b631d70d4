//! The `rappel` command.

mod api;
mod bench;
mod browser;
mod chat;
mod chat_url;
mod check;
mod credentials;
mod deployment;
mod doctor;
mod eval;
mod filter;
mod follow;
mod import;
mod imports;
mod index;
mod keys;
mod layer;
mod marks;
mod mcp;
mod means;
mod metrics;
mod migrate;
mod model;
mod new;
mod openapi;
mod patience;
mod queue;
mod relevance;
mod remote;
mod search;
mod setup;
mod shell;
mod sources;
mod stop;
mod terminal;
mod tune;
mod uninstall;
mod up;

use std::{
    env,
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode},
    time::Duration,
};

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use database::DatabaseError;

use self::stop::{Interrupted, Reported, Stop};

/// Semantic search over the Postgres you already have.
#[derive(Parser)]
#[command(name = "rappel", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Serve the API on this machine, with sample documents.
    Up(up::Up),
    /// Write the files of a project that deploys Rappel.
    New(new::New),
    /// Migrate the database schema.
    Migrate(migrate::Migrate),
    /// Remove everything that Rappel created in a database, after confirmation.
    Uninstall(uninstall::Uninstall),
    /// Import documents: a file directly into the database, or an object through an API's queue.
    Import(import::Import),
    /// Manage imports on the queue.
    Imports(imports::Imports),
    /// Follow a table: keep documents equal to its rows.
    Follow(follow::Follow),
    /// Manage followed tables.
    Sources(sources::Sources),
    /// Manage indexes on metadata fields, for range filters.
    Index(index::Indexes),
    /// Create, list and revoke API keys.
    Keys(keys::Keys),
    /// Ask a question.
    Search(search::Search),
    /// Chat with the documents.
    Chat(chat::Chat),
    /// Test a deployed API: store a document, find it, chat about it, remove it.
    Check(check::Check),
    /// Serve the documents to a program that speaks the Model Context Protocol.
    Mcp(mcp::Mcp),
    /// Measure search quality on a judged set.
    Eval(eval::Eval),
    /// Find the search settings that suit a judged set.
    Tune(tune::Tune),
    /// Compute the means by which a model's embeddings are centred.
    Means(means::Means),
    /// Fit the coefficients of a model's relevance on judged sets.
    Relevance(relevance::FitRelevance),
    /// Measure performance, compared with the service that Rappel replaces.
    Bench(bench::Bench),
    /// Check everything that a search needs, and say how to repair what fails.
    Doctor(doctor::Doctor),
    /// Read a file for `import`, within limits.
    #[command(hide = true, name = extract::SUBCOMMAND)]
    ReadFile {
        /// Format, bytes of memory, and seconds.
        arguments: Vec<String>,
    },
    /// Write the files of the Lambda layer to a folder; `sam build` calls this.
    Layer(layer::Layer),
    /// Print the description of the HTTP API.
    Openapi(openapi::OpenApi),
    /// Print a shell completion script.
    Completions(shell::Completions),
    /// Print the manual page.
    Man(shell::Manual),
}

fn main() -> ExitCode {
    let cli = Cli::from_arg_matches(&command().get_matches()).unwrap_or_else(|error| error.exit());
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

/// The command line. An empty variable counts as not set. With an option that names a database, neither does `RAPPEL_API`
/// count: who gives both means the option.
fn command() -> clap::Command {
    let names_database = env::args_os().any(|argument| {
        let argument = argument.to_string_lossy();
        let (name, _) = argument.split_once('=').unwrap_or((&argument, ""));
        ["--database-url", "--data"].contains(&name)
    });
    without_variables(Cli::command(), &|argument| {
        let value = argument.get_env().and_then(env::var_os);
        value.is_some_and(|value| value.is_empty()) || names_database && argument.get_id() == "api"
    })
}

/// The command line whose `ignored` arguments are not read from the environment.
fn without_variables(
    command: clap::Command,
    ignored: &dyn Fn(&clap::Arg) -> bool,
) -> clap::Command {
    let command = command.mut_args(|argument| {
        if ignored(&argument) {
            argument.env(None::<&str>)
        } else {
            argument
        }
    });
    command.mut_subcommands(|command| without_variables(command, ignored))
}

/// Time limit for work on other threads, such as an inference, to end.
const LAST_WORK: Duration = Duration::from_secs(5);

/// The text of an error for command line users: it names options where functions have variables.
fn message(error: &anyhow::Error) -> String {
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
        Action::Up(up) => Box::pin(up.run(&stop)).await,
        Action::Import(import) => Box::pin(import.run(&stop)).await,
        Action::Imports(imports) => stop.or(imports.run()).await,
        Action::Migrate(migrate) => Box::pin(migrate.run(&stop)).await,
        Action::Uninstall(uninstall) => stop.or(uninstall.run()).await,
        Action::Follow(follow) => Box::pin(follow.run(&stop)).await,
        Action::Sources(sources) => stop.or(sources.run()).await,
        Action::Index(index) => Box::pin(index.run(&stop)).await,
        Action::Keys(keys) => stop.or(keys.run()).await,
        Action::Search(search) => stop.or(search.run()).await,
        Action::Chat(chat) => stop.or(chat.run(&stop)).await,
        Action::Check(check) => Box::pin(check.run(&stop)).await,
        Action::New(new) => new.run(),
        Action::Completions(completions) => completions.run(Cli::command()),
        Action::Openapi(_) => openapi::OpenApi::run(),
        Action::Man(_) => shell::Manual::run::<Cli>(),
        Action::Mcp(mcp) => Box::pin(stop.or(mcp.run())).await,
        Action::Eval(eval) => Box::pin(stop.or(eval.run())).await,
        Action::Tune(tune) => Box::pin(stop.or(tune.run())).await,
        Action::Means(means) => stop.or(means.run()).await,
        Action::Relevance(fit) => Box::pin(stop.or(fit.run())).await,
        Action::Bench(bench) => Box::pin(stop.or(bench.run())).await,
        Action::Doctor(doctor) => Box::pin(stop.or(doctor.run())).await,
        Action::Layer(layer) => stop.or(layer.run()).await,
        // It has been answered before the runtime was started.
        Action::ReadFile { .. } => Ok(()),
    }
}

/// Prints an error, unless it is printed already, and returns the exit status.
fn failed(error: &anyhow::Error) -> ExitCode {
    if let Some(Reported(status)) = error.downcast_ref() {
        return ExitCode::from(*status);
    }
    if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
        terminal::note("interrupted");
        return ExitCode::from(interrupted.status());
    }
    terminal::note(&format!("error: {}", message(error)));
    ExitCode::FAILURE
}

/// ONNX Runtime reports usage unless this variable is set before it is loaded, and a process cannot safely change
/// its own environment: it restarts itself with the variable.
fn without_telemetry() {
    const VARIABLE: &str = "ORT_DISABLE_TELEMETRY";
    if env::var_os(VARIABLE).is_some() {
        return;
    }
    if let Ok(program) = env::current_exe() {
        // Returns only on failure; then the program continues as it is.
        let error = Command::new(program)
            .args(env::args_os().skip(1))
            .env(VARIABLE, "1")
            .exec();
        terminal::note(&format!("warning: cannot set {VARIABLE}: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Notes the environment variables of the options of a command and its subcommands, by the option's name.
    fn note_variables<'a>(
        command: &'a clap::Command,
        variables: &mut BTreeMap<&'a str, Vec<(String, Option<String>)>>,
    ) {
        for option in command.get_arguments() {
            let variable = option
                .get_env()
                .map(|name| name.to_string_lossy().into_owned());
            let of = variables.entry(option.get_long().unwrap_or_default());
            of.or_default()
                .push((command.get_name().to_owned(), variable));
        }
        for command in command.get_subcommands() {
            note_variables(command, variables);
        }
    }

    #[test]
    fn options_of_one_name_read_the_same_variable_in_every_command() {
        let command = Cli::command();
        let mut variables = BTreeMap::new();
        note_variables(&command, &mut variables);
        assert!(variables["api"].len() > 10, "{:?}", variables["api"]);
        assert_eq!(variables["api"][0].1.as_deref(), Some("RAPPEL_API"));
        assert_eq!(variables["key"][0].1.as_deref(), Some("RAPPEL_KEY"));
        variables.remove("");
        for (option, commands) in variables {
            let (_, first) = &commands[0];
            let others = commands.iter().all(|(_, variable)| variable == first);
            assert!(others, "--{option}: {commands:?}");
        }
    }

    #[test]
    fn a_database_that_is_named_counts_for_more_than_the_variable_of_an_api() {
        let command = without_variables(Cli::command(), &|argument| argument.get_id() == "api");
        let mut variables = BTreeMap::new();
        note_variables(&command, &mut variables);
        let api = &variables["api"];
        assert!(
            api.iter().all(|(_, variable)| variable.is_none()),
            "{api:?}"
        );
    }
}
