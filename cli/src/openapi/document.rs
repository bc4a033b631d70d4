//! The whole description.

use chat::Body;
use schemars::generate::{Contract, SchemaSettings};
use serde_json::{Map, Value, json};
use shared::problem::Problem;

use super::{
    headers,
    operation::{Generators, schema},
    problems,
    routes::operations,
};

const ABOUT: &str = "Semantic search and retrieval-augmented chat over Postgres. Bodies are JSON objects in UTF-8; `null` counts \
as absent. Errors are problem documents (RFC 9457), below `/v1` OpenAI's. `HEAD` is `GET` without the body. On AWS the routes \
`/chat` and `/v1` have a host of their own, and who may call a route is set by the stack's parameter `Authorization`.";

/// `OpenAPI` 3.1, in the order of the table of routes.
pub(super) fn document() -> Value {
    let settings = |contract| {
        let mut settings = SchemaSettings::draft2020_12();
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
        settings.contract = contract;
        settings
    };
    let mut generators = Generators {
        requests: settings(Contract::Deserialize).into_generator(),
        answers: settings(Contract::Serialize).into_generator(),
    };
    let mut paths = Map::new();
    for operation in operations() {
        let written = operation.write(&mut generators);
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method.to_lowercase()] = written;
    }
    let problem = schema::<Problem>(&mut generators.answers);
    let open_ai = Body::Error.schema(&mut generators.answers);
    let responses = problems::responses(problem.as_value(), open_ai.as_value());
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Rappel",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Semantic search and chat over Postgres",
            "description": ABOUT,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "Where this is served; of `rappel up`, http://127.0.0.1:8000" }],
        "security": [{}, { "bearer": [] }, { "sigv4": [] }],
        "tags": tags(),
        "paths": paths,
        "components": {
            "schemas": schemas(generators),
            "responses": responses,
            "headers": headers::components(),
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer" },
                "sigv4": {
                    "type": "apiKey", "in": "header", "name": "Authorization",
                    "description": "AWS Signature Version 4, with `Authorization=iam`.",
                    "x-amazon-apigateway-authtype": "awsSigv4",
                },
            },
        },
    });
    tidy(&mut document);
    // The order of keys must not depend on the features that a build has.
    document.sort_all_objects();
    document
}

fn without_widths(value: &mut Value) {
    match value {
        Value::Object(object) => {
            if object.get("format").is_some_and(|format| format == "int64") {
                object.remove("format");
            }
            object.values_mut().for_each(without_widths);
        }
        Value::Array(values) => values.iter_mut().for_each(without_widths),
        _ => {}
    }
}

/// Leaves out what means nothing outside of Rust: the sizes of unsigned numbers, and `null` for what is absent.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(object) => {
            let is_unknown = object.get("format").and_then(Value::as_str);
            if is_unknown.is_some_and(|format| format.starts_with("uint")) {
                object.remove("format");
            }
            if object.get("default").is_some_and(Value::is_null) {
                object.remove("default");
            }
            // `true` as a schema is more than some generators of clients read.
            if object.get("items") == Some(&Value::Bool(true)) {
                object.insert("items".to_owned(), json!({}));
            }
            object.values_mut().for_each(tidy);
        }
        Value::Array(values) => values.iter_mut().for_each(tidy),
        _ => {}
    }
}

fn tags() -> Value {
    let tags = [
        ("search", "Find passages"),
        ("chat", "Answers from the documents"),
        ("documents", "Store, change, read and delete documents"),
        ("imports", "Import files"),
        ("sources", "Follow tables"),
        ("keys", "API keys"),
        ("tenants", "Tenants, their limits and usage, and the audit"),
        ("service", "The service itself"),
    ];
    let tags = tags.map(|(name, description)| json!({ "name": name, "description": description }));
    json!(tags)
}

/// The components of both generators; a type that is sent and received, with different schemas, has one for each.
fn schemas(generators: Generators) -> Map<String, Value> {
    let Generators {
        mut requests,
        mut answers,
    } = generators;
    let mut schemas = requests.take_definitions(true);
    // A request may have numbers beyond 64 bits: the limits are those that are written.
    schemas.values_mut().for_each(without_widths);
    // Both call it by one name. What is received is a narrower form of what is sent.
    for (name, schema) in answers.take_definitions(true) {
        schemas.entry(name).or_insert(schema);
    }
    schemas
}
