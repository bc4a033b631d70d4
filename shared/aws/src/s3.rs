//! S3 objects: head, ranged reads and writes.

use std::{ops::Range, time::SystemTime};

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, Method, Response, header};

use super::{AwsError, Request, Service};

/// The characters that S3 does not encode in a key: the unreserved characters of RFC 3986, and the slash.
const KEY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// The buckets of a region.
#[derive(Clone, Debug)]
pub struct S3 {
    client: Client,
    service: Service,
}

/// The metadata of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its length.
    pub bytes: u64,
    /// Changes with the content; includes the quotation marks.
    pub etag: String,
    /// Its content type; `binary/octet-stream` if its writer named none.
    pub content_type: Option<String>,
    /// When it was written.
    pub modified: Option<SystemTime>,
}

impl S3 {
    /// The buckets of a region.
    #[must_use]
    pub fn new(client: Client, region: String) -> Self {
        let service = Service {
            name: "s3",
            endpoint_variable: "AWS_ENDPOINT_URL_S3",
            region,
        };
        Self { client, service }
    }

    /// Reads an object's metadata.
    pub async fn head(&self, bucket: &str, key: &str) -> Result<Head, AwsError> {
        let request = self.request(Method::HEAD, bucket, key, Bytes::new());
        let response = self.service.ask(&self.client, &request, accepted).await?;
        let text = |name| response.headers().get(name)?.to_str().ok();
        let head = text(header::CONTENT_LENGTH)
            .and_then(|length| length.parse().ok())
            .zip(text(header::ETAG));
        let (bytes, etag) = head.ok_or_else(|| {
            AwsError::Connection("the object has no length or no ETag".to_owned())
        })?;
        Ok(Head {
            bytes,
            etag: etag.to_owned(),
            content_type: text(header::CONTENT_TYPE).map(str::to_owned),
            modified: text(header::LAST_MODIFIED)
                .and_then(|time| httpdate::parse_http_date(time).ok()),
        })
    }

    /// Reads the non-empty `range` of an object, if its `ETag` still matches.
    pub async fn read(
        &self,
        bucket: &str,
        key: &str,
        range: &Range<u64>,
        etag: Option<&str>,
    ) -> Result<Bytes, AwsError> {
        let mut request = self.request(Method::GET, bucket, key, Bytes::new());
        let bytes = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
        request.headers.push(("range", bytes));
        if let Some(etag) = etag {
            request.headers.push(("if-match", etag.to_owned()));
        }
        let read = async |response| {
            let response = accepted(response).await?;
            response.bytes().await.map_err(AwsError::connection)
        };
        self.service.ask(&self.client, &request, read).await
    }

    /// Writes an object.
    pub async fn write(&self, bucket: &str, key: &str, content: Bytes) -> Result<(), AwsError> {
        let mut request = self.request(Method::PUT, bucket, key, content);
        request
            .headers
            .push(("content-type", "application/jsonl".to_owned()));
        self.service
            .ask(&self.client, &request, accepted)
            .await
            .map(drop)
    }

    fn request(&self, method: Method, bucket: &str, key: &str, body: Bytes) -> Request {
        let key = utf8_percent_encode(key, KEY);
        // The wildcard certificate of bucket hosts covers no name with a dot; servers other than AWS's have no such
        // hosts.
        let url = match self.service.endpoint_set() {
            Some(endpoint) => format!("{endpoint}/{bucket}/{key}"),
            None if bucket.contains('.') => {
                format!("https://s3.{}/{bucket}/{key}", self.service.domain())
            }
            None => format!("https://{bucket}.s3.{}/{key}", self.service.domain()),
        };
        Request {
            method,
            url,
            headers: Vec::new(),
            body,
        }
    }
}

/// The response, or its error.
async fn accepted(response: Response) -> Result<Response, AwsError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let region = response
        .headers()
        .get("x-amz-bucket-region")
        .and_then(|region| region.to_str().ok())
        .filter(|_| status.is_redirection() || status.as_u16() == 400)
        .map(|region| format!("the bucket is in the region {region}"));
    let kind = match region {
        Some(region) => region,
        None => code(&response.text().await.unwrap_or_default()),
    };
    Err(AwsError::Refused {
        status: status.as_u16(),
        kind,
    })
}

/// The `Code` of an XML error.
fn code(error: &str) -> String {
    error
        .split_once("<Code>")
        .and_then(|(_, rest)| rest.split_once("</Code>"))
        .map(|(code, _)| code.to_owned())
        .unwrap_or_default()
}
