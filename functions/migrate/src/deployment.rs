//! The migration as a `CloudFormation` custom resource.
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html>

use std::time::{Duration, Instant};

use lambda_runtime::{Error, LambdaEvent, tracing};
use serde::{Deserialize, Serialize};
use serde_json::{Value, to_value};
use shared::http;

use crate::{
    state::{MigrateState, WITHDRAWAL},
    trial,
};

/// A request of `CloudFormation`, with the time left to answer. It waits for the answer, and changes the other
/// functions only after a success.
pub(crate) struct Deployment {
    asked: CloudFormationRequest,
    time_left: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CloudFormationRequest {
    request_type: RequestType,
    /// The answer is sent to this URL. Never logged: whoever knows it can answer.
    #[serde(rename = "ResponseURL")]
    response_url: String,
    stack_id: String,
    request_id: String,
    logical_resource_id: String,
    /// Missing in the first request, whose answer sets it.
    physical_resource_id: Option<String>,
    #[serde(default)]
    resource_properties: Versions,
    /// The properties before an update.
    #[serde(default)]
    old_resource_properties: Versions,
}

/// The properties of `Schema` that increase with each deploy.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Versions {
    /// The version of Migrate's code: an ARN that ends with its number.
    code: Option<String>,
    /// The version of the layer with the model, likewise.
    model: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
enum RequestType {
    Create,
    Update,
    Delete,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CloudFormationResponse<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    physical_resource_id: &'a str,
    stack_id: &'a str,
    request_id: &'a str,
    logical_resource_id: &'a str,
}

/// Constant: with another id, `CloudFormation` would ask to delete the old resource.
const SCHEMA: &str = "schema";

/// Why a migration that took too long failed.
pub(crate) const TIMED_OUT: &str = "The migration exceeded the function's timeout";

/// Time reserved to report that the time limit was reached.
const TIME_TO_ANSWER: Duration = Duration::from_secs(10);

/// Attempts to send the answer, and the limit of each: together they fit in [`TIME_TO_ANSWER`].
const TRIES: usize = 3;
const LONGEST_TRY: Duration = Duration::from_secs(3);

impl Deployment {
    /// The request in this event, or `None` if the function was invoked by hand.
    pub(crate) fn of(event: &LambdaEvent<Value>) -> Result<Option<Self>, Error> {
        if event.payload.get("ResponseURL").is_none() {
            return Ok(None);
        }
        Ok(Some(Self {
            asked: CloudFormationRequest::deserialize(&event.payload)?,
            time_left: shared::time_left(&event.context),
        }))
    }

    /// Migrates and reports the outcome to `CloudFormation`. If the report cannot be sent, the invocation fails and the
    /// template's function `MigrateFailed` reports instead. `state` is `None` if a setting is invalid; then only a
    /// deletion or a rollback succeeds.
    pub(crate) async fn answer(self, state: Option<&MigrateState>) -> Result<Value, Error> {
        let failure = match self.asked.request_type {
            // The documents belong to the user and outlive the stack.
            RequestType::Delete => None,
            RequestType::Update if self.asked.goes_back() => {
                tracing::info!("rollback: the schema is not changed");
                None
            }
            RequestType::Create | RequestType::Update => self.migrate(state).await.err(),
        };
        let answer = to_value(self.asked.answered(failure.as_deref()))?;
        self.send(&answer).await?;
        Ok(answer)
    }

    async fn send(&self, answer: &Value) -> Result<(), Error> {
        let client = http_client::builder().timeout(LONGEST_TRY).build()?;
        let mut tries = 0;
        loop {
            tries += 1;
            let put = client.put(&self.asked.response_url);
            // The URL is signed for a request without content type.
            let sent = put.body(answer.to_string()).send().await;
            match sent.and_then(reqwest::Response::error_for_status) {
                Ok(_) => return Ok(()),
                Err(error) if tries == TRIES => {
                    let cause = error.without_url();
                    return Err(format!(
                        "cannot send the response to CloudFormation through S3: {cause}"
                    )
                    .into());
                }
                Err(_) => {}
            }
        }
    }

    /// The error text that the deployer reads is constant; the cause is logged.
    async fn migrate(&self, state: Option<&MigrateState>) -> Result<(), String> {
        let state = state.ok_or("A setting is missing or invalid")?;
        trial::model().await?;
        let time = self.time_left.saturating_sub(TIME_TO_ANSWER + WITHDRAWAL);
        let begun = Instant::now();
        match state.within(time, state.migrate_when_awake()).await {
            Some(Ok(report)) => {
                tracing::info!(applied = ?report.applied, version = report.version, "migrated");
                build_index(state, time.saturating_sub(begun.elapsed())).await;
                Ok(())
            }
            Some(Err(error)) => Err(http::report(&shared::Error::from(error)).title.to_owned()),
            None => Err(TIMED_OUT.to_owned()),
        }
    }
}

/// Searches work without the index, slowly, so a missing one must not fail the deploy. The server goes on building an
/// index that is not ready in time.
async fn build_index(state: &MigrateState, time: Duration) {
    match tokio::time::timeout(time, state.build_index()).await {
        // A failed build is logged where it fails.
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::error!(%error, "cannot read the state of the index"),
        Err(_) => tracing::warn!(seconds = time.as_secs(), "the index is still being built"),
    }
}

impl CloudFormationRequest {
    /// Whether this update rolls back a failed one: `CloudFormation` then swaps old and new properties, so a version is
    /// lower than before. A regular deploy always publishes a higher version, even of older code.
    fn goes_back(&self) -> bool {
        let (now, before) = (&self.resource_properties, &self.old_resource_properties);
        [(&now.code, &before.code), (&now.model, &before.model)]
            .into_iter()
            .any(|(now, before)| is_lower(now.as_deref(), before.as_deref()).unwrap_or(false))
    }

    fn answered(&self, failure: Option<&str>) -> CloudFormationResponse<'_> {
        CloudFormationResponse {
            status: if failure.is_some() {
                "FAILED"
            } else {
                "SUCCESS"
            },
            reason: failure
                .map(|what| format!("{what}. See the log of the function Migrate for the cause.")),
            physical_resource_id: self.physical_resource_id.as_deref().unwrap_or(SCHEMA),
            stack_id: &self.stack_id,
            request_id: &self.request_id,
            logical_resource_id: &self.logical_resource_id,
        }
    }
}

/// Whether the number at the end of an ARN is lower than that of another, if both are versions of one resource.
fn is_lower(now: Option<&str>, before: Option<&str>) -> Option<bool> {
    let (name, number) = now?.rsplit_once(':')?;
    let (name_before, number_before) = before?.rsplit_once(':')?;
    let (number, number_before): (u64, u64) = (number.parse().ok()?, number_before.parse().ok()?);
    Some(name == name_before && number < number_before)
}
