//! AWS's services, asked with signed requests. Their SDKs would add some hundred crates for the few calls
//! that are made here.

pub mod s3;
pub mod secret;
pub mod sqs;

use std::{
    borrow::Cow,
    env,
    time::{Duration, SystemTime},
};

use aws_credential_types::Credentials;
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

/// How often a request is tried whose answer is no answer, and the first pause in between.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);

/// A service in a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// As signatures name it: `sqs`.
    pub name: &'static str,
    /// The variable that leads to another endpoint of this service alone.
    pub endpoint_variable: &'static str,
    /// `eu-west-3`.
    pub region: String,
}

/// A request that is not signed yet.
#[derive(Clone, Debug)]
pub struct Request {
    /// The HTTP method.
    pub method: Method,
    /// Percent-encoded.
    pub url: String,
    /// In lower case.
    pub headers: Vec<(&'static str, String)>,
    /// Empty for requests without one.
    pub body: Bytes,
}

/// Why AWS gave no answer. No secret is in it.
#[derive(Debug, thiserror::Error)]
pub enum AwsError {
    /// Lambda sets these variables; elsewhere they must be set.
    #[error("{0} is not set, without which AWS cannot be asked")]
    Credentials(&'static str),
    /// The request cannot be signed.
    #[error("the request cannot be signed: {0}")]
    Signing(String),
    /// No answer came, or one that broke off.
    #[error("{0}")]
    Connection(String),
    /// The answer is an error.
    #[error("status {status}, {kind}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// AWS's word for it, such as `AccessDenied`; its message may name other things.
        kind: String,
    },
}

impl AwsError {
    /// An error of the connection, without the URL, which may be signed.
    #[must_use]
    pub fn connection(error: reqwest::Error) -> Self {
        Self::Connection(chain(&error.without_url()))
    }

    /// Whether the same request may succeed in a moment.
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

/// The domains of AWS's partitions other than the usual one, by how their regions' names begin:
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
    /// Where the service is, without a slash at the end. AWS's own variables may lead to another endpoint:
    /// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.endpoint_set()
            .unwrap_or_else(|| format!("https://{}.{}", self.name, self.domain()))
    }

    /// The endpoint that a variable names.
    #[must_use]
    pub fn endpoint_set(&self) -> Option<String> {
        [self.endpoint_variable, "AWS_ENDPOINT_URL"]
            .into_iter()
            .find_map(|variable| env::var(variable).ok().filter(|url| !url.is_empty()))
            .map(|url| url.trim_end_matches('/').to_owned())
    }

    /// The end of the host names of the region.
    #[must_use]
    pub fn domain(&self) -> String {
        let suffixes = SUFFIXES.iter();
        let suffix = suffixes
            .copied()
            .find(|(regions, _)| self.region.starts_with(regions))
            .map_or("amazonaws.com", |(_, suffix)| suffix);
        format!("{}.{suffix}", self.region)
    }

    /// Sends a request once. An answer of an error is left to the caller.
    pub async fn send(&self, client: &Client, request: &Request) -> Result<Response, AwsError> {
        let mut sent = client.request(request.method.clone(), &request.url);
        for (name, value) in &request.headers {
            sent = sent.header(*name, value);
        }
        for (name, value) in self.signature(request)? {
            sent = sent.header(name, value);
        }
        sent.body(request.body.clone())
            .send()
            .await
            .map_err(AwsError::connection)
    }

    /// Sends a request until `read` has made something of the answer, or it is certain that none comes.
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
                    tracing::debug!(service = self.name, %error, "AWS is asked again");
                }
                outcome => return outcome,
            }
            tokio::time::sleep(pause).await;
            pause *= 4;
        }
        read(self.send(client, request).await?).await
    }

    /// A call in AWS's JSON protocol, of version `1.0` or `1.1`.
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

    /// The parameters that, added to a URL, let whoever has it ask in our name for so long.
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
        let (_, parameters) = self.instructions(&request, settings)?.into_parts();
        Ok(parameters)
    }

    /// The headers by which AWS knows who asks.
    ///
    /// # Errors
    /// [`AwsError::Credentials`] or [`AwsError::Signing`].
    pub fn signature(&self, request: &Request) -> Result<Vec<(String, String)>, AwsError> {
        let mut settings = SigningSettings::default();
        if self.name == "s3" {
            // S3 signs the path as it is sent, and wants the body's hash in a header:
            // <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>.
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let instructions = self.instructions(request, settings)?;
        let headers = instructions.headers();
        Ok(headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }

    fn instructions(
        &self,
        request: &Request,
        settings: SigningSettings,
    ) -> Result<SigningInstructions, AwsError> {
        let unsigned = |cause: &dyn std::fmt::Display| AwsError::Signing(cause.to_string());
        let session = env::var("AWS_SESSION_TOKEN").ok();
        let identity = Credentials::new(
            credential("AWS_ACCESS_KEY_ID")?,
            credential("AWS_SECRET_ACCESS_KEY")?,
            session.filter(|token| !token.is_empty()),
            None,
            "environment",
        )
        .into();
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

/// The answer of a call in AWS's JSON protocol.
pub async fn json(response: Response) -> Result<Value, AwsError> {
    let status = response.status();
    if status.is_success() {
        return response.json().await.map_err(AwsError::connection);
    }
    let answer: Value = response.json().await.unwrap_or_default();
    // `com.amazonaws.sqs#QueueDoesNotExist`; its message may name other things.
    let kind = answer["__type"].as_str().unwrap_or_default();
    Err(AwsError::Refused {
        status: status.as_u16(),
        kind: kind.rsplit('#').next().unwrap_or_default().to_owned(),
    })
}

fn credential(variable: &'static str) -> Result<String, AwsError> {
    env::var(variable).map_err(|_| AwsError::Credentials(variable))
}
