//! The settings of the language model for `chat`.

use std::{collections::BTreeMap, time::Duration};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};
use settings::{ConfigError, milliseconds, number, optional};

use crate::Preset;

/// How to reach a language model behind an OpenAI-compatible endpoint.
#[derive(Clone)]
pub struct LanguageModelConfig {
    /// The URL before `/chat/completions`, possibly with a query.
    pub base_url: String,
    /// The kind of endpoint.
    pub preset: Preset,
    /// The key, or a reference to it: see [`aws::secret::Secret`]. Self-hosted endpoints often need none.
    pub api_key: Option<String>,
    /// The model's name.
    pub model: String,
    /// Headers added to each request; they replace existing ones.
    pub headers: HeaderMap,
    /// Fields added to the body of each request, such as `temperature`; `null` removes a field.
    pub parameters: Map<String, Value>,
    /// Maximum number of tokens of prompt and answer together.
    pub context_tokens: usize,
    /// The longest silence: before the first token, over all attempts, and between two tokens.
    pub timeout: Duration,
}

/// The key is secret and never printed.
impl std::fmt::Debug for LanguageModelConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LanguageModelConfig")
            .field("model", &self.model)
            .field("preset", &self.preset)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl LanguageModelConfig {
    /// The variables that a language model needs.
    pub const REQUIRED: [&str; 2] = ["LLM_BASE_URL", "LLM_MODEL"];
    /// The smallest context, in tokens, that holds rules, a question, a source and an answer.
    pub const MIN_CONTEXT: usize = 1_024;

    /// Reads `LLM_BASE_URL` and the settings around it; `None` if one of [`Self::REQUIRED`] is not set.
    ///
    /// # Errors
    /// Names the first invalid variable.
    pub fn from_env() -> Result<Option<Self>, ConfigError> {
        let [base_url, model] = Self::REQUIRED.map(optional);
        let parameters = parameters()?;
        let headers = headers()?;
        let preset = optional("LLM_PRESET")
            .map(|name| name.parse())
            .transpose()?;
        let timeout = milliseconds("LLM_TIMEOUT_MS", 30_000)?;
        let preset = preset.unwrap_or_else(|| Preset::of(base_url.as_deref().unwrap_or_default()));
        let context_tokens = number(
            "LLM_CONTEXT_TOKENS",
            preset.context_tokens(),
            "must be a whole number of tokens, at least 1024",
            |tokens| *tokens >= Self::MIN_CONTEXT,
        )?;
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
            base_url,
            preset,
            api_key: optional("LLM_API_KEY"),
            model,
            headers,
            parameters,
            context_tokens,
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

    /// The URL of requests: adds the path of chat completions before the query, unless the base has it.
    #[must_use]
    pub fn url(&self) -> String {
        const PATH: &str = "/chat/completions";
        let (base, query) = if let Some((base, query)) = self.base_url.split_once('?') {
            (base, Some(query.to_owned()))
        } else {
            let version = self.preset.api_version(&self.base_url);
            let query = version.map(|version| format!("api-version={version}"));
            (self.base_url.as_str(), query)
        };
        let base = base.trim().trim_end_matches('/');
        let base = base.strip_suffix(PATH).unwrap_or(base);
        match query {
            Some(query) => format!("{base}{PATH}?{query}"),
            None => format!("{base}{PATH}"),
        }
    }

    /// The token limit of an answer, if [`Self::parameters`] set one.
    #[must_use]
    pub fn answer_tokens(&self) -> Option<usize> {
        let limit = |field: &str| self.parameters.get(field)?.as_u64();
        let limit = limit("max_completion_tokens").or_else(|| limit("max_tokens"))?;
        usize::try_from(limit).ok()
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

fn headers() -> Result<HeaderMap, ConfigError> {
    let unusable = || ConfigError::Unusable {
        variable: "LLM_HEADERS",
        expected: "must be a JSON object of headers and their values, for example {\"x-team\": \"search\"}",
    };
    let Some(value) = optional("LLM_HEADERS") else {
        return Ok(HeaderMap::new());
    };
    let named: BTreeMap<String, String> = serde_json::from_str(&value).map_err(|_| unusable())?;
    let mut headers = HeaderMap::new();
    for (name, value) in named {
        let name = HeaderName::try_from(name).map_err(|_| unusable())?;
        let mut value = HeaderValue::try_from(value).map_err(|_| unusable())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(base_url: &str) -> String {
        let config = LanguageModelConfig {
            base_url: base_url.to_owned(),
            preset: Preset::of(base_url),
            api_key: None,
            model: String::new(),
            headers: HeaderMap::new(),
            parameters: Map::new(),
            context_tokens: 0,
            timeout: Duration::ZERO,
        };
        config.url()
    }

    #[test]
    fn an_address_is_completed_as_its_endpoint_wants_it() {
        for (base, expected) in [
            (
                "https://api.openai.com/v1/",
                "https://api.openai.com/v1/chat/completions",
            ),
            (
                "http://127.0.0.1:8000/v1/chat/completions",
                "http://127.0.0.1:8000/v1/chat/completions",
            ),
            (
                "https://a.openai.azure.com/openai/v1",
                "https://a.openai.azure.com/openai/v1/chat/completions",
            ),
            (
                "https://a.openai.azure.com/openai/deployments/b",
                "https://a.openai.azure.com/openai/deployments/b/chat/completions?api-version=2024-10-21",
            ),
            (
                "https://a.cognitiveservices.azure.com/openai/deployments/b",
                "https://a.cognitiveservices.azure.com/openai/deployments/b/chat/completions?api-version=2024-10-21",
            ),
            (
                "https://a.openai.azure.com/openai/deployments/b/?api-version=2025-01-01-preview",
                "https://a.openai.azure.com/openai/deployments/b/chat/completions?api-version=2025-01-01-preview",
            ),
        ] {
            assert_eq!(url(base), expected);
        }
    }

    #[test]
    fn an_address_identifies_the_endpoint() {
        assert_eq!(Preset::of("http://localhost:11434/v1"), Preset::Ollama);
        assert_eq!(Preset::of("https://api.mistral.ai/v1"), Preset::Mistral);
        for host in [
            "a.openai.azure.com",
            "a.openai.azure.us",
            "a.cognitiveservices.azure.com",
            "a.services.ai.azure.com",
        ] {
            let preset = Preset::of(&format!("https://{host}/openai/v1"));
            assert_eq!(preset.key_header(), Some("api-key"), "{host}");
        }
        // Serverless deployments take a bearer token.
        for host in ["a.eastus2.models.ai.azure.com", "llm.example.org"] {
            let preset = Preset::of(&format!("https://{host}/v1"));
            assert_eq!(preset, Preset::Other, "{host}");
        }
    }
}
