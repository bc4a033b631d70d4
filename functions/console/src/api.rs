//! The page's settings of the API: the chat's address, and the authorization.

use std::fmt;

use lambda_http::http::Uri;
use settings::{ConfigError, optional};

/// How an API authorizes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Authorization {
    /// Open to everybody, or by an API key.
    Open,
    /// By the token of an issuer.
    Jwt,
    /// By the signature of AWS credentials, which browsers do not have.
    Iam,
}

/// The settings of the console.
#[derive(Debug)]
pub(crate) struct Api {
    /// The chat's address: a path of this API, or another URL.
    pub(crate) chat: String,
    /// Who may call the API.
    pub(crate) authorization: Authorization,
    /// Who may chat.
    pub(crate) chat_authorization: Authorization,
}

const CHAT_URL: &str = "CONSOLE_CHAT_URL";
const AUTHORIZATION: &str = "CONSOLE_AUTHORIZATION";
const CHAT_AUTHORIZATION: &str = "CONSOLE_CHAT_AUTHORIZATION";

impl Api {
    /// Reads the environment.
    pub(crate) fn from_env() -> Result<Self, ConfigError> {
        Self::from(optional)
    }

    fn from(get: impl Fn(&'static str) -> Option<String>) -> Result<Self, ConfigError> {
        let authorization = Authorization::parse(AUTHORIZATION, get(AUTHORIZATION).as_deref())?;
        let of_chat = get(CHAT_AUTHORIZATION)
            .map(|value| Authorization::parse(CHAT_AUTHORIZATION, Some(&value)));
        Ok(Self {
            chat: get(CHAT_URL).map_or_else(|| Ok("/chat".to_owned()), address)?,
            authorization,
            chat_authorization: of_chat.unwrap_or(Ok(authorization))?,
        })
    }

    /// The chat's origin, if it differs from the API's.
    pub(crate) fn chat_origin(&self) -> Option<String> {
        let uri: Uri = self.chat.parse().ok()?;
        Some(format!("{}://{}", uri.scheme_str()?, uri.authority()?))
    }
}

impl Authorization {
    fn parse(variable: &'static str, value: Option<&str>) -> Result<Self, ConfigError> {
        match value {
            // The page asks for a key when the API does.
            None | Some("open" | "keys") => Ok(Self::Open),
            Some("jwt" | "jwt+keys") => Ok(Self::Jwt),
            Some("iam") => Ok(Self::Iam),
            Some(value) => Err(ConfigError::Invalid {
                variable,
                value: value.to_owned(),
                expected: "must be open, keys, jwt, jwt+keys or iam",
            }),
        }
    }
}

impl fmt::Display for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Jwt => "jwt",
            Self::Iam => "iam",
        })
    }
}

/// An address that is safe in a security policy and in an HTML attribute.
fn address(value: String) -> Result<String, ConfigError> {
    let is_web = value.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.query().is_none()
    });
    let is_plain = !value.contains([';', ',', '"', '\'', '<', '>', '&', '@', '{']);
    if is_web && is_plain {
        return Ok(value);
    }
    Err(ConfigError::Invalid {
        variable: CHAT_URL,
        value,
        expected: "must be an http or https URL without a query",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(variables: &[(&str, &str)]) -> Result<Api, String> {
        let get = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Api::from(get).map_err(|error| error.to_string())
    }

    #[test]
    fn without_settings_the_chat_is_a_path_and_anybody_may_ask() {
        let api = api(&[]).expect("nothing is needed");
        assert_eq!(api.chat, "/chat");
        assert_eq!(api.chat_origin(), None);
        assert_eq!(api.authorization, Authorization::Open);
        assert_eq!(api.chat_authorization, Authorization::Open);
    }

    #[test]
    fn the_chat_may_be_elsewhere_and_know_others() {
        let variables = [
            (CHAT_URL, "https://abc.lambda-url.eu-west-3.on.aws/"),
            (AUTHORIZATION, "jwt"),
            (CHAT_AUTHORIZATION, "iam"),
        ];
        let api = api(&variables).expect("they are right");
        let origin = api.chat_origin();
        assert_eq!(
            origin.as_deref(),
            Some("https://abc.lambda-url.eu-west-3.on.aws")
        );
        assert_eq!(api.authorization, Authorization::Jwt);
        assert_eq!(api.chat_authorization, Authorization::Iam);
    }

    #[test]
    fn an_invalid_setting_names_its_variable() {
        for (variable, value) in [
            (CHAT_URL, "chat.example"),
            (CHAT_URL, "javascript:alert(1)"),
            (CHAT_URL, "https://a.example/;script-src"),
            (CHAT_URL, "https://a.example/\"onload=x"),
            (CHAT_URL, "https://user@a.example/"),
            (AUTHORIZATION, "IAM"),
            (CHAT_AUTHORIZATION, "none"),
        ] {
            let error = api(&[(variable, value)]).expect_err(value);
            assert!(error.starts_with(&format!("{variable} is ")), "{error}");
        }
    }
}
