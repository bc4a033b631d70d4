//! What a sandbox has counted, and how it tells the database.

use std::time::SystemTime;

use database::{FromRow, Statement};
use telemetry::Usage;

/// Whom a request is counted for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Account {
    pub(crate) tenant: String,
    /// The id of a key; empty for a caller without one.
    pub(crate) key: String,
}

/// The counts of an account on a day.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// The minute that the next three fields are of, since 1970.
    pub(crate) minute: u64,
    /// Requests of the key, for whichever tenant, that the database knows of.
    pub(crate) of_key: i64,
    /// Requests of the tenant, by whichever key, that it knows of.
    pub(crate) of_tenant: i64,
    /// Requests of this sandbox that it does not.
    pub(crate) recent: i64,
    /// What the database does not know yet; requests among it.
    pub(crate) pending: Usage,
    pub(crate) requests: i64,
    /// The limit of the tenant, as the database last answered.
    pub(crate) tenant_limit: Option<i64>,
    /// When the database was last told.
    pub(crate) told: Option<SystemTime>,
}

/// What the database answers.
#[derive(FromRow)]
pub(crate) struct Told {
    pub(crate) tenant: String,
    pub(crate) key: String,
    pub(crate) day: i64,
    pub(crate) minute: i64,
    pub(crate) of_key: i64,
    pub(crate) of_tenant: i64,
    pub(crate) tenant_limit: Option<i64>,
}

impl Counts {
    /// Begins a minute.
    pub(crate) fn begin(&mut self, minute: u64) {
        if self.minute != minute {
            (self.minute, self.of_key, self.of_tenant, self.recent) = (minute, 0, 0, 0);
        }
    }

    /// Subtracts what was reported from what is pending.
    pub(crate) fn settle(&mut self, counts: &Self, told: &Told) {
        self.pending.take(counts.pending);
        self.requests -= counts.requests;
        self.tenant_limit = told.tenant_limit;
        if self.minute == counts.minute && told.minute == signed(self.minute) {
            self.recent -= counts.recent;
            (self.of_key, self.of_tenant) = (told.of_key, told.of_tenant);
        }
    }
}

