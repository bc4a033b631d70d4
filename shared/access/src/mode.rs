//! How a deployment decides who may send requests.

use std::{fmt, str::FromStr};

use settings::ConfigError;

/// How a deployment decides who may send requests: the setting `AUTHORIZATION`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// API Gateway or Lambda checks the signature of AWS credentials and the caller's policies.
    #[default]
    Iam,
    /// Tokens of an issuer.
    Jwt,
    /// API keys.
    Keys,
    /// Either of the two.
    JwtAndKeys,
    /// Anybody may do anything.
    Open,
}

impl Mode {
    pub(crate) const VARIABLE: &'static str = "AUTHORIZATION";

    /// Whether API keys are accepted.
    #[must_use]
    pub fn takes_keys(self) -> bool {
        matches!(self, Self::Keys | Self::JwtAndKeys)
    }

    /// Whether tokens are accepted.
    #[must_use]
    pub fn takes_tokens(self) -> bool {
        matches!(self, Self::Jwt | Self::JwtAndKeys)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Iam => "iam",
            Self::Jwt => "jwt",
            Self::Keys => "keys",
            Self::JwtAndKeys => "jwt+keys",
            Self::Open => "open",
        })
    }
}

impl FromStr for Mode {
    type Err = ConfigError;

    fn from_str(value: &str) -> Result<Self, ConfigError> {
        let modes = [
            Self::Iam,
            Self::Jwt,
            Self::Keys,
            Self::JwtAndKeys,
            Self::Open,
        ];
        let found = modes.into_iter().find(|mode| mode.to_string() == value);
        found.ok_or_else(|| ConfigError::Invalid {
            variable: Self::VARIABLE,
            value: value.to_owned(),
            expected: "must be iam, jwt, keys, jwt+keys or open",
        })
    }
}
