//! What callers use, and the limits of their requests a minute.
//!
//! A sandbox counts what it serves, and tells the database after a response, at most every [`PAUSE`] per caller: no request
//! waits for it. The database answers with the counts of all sandboxes. So a limit is approximate: each sandbox may
//! admit what it serves within that time beyond it.

use std::{
    num::NonZeroUsize,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use database::{Database, DatabaseError};
use lru::LruCache;
use telemetry::Usage;
use tokio::time::timeout;

use crate::{
    Denied, Quota,
    counts::{Account, Counts, Told, signed, statement},
};

/// What a sandbox knows of its callers.
#[derive(Debug)]
pub(crate) struct Meter {
    accounts: Mutex<LruCache<(Account, u64), Counts>>,
    /// Held while counts are sent to the database, so that none is sent twice.
    telling: tokio::sync::Mutex<()>,
}

/// A caller's counts go to the database at most once in this time.
const PAUSE: Duration = Duration::from_secs(5);

/// Accounts of a sandbox, of some 300 bytes each.
const ACCOUNTS: NonZeroUsize = NonZeroUsize::new(1_000).expect("it is above 0");

/// The most time that telling the database may take, and at the end of the sandbox, which Lambda kills soon.
const LIMIT: Duration = Duration::from_secs(2);
const LAST_LIMIT: Duration = Duration::from_millis(200);

const MINUTES_OF_DAY: u64 = 24 * 60;

impl Meter {
    pub(crate) fn new() -> Self {
        Self {
            accounts: Mutex::new(LruCache::new(ACCOUNTS)),
            telling: tokio::sync::Mutex::default(),
        }
    }

    /// Counts a request unless a limit is reached: the limits and what is left of them. No I/O.
    pub(crate) fn admit(
        &self,
        account: &Account,
        key_limit: Option<i64>,
    ) -> (Vec<Quota>, Result<(), Denied>) {
        let (minute, reset) = now();
        let day = day_of(account, minute);
        let mut accounts = self.lock();
        // A refused request makes no account, which would push out one by which a limit is reached.
        let tenant_limit = accounts.get(&day).and_then(|counts| counts.tenant_limit);
        let quota = |name, limit: i64, sent: i64| Quota {
            name,
            limit,
            remaining: (limit - sent).max(0),
            reset,
        };
        let mut quotas = Vec::new();
        if let Some(limit) = key_limit {
            let is_theirs = |other: &Account| other.key == account.key;
            let sent = sent(&accounts, minute, |counts| counts.of_key, is_theirs);
            quotas.push(quota("key", limit, sent));
        }
        if let Some(limit) = tenant_limit {
            let is_theirs = |other: &Account| other.tenant == account.tenant;
            let sent = sent(&accounts, minute, |counts| counts.of_tenant, is_theirs);
            quotas.push(quota("tenant", limit, sent));
        }
        if let Some(full) = quotas.iter().find(|quota| quota.remaining == 0) {
            let full = Denied::TooMany(*full);
            return (quotas, Err(full));
        }
        let counts = accounts.get_or_insert_mut(day, Counts::default);
        counts.begin(minute);
        counts.recent += 1;
        counts.requests += 1;
        for quota in &mut quotas {
            quota.remaining -= 1;
        }
        (quotas, Ok(()))
    }

    /// Notes what a request has used, and tells the database if that is due. A failure is only logged: the next time tells
    /// all.
    pub(crate) async fn settle(&self, database: &Database, account: &Account, used: Usage) {
        let is_due = {
            let (minute, _) = now();
            let mut accounts = self.lock();
            let counts = accounts.get_or_insert_mut(day_of(account, minute), Counts::default);
            counts.pending.add(used);
            counts
                .told
                .is_none_or(|told| told.elapsed().is_ok_and(|since| since >= PAUSE))
        };
        if is_due {
            self.tell_within(database, LIMIT).await;
        }
    }

    /// Tells the database what it does not know when the sandbox ends.
    pub(crate) async fn close(&self, database: &Database) {
        self.tell_within(database, LAST_LIMIT).await;
    }

    async fn tell_within(&self, database: &Database, limit: Duration) {
        let failure = match timeout(limit, self.tell(database)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(late) => late.to_string(),
        };
        tracing::debug!(failure, "usage was not noted");
    }

    async fn tell(&self, database: &Database) -> Result<(), DatabaseError> {
        let _telling = self.telling.lock().await;
        let pending = self.pending();
        if pending.is_empty() {
            return Ok(());
        }
        let answered: Vec<Told> = database.fetch_all(statement(&pending)).await?;
        let mut accounts = self.lock();
        for ((account, day), counts) in pending {
            let told = answered.iter().find(|told| {
                told.tenant == account.tenant && told.key == account.key && told.day == signed(day)
            });
            if let Some(told) = told
                && let Some(known) = accounts.get_mut(&(account, day))
            {
                known.settle(&counts, told);
            }
        }
        Ok(())
    }

    /// What the database does not know, in an order in which sandboxes do not wait for each other in a circle.
    fn pending(&self) -> Vec<((Account, u64), Counts)> {
        let mut accounts = self.lock();
        let mut pending = Vec::new();
        for (account, counts) in accounts.iter_mut() {
            if counts.requests > 0 || counts.pending != Usage::default() {
                counts.told = Some(SystemTime::now());
                pending.push((account.clone(), counts.clone()));
            }
        }
        pending.sort_by(|(one, _), (other, _)| one.cmp(other));
        pending
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<(Account, u64), Counts>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The requests that some accounts have sent in a minute: those that the database knew of when it was last told, which are `known`
/// to each account, and those that it does not know. A key that acts for other tenants has an account for each, as a tenant has
/// one for each of its keys.
fn sent(
    accounts: &LruCache<(Account, u64), Counts>,
    minute: u64,
    known: impl Fn(&Counts) -> i64,
    is_theirs: impl Fn(&Account) -> bool,
) -> i64 {
    let theirs = accounts
        .iter()
        .filter(|((account, _), counts)| counts.minute == minute && is_theirs(account));
    let (most, recent) = theirs.fold((0, 0), |(most, recent), (_, counts)| {
        (known(counts).max(most), counts.recent + recent)
    });
    most + recent
}

/// The minute since 1970, and the seconds until the next one, from 1 to 60.
fn now() -> (u64, u32) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = since.unwrap_or_default().as_secs();
    let window = u64::from(Quota::WINDOW);
    let left = window - seconds % window;
    (
        seconds / window,
        u32::try_from(left).unwrap_or(Quota::WINDOW),
    )
}

fn day_of(account: &Account, minute: u64) -> (Account, u64) {
    (account.clone(), minute / MINUTES_OF_DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(key: &str) -> Account {
        of("acme", key)
    }

    fn of(tenant: &str, key: &str) -> Account {
        Account {
            tenant: tenant.to_owned(),
            key: key.to_owned(),
        }
    }

    #[test]
    fn a_request_beyond_a_limit_is_not_counted() {
        let meter = Meter::new();
        let mut refused = 0;
        for _ in 0..10 {
            let (quotas, admitted) = meter.admit(&account("a"), Some(3));
            assert_eq!((quotas[0].name, quotas[0].limit), ("key", 3));
            assert!((1..=Quota::WINDOW).contains(&quotas[0].reset));
            refused += u32::from(admitted.is_err());
        }
        // A minute may end meanwhile.
        assert!((4..=7).contains(&refused), "{refused}");
        assert!(meter.admit(&account("b"), None).1.is_ok());
    }

    #[test]
    fn a_key_has_one_limit_for_all_tenants_and_a_tenant_one_for_all_keys() {
        let meter = Meter::new();
        let numbers = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
        let admitted = |account: &Account, limit| meter.admit(account, limit).1.is_ok();
        let of_key = numbers.map(|tenant| admitted(&of(tenant, "a"), Some(3)));
        let of_tenant = numbers.map(|key| {
            let account = account(key);
            let day = day_of(&account, now().0);
            meter
                .lock()
                .get_or_insert_mut(day, Counts::default)
                .tenant_limit = Some(3);
            admitted(&account, None)
        });
        for admitted in [of_key, of_tenant] {
            let admitted = admitted.into_iter().filter(|is| *is).count();
            // A minute may end meanwhile.
            assert!((3..=6).contains(&admitted), "{admitted}");
        }
    }

    #[test]
    fn a_refused_request_makes_no_account() {
        let meter = Meter::new();
        let admitted = (0..10)
            .filter(|tenant| {
                let account = of(&tenant.to_string(), "a");
                meter.admit(&account, Some(1)).1.is_ok()
            })
            .count();
        assert_eq!(meter.lock().len(), admitted);
    }

    #[test]
    fn what_the_database_knows_of_is_counted_once() {
        let mut accounts = LruCache::new(ACCOUNTS);
        for (tenant, of_key, recent, minute) in [
            ("a", 40, 1, 7),
            ("b", 50, 2, 7),
            ("c", 0, 3, 7),
            ("d", 90, 9, 6),
        ] {
            let counts = Counts {
                minute,
                of_key,
                recent,
                ..Counts::default()
            };
            accounts.put((of(tenant, "key"), 0), counts);
        }
        let of_key = |counts: &Counts| counts.of_key;
        let sent_by = |is_theirs: fn(&Account) -> bool| sent(&accounts, 7, of_key, is_theirs);
        assert_eq!(sent_by(|account| account.key == "key"), 56);
        assert_eq!(sent_by(|account| account.tenant == "a"), 41);
    }
}
