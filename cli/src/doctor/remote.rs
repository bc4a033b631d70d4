//! The checks of a deployed API: `GET /health?deep=true`.

use std::io::{self, Write as _};

use anyhow::{Context as _, ensure};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::{
    remote::{ApiResponse, Key, address},
    terminal::{Out, Style},
};

/// Has the API check itself, and prints what it found.
///
/// # Errors
/// When it does not answer, or a check failed.
pub(super) async fn examine(api: &str, key: &Key, json: bool, out: &mut Out) -> anyhow::Result<()> {
    let (api, url) = (key.api()?, address(api));
    let request = api.request(Method::GET, &format!("{url}/health?deep=true"));
    let answer = ApiResponse::of(&api, request, &url).await?;
    // A failed check has this status, and still lists the checks.
    let is_report =
        answer.status == StatusCode::SERVICE_UNAVAILABLE && answer.body["checks"].is_array();
    let health = if is_report {
        answer.body
    } else {
        answer.success()?
    };
    let checks = health["checks"]
        .as_array()
        .with_context(|| format!("{url}/health did not list checks: is it Rappel's API?"))?;
    if json {
        out.json(&health)?;
    } else {
        print(out, checks)?;
    }
    let failed = checks.iter().filter(|check| check["status"] == "failed");
    let failed = failed.count();
    ensure!(failed == 0, "{failed} of {} checks failed", checks.len());
    Ok(())
}

fn print(out: &mut Out, checks: &[Value]) -> io::Result<()> {
    let text = |check: &Value, field: &str| check[field].as_str().unwrap_or_default().to_owned();
    let width = checks.iter().map(|check| text(check, "name").len()).max();
    let width = width.unwrap_or_default();
    for check in checks {
        let status = text(check, "status");
        let style = match status.as_str() {
            "ok" => Style::Green,
            "warning" => Style::Yellow,
            "failed" => Style::Red,
            _ => Style::Dim,
        };
        out.styled(style, &format_args!("{status:<7}"))?;
        let took = check["took_ms"].as_f64().unwrap_or_default();
        writeln!(out, "  {:<width$}  {took:.1} ms", text(check, "name"))?;
        let remedy = text(check, "detail");
        if !remedy.is_empty() {
            writeln!(out, "{:<7}  {:<width$}  → {remedy}", "", "")?;
        }
    }
    Ok(())
}
