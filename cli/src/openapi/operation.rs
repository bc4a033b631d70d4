//! An operation of the API: a method of a route.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use super::{
    headers,
    problems::{self, Errors},
};

/// Makes the schema of a type, and the components that it refers to.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// A method of a route.
pub(super) struct Operation {
    pub(super) method: &'static str,
    /// As in the template, without the plus signs of parameters with slashes.
    pub(super) path: &'static str,
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    description: &'static str,
    body: Option<(SchemaOf, Vec<Value>)>,
    /// The type whose fields are the query's parameters, and the renamed ones.
    query: Option<(SchemaOf, &'static [(&'static str, &'static str)])>,
    headers: Vec<Value>,
    responses: BTreeMap<u16, Response>,
    errors: Errors,
    statuses: Vec<u16>,
    is_open: bool,
}

/// What an operation sends with one status.
struct Response {
    description: &'static str,
    content: Vec<(&'static str, SchemaOf)>,
    example: Option<Value>,
    headers: Vec<&'static str>,
}

/// The generators of the schemas of what callers send and of what they get.
pub(super) struct Generators {
    pub(super) requests: SchemaGenerator,
    pub(super) answers: SchemaGenerator,
}

pub(super) const JSON: &str = "application/json";

/// The schema of `T`.
pub(super) fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

impl Operation {
    pub(super) fn new(
        tag: &'static str,
        method: &'static str,
        path: &'static str,
        id: &'static str,
        summary: &'static str,
    ) -> Self {
        let statuses = if path.contains('{') {
            vec![404, 405]
        } else {
            Vec::new()
        };
        Self {
            method,
            path,
            id,
            tag,
            summary,
            description: "",
            body: None,
            query: None,
            headers: Vec::new(),
            responses: BTreeMap::new(),
            errors: Errors::Problems,
            statuses,
            is_open: false,
        }
    }

    pub(super) fn about(mut self, description: &'static str) -> Self {
        self.description = description;
        self
    }

    /// A JSON body, with examples that succeed.
    pub(super) fn takes(self, schema: SchemaOf, examples: Vec<Value>) -> Self {
        Self {
            body: Some((schema, examples)),
            ..self
        }
        .fails(&[413, 415, 422])
    }

    /// Parameters of the query, some of them under other names.
    pub(super) fn queried(
        self,
        schema: SchemaOf,
        renamed: &'static [(&'static str, &'static str)],
    ) -> Self {
        Self {
            query: Some((schema, renamed)),
            ..self
        }
        .fails(&[422])
    }

    /// The header `If-Match`.
    pub(super) fn conditional(mut self) -> Self {
        self.headers.push(json!({
            "name": "If-Match", "in": "header", "required": false,
            "description": "The ETag of the document that is changed; another state of it is 412.",
            "schema": { "type": "string" },
        }));
        self.fails(&[412])
    }

    /// The header `If-None-Match`.
    pub(super) fn unless(mut self, description: &'static str) -> Self {
        self.headers.push(json!({
            "name": "If-None-Match", "in": "header", "required": false,
            "description": description, "schema": { "type": "string" },
        }));
        self
    }

    pub(super) fn answers(
        self,
        status: u16,
        description: &'static str,
        content: SchemaOf,
        example: Value,
    ) -> Self {
        self.answers_in(status, description, vec![(JSON, content)], Some(example))
    }

