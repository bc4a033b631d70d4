//! A deploy asks for a migration: the protocol of `CloudFormation`'s custom resources.
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html>

use std::time::{Duration, Instant, SystemTime};

use lambda_runtime::{Error, LambdaEvent, tracing};
use serde::{Deserialize, Serialize};
use serde_json::{Value, to_value};
use shared::http;

use crate::state::State;

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

/// What is kept of the time limit to say that it was reached. A function that is killed without a
/// word keeps the deploy waiting.
const TIME_TO_ANSWER: Duration = Duration::from_secs(10);

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

    /// Does what is asked and tells `CloudFormation` how it ended. If that cannot be told, Lambda invokes
    /// the function again, and a migration that is applied already takes no time. Without a `state` a
    /// setting cannot be used; then nothing but a deletion succeeds.
    pub(crate) async fn answer(self, state: Option<&State>) -> Result<Value, Error> {
        let failure = match self.asked.request_type {
            // The documents are the user's, and stay when the stack goes.
            RequestType::Delete => None,
            RequestType::Create | RequestType::Update => self.migrate(state).await.err(),
        };
        let answer = self.asked.answered(failure);
        let client = shared::client::builder().build()?;
        let put = client.put(&self.asked.response_url);
        // The URL is signed for a request without a content type.
        let sent = put.body(serde_json::to_vec(&answer)?).send().await;
        sent.and_then(reqwest::Response::error_for_status)
            .map_err(reqwest::Error::without_url)?;
        Ok(to_value(answer)?)
    }

    /// What the person who deploys reads of a failure is constant; the cause is logged.
    async fn migrate(&self, state: Option<&State>) -> Result<(), &'static str> {
        let state = state.ok_or("A setting is missing or cannot be used")?;
        let time = self.time_left.saturating_sub(TIME_TO_ANSWER);
        let work = async {
            state.try_model().await?;
            Ok::<_, shared::Error>(state.migrate().await?)
        };
        let begun = Instant::now();
        match tokio::time::timeout(time, work).await {
            Ok(Ok(report)) => {
                tracing::info!(applied = ?report.applied, version = report.version, "migrated");
                build_index(state, time.saturating_sub(begun.elapsed())).await;
                Ok(())
            }
            Ok(Err(error)) => {
                let problem = http::report(&error);
                Err(match error {
                    shared::Error::Embedder(_) => "The embedding model cannot be loaded",
                    _ => problem.title,
                })
            }
            Err(_) => {
                tracing::error!(seconds = time.as_secs(), "the migration takes too long");
                Err("The migration takes longer than the function may run")
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