/// Adds counts to those of all sandboxes, notes the hour of the keys' last use, and reads the counts of the minute and
/// the limits of the tenants. A statement sees its own changes only in what they return, hence the two parts of each sum. Only a
/// key of the tenant '' acts for others: no other one has rows to look for among those of the day, which no index finds by key.
/// They are read once for each such key, not for each tenant that it acts for.
pub(crate) fn statement(pending: &[((Account, u64), Counts)]) -> Statement {
    let numbers = |number: fn(&Counts) -> u64| -> Vec<i64> {
        pending
            .iter()
            .map(|(_, counts)| signed(number(counts)))
            .collect()
    };
    let texts = |text: fn(&Account) -> &str| -> Vec<String> {
        pending
            .iter()
            .map(|((account, _), _)| text(account).to_owned())
            .collect()
    };
    let days: Vec<i64> = pending.iter().map(|((_, day), _)| signed(*day)).collect();
    let requests: Vec<i64> = pending.iter().map(|(_, it)| it.requests).collect();
    let recent: Vec<i64> = pending.iter().map(|(_, it)| it.recent).collect();
    Statement::write(
        "WITH told AS (
             SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
                                  $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[])
                 AS t (tenant, key, day, minute, minute_requests, requests, documents, embedded, prompt, completion)
         ), counted AS (
             INSERT INTO rappel.usage AS u (tenant, key, day, minute, minute_requests, requests, documents,
                                            embedded_tokens, prompt_tokens, completion_tokens)
             SELECT t.tenant, t.key, date '1970-01-01' + t.day::integer, t.minute, t.minute_requests, t.requests,
                    t.documents, t.embedded, t.prompt, t.completion
             FROM told AS t ORDER BY t.tenant, t.key, t.day
             ON CONFLICT (tenant, day, key) DO UPDATE SET
                 requests = u.requests + excluded.requests,
                 documents = u.documents + excluded.documents,
                 embedded_tokens = u.embedded_tokens + excluded.embedded_tokens,
                 prompt_tokens = u.prompt_tokens + excluded.prompt_tokens,
                 completion_tokens = u.completion_tokens + excluded.completion_tokens,
                 minute = greatest(u.minute, excluded.minute),
                 minute_requests = CASE WHEN u.minute = excluded.minute THEN u.minute_requests + excluded.minute_requests
                                        WHEN u.minute < excluded.minute THEN excluded.minute_requests
                                        ELSE u.minute_requests END
             RETURNING tenant, key, day, minute, minute_requests
         ), used AS (
             UPDATE rappel.keys AS k SET last_used_at = date_trunc('hour', now())
             WHERE k.id = ANY ($2) AND (k.last_used_at IS NULL OR k.last_used_at < date_trunc('hour', now()))
         ), elsewhere AS (
             SELECT k.key, k.day, k.minute, sum(o.minute_requests) AS requests
             FROM (
                 SELECT DISTINCT c.key, c.day, c.minute FROM counted AS c JOIN rappel.keys AS i ON i.id = c.key
                 WHERE i.tenant = '' AND i.requests_per_minute IS NOT NULL
             ) AS k JOIN rappel.usage AS o ON o.key = k.key AND o.day = k.day AND o.minute = k.minute
             WHERE (o.tenant, o.key, o.day) NOT IN (SELECT n.tenant, n.key, n.day FROM counted AS n)
             GROUP BY k.key, k.day, k.minute
         )
         SELECT c.tenant, c.key, (c.day - date '1970-01-01')::bigint AS day, c.minute,
                (sum(c.minute_requests) OVER (PARTITION BY c.key, c.day, c.minute)
                    + coalesce(e.requests, 0))::bigint AS of_key,
                (sum(c.minute_requests) OVER (PARTITION BY c.tenant, c.day, c.minute) + (
                    SELECT coalesce(sum(o.minute_requests), 0) FROM rappel.usage AS o
                    WHERE o.tenant = c.tenant AND o.day = c.day AND o.minute = c.minute
                      AND (o.tenant, o.key, o.day) NOT IN (SELECT n.tenant, n.key, n.day FROM counted AS n)
                ))::bigint AS of_tenant,
                l.requests_per_minute AS tenant_limit
         FROM counted AS c LEFT JOIN rappel.tenant_limits AS l ON l.tenant = c.tenant
         LEFT JOIN elsewhere AS e ON e.key = c.key AND e.day = c.day AND e.minute = c.minute",
    )
    .bind(texts(|account| &account.tenant))
    .bind(texts(|account| &account.key))
    .bind(days)
    .bind(numbers(|counts| counts.minute))
    .bind(recent)
    .bind(requests)
    .bind(numbers(|counts| counts.pending.documents))
    .bind(numbers(|counts| counts.pending.embedded_tokens))
    .bind(numbers(|counts| counts.pending.prompt_tokens))
    .bind(numbers(|counts| counts.pending.completion_tokens))
}

/// A count as Postgres has it.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_minute_begins_with_nothing_counted() {
        let mut counts = Counts {
            minute: 7,
            of_key: 40,
            of_tenant: 60,
            recent: 3,
            requests: 3,
            ..Counts::default()
        };
        let of_minute = |it: &Counts| (it.of_key, it.of_tenant, it.recent);
        counts.begin(7);
        assert_eq!(of_minute(&counts), (40, 60, 3));
        counts.begin(8);
        assert_eq!(of_minute(&counts), (0, 0, 0));
        assert_eq!(counts.requests, 3, "the day's requests stay");
    }

    #[test]
    fn what_arrives_while_the_database_is_told_is_told_next() {
        let mut counts = Counts {
            minute: 7,
            recent: 5,
            requests: 5,
            ..Counts::default()
        };
        let sent = counts.clone();
        (counts.recent, counts.requests) = (7, 7);
        let told = Told {
            tenant: "acme".to_owned(),
            key: "a".to_owned(),
            day: 0,
            minute: 7,
            of_key: 50,
            of_tenant: 80,
            tenant_limit: Some(100),
        };
        counts.settle(&sent, &told);
        assert_eq!((counts.recent, counts.requests), (2, 2));
        assert_eq!((counts.of_key, counts.of_tenant), (50, 80));
        assert_eq!(counts.tenant_limit, Some(100));
    }
}
