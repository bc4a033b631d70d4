//! Routes and the choice among them.
//!
//! An HTTP API decodes the path before it matches it, so `%2F` separates as `/` does; `{name+}` alone takes
//! both, and an event's `rawPath` and `pathParameters` are decoded, once. A URL of a function leaves its path
//! as it was received. (AWS documents the decoding of parameters; the order was seen by others:
//! middleapi/standard-server#93, Worklytics/psoxy#827.) AWS cuts a path at a decoded `?`, which is not imitated.

use std::{borrow::Cow, cmp::Reverse};

use anyhow::{bail, ensure};
use hyper::Method;
use percent_encoding::percent_decode_str;

/// One route of the template.
#[derive(Debug, Clone)]
pub struct Route {
    /// In capitals, or `ANY`.
    pub method: String,
    /// As in the template, such as `/documents/{id}`; `$default` catches what no other route does.
    pub path: String,
    /// The binary of the function that answers.
    pub function: String,
    key: String,
    segments: Vec<Segment>,
}

/// What a segment of a path must be.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    /// `{name}`: one segment that is not empty.
    Parameter(String),
    /// `{name+}`: the rest of the path, at least one character.
    Greedy(String),
}

/// Path parameters in the order of the path.
pub type Parameters = Vec<(String, String)>;

/// What the routes say of a request.
#[derive(Debug)]
pub enum Match<'a> {
    /// The route, and the parameters of the path.
    Found(&'a Route, Parameters),
    /// The path is known with these other methods.
    OtherMethods(Vec<&'a str>),
    /// No route has this path.
    Unknown,
}

/// All routes, most specific first.
#[derive(Debug)]
pub struct Routes(Vec<Route>);

impl Route {
    /// The route of a method and a path, `/documents/{id}`, to a function.
    ///
    /// # Errors
    /// When the path is not one of a route.
    pub fn new(method: &str, path: &str, function: &str) -> anyhow::Result<Self> {
        let method = match method.to_uppercase().as_str() {
            "*" | "X-AMAZON-APIGATEWAY-ANY-METHOD" => "ANY".to_owned(),
            method => method.to_owned(),
        };
        let segments = match path.strip_prefix('/') {
            Some(rest) => rest.split('/').map(segment).collect(),
            None if path == "$default" => Vec::new(),
            None => bail!("the path `{path}` does not begin with a slash"),
        };
        let greedy = segments
            .iter()
            .position(|segment| matches!(segment, Segment::Greedy(_)));
        ensure!(
            greedy.is_none_or(|at| at + 1 == segments.len()),
            "in the path `{path}`, a {{name+}} segment is not the last"
        );
        let key = if segments.is_empty() {
            path.to_owned()
        } else {
            format!("{method} {path}")
        };
        Ok(Self {
            method,
            path: path.to_owned(),
            function: function.to_owned(),
            key,
            segments,
        })
    }

    /// The route of a function's own URL. On AWS it has a host of its own and takes every path; here it
    /// is the path that bears the function's name.
    pub fn of_url(function: &str) -> anyhow::Result<Self> {
        Ok(Self {
            key: "$default".to_owned(),
            ..Self::new("ANY", &format!("/{function}"), function)?
        })
    }

    /// The route key of API Gateway, such as `GET /documents/{id}`.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    fn is_default(&self) -> bool {
        self.segments.is_empty()
    }

    /// Whether this is a function's own URL.
    #[must_use]
    pub fn is_url(&self) -> bool {
        self.key == "$default" && !self.is_default()
    }

    /// The parameters of a decoded path, if it has this route's form.
    fn parameters(&self, path: &str) -> Option<Parameters> {
        let mut parameters = Vec::new();
        if self.is_default() {
            return Some(parameters);
        }
        let mut rest = path.strip_prefix('/');
        for segment in &self.segments {
            let (first, others) = match rest?.split_once('/') {
                Some((first, others)) => (first, Some(others)),
                None => (rest?, None),
            };
            match segment {
                Segment::Literal(text) if first == text => rest = others,
                Segment::Parameter(name) if !first.is_empty() => {
                    parameters.push((name.clone(), first.to_owned()));
                    rest = others;
                }
                Segment::Greedy(name) if rest != Some("") => {
                    parameters.push((name.clone(), rest?.to_owned()));
                    rest = None;
                }
                _ => return None,
            }
        }
        rest.is_none().then_some(parameters)
    }
}

impl Routes {
    /// Puts the most specific routes first.
    #[must_use]
    pub fn new(mut routes: Vec<Route>) -> Self {
        // API Gateway prefers a full match to a greedy one, both to `$default`, and a method to ANY.
        routes.sort_by(|one, other| {
            let order = |route: &Route| {
                let kinds: Vec<_> = route.segments.iter().map(kind).collect();
                (
                    route.is_default(),
                    kinds,
                    route.method == "ANY",
                    Reverse(route.path.len()),
                )
            };
            order(one).cmp(&order(other))
        });
        Self(routes)
    }

    /// All routes, the most specific first.
    #[must_use]
    pub fn all(&self) -> &[Route] {
        &self.0
    }

