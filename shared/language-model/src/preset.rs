//! Known endpoints.

use std::str::FromStr;

use settings::ConfigError;

/// A kind of endpoint and its differences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// `OpenAI`.
    OpenAi,
    /// Azure's `OpenAI`.
    Azure,
    /// Mistral.
    Mistral,
    /// Ollama.
    Ollama,
    /// vLLM.
    Vllm,
    /// Google's Gemini.
    Gemini,
    /// Any other.
    #[default]
    Other,
}

impl Preset {
    const NAMED: [(Self, &str); 6] = [
        (Self::OpenAi, "openai"),
        (Self::Azure, "azure"),
        (Self::Mistral, "mistral"),
        (Self::Ollama, "ollama"),
        (Self::Vllm, "vllm"),
        (Self::Gemini, "gemini"),
    ];

    /// Recognizes the endpoint by its address.
    pub(super) fn of(base_url: &str) -> Self {
        let known = [
            ("//api.openai.com", Self::OpenAi),
            // Foundry's hosts take the same key in the same header, in every cloud: azure.com, azure.us and azure.cn.
            (".openai.azure.", Self::Azure),
            (".services.ai.azure.", Self::Azure),
            (".cognitiveservices.azure.", Self::Azure),
            ("//api.mistral.ai", Self::Mistral),
            ("//generativelanguage.googleapis.com", Self::Gemini),
            // Ollama's default port.
            (":11434", Self::Ollama),
        ];
        let told = known.into_iter().find(|(part, _)| base_url.contains(part));
        told.map(|(_, preset)| preset).unwrap_or_default()
    }

    /// The context of its models in tokens, or the length to which it cuts a conversation.
    #[must_use]
    pub fn context_tokens(self) -> usize {
        match self {
            Self::OpenAi | Self::Azure | Self::Gemini => 128_000,
            Self::Mistral => 32_000,
            // Ollama silently cuts a longer conversation from the front, and its OpenAI-compatible API has no field for
            // it: <https://docs.ollama.com/context-length>.
            Self::Ollama => 4_096,
            Self::Vllm | Self::Other => 16_384,
        }
    }

    /// Whether the answer's limit is `max_completion_tokens`: `OpenAI`'s newer models refuse `max_tokens`.
    #[must_use]
    pub fn completion_tokens(self) -> bool {
        matches!(self, Self::OpenAi | Self::Azure)
    }

    /// Whether it accepts `stream_options`: Mistral counts tokens without.
    #[must_use]
    pub fn stream_options(self) -> bool {
        self != Self::Mistral
    }

    /// The key's header, unless it is a bearer token.
    #[must_use]
    pub fn key_header(self) -> Option<&'static str> {
        (self == Self::Azure).then_some("api-key")
    }

    /// The API version to add to an address without one; Azure requires it with a deployment:
    /// <https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle>.
    pub(super) fn api_version(self, path: &str) -> Option<&'static str> {
        (self == Self::Azure && path.contains("/deployments/")).then_some("2024-10-21")
    }
}

impl FromStr for Preset {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        let mut named = Self::NAMED.into_iter();
        let preset = named.find(|(_, known)| *known == name);
        preset
            .map(|(preset, _)| preset)
            .ok_or(ConfigError::Invalid {
                variable: "LLM_PRESET",
                value: name.to_owned(),
                expected: "must be openai, azure, mistral, ollama, vllm or gemini",
            })
    }
}
