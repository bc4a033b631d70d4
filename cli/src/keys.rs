//! `rappel keys`: API keys, in a database or behind an API.

use std::{env, io::Write as _};

use access::{Created, KeyInfo, KeyRequest, Keys as Page};
use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use database::Database;
use document_store::{Limit, ListRequest, Tenant};
use json::FieldError;
use reqwest::Method;
use serde_json::{json, value::to_raw_value};

use crate::{
    deployment::{Deployment, all_pages},
    remote::Key,
    setup::Target,
    terminal::{self, note},
};

/// Create, list and revoke API keys.
#[derive(Args)]
pub(crate) struct Keys {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Create a key and print it once.
    Create(Create),
    /// List the keys.
    List(List),
    /// Revoke a key: functions that know it accept it for at most a minute more.
    Revoke(Revoke),
}

#[derive(Args)]
struct Create {
    /// What the key is for.
    #[arg(long)]
    name: String,
    /// What it may do: search, chat, write, admin; with commas between.
    #[arg(long, value_name = "SCOPES", value_delimiter = ',', required = true)]
    scope: Vec<String>,
    /// When it expires, from now: 90d, 12h or 30m [default: never].
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    expires: Option<i64>,
    /// The documents that it may see and change: a filter as JSON.
    #[arg(long, value_name = "JSON")]
    filter: Option<String>,
    /// Maximum requests a minute [default: the limit of its tenant].
    #[arg(long, value_name = "NUMBER")]
    requests_per_minute: Option<i64>,
    /// The documents that its tenant may have when it stores one.
    #[arg(long, value_name = "NUMBER")]
    max_documents: Option<i64>,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
struct List {
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
struct Revoke {
    /// The id of the key, key_…
    id: String,
    #[command(flatten)]
    place: Place,
}

/// Where the keys are.
#[derive(Args)]
struct Place {
    /// The API to ask, such as `http://127.0.0.1:8000`, instead of the database.
    #[arg(long, env = "RAPPEL_API", value_name = "URL")]
    api: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    key: Key,
    #[command(flatten)]
    target: Target,
}

impl Keys {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let (Action::Create(Create { place, .. })
        | Action::List(List { place })
        | Action::Revoke(Revoke { place, .. })) = &self.action;
        let opened = place.open().await?;
        let ran = self.action.run(&opened).await;
        opened.close().await?;
        ran
    }
}

impl Action {
    async fn run(&self, opened: &Deployment) -> anyhow::Result<()> {
        let mut out = terminal::out();
        match self {
            Self::Create(create) => {
                let created = opened.create(create.request()?).await?;
                if create.place.json {
                    return Ok(out.json(&created)?);
                }
                note(&format!("{} is shown only this once", created.info.id));
                writeln!(out, "{}", created.key)?;
            }
            Self::List(List { place }) => {
                let keys = opened.list(place.tenant()).await?;
                if place.json {
                    return Ok(out.json(&json!({ "keys": keys }))?);
                }
                for key in keys {
                    writeln!(out, "{}", line(&key))?;
                }
            }
            Self::Revoke(Revoke { id, place }) => {
                opened.revoke(id, place.tenant()).await?;
                if place.json {
                    return Ok(out.json(&json!({ "id": id, "revoked": true }))?);
                }
                note(&format!("{id} is revoked"));
            }
        }
        Ok(())
    }
}

impl Create {
    fn request(&self) -> anyhow::Result<KeyRequest> {
        let filter = self.filter.as_deref().map(serde_json::from_str);
        Ok(KeyRequest {
            name: self.name.clone(),
            scopes: self.scope.clone(),
            tenant: self.place.tenant().map(ToString::to_string),
            expires_in: self.expires,
            filter: filter.transpose().context("--filter is not JSON")?,
            requests_per_minute: self.requests_per_minute,
            max_documents: self.max_documents,
        })
    }
}

impl Place {
    /// The tenant of the keys, which see no documents of others.
    fn tenant(&self) -> Option<&Tenant> {
        self.key.tenant()
    }

