//! A fake of Secrets Manager and Systems Manager that returns what a test stores.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;
use serde_json::{Value, json};

use crate::endpoint::{Endpoint, ReceivedRequest};

/// Secrets and parameters by ARN.
pub struct Secrets {
    endpoint: Endpoint,
    kept: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Secrets {
    /// Starts empty.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn new() -> Result<Self> {
        let kept: Arc<Mutex<BTreeMap<String, String>>> = Arc::default();
        let keeping = Arc::clone(&kept);
        let endpoint = Endpoint::answering(move |asked| Some(answer(&lock(&keeping), asked)));
        Ok(Self {
            endpoint: endpoint.await?,
            kept,
        })
    }

    /// Stores `value` under `arn`, replacing an earlier one.
    pub fn keep(&self, arn: &str, value: impl Into<String>) {
        lock(&self.kept).insert(arn.to_owned(), value.into());
    }

    /// Deletes the value of `arn`.
    pub fn lose(&self, arn: &str) {
        lock(&self.kept).remove(arn);
    }

    /// Number of requests.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.endpoint.asked().len()
    }

    /// The environment of a function that uses this endpoint, as on Lambda.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        [
            ("AWS_ENDPOINT_URL", self.endpoint.url()),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }
}

fn answer(kept: &BTreeMap<String, String>, asked: &ReceivedRequest) -> (u16, String) {
    let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    let target = asked.headers.get("x-amz-target").map(String::as_str);
    let signed = asked
        .headers
        .get("authorization")
        .is_some_and(|it| it.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"));
    let (field, form): (_, fn(&str) -> Value) = match target {
        Some("secretsmanager.GetSecretValue") => {
            ("SecretId", |value| json!({ "SecretString": value }))
        }
        Some("AmazonSSM.GetParameter") => {
            ("Name", |value| json!({ "Parameter": { "Value": value } }))
        }
        _ => return (400, json!({ "__type": "UnknownOperation" }).to_string()),
    };
    if !signed {
        return (403, json!({ "__type": "AccessDenied" }).to_string());
    }
    match body[field].as_str().and_then(|arn| kept.get(arn)) {
        Some(value) => (200, form(value).to_string()),
        None => (
            400,
            json!({ "__type": "ResourceNotFoundException" }).to_string(),
        ),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
