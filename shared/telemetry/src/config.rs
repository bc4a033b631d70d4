//! Telemetry settings.

use settings::{ConfigError, optional};

/// Telemetry settings besides the log's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TelemetryConfig {
    /// Whether the log lines carry `CloudWatch` metrics (EMF).
    pub metrics: bool,
}

impl TelemetryConfig {
    /// Reads `METRICS`.
    ///
    /// # Errors
    /// When its value is unknown.
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
