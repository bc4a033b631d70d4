//! The keys that a sandbox knows.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use database::{Database, FromRow, Statement};
use document_store::{Limits, Tenant};
use filter::Filter;
use lru::LruCache;
use subtle::ConstantTimeEq as _;
use tokens::is_within;

use crate::{
    Denied, Scopes,
    secret::{Hash, Secret},
};

/// A key as it was found in the database.
#[derive(Debug)]
pub(crate) struct StoredKey {
    pub(crate) id: String,
    pub(crate) scopes: Scopes,
    pub(crate) tenant: Tenant,
    pub(crate) filter: Option<Filter>,
    pub(crate) limits: Limits,
    revoked: bool,
    expires: Option<SystemTime>,
}

/// The use of an API key.
#[derive(Clone, Debug)]
pub struct KeyUse(pub(crate) Arc<StoredKey>);

/// The keys that were looked up, also those that do not exist.
#[derive(Debug)]
pub(crate) struct KeyCache {
    known: Mutex<LruCache<Hash, Entry>>,
    /// When a key was last looked up that does not exist; locked during each lookup of an unknown key.
    wrong: tokio::sync::Mutex<Option<SystemTime>>,
}

/// Ages are those of the wall clock: the monotonic one stops while Lambda has frozen the sandbox.
#[derive(Clone, Debug)]
struct Entry {
    read: SystemTime,
    key: Option<Arc<StoredKey>>,
}

#[derive(FromRow)]
struct Row {
    id: String,
    hash: Vec<u8>,
    scopes: Vec<String>,
    tenant: String,
    filter: Option<String>,
    revoked: bool,
    expires: Option<f64>,
    #[sqlx(flatten)]
    limits: Limits,
}

/// How long a key is used without asking the database: a revoked one works for at most this long.
const KEPT: Duration = Duration::from_mins(1);

/// A sandbox looks up at most one key that does not exist in this time.
const PAUSE: Duration = Duration::from_secs(1);

/// Entries, of some 300 bytes each.
const ENTRIES: NonZeroUsize = NonZeroUsize::new(1_000).expect("it is above 0");

impl KeyCache {
    pub(crate) fn new() -> Self {
        Self {
            known: Mutex::new(LruCache::new(ENTRIES)),
            wrong: tokio::sync::Mutex::default(),
        }
    }

    /// The key with this text, if it is valid. No round trip for a key that was looked up within the last minute, unless it has
    /// to be valid `now`, else one.
    pub(crate) async fn find(
        &self,
        database: &Database,
        text: &str,
        now: bool,
    ) -> Result<Arc<StoredKey>, Denied> {
        let unknown = || Denied::invalid("the key is not known here");
        let secret = Secret::parse(text)
            .ok_or_else(|| Denied::invalid("the key is not complete, or has a typing error"))?;
        let hash = secret.hash();
        let kept = self.known().get(&hash).cloned();
        let key = match kept {
            Some(Entry { read, key }) if is_within(read, KEPT) && !(now && key.is_some()) => key,
            Some(Entry { key: Some(_), .. }) => self.look_up(database, hash).await?,
            _ => {
                let mut wrong = self.wrong.lock().await;
                if wrong.is_some_and(|time| is_within(time, PAUSE)) {
                    return Err(Denied::Busy);
                }
                let key = self.look_up(database, hash).await?;
                if key.is_none() {
                    *wrong = Some(SystemTime::now());
                }
                key
            }
        };
        let key = key.ok_or_else(unknown)?;
        if key.revoked {
            return Err(Denied::invalid("the key has been revoked"));
        }
        if key.expires.is_some_and(|end| end <= SystemTime::now()) {
            return Err(Denied::invalid("the key has expired"));
        }
        Ok(key)
    }

    async fn look_up(
        &self,
        database: &Database,
        hash: Hash,
    ) -> Result<Option<Arc<StoredKey>>, Denied> {
        let read = SystemTime::now();
        let statement = Statement::read(
            "SELECT id, hash, scopes, tenant, filter, revoked_at IS NOT NULL AS revoked,
                    extract(epoch FROM expires_at)::float8 AS expires, requests_per_minute, max_documents
             FROM rappel.keys WHERE hash = $1",
        )
        .bind(hash.to_vec());
        let row: Option<Row> = database.fetch_optional(statement).await?;
        let row = row.filter(|row| bool::from(row.hash.ct_eq(&hash)));
        let key = row.map(Row::read).transpose()?.map(Arc::new);
        let entry = Entry {
            read,
            key: key.clone(),
        };
        self.known().put(hash, entry);
        Ok(key)
    }

    fn known(&self) -> MutexGuard<'_, LruCache<Hash, Entry>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyUse {
    /// The id of the key.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }
}

impl Row {
    fn read(self) -> Result<StoredKey, Denied> {
        // Only a newer release writes what this one cannot read.
        let unreadable = |error: json::FieldError| {
            tracing::error!(%error, "a key cannot be read");
            Denied::invalid("the key is of a newer release")
        };
        let filter = self.filter.map(|filter| Filter::parse(&filter));
        Ok(StoredKey {
            id: self.id,
            scopes: self
                .scopes
                .iter()
                .map(|scope| scope.parse())
                .collect::<Result<_, _>>()
                .map_err(unreadable)?,
            tenant: Tenant::parse(&self.tenant, "tenant").map_err(unreadable)?,
            filter: filter.transpose().map_err(unreadable)?,
            revoked: self.revoked,
            expires: self.expires.map(instant),
            limits: self.limits,
        })
    }
}

fn instant(seconds: f64) -> SystemTime {
    let since = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    UNIX_EPOCH + since
}
