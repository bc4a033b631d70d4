//! The HTTP client for external services: the language model, and the secret stores.

use reqwest::{Client, ClientBuilder};
use rustls::crypto::ring;

/// A client that uses `ring` for TLS, as the database connection does. It trusts the system's roots; `SSL_CERT_FILE`
/// overrides them.
pub fn builder() -> ClientBuilder {
    // Fails if another provider is installed, which works as well.
    let _ = ring::default_provider().install_default();
    Client::builder()
}
