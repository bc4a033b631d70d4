//! The parameters of the query string.

use std::{collections::BTreeMap, str::FromStr};

use document_store::{ListRequest, nul};
use json::FieldError;
use lambda_http::{Request, RequestExt as _};
use serde::de::DeserializeOwned;

use crate::Error;

/// The parameters of the query string, taken out one by one; the rest is unknown.
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

    /// Takes a text; empty counts as absent.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let mut values = self.values.remove(name)?;
        if values.len() > 1 {
            self.errors
                .push(FieldError::new(name, "is given more than once"));
        }
        let value = values.pop().filter(|value| !value.is_empty())?;
        if let Some(error) = nul(&value, name) {
            self.errors.push(error);
            return None;
        }
        Some(value)
    }

    /// Takes a whole number, which may be written as `10.0`.
    pub fn whole(&mut self, name: &str) -> Option<i64> {
        let text = self.text(name)?;
        let number = text.parse().ok();
        number
            .or_else(|| json::integral(text.parse().ok()?))
            .or_else(|| {
                self.refuse(name, &text, "a whole number");
                None
            })
    }

    /// Takes a number, `true` or `false`; `expected` describes the valid values in the error.
    pub fn parsed<T: FromStr>(&mut self, name: &str, expected: &str) -> Option<T> {
        let text = self.text(name)?;
        text.parse()
            .map_err(|_| self.refuse(name, &text, expected))
            .ok()
    }

    /// Takes texts separated by commas.
    pub fn list(&mut self, name: &str) -> Option<Vec<String>> {
        let text = self.text(name)?;
        Some(text.split(',').map(|part| part.trim().to_owned()).collect())
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

/// Reads the parameters of a page of a list, where the route has no others.
///
/// # Errors
/// As [`Parameters::finish`].
pub fn list_request(request: &Request) -> Result<ListRequest, Error> {
    let mut parameters = Parameters::of(request);
    let page = ListRequest {
        cursor: parameters.text("cursor"),
        limit: parameters.whole("limit"),
    };
    parameters.finish()?;
    Ok(page)
}