    pub(super) fn answers_in(
        mut self,
        status: u16,
        description: &'static str,
        content: Vec<(&'static str, SchemaOf)>,
        example: Option<Value>,
    ) -> Self {
        let response = Response {
            description,
            content,
            example,
            headers: Vec::new(),
        };
        self.responses.insert(status, response);
        self
    }

    /// The successful responses have an `ETag`.
    pub(super) fn tagged(mut self) -> Self {
        for response in self.responses.values_mut() {
            response.headers.push("ETag");
        }
        self
    }

    /// A browser may keep a copy, and ask whether it is current.
    pub(super) fn cached(self) -> Self {
        let mut cached = self
            .answers_in(304, "The copy is current.", Vec::new(), None)
            .tagged()
            .unless("The ETag of a copy; if it is current, the answer is 304.");
        for response in cached.responses.values_mut() {
            response.headers.push("Cache-Control");
        }
        cached
    }

    /// More statuses of errors.
    pub(super) fn fails(mut self, statuses: &[u16]) -> Self {
        self.statuses.extend(statuses);
        self
    }

    /// Errors of another shape.
    pub(super) fn fails_in(self, errors: Errors) -> Self {
        Self { errors, ..self }
    }

    /// Anybody may call it, whatever the stack's `Authorization`; nothing fails but the gateway.
    pub(super) fn open(self) -> Self {
        Self {
            is_open: true,
            ..self
        }
    }

    /// The operation object of the description.
    pub(super) fn write(&self, generators: &mut Generators) -> Value {
        let mut parameters = self.path_parameters();
        if let Some((schema, renamed)) = self.query {
            parameters.extend(query_parameters(schema, renamed, &mut generators.requests));
        }
        parameters.extend(self.headers.iter().cloned());
        if !self.is_open {
            parameters.push(problems::tenant());
        }
        let mut responses: BTreeMap<String, Value> = self
            .responses
            .iter()
            .map(|(status, answer)| {
                let written = answer.write(self.is_open, &mut generators.answers);
                (status.to_string(), written)
            })
            .collect();
        let common: &[u16] = if self.is_open {
            &problems::OF_GATEWAY
        } else {
            &problems::OF_ALL
        };
        for status in common.iter().chain(&self.statuses) {
            responses
                .entry(status.to_string())
                .or_insert_with(|| self.errors.reference(*status));
        }
        let mut operation = json!({
            "operationId": self.id,
            "tags": [self.tag],
            "summary": self.summary,
            "parameters": parameters,
            "responses": responses,
        });
        if !self.description.is_empty() {
            operation["description"] = self.description.into();
        }
        if let Some((schema, examples)) = &self.body {
            operation["requestBody"] = json!({
                "required": true,
                "content": { JSON: {
                    "schema": schema(&mut generators.requests),
                    "examples": named(examples),
                } },
            });
        }
        if self.is_open {
            operation["security"] = json!([]);
        }
        operation
    }

    fn path_parameters(&self) -> Vec<Value> {
        let names = self.path.split('{').skip(1);
        let names = names.filter_map(|rest| rest.split('}').next());
        names
            .map(|name| {
                let (description, longest, example) = problems::path_parameter(self.path);
                json!({
                    "name": name, "in": "path", "required": true, "description": description,
                    "schema": { "type": "string", "minLength": 1, "maxLength": longest },
                    "example": example,
                })
            })
            .collect()
    }
}

impl Response {
    /// Requests to an open operation are not counted.
    fn write(&self, is_open: bool, generator: &mut SchemaGenerator) -> Value {
        let mut names = vec!["X-Request-Id"];
        if !is_open {
            names.extend(["RateLimit", "RateLimit-Policy"]);
        }
        names.extend(&self.headers);
        let headers = headers::references(&names);
        let mut answer = json!({ "description": self.description, "headers": headers });
        for (media_type, schema) in &self.content {
            let mut content = json!({ "schema": schema(generator) });
            if let Some(example) = self.example.as_ref().filter(|_| *media_type == JSON) {
                content["example"] = example.clone();
            }
            answer["content"][*media_type] = content;
        }
        answer
    }
}

/// Examples by number: generators and tests take any names.
fn named(examples: &[Value]) -> BTreeMap<String, Value> {
    let examples = (1..).zip(examples);
    examples
        .map(|(number, value)| (format!("example{number}"), json!({ "value": value })))
        .collect()
}

/// The fields of a type as parameters of a query: texts as they are, lists with commas, objects as JSON.
fn query_parameters(
    schema: SchemaOf,
    renamed: &[(&str, &str)],
    generator: &mut SchemaGenerator,
) -> Vec<Value> {
    let described = schema(generator);
    let described = resolved(described.as_value(), generator);
    let required = described["required"].clone();
    let Some(properties) = described["properties"].as_object() else {
        return Vec::new();
    };
    let parameter = |(name, property): (&String, &Value)| {
        let new_name = renamed.iter().find(|(old, _)| old == name);
        let mut property = without_null(property);
        let description = property
            .as_object_mut()
            .and_then(|property| property.remove("description"));
        let is_required = required
            .as_array()
            .is_some_and(|names| names.iter().any(|required| required == name.as_str()));
        let mut parameter = json!({
            "name": new_name.map_or(name.as_str(), |(_, new)| new),
            "in": "query", "required": is_required,
            "description": description.unwrap_or_default(),
        });
        if name == "filter" {
            parameter["content"] = json!({ JSON: { "schema": property } });
        } else {
            if property["type"] == "array" {
                parameter["style"] = "form".into();
                parameter["explode"] = false.into();
            }
            parameter["schema"] = property;
        }
        parameter
    };
    properties.iter().map(parameter).collect()
}

/// The schema behind a reference.
fn resolved(schema: &Value, generator: &SchemaGenerator) -> Value {
    let name = schema["$ref"]
        .as_str()
        .and_then(|path| path.rsplit('/').next());
    name.and_then(|name| generator.definitions().get(name))
        .unwrap_or(schema)
        .clone()
}

/// A query has no `null`: a parameter that is absent is left out.
fn without_null(schema: &Value) -> Value {
    let mut schema = schema.clone();
    let Some(object) = schema.as_object_mut() else {
        return schema;
    };
    if let Some(types) = object.get("type").and_then(Value::as_array) {
        let types: Vec<Value> = types.iter().filter(|it| *it != "null").cloned().collect();
        if let [only] = types.as_slice() {
            object.insert("type".to_owned(), only.clone());
        }
    }
    if let Some(values) = object.get_mut("enum").and_then(Value::as_array_mut) {
        values.retain(|value| !value.is_null());
    }
    let null = json!({ "type": "null" });
    if let Some(choices) = object.get_mut("anyOf").and_then(Value::as_array_mut) {
        choices.retain(|choice| *choice != null);
        if let [only] = choices.as_slice() {
            let mut only = only.clone();
            if let (Some(description), Some(only)) =
                (object.get("description"), only.as_object_mut())
            {
                only.insert("description".to_owned(), description.clone());
            }
            return only;
        }
    }
    schema
}
