//! The language model that answers in `chat`.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{
    ConfigError,
    variables::{milliseconds, optional},
};

/// How to reach a language model behind an OpenAI-compatible endpoint.
#[derive(Clone)]
pub struct LanguageModelConfig {
    /// What stands before `/chat/completions`, without a slash at its end.
    pub base_url: String,
    /// The bearer token, or a reference to it: see [`crate::secret::Secret`]. Endpoints of one's own
    /// often ask for none.
    pub api_key: Option<String>,
    /// The model's name.
    pub model: String,
    /// What is added to the body of each request, such as `temperature`; `null` takes a field out.
    pub parameters: Map<String, Value>,
    /// The longest silence: until the first token, all attempts together, and between two of them.
    pub timeout: Duration,
}

/// The key is a secret, so it is never printed.
impl std::fmt::Debug for LanguageModelConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LanguageModelConfig")
            .field("model", &self.model)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl LanguageModelConfig {
    /// The variables without which there is no language model.
    pub const REQUIRED: [&str; 2] = ["LLM_BASE_URL", "LLM_MODEL"];

    /// Reads `LLM_BASE_URL` and the settings around it; `None` if one of [`Self::REQUIRED`] is not set.
    ///
    /// # Errors
    /// Names the first variable that is wrong.
    pub fn from_env() -> Result<Option<Self>, ConfigError> {
        let [base_url, model] = Self::REQUIRED.map(optional);
        let parameters = parameters()?;
        let timeout = milliseconds("LLM_TIMEOUT_MS", 30_000)?;
        let (Some(base_url), Some(model)) = (base_url, model) else {
            return Ok(None);
        };
        if !base_url.starts_with("http://") && !base_url.starts_with("https://") {
            return Err(ConfigError::Unusable {
                variable: "LLM_BASE_URL",
                expected: "must begin with https:// or http://, for example https://api.openai.com/v1",
            });
        }
        Ok(Some(Self {
            base_url: base_url.trim_end_matches('/').to_owned(),
            api_key: optional("LLM_API_KEY"),
            model,
            parameters,
            timeout,
        }))
    }

    /// Which of [`Self::REQUIRED`] are not set.
    #[must_use]
    pub fn unset() -> Vec<&'static str> {
        let set = |variable| optional(variable).is_some();
        Self::REQUIRED
            .into_iter()
            .filter(|variable| !set(variable))
            .collect()
    }
}

fn parameters() -> Result<Map<String, Value>, ConfigError> {
    const VARIABLE: &str = "LLM_PARAMETERS";
    let Some(value) = optional(VARIABLE) else {
        return Ok(Map::new());
    };
    serde_json::from_str(&value).map_err(|_| ConfigError::Unusable {
        variable: VARIABLE,
        expected: "must be a JSON object, for example {\"temperature\": 0.2}",
    })
}
