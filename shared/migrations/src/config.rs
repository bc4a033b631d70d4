//! Settings of index builds.

use std::str::FromStr;

use settings::{ConfigError, optional};

/// Settings of index builds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexConfig {
    /// The `maintenance_work_mem` of a build; `None` keeps the server's.
    pub memory: Option<Memory>,
}

/// An amount of memory in Postgres syntax: `512MB`, `2GB`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory(String);

impl IndexConfig {
    /// Reads `INDEX_BUILD_MEMORY`.
    ///
    /// # Errors
    /// If it is not an amount of memory.
    pub fn from_env() -> Result<Self, ConfigError> {
        let memory = optional(Memory::VARIABLE).map(|value| value.parse());
        Ok(Self {
            memory: memory.transpose()?,
        })
    }
}

impl Memory {
    const VARIABLE: &str = "INDEX_BUILD_MEMORY";

    /// In Postgres syntax, without quotes or spaces.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Memory {
    type Err = ConfigError;

    fn from_str(value: &str) -> Result<Self, ConfigError> {
        let compact: String = value.split_whitespace().collect();
        let digits = compact.trim_start_matches(|c: char| c.is_ascii_digit());
        let number = &compact[..compact.len() - digits.len()];
        // Postgres accepts up to 2 TB, in 32-bit kilobytes.
        if !matches!(digits, "MB" | "GB") || number.is_empty() || number.len() > 6 {
            return Err(ConfigError::Invalid {
                variable: Self::VARIABLE,
                value: value.to_owned(),
                expected: "must be an amount of memory such as 512MB or 2GB",
            });
        }
        Ok(Self(compact))
    }
}

#[cfg(test)]
mod tests {
    use super::Memory;

    #[test]
    fn memory_is_a_number_with_a_unit() {
        let memory = |value: &str| value.parse::<Memory>().map(|memory| memory.0).ok();
        assert_eq!(memory("2GB"), Some("2GB".to_owned()));
        assert_eq!(memory(" 512 MB"), Some("512MB".to_owned()));
        for wrong in [
            "",
            "GB",
            "2",
            "2gb",
            "-1GB",
            "1GB; DROP TABLE x",
            "1'GB",
            "1.5GB",
            "9999999GB",
        ] {
            assert_eq!(memory(wrong), None, "{wrong}");
        }
    }
}
