//! Where log lines go, and which ones there are.
//!
//! Only Rappel's own crates are heard, and of the Lambda runtime what speaks of its connection: the
//! others say things at their lower levels that no log may hold, the runtime whole events, the HTTP client
//! headers, the database driver parts of its URL.

use std::{env, panic, panic::PanicHookInfo};

use lambda_runtime::tracing::subscriber::{
    Layer as _,
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt as _,
    registry,
    util::SubscriberInitExt as _,
};

/// Parts of the Lambda runtime that speak of their connection alone.
const RUNTIME: [&str; 2] = [
    "lambda_runtime::runtime",
    "lambda_runtime::layers::api_client",
];

/// Starts the log of `function`: in JSON, which the answer tells, if `AWS_LAMBDA_LOG_FORMAT` says so, and
/// from the level of `AWS_LAMBDA_LOG_LEVEL` or `RUST_LOG` on. Lambda sets the first two.
pub(super) fn start(function: &str) -> bool {
    let level = env::var("AWS_LAMBDA_LOG_LEVEL").or_else(|_| env::var("RUST_LOG"));
    let level = level.ok().and_then(|level| level.parse().ok());
    let level = level.unwrap_or(LevelFilter::INFO);
    let heard = Targets::new()
        .with_target("shared", level)
        .with_target(function.replace('-', "_"), level)
        .with_targets(RUNTIME.map(|part| (part, level.min(LevelFilter::WARN))));
    let json = env::var("AWS_LAMBDA_LOG_FORMAT").is_ok_and(|it| it.eq_ignore_ascii_case("json"));
    let lines = fmt::layer().with_target(false);
    // A second start of the same process, which only tests make, keeps the first log.
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

/// Logs where the panic is, and its words if they are the program's own: others may quote what the program
/// worked on.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    let words = panic.payload().downcast_ref::<&str>();
    tracing::error!(place, words, "a panic");
}
