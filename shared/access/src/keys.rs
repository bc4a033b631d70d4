//! API keys in the database.

use database::{Database, DatabaseError, FromRow, Statement};
use document_store::{Cursor, Limits, ListQuery, Tenant};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Scopes,
    secret::{Secret, random},
};

/// Why a key cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The system has no random bytes.
    #[error("the system returned no random bytes")]
    Random,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// A key to be made.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// Its tenant.
    pub tenant: Tenant,
    /// Seconds until it expires.
    pub expires_in: Option<i64>,
    /// The filter of the documents that it may see, as JSON.
    pub filter: Option<String>,
    /// Its limits.
    pub limits: Limits,
}

/// A new key, whose text is shown this once.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "CreatedKey")]
pub struct Created {
    /// The key.
    pub key: String,
    /// What is known of it afterwards.
    #[serde(flatten)]
    pub info: KeyInfo,
}

/// A page of keys, without their texts.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Keys {
    /// One entry per key, revoked and expired ones too; the newest first.
    pub keys: Vec<KeyInfo>,
    /// The `cursor` of the next request; `null` on the last page.
    pub next_cursor: Option<String>,
}

/// The id of a key in the list.
#[derive(Clone, Debug)]
pub struct KeyCursor(String);

impl Cursor for KeyCursor {
    fn read(text: &str) -> Option<Self> {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            .then(|| Self(text.to_owned()))
    }
}

/// What is known of a key.
#[derive(Clone, Debug, Serialize, Deserialize, FromRow, JsonSchema)]
#[schemars(rename = "Key")]
pub struct KeyInfo {
    /// Its id, which is not secret.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// Its first characters.
    pub prefix: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Its tenant.
    pub tenant: String,
    /// The filter of the documents that it may see, as JSON.
    pub filter: Option<String>,
    /// The requests that it may send a minute; `null` for no limit.
    pub requests_per_minute: Option<i64>,
    /// The documents that its tenant may have when it stores one; `null` for no limit.
    pub max_documents: Option<i64>,
    /// When it was made, as all times in UTC by ISO 8601.
    pub created_at: String,
    /// When it expires.
    pub expires_at: Option<String>,
    /// When it was revoked.
    pub revoked_at: Option<String>,
    /// The last hour in which it was used.
    pub last_used_at: Option<String>,
}

/// The columns of [`KeyInfo`].
macro_rules! info {
    () => {
        "id, name, prefix, scopes, tenant, filter, requests_per_minute, max_documents,
         to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS created_at,
         to_char(expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS expires_at,
         to_char(revoked_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS revoked_at,
         to_char(last_used_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS last_used_at"
    };
}

/// Makes a key, and notes in the audit that `actor` did.
///
/// # Errors
/// [`KeysError::Random`], or any error of the database.
pub async fn create(database: &Database, new: &NewKey, actor: &str) -> Result<Created, KeysError> {
    let drawn = Secret::generate().and_then(|secret| Ok((secret, random(ID)?)));
    let (secret, id) = drawn.map_err(|_| KeysError::Random)?;
    let statement = Statement::write(concat!(
        "WITH made AS (
             INSERT INTO rappel.keys (id, name, hash, prefix, scopes, tenant, filter, expires_at, requests_per_minute,
                                      max_documents)
             VALUES ('key_' || $1, $2, $3, $4, $5, $6, $7, now() + make_interval(secs => $8::float8), $10, $11)
             RETURNING *
         ), audited AS (
             INSERT INTO rappel.audit (actor, tenant, act, subject, detail)
             SELECT $9, tenant, 'key.create', id, jsonb_build_object('name', name, 'scopes', scopes) FROM made
         )
         SELECT ",
        info!(),
        " FROM made"
    ))
    .bind(id)
    .bind(new.name.clone())
    .bind(secret.hash().to_vec())
    .bind(secret.shown().to_owned())
    .bind(names(&new.scopes))
    .bind(new.tenant.as_str().to_owned())
    .bind(new.filter.clone())
    .bind(new.expires_in)
    .bind(actor.to_owned())
    .bind(new.limits.requests_per_minute)
    .bind(new.limits.max_documents);
    let mut made: Vec<KeyInfo> = database.fetch_all(statement).await?;
    let info = made.pop().ok_or(KeysError::Random)?;
    Ok(Created {
        key: secret.as_str().to_owned(),
        info,
    })
}

/// A page of the keys of a tenant, or of all.
///
/// # Errors
/// Any error of the database.
pub async fn list(
    database: &Database,
    tenant: Option<&Tenant>,
    page: ListQuery<KeyCursor>,
) -> Result<Keys, DatabaseError> {
    let statement = Statement::read(concat!(
        "SELECT ",
        info!(),
        " FROM rappel.keys AS k
         WHERE ($1 IS NULL OR k.tenant = $1) AND ($2 IS NULL OR (k.created_at, k.id) < (
             SELECT l.created_at, l.id FROM rappel.keys AS l WHERE l.id = $2 AND ($1 IS NULL OR l.tenant = $1)
         ))
         ORDER BY k.created_at DESC, k.id DESC LIMIT $3"
    ))
    .bind(tenant.map(|tenant| tenant.as_str().to_owned()))
    .bind(page.after.map(|KeyCursor(id)| id))
    .bind(page.limit.rows());
    let mut keys: Vec<KeyInfo> = database.fetch_all(statement).await?;
    let next_cursor = page.limit.next_cursor(&mut keys, |key| key.id.clone());
    Ok(Keys { keys, next_cursor })
}

/// Revokes a key of a tenant, or of any, and notes in the audit that `actor` did; whether it exists. Sandboxes that know it
/// accept it for at most a minute more.
///
/// # Errors
/// Any error of the database.
pub async fn revoke(
    database: &Database,
    tenant: Option<&Tenant>,
    id: &str,
    actor: &str,
) -> Result<bool, DatabaseError> {
    let statement = Statement::idempotent_write(
        "WITH revoked AS (
             UPDATE rappel.keys SET revoked_at = now()
             WHERE id = $1 AND ($2 IS NULL OR tenant = $2) AND revoked_at IS NULL
             RETURNING id, tenant, name
         ), audited AS (
             INSERT INTO rappel.audit (actor, tenant, act, subject, detail)
             SELECT $3, tenant, 'key.revoke', id, jsonb_build_object('name', name) FROM revoked
         )
         SELECT EXISTS (SELECT FROM rappel.keys WHERE id = $1 AND ($2 IS NULL OR tenant = $2)) AS found",
    )
    .bind(id.to_owned())
    .bind(tenant.map(|tenant| tenant.as_str().to_owned()))
    .bind(actor.to_owned());
    let found: Option<(bool,)> = database.fetch_optional(statement).await?;
    Ok(found.is_some_and(|(found,)| found))
}

/// Random characters of an id: 71 bits.
const ID: usize = 12;

fn names(scopes: &Scopes) -> Vec<String> {
    scopes.iter().map(ToString::to_string).collect()
}
