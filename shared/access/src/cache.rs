//! The keys that a sandbox knows.

use std::{
    collections::HashSet,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use database::{Database, DatabaseError, FromRow, Statement};
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
    /// Locked during each lookup of an unknown key.
    unknown: tokio::sync::Mutex<UnknownKeys>,
}

/// What tells unknown keys apart while many arrive that do not exist.
#[derive(Debug, Default)]
struct UnknownKeys {
    /// When a key was last looked up that does not exist.
    wrong: Option<SystemTime>,
    /// The beginnings of the hashes of valid keys, and when they were read.
    valid: Option<(SystemTime, HashSet<[u8; 8]>)>,
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

/// The most valid keys, the newest first, that a sandbox recognises while it refuses unknown ones.
const MOST_VALID: i64 = 10_000;

/// Entries, of some 300 bytes each.
const ENTRIES: NonZeroUsize = NonZeroUsize::new(1_000).expect("it is above 0");

impl KeyCache {
    pub(crate) fn new() -> Self {
        Self {
            known: Mutex::new(LruCache::new(ENTRIES)),
            unknown: tokio::sync::Mutex::default(),
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
                let mut others = self.unknown.lock().await;
                if others.have_to_wait(&hash) {
                    return Err(Denied::Busy);
                }
                let key = self.look_up(database, hash).await?;
                if key.is_none() {
                    others.note(database).await?;
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

impl UnknownKeys {
    /// Whether a key is not looked up now. One that is probably valid always is: a flood of others must not keep it out.
    fn have_to_wait(&self, hash: &Hash) -> bool {
        let is_paused = self.wrong.is_some_and(|time| is_within(time, PAUSE));
        let known = self.valid.as_ref().zip(hash.first_chunk::<8>());
        is_paused && !known.is_some_and(|((_, valid), beginning)| valid.contains(beginning))
    }

    /// Notes that a key does not exist, and reads which do, at most once in [`KEPT`].
    async fn note(&mut self, database: &Database) -> Result<(), DatabaseError> {
        let now = SystemTime::now();
        self.wrong = Some(now);
        let valid = self.valid.as_ref();
        if valid.is_some_and(|(read, _)| is_within(*read, KEPT)) {
            return Ok(());
        }
        let statement = Statement::read(
            "SELECT substring(hash FOR 8) FROM rappel.keys
             WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
             ORDER BY created_at DESC LIMIT $1",
        )
        .bind(MOST_VALID);
        let hashes: Vec<(Vec<u8>,)> = database.fetch_all(statement).await?;
        let beginnings = hashes.iter().filter_map(|(hash,)| hash.first_chunk::<8>());
        self.valid = Some((now, beginnings.copied().collect()));
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_probably_valid_does_not_wait() {
        let (valid, other) = ([1; 32], [2; 32]);
        let mut keys = UnknownKeys::default();
        assert!(!keys.have_to_wait(&other), "none was wrong");
        keys.wrong = Some(SystemTime::now());
        assert!(keys.have_to_wait(&valid), "none is known");
        keys.valid = Some((SystemTime::now(), HashSet::from([[1; 8]])));
        assert!(!keys.have_to_wait(&valid));
        assert!(keys.have_to_wait(&other));
        keys.wrong = Some(SystemTime::now() - PAUSE * 2);
        assert!(!keys.have_to_wait(&other));
    }
}
