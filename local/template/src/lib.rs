//! The functions and routes of a SAM template.

mod route;

use std::{collections::BTreeSet, path::Path, time::Duration};

use anyhow::{Context as _, ensure};
use serde_json::{Map, Value};

pub use self::route::{Match, Parameters, Route, Routes, decoded};

/// Lambda's time limit, in seconds, for a function whose template names none.
const DEFAULT_TIMEOUT: u64 = 3;
/// Lambda's memory size, in MB, for a function whose template names none.
const DEFAULT_MEMORY: u64 = 128;

/// How long SQS hides a received message if its queue names no time, in seconds.
const DEFAULT_VISIBILITY: u64 = 30;
/// Messages of a batch if an event source names no number.
const DEFAULT_BATCH: u64 = 10;

/// What the laptop needs of a template.
#[derive(Debug)]
pub struct Template {
    /// Its functions.
    pub functions: Vec<Function>,
    /// Its routes, and those of functions' own URLs.
    pub routes: Vec<Route>,
    /// Its queues.
    pub queues: Vec<Queue>,
    /// The logical ids of the buckets.
    pub buckets: Vec<String>,
}

/// One `AWS::SQS::Queue`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// The logical id of the resource.
    pub resource: String,
    /// How long a received message is hidden.
    pub visibility: Duration,
    /// The logical id of the dead-letter queue, and how often a message is received before it goes there.
    pub redrive: Option<(String, u64)>,
}

/// A queue whose messages a function is invoked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventSource {
    /// The logical id of the queue.
    pub queue: String,
    /// The most messages of an invocation.
    pub batch: u64,
    /// The most invocations at a time.
    pub most: Option<u64>,
    /// Whether the function names the messages that failed.
    pub reports_failures: bool,
}

/// One `AWS::Serverless::Function`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// The logical id of the resource, such as `SearchFunction`.
    pub resource: String,
    /// The cargo binary, such as `search`; the function's name on the laptop.
    pub binary: String,
    /// How long one invocation may take.
    pub timeout: Duration,
    /// In MB. Only told to the function, not enforced.
    pub memory: u64,
    /// `Text` or `JSON`.
    pub log_format: String,
    /// The queue that invokes it.
    pub source: Option<EventSource>,
}

impl Template {
    /// Reads a template; the tags of `CloudFormation` (`!Ref`, `!Sub`, `!If`) are skipped, except that a
    /// number may be a `!Ref` to a parameter with a default.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the template {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("in the template {}", path.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let document: Value = serde_saphyr::from_str(text).context("not YAML")?;
        let resources = document["Resources"]
            .as_object()
            .context("it has no `Resources`")?;
        let mut template = Self {
            functions: Vec::new(),
            routes: Vec::new(),
            queues: Vec::new(),
            buckets: Vec::new(),
        };
        for (name, resource) in resources {
            match resource["Type"].as_str() {
                Some("AWS::Serverless::Function") => {
                    let function = function(&document, name, resource)
                        .with_context(|| format!("in the resource `{name}`"))?;
                    template.routes.extend(routes(&function.binary, resource)?);
                    template.functions.push(function);
                }
                Some("AWS::SQS::Queue") => template.queues.push(queue(&document, name, resource)),
                Some("AWS::S3::Bucket") => template.buckets.push(name.clone()),
                Some("AWS::ApiGatewayV2::Route") => {
                    let route = api_route(resources, resource);
                    let route = route.with_context(|| format!("in the resource `{name}`"))?;
                    template.routes.push(route);
                }
                _ => {}
            }
        }
        ensure!(
            !template.functions.is_empty(),
            "it has no resource of type AWS::Serverless::Function"
        );
        let binaries: BTreeSet<_> = template
            .functions
            .iter()
            .map(|function| &function.binary)
            .collect();
        ensure!(
            binaries.len() == template.functions.len(),
            "two functions have the same binary"
        );
        Ok(template)
    }
}

fn function(document: &Value, name: &str, resource: &Value) -> anyhow::Result<Function> {
    let property = |path: &str| {
        let own = resource.pointer(&format!("/Properties/{path}"));
        own.or_else(|| document.pointer(&format!("/Globals/Function/{path}")))
    };
    let number = |path: &str, default| match property(path) {
        None => Ok(default),
        Some(value) => number(document, value).with_context(|| {
            format!("`{path}` is neither a number nor a !Ref to a parameter with a numeric default")
        }),
    };
    Ok(Function {
        resource: name.to_owned(),
        binary: binary(resource)?.to_owned(),
        timeout: Duration::from_secs(number("Timeout", DEFAULT_TIMEOUT)?),
        memory: number("MemorySize", DEFAULT_MEMORY)?,
        log_format: property("LoggingConfig/LogFormat")
            .and_then(Value::as_str)
            .unwrap_or("Text")
            .to_owned(),
        source: event_source(document, resource),
    })
}

