//! Connect options.

use std::{env, fs};

use sqlx::{
    ConnectOptions as _,
    postgres::{PgConnectOptions, PgSslMode},
};

use super::{
    DatabaseError, Pooler,
    login::{self, Credentials, Login},
    mistakes, roots,
};
use crate::DatabaseConfig;

/// Parses the URL and adds the options of every connection of ours, except startup options, which a pooler may
/// refuse.
pub(super) fn of(
    config: &DatabaseConfig,
    login: &Login,
) -> Result<(PgConnectOptions, Pooler), DatabaseError> {
    if login.url.starts_with('{') {
        return Err(wrong(
            "it is JSON: append # and the name of the field that holds the URL; for a secret with `username` and \
             `password`, set DATABASE_CREDENTIALS to its ARN",
        ));
    }
    if let Some(mistake) = mistakes::of(&login.url) {
        return Err(wrong(mistake));
    }
    let mut options: PgConnectOptions = login
        .url
        .parse()
        .map_err(|error: sqlx::Error| wrong(&format!("{error}; {}", mistakes::ENCODING)))?;
    if let Some(Credentials { username, password }) = login.credentials()? {
        options = options.username(&username).password(&password);
    }
    let options = with_certificates(options, &login.url)?;
    let pooler = Pooler::of(config.pooler, &options);
    // The resolver and TLS expect an IPv6 address without the URL's brackets.
    let host = options.get_host().trim_matches(['[', ']']).to_owned();
    let options = options
        .host(&host)
        .application_name(&config.application_name)
        // PgBouncer refuses this startup parameter, and nothing here reads a float as text.
        .extra_float_digits(None)
        .disable_statement_logging();
    Ok((options, pooler))
}

/// Reads the certificates that the URL names by path or holds in PEM. sqlx would read them at each connection, accept
/// no PEM, and not name a missing file.
fn with_certificates(
    mut options: PgConnectOptions,
    url: &str,
) -> Result<PgConnectOptions, DatabaseError> {
    // Amazon RDS hosts need Amazon's own roots; PGSSLROOTCERT, which sqlx has read, may name newer ones.
    if roots::is_amazon_rds(options.get_host()) && env::var_os("PGSSLROOTCERT").is_none() {
        options = options.ssl_root_cert_from_pem(roots::AMAZON_RDS.to_vec());
    }
    let query = url.split_once('?').map_or("", |(_, query)| query);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        options = match &*name {
            // libpq's name for the public roots, which sqlx has built in.
            "sslrootcert" if value == "system" => options.ssl_root_cert_from_pem(Vec::new()),
            "sslrootcert" | "ssl-root-cert" | "ssl-ca" => {
                let pem = match &*value {
                    "rds" => roots::AMAZON_RDS.to_vec(),
                    _ => pem(&name, &value)?,
                };
                let options = options.ssl_root_cert_from_pem(pem);
                // As libpq does: a root certificate that is given but not checked would be false security.
                match options.get_ssl_mode() {
                    PgSslMode::Require => options.ssl_mode(PgSslMode::VerifyCa),
                    _ => options,
                }
            }
            "sslcert" | "ssl-cert" => options.ssl_client_cert_from_pem(pem(&name, &value)?),
            "sslkey" | "ssl-key" => options.ssl_client_key_from_pem(pem(&name, &value)?),
            _ => options,
        };
    }
    Ok(options)
}

/// `value` if it is PEM, or the PEM in the file `value`. Errors omit what may be a key.
fn pem(name: &str, value: &str) -> Result<Vec<u8>, DatabaseError> {
    const BEGIN: &str = "-----BEGIN";
    if value.trim_start().starts_with(BEGIN) {
        return Ok(value.as_bytes().to_vec());
    }
    let file = if name.ends_with("key") {
        "a file"
    } else {
        value
    };
    let content = fs::read_to_string(value).map_err(|error| {
        wrong(&format!(
            "{name} names {file}, which cannot be read: {error}"
        ))
    })?;
    if content.contains(BEGIN) {
        Ok(content.into_bytes())
    } else {
        Err(wrong(&format!(
            "{name} names {file}, which is not a PEM file"
        )))
    }
}

fn wrong(what: &str) -> DatabaseError {
    login::unusable(login::URL, &what)
}
