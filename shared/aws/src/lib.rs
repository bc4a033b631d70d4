//! AWS services, called with signed requests. The SDKs would add some hundred crates for a few calls.

pub mod s3;
pub mod secret;
pub mod sqs;

use std::{
    borrow::Cow,
    env,
    time::{Duration, SystemTime},
};

pub use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
        SigningInstructions, SigningSettings, UriPathNormalizationMode, sign,
    },
    sign::v4,
};
use bytes::Bytes;
use reqwest::{Client, Method, Response};
use serde_json::Value;
use telemetry::chain;

/// The number of attempts of a request that fails, and the first pause between them.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);

/// A service in a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The name for signatures: `sqs`.
    pub name: &'static str,
    /// The variable that overrides only this service's endpoint.
    pub endpoint_variable: &'static str,
    /// `eu-west-3`.
    pub region: String,
}

/// An unsigned request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The HTTP method.
    pub method: Method,
    /// Percent-encoded.
    pub url: String,
    /// In lower case.
    pub headers: Vec<(&'static str, String)>,
    /// Empty if there is none.
    pub body: Bytes,
}

/// Why a call to AWS failed. Contains no secret.
#[derive(Debug, thiserror::Error)]
pub enum AwsError {
    /// Lambda sets these variables; elsewhere they must be set.
    #[error("{0} is not set: it is required to call AWS")]
    Credentials(&'static str),
    /// The request cannot be signed.
    #[error("the request cannot be signed: {0}")]
    Signing(String),
    /// No response, or an incomplete one.
    #[error("{0}")]
    Connection(String),
    /// An error response.
    #[error("status {status}, {kind}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// AWS's error code, such as `AccessDenied`; its message may contain other names.
        kind: String,
    },
}

impl AwsError {
    /// A connection error, without the URL, which may be signed.
    #[must_use]
    pub fn connection(error: reqwest::Error) -> Self {
        Self::Connection(chain(&error.without_url()))
    }

    /// Whether a retry may succeed soon.
    fn is_passing(&self) -> bool {
        match self {
            Self::Connection(_) => true,
            Self::Refused { status, kind } => {
                *status >= 500 || *status == 429 || kind.contains("Throttl")
            }
            Self::Credentials(_) | Self::Signing(_) => false,
        }
    }
}