    async fn open(&self) -> anyhow::Result<Deployment> {
        Deployment::open(self.api.as_deref(), &self.key, &self.target).await
    }
}

impl Deployment {
    async fn create(&self, request: KeyRequest) -> anyhow::Result<Created> {
        match self {
            Self::Database(opened) => make(&opened.1, request).await,
            Self::Api(api) => {
                let body = Some(to_raw_value(&request)?);
                let answer = api.ask(Method::POST, "keys", body).await?;
                serde_json::from_value(answer).context("the answer has no key")
            }
        }
    }

    async fn list(&self, tenant: Option<&Tenant>) -> anyhow::Result<Vec<KeyInfo>> {
        let page = async |cursor: Option<String>| {
            let page: Page = match self {
                Self::Database(opened) => {
                    let limit = Some(Limit::MAX.into());
                    let page = ListRequest { cursor, limit }.parse()?;
                    access::list(&opened.1, tenant, page).await?
                }
                Self::Api(api) => {
                    let answer = api.page("keys", cursor).await?;
                    serde_json::from_value(answer).context("the answer has no keys")?
                }
            };
            anyhow::Ok((page.keys, page.next_cursor))
        };
        all_pages(page).await
    }

    async fn revoke(&self, id: &str, tenant: Option<&Tenant>) -> anyhow::Result<()> {
        match self {
            Self::Database(opened) => {
                let found = access::revoke(&opened.1, tenant, id, &actor()).await?;
                ensure!(found, "no key has the id {id}");
            }
            Self::Api(api) => {
                // What an id may hold; anything else would be another path.
                let is_id = id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                ensure!(is_id && !id.is_empty(), "no key has the id {id}");
                api.ask(Method::DELETE, &format!("keys/{id}"), None).await?;
            }
        }
        Ok(())
    }
}

/// Makes a key in the database.
pub(crate) async fn make(database: &Database, request: KeyRequest) -> anyhow::Result<Created> {
    let new = match request.parse(&Tenant::default(), true) {
        Ok(new) => new,
        Err(errors) => bail!(described(&errors)),
    };
    Ok(access::create(database, &new, &actor()).await?)
}

fn described(errors: &[FieldError]) -> String {
    let errors = errors.iter().map(ToString::to_string);
    errors.collect::<Vec<_>>().join("; ")
}

/// Who uses this command, for the audit.
fn actor() -> String {
    let user = env::var("USER").unwrap_or_default();
    format!("rappel keys: {user}")
}

fn line(key: &KeyInfo) -> String {
    let state = match (&key.revoked_at, &key.expires_at) {
        (Some(time), _) => format!("revoked {time}"),
        (None, Some(time)) => format!("expires {time}"),
        (None, None) => "does not expire".to_owned(),
    };
    let used = key.last_used_at.as_deref().unwrap_or("never");
    let tenant = match key.tenant.as_str() {
        "" => String::new(),
        tenant => format!("  tenant {tenant}"),
    };
    let (id, prefix, name) = (&key.id, &key.prefix, &key.name);
    let scopes = key.scopes.join(",");
    format!("{id}  {prefix}…  {name}  {scopes}{tenant}  {state}  used {used}")
}

/// Reads a time such as 90d, 12h or 30m.
fn seconds(text: &str) -> Result<i64, String> {
    let read = || {
        let unit = match text.chars().last()? {
            'd' => 24 * 60 * 60,
            'h' => 60 * 60,
            'm' => 60,
            _ => return None,
        };
        let number: i64 = text[..text.len() - 1].parse().ok()?;
        number.checked_mul(unit)
    };
    let seconds = read().filter(|seconds| (1..=KeyRequest::MAX_SECONDS).contains(seconds));
    seconds.ok_or_else(|| {
        "a time such as 90d, 12h or 30m is expected, of at most ten years".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_days_hours_or_minutes() {
        for (text, expected) in [
            ("90d", Some(7_776_000)),
            ("12h", Some(43_200)),
            ("1m", Some(60)),
            ("0d", None),
            ("-1d", None),
            ("90", None),
            ("d", None),
            ("", None),
            ("1é", None),
            ("99999999999999999d", None),
        ] {
            assert_eq!(seconds(text).ok(), expected, "{text}");
        }
    }
}
