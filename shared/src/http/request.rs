//! What a request says, or which of its fields is wrong.

use std::{collections::BTreeMap, str::FromStr};

use lambda_http::{Request, RequestExt as _, http::header::CONTENT_TYPE};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::BODY_LIMIT;
use crate::{
    Error,
    error::FieldError,
    shape::{Object, in_words_of_json},
};

/// Reads the body as a JSON object.
///
/// # Errors
/// 413 beyond [`BODY_LIMIT`], 415 for another content type, 400 for what is not JSON, 422 with the
/// field's path for JSON of another shape.
pub fn json<T: DeserializeOwned>(request: &Request) -> Result<T, Error> {
    let body: &[u8] = request.body().as_ref();
    if body.len() > BODY_LIMIT {
        return Err(Error::BodyTooLarge {
            bytes: body.len(),
            limit: BODY_LIMIT,
        });
    }
    if let Some(content_type) = request.headers().get(CONTENT_TYPE) {
        let content_type = String::from_utf8_lossy(content_type.as_bytes());
        let essence = content_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        if essence != "application/json" && !essence.ends_with("+json") {
            return Err(Error::UnsupportedMediaType(content_type.into_owned()));
        }
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let Object(value) =
        serde_path_to_error::deserialize(&mut deserializer).map_err(|error| shape_error(&error))?;
    deserializer
        .end()
        .map_err(|error| Error::MalformedJson(error.to_string()))?;
    Ok(value)
}

/// A parameter of the path, decoded by the gateway.
///
/// # Errors
/// When the route has no such parameter, which is a mistake of the template.
pub fn path_parameter(request: &Request, name: &str) -> Result<String, Error> {
    request
        .path_parameters_ref()
        .and_then(|parameters| parameters.first(name))
        .map(str::to_owned)
        .ok_or_else(|| Error::Internal(format!("the route has no path parameter {name}")))
}

/// The parameters of the query string, taken out one by one; what is left over is unknown.
#[derive(Debug)]
pub struct Parameters {
    values: BTreeMap<String, Vec<String>>,
    errors: Vec<FieldError>,
}

impl Parameters {
    /// Reads the query string.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in request
            .query_string_parameters_ref()
            .into_iter()
            .flat_map(|map| map.iter())
        {
            values
                .entry(name.to_owned())
                .or_default()
                .push(value.to_owned());
        }
        Self {
            values,
            errors: Vec::new(),
        }
    }

    /// Takes a text.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let mut values = self.values.remove(name)?;
        if values.len() > 1 {
            self.errors
                .push(FieldError::new(name, "is given more than once"));
        }
        values.pop()
    }

    /// Takes a number, `true` or `false`; `expected` says what else it is not.
    pub fn parsed<T: FromStr>(&mut self, name: &str, expected: &str) -> Option<T> {
        let text = self.text(name)?;
        text.parse()
            .map_err(|_| self.refuse(name, &text, expected))
            .ok()
    }

    /// Takes a value written as JSON.
    pub fn json<T: DeserializeOwned>(&mut self, name: &str, expected: &str) -> Option<T> {
        let text = self.text(name)?;
        serde_json::from_str(&text)
            .map_err(|_| self.refuse(name, &text, expected))
            .ok()
    }

    fn refuse(&mut self, name: &str, text: &str, expected: &str) {
        self.errors.push(FieldError::new(
            name,
            format!("is {text:?}, not {expected}"),
        ));
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every parameter that was wrong or is unknown.
    pub fn finish(mut self) -> Result<(), Error> {
        self.errors.extend(
            self.values
                .into_keys()
                .map(|name| FieldError::new(name, "is not a parameter of this route")),
        );
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Error::Invalid(self.errors))
        }
    }
}

fn shape_error(error: &serde_path_to_error::Error<serde_json::Error>) -> Error {
    let cause = error.inner();
    if cause.classify() != Category::Data {
        return Error::MalformedJson(cause.to_string());
    }
    let message = cause.to_string();
    let mut path = error.path().to_string();
    // The path of a missing field is that of the object that lacks it.
    if let Some(name) = message
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split('`').next())
    {
        path = if path == "." {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        };
    }
    let field = if path == "." { "body".to_owned() } else { path };
    FieldError::new(field, in_words_of_json(&message)).into()
}

#[cfg(test)]
mod tests {
    use lambda_http::http::Request as HttpRequest;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Batch {
        #[expect(dead_code, reason = "only its shape matters")]
        items: Vec<Item>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Item {
        #[expect(dead_code, reason = "only its shape matters")]
        title: String,
    }

    fn fields(body: &str) -> Vec<String> {
        let request = HttpRequest::new(body.into());
        match json::<Batch>(&request) {
            Err(Error::Invalid(errors)) => errors.into_iter().map(|error| error.field).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_wrong_shape_names_its_field() {
        assert_eq!(
            fields(r#"{"items":[{"title":"a"},{"title":1}]}"#),
            ["items[1].title"]
        );
        assert_eq!(fields(r#"{"items":[{"titel":"a"}]}"#), ["items[0].titel"]);
        assert_eq!(fields(r#"{"items":[{}]}"#), ["items[0].title"]);
        assert_eq!(fields("{}"), ["items"]);
        assert_eq!(fields("[]"), ["body"]);
        assert_eq!(fields("7"), ["body"]);
    }

    #[test]
    fn what_is_not_json_is_malformed() {
        for body in ["", "{", "{}}", "nul"] {
            let outcome = json::<BTreeMap<String, i64>>(&HttpRequest::new(body.into()));
            assert!(
                matches!(outcome, Err(Error::MalformedJson(_))),
                "{body:?}: {outcome:?}"
            );
        }
    }
}
