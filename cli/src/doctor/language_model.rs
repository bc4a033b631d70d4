//! Whether the language model answers.

use super::check::{Check, Finding, failed, ok};
use crate::{
    Error,
    cause::chain,
    config::LanguageModelConfig,
    language_model::{LanguageModel, LanguageModelError},
    problem::Problem,
};

/// Asks the language model of these settings for a word.
pub async fn language_model(config: Option<&LanguageModelConfig>) -> Check {
    Check::run("language-model", async {
        Ok(Box::pin(examine(config)).await)
    })
    .await
}

async fn examine(config: Option<&LanguageModelConfig>) -> Finding {
    let Some(config) = config else {
        return ok("none is set: /chat answers 501");
    };
    match asked(config).await {
        Ok(()) => ok(format!("{} answers", config.model)),
        Err(error) => {
            let error = Error::from(error);
            let problem = Problem::from(&error);
            failed(chain(&error), problem.detail)
        }
    }
}

async fn asked(config: &LanguageModelConfig) -> Result<(), LanguageModelError> {
    LanguageModel::new(config)?.probe().await
}