/// The domains of AWS's partitions other than `aws`, by region prefix:
/// <https://github.com/boto/botocore/blob/develop/botocore/data/partitions.json>.
const SUFFIXES: [(&str, &str); 6] = [
    ("cn-", "amazonaws.com.cn"),
    ("eusc-", "amazonaws.eu"),
    ("us-iso-", "c2s.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
];

impl Service {
    /// The service's endpoint, without a trailing slash. AWS's own variables may override it:
    /// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.endpoint_set()
            .unwrap_or_else(|| format!("https://{}.{}", self.name, self.domain()))
    }

    /// The endpoint set by a variable.
    #[must_use]
    pub fn endpoint_set(&self) -> Option<String> {
        [self.endpoint_variable, "AWS_ENDPOINT_URL"]
            .into_iter()
            .find_map(|variable| env::var(variable).ok().filter(|url| !url.is_empty()))
            .map(|url| url.trim_end_matches('/').to_owned())
    }

    /// The domain of the region.
    #[must_use]
    pub fn domain(&self) -> String {
        let suffixes = SUFFIXES.iter();
        let suffix = suffixes
            .copied()
            .find(|(regions, _)| self.region.starts_with(regions))
            .map_or("amazonaws.com", |(_, suffix)| suffix);
        format!("{}.{suffix}", self.region)
    }

    /// Sends a request once. Error responses are left to the caller.
    pub async fn send(&self, client: &Client, request: &Request) -> Result<Response, AwsError> {
        let mut sent = client.request(request.method.clone(), &request.url);
        for (name, value) in &request.headers {
            sent = sent.header(*name, value);
        }
        for (name, value) in self.signature(request, &credentials()?)? {
            sent = sent.header(name, value);
        }
        sent.body(request.body.clone())
            .send()
            .await
            .map_err(AwsError::connection)
    }

    /// Sends a request, with retries, until `read` has parsed a response or the failure is final.
    pub async fn ask<T>(
        &self,
        client: &Client,
        request: &Request,
        read: impl AsyncFn(Response) -> Result<T, AwsError>,
    ) -> Result<T, AwsError> {
        let mut pause = PAUSE;
        for _ in 1..ATTEMPTS {
            let outcome = match self.send(client, request).await {
                Ok(response) => read(response).await,
                Err(error) => Err(error),
            };
            match outcome {
                Err(error) if error.is_passing() => {
                    tracing::debug!(service = self.name, %error, "retrying the request to AWS");
                }
                outcome => return outcome,
            }
            tokio::time::sleep(pause).await;
            pause *= 4;
        }
        read(self.send(client, request).await?).await
    }

    /// A call in AWS's JSON protocol, version `1.0` or `1.1`.
    #[must_use]
    pub fn call(&self, version: &str, target: &str, body: &Value) -> Request {
        Request {
            method: Method::POST,
            url: format!("{}/", self.endpoint()),
            headers: vec![
                ("content-type", format!("application/x-amz-json-{version}")),
                ("x-amz-target", target.to_owned()),
            ],
            body: body.to_string().into(),
        }
    }

    /// The query parameters that presign a URL for the given time.
    pub fn presigned(
        &self,
        url: &str,
        lifetime: Duration,
    ) -> Result<Vec<(&'static str, Cow<'static, str>)>, AwsError> {
        let request = Request {
            method: Method::GET,
            url: url.to_owned(),
            headers: Vec::new(),
            body: Bytes::new(),
        };
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(lifetime);
        let instructions = self.instructions(&request, &credentials()?, settings)?;
        let (_, parameters) = instructions.into_parts();
        Ok(parameters)
    }

    /// The headers that authenticate the request.
    ///
    /// # Errors
    /// [`AwsError::Signing`].
    pub fn signature(
        &self,
        request: &Request,
        credentials: &Credentials,
    ) -> Result<Vec<(String, String)>, AwsError> {
        let mut settings = SigningSettings::default();
        if self.name == "s3" {
            // S3 signs the path as sent, and requires the body's hash in a header:
            // <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>.
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let instructions = self.instructions(request, credentials, settings)?;
        let headers = instructions.headers();
        Ok(headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }

    fn instructions(
        &self,
        request: &Request,
        credentials: &Credentials,
        settings: SigningSettings,
    ) -> Result<SigningInstructions, AwsError> {
        let unsigned = |cause: &dyn std::fmt::Display| AwsError::Signing(cause.to_string());
        let identity = credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(self.name)
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .map_err(|error| unsigned(&error))?
            .into();
        let headers = request
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()));
        let signable = SignableRequest::new(
            request.method.as_str(),
            &request.url,
            headers,
            SignableBody::Bytes(&request.body),
        )
        .map_err(|error| unsigned(&error))?;
        let signed = sign(signable, &parameters).map_err(|error| unsigned(&error))?;
        Ok(signed.into_parts().0)
    }
}

/// The response of a call in AWS's JSON protocol.
pub async fn json(response: Response) -> Result<Value, AwsError> {
    let status = response.status();
    if status.is_success() {
        return response.json().await.map_err(AwsError::connection);
    }
    let answer: Value = response.json().await.unwrap_or_default();
    // `com.amazonaws.sqs#QueueDoesNotExist`; its message may contain other names.
    let kind = answer["__type"].as_str().unwrap_or_default();
    Err(AwsError::Refused {
        status: status.as_u16(),
        kind: kind.rsplit('#').next().unwrap_or_default().to_owned(),
    })
}

/// The credentials in the environment, where Lambda puts those of a function's role.
///
/// # Errors
/// [`AwsError::Credentials`].
pub fn credentials() -> Result<Credentials, AwsError> {
    let set = |variable| {
        let value = env::var(variable).ok().filter(|value| !value.is_empty());
        value.ok_or(AwsError::Credentials(variable))
    };
    Ok(Credentials::new(
        set("AWS_ACCESS_KEY_ID")?,
        set("AWS_SECRET_ACCESS_KEY")?,
        set("AWS_SESSION_TOKEN").ok(),
        None,
        "environment",
    ))
}
