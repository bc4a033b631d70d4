//! The AWS credentials that sign requests.

use std::{
    ffi::OsStr,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use aws::Credentials;
use serde_json::Value;
use tokio::{process::Command, sync::Mutex, time::timeout};

/// Temporary credentials are asked for again after this time; AWS renews them 15 minutes before they expire.
const KEPT: Duration = Duration::from_mins(5);

/// Time limit for the command, which may renew a session over the network.
const PATIENCE: Duration = Duration::from_secs(30);

/// Credentials of the environment, or else those that the command `aws` finds: of a profile, a role, or a session of SSO.
#[derive(Clone, Default)]
pub(crate) struct AwsCredentials(Arc<Mutex<Option<Found>>>);

/// What the command found.
struct Found {
    since: Instant,
    credentials: Option<Credentials>,
}

impl AwsCredentials {
    /// The credentials, if there are any.
    pub(crate) async fn current(&self) -> Option<Credentials> {
        if let Ok(credentials) = aws::credentials() {
            return Some(credentials);
        }
        let mut found = self.0.lock().await;
        if let Some(found) = &*found
            && found.since.elapsed() < KEPT
        {
            return found.credentials.clone();
        }
        let credentials = exported("aws".as_ref()).await;
        *found = Some(Found {
            since: Instant::now(),
            credentials: credentials.clone(),
        });
        credentials
    }
}

/// What `aws configure export-credentials` prints:
/// <https://docs.aws.amazon.com/cli/latest/reference/configure/export-credentials.html>.
async fn exported(program: &OsStr) -> Option<Credentials> {
    let output = Command::new(program)
        .args(["configure", "export-credentials", "--format", "process"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(PATIENCE, output).await.ok()?.ok()?;
    read(&output.stdout)
}

/// Reads credentials in the form of a credential process:
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html>.
fn read(printed: &[u8]) -> Option<Credentials> {
    let printed: Value = serde_json::from_slice(printed).ok()?;
    let text = |name: &str| printed[name].as_str().map(str::to_owned);
    Some(Credentials::new(
        text("AccessKeyId")?,
        text("SecretAccessKey")?,
        text("SessionToken"),
        None,
        "aws configure export-credentials",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_as_the_command_prints_them() {
        let printed = br#"{"Version": 1, "AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": "secret",
            "SessionToken": "token", "Expiration": "2026-11-28T12:00:00+00:00"}"#;
        let credentials = read(printed).expect("credentials");
        assert_eq!(credentials.access_key_id(), "ASIAEXAMPLE");
        assert_eq!(credentials.secret_access_key(), "secret");
        assert_eq!(credentials.session_token(), Some("token"));
        assert!(read(b"").is_none() && read(b"{}").is_none());
    }

    #[tokio::test]
    async fn without_the_command_there_are_none() {
        assert!(exported("/nonexistent/aws".as_ref()).await.is_none());
    }
}
