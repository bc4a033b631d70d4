//! Certificate authorities for tests.

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// A certificate authority that only the test trusts.
pub struct Authority {
    /// Its own certificate, in PEM.
    pub certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority with a new key.
    ///
    /// # Errors
    /// When no key can be generated.
    pub fn new() -> Result<Self> {
        let key = KeyPair::generate().context("generating a key")?;
        let mut parameters =
            CertificateParams::new(Vec::new()).context("preparing the authority's certificate")?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = parameters
            .self_signed(&key)
            .context("signing the authority's own certificate")?
            .pem();
        Ok(Self {
            certificate,
            issuer: Issuer::new(parameters, key),
        })
    }

    /// A certificate for the host `name` and its key, both in PEM.
    ///
    /// # Errors
    /// When `name` is not a host name.
    pub fn vouch(&self, name: &str) -> Result<(String, String)> {
        let key = KeyPair::generate().context("generating a key")?;
        let certificate = CertificateParams::new(vec![name.to_owned()])
            .context("naming the host")?
            .signed_by(&key, &self.issuer)
            .context("signing a certificate")?;
        Ok((certificate.pem(), key.serialize_pem()))
    }
}
