//! The HTTP client for services outside: the language model, and where secrets are kept.

use reqwest::{Client, ClientBuilder};
use rustls::crypto::ring;

/// A client that speaks TLS with `ring`, as the connection to the database does. It trusts the roots of
/// the system; `SSL_CERT_FILE` names others.
pub fn builder() -> ClientBuilder {
    // It fails where another one is installed already, which serves as well.
    let _ = ring::default_provider().install_default();
    Client::builder()
}
