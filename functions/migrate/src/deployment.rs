//! A deploy asks for a migration: the protocol of `CloudFormation`'s custom resources.
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html>

use std::time::{Duration, Instant, SystemTime};

use lambda_runtime::{Error, LambdaEvent, tracing};
use serde::{Deserialize, Serialize};
use serde_json::{Value, to_value};
use shared::http;

use crate::{state::State, trial};

/// What `CloudFormation` asks, and how long there is to answer. It waits for the answer, and goes on to the
/// other functions only after a success.
pub(crate) struct Deployment {
    asked: Asked,
    time_left: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Asked {
    request_type: RequestType,
    /// Where the answer goes: whoever knows it can answer, so it is never logged.
    #[serde(rename = "ResponseURL")]
    response_url: String,
    stack_id: String,
    request_id: String,
    logical_resource_id: String,
    /// Missing in the first request, whose answer decides on it.
    physical_resource_id: Option<String>,
    #[serde(default)]
    resource_properties: Versions,
    /// What the properties were before an update.
    #[serde(default)]
    old_resource_properties: Versions,
}

/// The properties of `Schema` that count upwards.
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
struct Answer<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    physical_resource_id: &'a str,
    stack_id: &'a str,
    request_id: &'a str,
    logical_resource_id: &'a str,
}

/// A schema keeps this id: another one would make `CloudFormation` ask for the deletion of the old one.
const SCHEMA: &str = "schema";

/// What is kept of the time limit to say that it was reached.
const TIME_TO_ANSWER: Duration = Duration::from_secs(10);

/// How often the answer is sent, and how long one try may take: together they fit in [`TIME_TO_ANSWER`].
const TRIES: usize = 3;
const LONGEST_TRY: Duration = Duration::from_secs(3);

/// Lambda's own limit of an invocation.
const LONGEST_INVOCATION: Duration = Duration::from_mins(15);

impl Deployment {
    /// The deploy that this event is part of; none if somebody invoked the function.
    pub(crate) fn of(event: &LambdaEvent<Value>) -> Result<Option<Self>, Error> {
        if event.payload.get("ResponseURL").is_none() {
            return Ok(None);
        }
        // `cargo lambda watch` gives a deadline in 1970: no limit.
        let left = event.context.deadline().duration_since(SystemTime::now());
        Ok(Some(Self {
            asked: Asked::deserialize(&event.payload)?,
            time_left: left.unwrap_or(LONGEST_INVOCATION),
        }))
    }

    /// Does what is asked and tells `CloudFormation` how it ended. If that cannot be told, the invocation fails, and
    /// the template's function `MigrateFailed` tells it. Without a `state` a setting cannot be used; then nothing but
    /// a deletion or a way back succeeds.
    pub(crate) async fn answer(self, state: Option<&State>) -> Result<Value, Error> {
        let failure = match self.asked.request_type {
            // The documents are the user's, and stay when the stack goes.
            RequestType::Delete => None,
            RequestType::Update if self.asked.goes_back() => {
                tracing::info!("the deploy is rolled back: the schema stays as it is");
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
            // The URL is signed for a request without a content type.
            let sent = put.body(answer.to_string()).send().await;
            match sent.and_then(reqwest::Response::error_for_status) {
                Ok(_) => return Ok(()),
                Err(error) if tries == TRIES => {
                    let cause = error.without_url();
                    return Err(format!("the answer does not reach S3: {cause}").into());
                }
                Err(_) => {}
            }
        }
    }

    /// What the person who deploys reads of a failure is constant; the cause is logged.
    async fn migrate(&self, state: Option<&State>) -> Result<(), String> {
        let state = state.ok_or("A setting is missing or cannot be used")?;
        trial::model().await?;
        let time = self.time_left.saturating_sub(TIME_TO_ANSWER);
        let work = state.migrate_when_awake();
        let begun = Instant::now();
        match tokio::time::timeout(time, work).await {
            Ok(Ok(report)) => {
                tracing::info!(applied = ?report.applied, version = report.version, "migrated");
                build_index(state, time.saturating_sub(begun.elapsed())).await;
                Ok(())
            }
            Ok(Err(error)) => Err(http::report(&shared::Error::from(error)).title.to_owned()),
            Err(_) => {
                tracing::error!(seconds = time.as_secs(), "the migration takes too long");
                Err("The migration takes longer than the function may run".to_owned())
            }
        }
    }
}

/// Searches work without the index, slowly: that it is missing must not keep a deploy from succeeding. One that is not
/// ready in time is built on by the server.
async fn build_index(state: &State, time: Duration) {
    match tokio::time::timeout(time, state.build_index()).await {
        // What a build fails of is logged where it is built.
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::error!(%error, "the state of the index is unknown"),
        Err(_) => tracing::warn!(seconds = time.as_secs(), "the index is still being built"),
    }
}

impl Asked {
    /// Whether this update takes back one that failed: `CloudFormation` swaps the properties then, so that a version
    /// is lower than before. What another deploy publishes has a higher one, even if its code is older.
    fn goes_back(&self) -> bool {
        let (now, before) = (&self.resource_properties, &self.old_resource_properties);
        [(&now.code, &before.code), (&now.model, &before.model)]
            .into_iter()
            .any(|(now, before)| is_lower(now.as_deref(), before.as_deref()).unwrap_or(false))
    }

    fn answered(&self, failure: Option<&str>) -> Answer<'_> {
        Answer {
            status: if failure.is_some() {
                "FAILED"
            } else {
                "SUCCESS"
            },
            reason: failure
                .map(|what| format!("{what}. The log of the function Migrate has the cause.")),
            physical_resource_id: self.physical_resource_id.as_deref().unwrap_or(SCHEMA),
            stack_id: &self.stack_id,
            request_id: &self.request_id,
            logical_resource_id: &self.logical_resource_id,
        }
    }
}

/// Whether the number at the end of one ARN is lower than that of another, if both are versions of one thing.
fn is_lower(now: Option<&str>, before: Option<&str>) -> Option<bool> {
    let (name, number) = now?.rsplit_once(':')?;
    let (name_before, number_before) = before?.rsplit_once(':')?;
    let (number, number_before): (u64, u64) = (number.parse().ok()?, number_before.parse().ok()?);
    Some(name == name_before && number < number_before)
}