fn binary(function: &Value) -> anyhow::Result<&str> {
    text(function, "/Metadata/BuildProperties/Binary")
        .context("it names no `Metadata.BuildProperties.Binary`")
}

fn text<'a>(resource: &'a Value, path: &str) -> Option<&'a str> {
    resource.pointer(path).and_then(Value::as_str)
}

/// The queue of a function's first event of type SQS.
fn event_source(document: &Value, resource: &Value) -> Option<EventSource> {
    let events = resource.pointer("/Properties/Events")?.as_object()?;
    let properties = &events.values().find(|event| event["Type"] == "SQS")?["Properties"];
    let responses = properties["FunctionResponseTypes"].as_array();
    Some(EventSource {
        queue: logical_id(&properties["Queue"])?,
        batch: number(document, &properties["BatchSize"]).unwrap_or(DEFAULT_BATCH),
        most: number(document, &properties["ScalingConfig"]["MaximumConcurrency"]),
        reports_failures: responses
            .is_some_and(|types| types.iter().any(|kind| kind == "ReportBatchItemFailures")),
    })
}

fn queue(document: &Value, name: &str, resource: &Value) -> Queue {
    let properties = &resource["Properties"];
    let policy = &properties["RedrivePolicy"];
    let target = logical_id(&policy["deadLetterTargetArn"]);
    let visibility = number(document, &properties["VisibilityTimeout"]);
    Queue {
        resource: name.to_owned(),
        visibility: Duration::from_secs(visibility.unwrap_or(DEFAULT_VISIBILITY)),
        redrive: target.zip(number(document, &policy["maxReceiveCount"])),
    }
}

/// The resource that `!GetAtt Queue.Arn` names: the tag is gone, its operand is left.
fn logical_id(value: &Value) -> Option<String> {
    value.as_str()?.split('.').next().map(str::to_owned)
}

/// A number, or the default of the parameter that a `!Ref` names: the tag is gone, its operand is left.
fn number(document: &Value, value: &Value) -> Option<u64> {
    let literal = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    literal(value).or_else(|| literal(&document["Parameters"][value.as_str()?]["Default"]))
}

/// A route that is a resource of its own. It leads to an integration (`!Sub integrations/${Id}`), and that
/// to a function (`!GetAtt Id.Arn`).
fn api_route(resources: &Map<String, Value>, route: &Value) -> anyhow::Result<Route> {
    let integration = text(route, "/Properties/Target")
        .and_then(|target| target.strip_prefix("integrations/${")?.strip_suffix('}'))
        .and_then(|id| resources.get(id))
        .context("its `Target` is not `!Sub integrations/${Id}` of an integration")?;
    // Of an `!If` between an alias and the function, the function is the last.
    let uri = integration.pointer("/Properties/IntegrationUri");
    let uri = uri.and_then(|uri| uri.as_array().map_or(Some(uri), |choices| choices.last()));
    let function = uri
        .and_then(Value::as_str)
        .and_then(|uri| resources.get(uri.strip_suffix(".Arn")?))
        .context("its integration's `IntegrationUri` is not `!GetAtt Id.Arn` of a function")?;
    let key = text(route, "/Properties/RouteKey").context("it has no `RouteKey`")?;
    let (method, path) = key.split_once(' ').unwrap_or(("ANY", key));
    Route::new(method, path, binary(function)?)
}

/// The routes that a function names itself: its own URL, and its events.
fn routes(binary: &str, resource: &Value) -> anyhow::Result<Vec<Route>> {
    let properties = &resource["Properties"];
    let url = &properties["FunctionUrlConfig"];
    let url = (!url.is_null()).then(|| Route::of_url(binary));
    let events = properties["Events"].as_object();
    let http = events
        .into_iter()
        .flatten()
        .filter(|(_, event)| event["Type"] == "HttpApi" || event["Type"] == "Api");
    let route = |(name, event): (&String, &Value)| {
        let text = |key: &str| event["Properties"][key].as_str();
        // An HttpApi event without a path is the catch-all route, `$default`.
        Route::new(
            text("Method").unwrap_or("ANY"),
            text("Path").unwrap_or("$default"),
            binary,
        )
        .with_context(|| format!("in the event `{name}` of `{binary}`"))
    };
    url.into_iter().chain(http.map(route)).collect()
}

#[cfg(test)]
mod tests;
