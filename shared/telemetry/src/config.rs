//! What the functions tell of their requests.

use settings::{ConfigError, optional};

/// What is told besides the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TelemetryConfig {
    /// Whether `CloudWatch` makes metrics of the log's lines.
    pub metrics: bool,
}

impl TelemetryConfig {
    /// Reads `METRICS`.
    ///
    /// # Errors
    /// When its value is none of those that it knows.
    pub fn from_env() -> Result<Self, ConfigError> {
        const VARIABLE: &str = "METRICS";
        let metrics = match optional(VARIABLE) {
            None => true,
            Some(value) => match value.as_str() {
                "cloudwatch" => true,
                "off" => false,
                _ => {
                    return Err(ConfigError::Invalid {
                        variable: VARIABLE,
                        value,
                        expected: "must be cloudwatch or off",
                    });
                }
            },
        };
        Ok(Self { metrics })
    }
}
