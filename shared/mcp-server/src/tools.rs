//! The tools: their descriptions, and what happens when one is called.

use std::sync::Arc;

use json::FieldError;
use rmcp::{
    ErrorData,
    handler::server::common::{schema_for_output, schema_for_type},
    model::{CallToolResult, ContentBlock, JsonObject, Tool, ToolAnnotations},
};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use shared::{Error, problem::Problem};

use crate::{DocumentServer, fetch, filters, search};

/// All tools, as a client lists them.
pub(super) fn all() -> Vec<Tool> {
    vec![
        tool::<search::Arguments, search::Found>(
            "search",
            "Search the documents",
            "Finds the passages that answer a question, most relevant first, by meaning and by words. Each result has the id \
             for `fetch`, the title, an url to cite, the passage itself, and its relevance from 0 to 1: below 0.2 it probably \
             does not answer the question. An empty list means that nothing was found: ask in other words.",
        ),
        tool::<fetch::Arguments, fetch::Fetched>(
            "fetch",
            "Read a document",
            "Reads a whole document by an id that `search` has found, with its metadata. A long one comes in pieces: if there \
             is a next_offset, call it again with that offset.",
        ),
        tool::<filters::Arguments, filters::Filters>(
            "list_filters",
            "List what can be filtered",
            "Lists the keys that documents have in their metadata, with examples of their values, for the argument `filter` \
             of `search`.",
        ),
    ]
}

/// Calls a tool. Errors are in the result, where the calling model can read them and retry.
///
/// # Errors
/// When there is no such tool.
pub(super) async fn call(
    server: &DocumentServer,
    name: &str,
    arguments: JsonObject,
) -> Result<CallToolResult, ErrorData> {
    // On the heap: the future with searches is large.
    let outcome = match name {
        "search" => {
            let found = async { search::run(server, read(&arguments)?).await };
            Box::pin(answered(server, found)).await
        }
        "fetch" => {
            let fetched = async { fetch::run(server, read(&arguments)?).await };
            Box::pin(answered(server, fetched)).await
        }
        "list_filters" => {
            let listed = async {
                let filters::Arguments {} = read(&arguments)?;
                filters::run(server).await
            };
            Box::pin(answered(server, listed)).await
        }
        _ => {
            let detail =
                format!("unknown tool {name:?}; the tools are search, fetch and list_filters");
            return Err(ErrorData::invalid_params(detail, None));
        }
    };
    Ok(outcome.unwrap_or_else(|problem| CallToolResult::error(vec![error_content(&problem)])))
}

async fn answered<T: Serialize>(
    server: &DocumentServer,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<CallToolResult, Problem> {
    let structured = async {
        let value = serde_json::to_value(work.await?).map_err(|error| Error::internal(&error))?;
        Ok(CallToolResult::structured(value))
    };
    server.run(structured).await
}

/// Reads arguments as strictly as a request over HTTP.
fn read<T: DeserializeOwned>(arguments: &JsonObject) -> Result<T, Error> {
    let bytes = serde_json::to_vec(arguments).map_err(|error| Error::internal(&error))?;
    Ok(json::from_slice(&bytes)?)
}

/// The text of a problem for the model: the error and the remedy.
fn error_content(problem: &Problem) -> ContentBlock {
    let of_filter = |error: &FieldError| error.field.starts_with("filter");
    let text = match problem.status {
        404 => format!("{}: use an id that `search` has found", problem.detail),
        400..500 if problem.errors.iter().any(of_filter) => format!(
            "{}. `list_filters` lists the keys that documents have",
            problem.detail
        ),
        400..500 => problem.detail.clone(),
        _ => {
            let wait = problem.retry_after;
            let wait = wait.map_or_else(String::new, |seconds| format!(" (in {seconds} s)"));
            format!("{}: {}{wait}", problem.title, problem.detail)
        }
    };
    ContentBlock::text(text)
}

/// A schema as clients read it that know one type of a value: what may be absent has the type that it has when it is there.
fn portable(schema: &JsonObject) -> Arc<JsonObject> {
    let mut schema = schema.clone();
    schema.values_mut().for_each(without_null);
    Arc::new(schema)
}

fn without_null(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Array(types)) = members.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    members.insert("type".to_owned(), only);
                }
            }
            members.values_mut().for_each(without_null);
        }
        Value::Array(members) => members.iter_mut().for_each(without_null),
        _ => {}
    }
}

fn tool<A: JsonSchema + 'static, O: JsonSchema + 'static>(
    name: &'static str,
    title: &'static str,
    description: &'static str,
) -> Tool {
    let mut tool = Tool::new(name, description, portable(&schema_for_type::<A>()));
    tool.title = Some(title.to_owned());
    tool.output_schema = Some(portable(&schema_for_output::<O>()));
    let annotations = ToolAnnotations::with_title(title);
    tool.annotations = Some(
        annotations
            .read_only(true)
            .idempotent(true)
            .open_world(false),
    );
    tool
}