    /// Finds the route of a request by its method and its decoded path. A slash too many at its end does no
    /// harm; API Gateway has no routes that end so.
    #[must_use]
    pub fn find(&self, method: &Method, path: &str) -> Match<'_> {
        match (self.matching(method, path), path.strip_suffix('/')) {
            (Match::Unknown, Some(shorter)) => self.matching(method, shorter),
            (found, _) => found,
        }
    }

    /// The methods that a decoded path takes.
    #[must_use]
    pub fn methods(&self, path: &str) -> Vec<&str> {
        // No route takes a method of this name but those that take any.
        match self.find(&Method::CONNECT, path) {
            Match::Found(..) => vec!["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
            Match::OtherMethods(methods) => methods,
            Match::Unknown => Vec::new(),
        }
    }

    fn matching(&self, method: &Method, path: &str) -> Match<'_> {
        let mut others = Vec::new();
        for route in &self.0 {
            if let Some(parameters) = route.parameters(path) {
                if route.method == "ANY" || route.method == method.as_str() {
                    return Match::Found(route, parameters);
                }
                others.push(route.method.as_str());
            }
        }
        others.sort_unstable();
        others.dedup();
        if others.is_empty() {
            Match::Unknown
        } else {
            Match::OtherMethods(others)
        }
    }
}

/// Percent-decodes; `None` if an escape is none, or the bytes are not UTF-8.
#[must_use]
pub fn decoded(text: &str) -> Option<Cow<'_, str>> {
    let mut escapes = text.split('%').skip(1);
    let are_whole = escapes.all(|escape| {
        let digits = escape.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    are_whole
        .then(|| percent_decode_str(text).decode_utf8().ok())
        .flatten()
}

fn segment(text: &str) -> Segment {
    match text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'))
    {
        None => Segment::Literal(text.to_owned()),
        Some(name) => match name.strip_suffix('+') {
            Some(name) => Segment::Greedy(name.to_owned()),
            None => Segment::Parameter(name.to_owned()),
        },
    }
}

fn kind(segment: &Segment) -> u8 {
    match segment {
        Segment::Literal(_) => 0,
        Segment::Parameter(_) => 1,
        Segment::Greedy(_) => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(keys: &[(&str, &str)]) -> Routes {
        let route = |(method, path): &(&str, &str)| {
            Route::new(method, path, "function").expect("a path of this test is well formed")
        };
        Routes::new(keys.iter().map(route).collect())
    }

    fn found(routes: &Routes, method: &Method, path: &str) -> (String, Parameters) {
        match routes.find(method, path) {
            Match::Found(route, parameters) => (route.key().to_owned(), parameters),
            other => panic!("{method} {path} gave {other:?}"),
        }
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn a_segment_ends_at_a_slash_and_a_greedy_one_does_not() {
        let routes = routes(&[
            ("get", "/documents/{id+}"),
            ("GET", "/imports/{id}"),
            ("GET", "/imports/{id}/parts/{n}"),
        ]);
        let (key, parameters) = found(&routes, &Method::GET, "/documents/café/a+b c/");
        assert_eq!(key, "GET /documents/{id+}");
        assert_eq!(parameters, [pair("id", "café/a+b c/")]);
        let (_, parameters) = found(&routes, &Method::GET, "/imports/a/parts/2");
        assert_eq!(parameters, [pair("id", "a"), pair("n", "2")]);
        for path in ["/imports", "/imports/a/b", "/imports//", "/", "//"] {
            assert!(
                matches!(routes.find(&Method::GET, path), Match::Unknown),
                "{path}"
            );
        }
    }

    #[test]
    fn a_slash_too_many_at_the_end_is_passed_over() {
        let routes = routes(&[
            ("GET", "/documents"),
            ("POST", "/documents"),
            ("GET", "/documents/{id+}"),
            ("GET", "/imports/{id}"),
        ]);
        let key = |method, path| found(&routes, &method, path).0;
        assert_eq!(key(Method::GET, "/documents/"), "GET /documents");
        assert_eq!(key(Method::POST, "/documents/"), "POST /documents");
        let (_, parameters) = found(&routes, &Method::GET, "/imports/a/");
        assert_eq!(parameters, [pair("id", "a")]);
    }

    #[test]
    fn what_is_no_text_is_not_decoded() {
        assert_eq!(
            decoded("/caf%C3%A9%2Fa+b%20c").as_deref(),
            Some("/café/a+b c")
        );
        assert_eq!(decoded("/100%25").as_deref(), Some("/100%"));
        for path in ["/%E9", "/a%ff%fe", "/%zz", "/%", "/a%2", "/%+1"] {
            assert_eq!(decoded(path), None, "{path}");
        }
    }

    #[test]
    fn the_most_specific_route_wins() {
        let routes = routes(&[
            ("ANY", "/{proxy+}"),
            ("ANY", "$default"),
            ("GET", "/documents/{id}"),
            ("ANY", "/documents/{id}"),
            ("GET", "/documents/latest"),
        ]);
        let key = |method, path| found(&routes, &method, path).0;
        assert_eq!(
            key(Method::GET, "/documents/latest"),
            "GET /documents/latest"
        );
        assert_eq!(key(Method::GET, "/documents/7"), "GET /documents/{id}");
        assert_eq!(key(Method::PUT, "/documents/7"), "ANY /documents/{id}");
        assert_eq!(key(Method::GET, "/"), "$default");
        let (key, parameters) = found(&routes, &Method::GET, "/a/b c/");
        assert_eq!(
            (key.as_str(), parameters),
            ("ANY /{proxy+}", vec![pair("proxy", "a/b c/")])
        );
    }

    #[test]
    fn a_known_path_with_another_method_lists_the_methods() {
        let routes = routes(&[
            ("PUT", "/documents/{id}"),
            ("GET", "/documents/{id}"),
            ("GET", "/"),
        ]);
        match routes.find(&Method::POST, "/documents/a") {
            Match::OtherMethods(methods) => assert_eq!(methods, ["GET", "PUT"]),
            other => panic!("{other:?}"),
        }
        assert!(matches!(routes.find(&Method::GET, "/"), Match::Found(..)));
    }
}
