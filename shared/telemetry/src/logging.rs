//! The log's format and filter.
//!
//! Only Rappel's own crates log, and the connection modules of the Lambda runtime: at lower levels the others log
//! what no log may hold: the runtime whole events, the HTTP client headers, the database driver parts of its URL.

use std::{env, panic, panic::PanicHookInfo};

use lambda_runtime::tracing::subscriber::{
    Layer as _,
    filter::{LevelFilter, filter_fn},
    fmt,
    layer::SubscriberExt as _,
    registry,
    util::SubscriberInitExt as _,
};

/// The crates that functions share.
const SHARED: [&str; 23] = [
    "access",
    "analysis",
    "aws",
    "bulk_imports",
    "database",
    "document_store",
    "embedder",
    "extract",
    "features",
    "filter",
    "followed_tables",
    "http_client",
    "json",
    "language_model",
    "mcp_server",
    "migrations",
    "records",
    "retrieval",
    "schema",
    "settings",
    "shared",
    "telemetry",
    "tokens",
];

/// Modules of the Lambda runtime that log only its connection.
const RUNTIME: [&str; 2] = [
    "lambda_runtime::runtime",
    "lambda_runtime::layers::api_client",
];

/// Starts the log of `function`: in JSON (the return value) if `AWS_LAMBDA_LOG_FORMAT` says so, from the level of
/// `AWS_LAMBDA_LOG_LEVEL` or `RUST_LOG`. Lambda sets the first two.
pub(super) fn start(function: &str) -> bool {
    let level = env::var("AWS_LAMBDA_LOG_LEVEL").or_else(|_| env::var("RUST_LOG"));
    let level = level.ok().and_then(|level| level.parse().ok());
    let level = level.unwrap_or(LevelFilter::INFO);
    let function = function.replace('-', "_");
    let heard = filter_fn(move |metadata| {
        let target = metadata.target();
        // Whole names: `aws` must not match `aws_sigv4`, which logs the requests that it signs.
        let krate = target.split("::").next().unwrap_or_default();
        let level = if krate == function || SHARED.contains(&krate) {
            level
        } else if RUNTIME.iter().any(|part| target.starts_with(part)) {
            level.min(LevelFilter::WARN)
        } else {
            LevelFilter::OFF
        };
        *metadata.level() <= level
    })
    .with_max_level_hint(level);
    let json = env::var("AWS_LAMBDA_LOG_FORMAT").is_ok_and(|it| it.eq_ignore_ascii_case("json"));
    let lines = fmt::layer().with_target(false);
    // A second start in one process, only in tests, keeps the first log.
    let _ = if json {
        let lines = lines.json().flatten_event(true).with_span_list(false);
        registry().with(lines.with_filter(heard)).try_init()
    } else {
        let lines = lines.without_time().with_ansi(false);
        registry().with(lines.with_filter(heard)).try_init()
    };
    panic::set_hook(Box::new(log_panic));
    json
}

/// Logs the location of a panic, and its message only if static: others may quote the input.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    let words = panic.payload().downcast_ref::<&str>();
    tracing::error!(place, words, "a panic");
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::SHARED;

    #[test]
    fn every_crate_that_functions_share_is_logged() {
        let shared = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("it is in a folder of crates");
        let crates = fs::read_dir(shared).expect("it is a folder").flatten();
        for name in crates
            .filter(|entry| entry.path().join("Cargo.toml").is_file())
            .filter_map(|entry| entry.file_name().into_string().ok())
        {
            let name = name.replace('-', "_");
            assert!(SHARED.contains(&name.as_str()), "{name} is not heard");
        }
    }
}
