//! Why a secret cannot be used.

/// Why a secret is unavailable. Contains no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The reference is invalid.
    #[error("{0:?} is not the ARN of a secret (secretsmanager) or a parameter (ssm)")]
    Reference(String),
    /// Lambda sets these variables; elsewhere they must be set.
    #[error("{0} is not set: it is required to fetch a secret from AWS")]
    Credentials(&'static str),
    /// The request cannot be signed.
    #[error("the request for {reference} cannot be signed: {cause}")]
    Signing {
        /// The reference.
        reference: String,
        /// The cause.
        cause: String,
    },
    /// AWS did not return the secret.
    #[error("{reference} cannot be fetched: {cause}")]
    Fetching {
        /// The reference.
        reference: String,
        /// AWS's answer.
        cause: String,
    },
    /// The secret is not JSON with the field that the reference names.
    #[error("{reference}: the secret is not a JSON object in which this field is a string")]
    Field {
        /// The reference, with the field.
        reference: String,
    },
}
