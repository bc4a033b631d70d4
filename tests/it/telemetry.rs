//! The telemetry of a request: log lines, metrics and spans; and what they never contain.

mod lines;
mod markers;
mod spans;

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tests::{App, language_model::LanguageModel};
use tokio::time::{sleep, timeout};

/// An app with settings of a test's own, migrated.
async fn app(settings: &[(&str, &str)]) -> Result<App> {
    let settings = settings
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let settings: Vec<_> = settings.collect();
    let (app, ()) = App::through(async |_| Ok(((), settings))).await?;
    app.invoke("migrate", json!({})).await?;
    Ok(app)
}

/// The same with a language model that `model` is.
async fn app_with(model: &LanguageModel, settings: &[(&str, &str)]) -> Result<App> {
    let environment = model.environment();
    let all = environment
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let all: Vec<_> = all.chain(settings.iter().copied()).collect();
    app(&all).await
}

/// The lines of the requests that `function` has answered, when there are `count`: they are written when
/// the answers have left.
async fn lines(app: &App, function: &str, count: usize) -> Result<Vec<Value>> {
    let look = async {
        loop {
            let lines: Vec<Value> = answered(app, function)?;
            if lines.len() >= count {
                return Ok(lines);
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    let found = timeout(Duration::from_mins(1), look).await;
    found.with_context(|| {
        format!(
            "{function} has no {count} lines: {}",
            app.logged().unwrap_or_default()
        )
    })?
}

/// The lines so far.
fn answered(app: &App, function: &str) -> Result<Vec<Value>> {
    let logged = app.logged()?;
    let lines = logged
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mine = lines.filter(|line| line["message"] == "answered" && line["function"] == function);
    Ok(mine.collect())
}
