//! Checks that the language model responds.

use language_model::{LanguageModel, LanguageModelConfig, LanguageModelError};
use retrieval::health::finding::{Check, Finding, failed, ok};
use shared::{Error, problem::Problem};
use telemetry::chain;

/// Requests one word from the language model.
pub(crate) async fn examine(config: Option<&LanguageModelConfig>) -> Check {
    Check::run("language-model", async {
        Ok(Box::pin(finding(config)).await)
    })
    .await
}

async fn finding(config: Option<&LanguageModelConfig>) -> Finding {
    let Some(config) = config else {
        return ok("not configured: /chat responds 501");
    };
    match probe(config).await {
        Ok(()) => ok(format!("{} responds", config.model)),
        Err(error) => {
            let error = Error::from(error);
            let problem = Problem::from(&error);
            failed(chain(&error), problem.detail)
        }
    }
}

async fn probe(config: &LanguageModelConfig) -> Result<(), LanguageModelError> {
    LanguageModel::new(config)?.probe().await
}
