//! The functions and routes of a SAM template.

mod route;

use std::{collections::BTreeSet, path::Path, time::Duration};

use anyhow::{Context as _, ensure};
use serde_json::{Map, Value};

pub use self::route::{Match, Parameters, Route, Routes, decoded};

/// Lambda's default timeout, in seconds.
const DEFAULT_TIMEOUT: u64 = 3;
/// Lambda's default memory size, in MB.
const DEFAULT_MEMORY: u64 = 128;

/// SQS' default visibility timeout, in seconds.
const DEFAULT_VISIBILITY: u64 = 30;
/// The default batch size of an event source mapping.
const DEFAULT_BATCH: u64 = 10;

/// The parts of a template that the laptop needs.
#[derive(Debug)]
pub struct Template {
    /// Its functions.
    pub functions: Vec<Function>,
    /// Its routes, function URLs included.
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
    /// The visibility timeout.
    pub visibility: Duration,
    /// The logical id of the dead-letter queue, and its `maxReceiveCount`.
    pub redrive: Option<(String, u64)>,
}

/// An SQS event source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventSource {
    /// The logical id of the queue.
    pub queue: String,
    /// Maximum number of messages per invocation.
    pub batch: u64,
    /// Maximum number of concurrent invocations.
    pub most: Option<u64>,
    /// Whether the function reports failed messages individually (`ReportBatchItemFailures`).
    pub reports_failures: bool,
}

/// One `AWS::Serverless::Function`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// The logical id of the resource, such as `SearchFunction`.
    pub resource: String,
    /// The cargo binary, such as `search`; the function's name on the laptop.
    pub binary: String,
    /// The timeout of one invocation.
    pub timeout: Duration,
    /// In MB. Passed to the function, not enforced.
    pub memory: u64,
    /// `Text` or `JSON`.
    pub log_format: String,
    /// Whether its URL streams answers, each made for the one who asked and nobody else.
    pub streams: bool,
    /// The queue that invokes it.
    pub source: Option<EventSource>,
    /// Whether a schedule invokes it.
    pub scheduled: bool,
}

impl Template {
    /// Reads a template. `CloudFormation` tags (`!Ref`, `!Sub`, `!If`) are ignored, except that a number may be a
    /// `!Ref` to a parameter with a default.
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
                Some("AWS::Serverless::Api") => {
                    let routes = rest_routes(resources, resource);
                    let routes = routes.with_context(|| format!("in the resource `{name}`"))?;
                    template.routes.extend(routes);
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
        streams: property("FunctionUrlConfig/InvokeMode")
            .is_some_and(|mode| mode == "RESPONSE_STREAM"),
        source: event_source(document, resource),
        scheduled: is_scheduled(resource),
    })
}

fn binary(function: &Value) -> anyhow::Result<&str> {
    text(function, "/Metadata/BuildProperties/Binary")
        .context("`Metadata.BuildProperties.Binary` is missing")
}

fn text<'a>(resource: &'a Value, path: &str) -> Option<&'a str> {
    resource.pointer(path).and_then(Value::as_str)
}

/// Whether a function has an event of a schedule, whatever its state.
fn is_scheduled(resource: &Value) -> bool {
    let events = resource
        .pointer("/Properties/Events")
        .and_then(Value::as_object);
    let mut events = events.into_iter().flat_map(Map::values);
    events.any(|event| event["Type"] == "Schedule" || event["Type"] == "ScheduleV2")
}

/// The event source of a function: its first event of type SQS.
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

/// The resource in `!GetAtt Queue.Arn`: the parser drops the tag and keeps the operand.
fn logical_id(value: &Value) -> Option<String> {
    value.as_str()?.split('.').next().map(str::to_owned)
}

/// A number, or the default of the parameter in a `!Ref`: the parser drops the tag and keeps the operand.
fn number(document: &Value, value: &Value) -> Option<u64> {
    let literal = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    literal(value).or_else(|| literal(&document["Parameters"][value.as_str()?]["Default"]))
}

/// A route with its own resource. Its target is an integration (`!Sub integrations/${Id}`), whose target is a
/// function (`!GetAtt Id.Arn`).
fn api_route(resources: &Map<String, Value>, route: &Value) -> anyhow::Result<Route> {
    let integration = text(route, "/Properties/Target")
        .and_then(|target| target.strip_prefix("integrations/${")?.strip_suffix('}'))
        .and_then(|id| resources.get(id))
        .context("its `Target` is not `!Sub integrations/${Id}` of an integration")?;
    // In an `!If` with an alias and the function, the function comes last.
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

/// The paths of a REST API, which here stand for what the function's own URL takes on AWS: every path. The one with the
/// function's name is there already.
fn rest_routes(resources: &Map<String, Value>, api: &Value) -> anyhow::Result<Vec<Route>> {
    let paths = api.pointer("/Properties/DefinitionBody/paths");
    let paths = paths.and_then(Value::as_object).into_iter().flatten();
    let mut routes = Vec::new();
    for (path, methods) in paths {
        let mut methods = methods.as_object().into_iter().flat_map(Map::values);
        // `!Sub [arn:…, { Function: !GetAtt Id.Arn }]`
        let function = methods
            .find_map(|method| {
                let uri = &method["x-amazon-apigateway-integration"]["uri"];
                uri.pointer("/1/Function")?.as_str()?.strip_suffix(".Arn")
            })
            .and_then(|id| resources.get(id))
            .with_context(|| format!("the path `{path}` leads to no function"))?;
        let binary = binary(function)?;
        if path.trim_start_matches('/') != binary {
            routes.push(Route::within_url(binary, path)?);
        }
    }
    Ok(routes)
}

/// The routes that a function defines: its function URL and its events.
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
