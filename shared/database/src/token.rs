//! IAM authentication: a token as the password, signed locally, without a call to AWS.
//! <https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/UsingWithRDS.IAMDBAuth.Connecting.html>

use std::{env, time::Duration};

use aws::Service;
use serde_json::json;
use sqlx::postgres::PgConnectOptions;

/// The setting's value, in place of a secret's ARN.
pub(super) const IAM: &str = "iam";

/// RDS rejects older tokens.
const LIFETIME: Duration = Duration::from_mins(15);

/// The login of the URL's user, in the format of an RDS secret.
///
/// # Errors
/// Names what is missing.
pub(super) fn credentials(url: &str) -> Result<String, String> {
    let options: PgConnectOptions = url
        .parse()
        .map_err(|error: sqlx::Error| error.to_string())?;
    let region = env::var("AWS_REGION").ok();
    let service = Service {
        name: "rds-db",
        // Unused: nothing is sent.
        endpoint_variable: "",
        region: region.ok_or("AWS_REGION is not set: it is required to sign a login token")?,
    };
    let (host, port, user) = (
        options.get_host(),
        options.get_port(),
        options.get_username(),
    );
    let who = form_urlencoded::Serializer::new(String::new())
        .append_pair("Action", "connect")
        .append_pair("DBUser", user)
        .finish();
    let url = format!("https://{host}:{port}/?{who}");
    let signed = service.presigned(&url, LIFETIME);
    let signed = signed.map_err(|error| error.to_string())?;
    let signature = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(signed)
        .finish();
    let token = format!("{host}:{port}/?{who}&{signature}");
    Ok(json!({ "username": user, "password": token }).to_string())
}
