//! Why a secret cannot be used.

/// Why a secret cannot be had. No secret is in it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The reference is not one that can be followed.
    #[error("{0:?} is not the ARN of a secret (secretsmanager) or a parameter (ssm)")]
    Reference(String),
    /// Lambda sets these variables; elsewhere they must be set.
    #[error("{0} is not set, without which AWS cannot be asked for a secret")]
    Credentials(&'static str),
    /// The request cannot be signed.
    #[error("the request for {reference} cannot be signed: {cause}")]
    Signing {
        /// What was asked for.
        reference: String,
        /// Why.
        cause: String,
    },
    /// AWS was asked and gave no secret.
    #[error("{reference} cannot be fetched: {cause}")]
    Fetching {
        /// What was asked for.
        reference: String,
        /// What AWS answered.
        cause: String,
    },
    /// The secret is not JSON with the field that the reference names.
    #[error("{reference} is not a JSON object with this field, a string")]
    Field {
        /// What was asked for, with the field.
        reference: String,
    },
}
