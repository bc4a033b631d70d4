//! Secrets Manager and the parameters of Systems Manager: one signed request each. Their SDKs would add
//! some hundred crates for it.

use std::{env, time::SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use reqwest::{Client, header::CONTENT_TYPE};
use serde_json::{Value, json};

use super::SecretError;
use crate::error::chain;

/// Where a secret is kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reference {
    service: Service,
    arn: String,
    region: String,
    /// The end of AWS's host names in this partition.
    suffix: &'static str,
    /// Of a secret that is a JSON object, the field that is meant.
    field: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
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
        let [_, partition, service, region, _, _] = parts[..] else {
            return Err(unknown());
        };
        let service = match service {
            "secretsmanager" => Service::SecretsManager,
            "ssm" => Service::Ssm,
            _ => return Err(unknown()),
        };
        Ok(Self {
            service,
            arn: arn.to_owned(),
            region: region.to_owned(),
            suffix: if partition == "aws-cn" {
                "amazonaws.com.cn"
            } else {
                "amazonaws.com"
            },
            field,
        })
    }

    pub(super) async fn fetch(&self, client: &Client) -> Result<String, SecretError> {
        let answer = self.ask(client).await?;
        let value = answer
            .pointer(self.service.pointer())
            .and_then(Value::as_str)
            .ok_or_else(|| self.failed("the answer has no text in it"))?;
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
        let body = self.service.body(&self.arn).to_string();
        let url = self.endpoint();
        let headers = [
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", self.service.target()),
        ];
        let mut request = client
            .post(&url)
            .header(CONTENT_TYPE, headers[0].1)
            .header(headers[1].0, headers[1].1);
        for (name, value) in self.signature(&url, headers, &body)? {
            request = request.header(name, value);
        }
        let unreachable = |error: reqwest::Error| self.failed(chain(&error.without_url()));
        let response = request.body(body).send().await.map_err(unreachable)?;
        let status = response.status();
        if status.is_success() {
            return response.json().await.map_err(unreachable);
        }
        let answer: Value = response.json().await.unwrap_or_default();
        // The kind of error, such as `AccessDeniedException`; its message may name other secrets.
        let kind = answer["__type"].as_str().unwrap_or_default();
        Err(self.failed(format!("status {status}, {kind}")))
    }

    /// The headers by which AWS knows who asks.
    fn signature(
        &self,
        url: &str,
        headers: [(&'static str, &'static str); 2],
        body: &str,
    ) -> Result<Vec<(String, String)>, SecretError> {
        let unsigned = |cause: &dyn std::fmt::Display| SecretError::Signing {
            reference: self.arn.clone(),
            cause: cause.to_string(),
        };
        let identity = Credentials::new(
            credential("AWS_ACCESS_KEY_ID")?,
            credential("AWS_SECRET_ACCESS_KEY")?,
            env::var("AWS_SESSION_TOKEN").ok(),
            None,
            "environment",
        )
        .into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(self.service.name())
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| unsigned(&error))?
            .into();
        let request = SignableRequest::new(
            "POST",
            url,
            headers.into_iter(),
            SignableBody::Bytes(body.as_bytes()),
        )
        .map_err(|error| unsigned(&error))?;
        let (instructions, _) = sign(request, &parameters)
            .map_err(|error| unsigned(&error))?
            .into_parts();
        Ok(instructions
            .headers()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }

    /// AWS's own variables may lead to another endpoint:
    /// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>.
    fn endpoint(&self) -> String {
        let named = [self.service.endpoint_variable(), "AWS_ENDPOINT_URL"];
        let url = named
            .into_iter()
            .find_map(|variable| env::var(variable).ok());
        let url = url.unwrap_or_else(|| {
            format!(
                "https://{}.{}.{}",
                self.service.name(),
                self.region,
                self.suffix
            )
        });
        format!("{}/", url.trim_end_matches('/'))
    }

    fn failed(&self, cause: impl std::fmt::Display) -> SecretError {
        SecretError::Fetching {
            reference: self.arn.clone(),
            cause: cause.to_string(),
        }
    }
}

impl Service {
    fn name(self) -> &'static str {
        match self {
            Self::SecretsManager => "secretsmanager",
            Self::Ssm => "ssm",
        }
    }

    fn endpoint_variable(self) -> &'static str {
        match self {
            Self::SecretsManager => "AWS_ENDPOINT_URL_SECRETS_MANAGER",
            Self::Ssm => "AWS_ENDPOINT_URL_SSM",
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

    /// Where the value is in the answer.
    fn pointer(self) -> &'static str {
        match self {
            Self::SecretsManager => "/SecretString",
            Self::Ssm => "/Parameter/Value",
        }
    }
}

fn credential(variable: &'static str) -> Result<String, SecretError> {
    env::var(variable).map_err(|_| SecretError::Credentials(variable))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_told_from_each_other() {
        let secret =
            Reference::parse("arn:aws:secretsmanager:eu-west-3:123456789012:secret:llm-AbCdEf#key")
                .expect("it is the ARN of a secret");
        assert_eq!(secret.service, Service::SecretsManager);
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
            (parameter.service, parameter.suffix),
            (Service::Ssm, "amazonaws.com.cn")
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
