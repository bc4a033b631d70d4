//! Secrets Manager and the Systems Manager parameters: one signed request each.

use reqwest::Client;
use serde_json::{Value, json};

use super::error::SecretError;
use crate::{AwsError, Service, json};

/// The location of a secret.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reference {
    service: Store,
    arn: String,
    region: String,
    /// The field of a JSON secret.
    field: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Store {
    SecretsManager,
    Ssm,
}

impl Reference {
    /// `arn:aws:secretsmanager:eu-west-3:123456789012:secret:name-AbCdEf`, `...#field`, or
    /// `arn:aws:ssm:eu-west-3:123456789012:parameter/name`.
    pub(super) fn parse(text: &str) -> Result<Self, SecretError> {
        let unknown = || SecretError::Reference(text.to_owned());
        let (arn, field) = match text.split_once('#') {
            Some((arn, field)) => (arn, Some(field.to_owned())),
            None => (text, None),
        };
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let [_, _, service, region, _, _] = parts[..] else {
            return Err(unknown());
        };
        let service = match service {
            "secretsmanager" => Store::SecretsManager,
            "ssm" => Store::Ssm,
            _ => return Err(unknown()),
        };
        Ok(Self {
            service,
            arn: arn.to_owned(),
            region: region.to_owned(),
            field,
        })
    }

    pub(super) async fn fetch(&self, client: &Client) -> Result<String, SecretError> {
        let answer = self.ask(client).await?;
        let value = answer
            .pointer(self.service.pointer())
            .and_then(Value::as_str)
            .ok_or_else(|| self.failed("the response contains no string"))?;
        let Some(field) = &self.field else {
            return Ok(value.to_owned());
        };
        let fields: Value = serde_json::from_str(value).unwrap_or_default();
        fields[field]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| SecretError::Field {
                reference: format!("{}#{field}", self.arn),
            })
    }

    async fn ask(&self, client: &Client) -> Result<Value, SecretError> {
        let service = &self.service;
        let call =
            service
                .aws(&self.region)
                .call("1.1", service.target(), &service.body(&self.arn));
        let answer = async {
            let response = service.aws(&self.region).send(client, &call).await?;
            json(response).await
        };
        answer.await.map_err(|error| match error {
            AwsError::Credentials(variable) => SecretError::Credentials(variable),
            AwsError::Signing(cause) => SecretError::Signing {
                reference: self.arn.clone(),
                cause,
            },
            error => self.failed(error),
        })
    }

    fn failed(&self, cause: impl std::fmt::Display) -> SecretError {
        SecretError::Fetching {
            reference: self.arn.clone(),
            cause: cause.to_string(),
        }
    }
}

impl Store {
    fn aws(self, region: &str) -> Service {
        let (name, endpoint_variable) = match self {
            Self::SecretsManager => ("secretsmanager", "AWS_ENDPOINT_URL_SECRETS_MANAGER"),
            Self::Ssm => ("ssm", "AWS_ENDPOINT_URL_SSM"),
        };
        Service {
            name,
            endpoint_variable,
            region: region.to_owned(),
        }
    }

    fn target(self) -> &'static str {
        match self {
            Self::SecretsManager => "secretsmanager.GetSecretValue",
            Self::Ssm => "AmazonSSM.GetParameter",
        }
    }

    fn body(self, arn: &str) -> Value {
        match self {
            Self::SecretsManager => json!({ "SecretId": arn }),
            Self::Ssm => json!({ "Name": arn, "WithDecryption": true }),
        }
    }

    /// The JSON pointer to the value.
    fn pointer(self) -> &'static str {
        match self {
            Self::SecretsManager => "/SecretString",
            Self::Ssm => "/Parameter/Value",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_references_are_distinguished() {
        let secret =
            Reference::parse("arn:aws:secretsmanager:eu-west-3:123456789012:secret:llm-AbCdEf#key")
                .expect("it is the ARN of a secret");
        assert_eq!(secret.service, Store::SecretsManager);
        assert_eq!(
            secret.arn,
            "arn:aws:secretsmanager:eu-west-3:123456789012:secret:llm-AbCdEf"
        );
        assert_eq!(
            (secret.region.as_str(), secret.field.as_deref()),
            ("eu-west-3", Some("key"))
        );

        let parameter =
            Reference::parse("arn:aws-cn:ssm:cn-north-1:123456789012:parameter/llm/key")
                .expect("it is the ARN of a parameter");
        assert_eq!(
            (parameter.service, parameter.region.as_str()),
            (Store::Ssm, "cn-north-1")
        );

        for odd in [
            "arn:",
            "arn:aws:s3:::bucket",
            "arn:aws:s3:eu-west-3:123456789012:x",
        ] {
            assert!(Reference::parse(odd).is_err(), "{odd}");
        }
    }
}
