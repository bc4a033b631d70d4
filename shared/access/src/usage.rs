//! What keys and tenants have used, by day.

use database::{Database, DatabaseError, FromRow, Statement};
use document_store::{Cursor, Limit, ListQuery, ListRequest, Tenant};
use json::FieldError;
use schemars::JsonSchema;
use serde::Serialize;

/// A page of usage.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "UsagePage")]
pub struct UsagePage {
    /// The newest day first, by tenant and key.
    pub usage: Vec<DayUsage>,
    /// The `cursor` of the next request; `null` on the last page.
    pub next_cursor: Option<String>,
}

/// What a key has used on a day.
#[derive(Clone, Debug, Serialize, FromRow, JsonSchema)]
pub struct DayUsage {
    /// The day in UTC, `YYYY-MM-DD`.
    pub day: String,
    /// The tenant; empty for callers without one.
    pub tenant: String,
    /// The id of the key; empty for callers without one.
    pub key: String,
    /// Requests that were admitted.
    pub requests: i64,
    /// Documents that were created or changed.
    pub documents: i64,
    /// Tokens that the embedding model has read.
    pub embedded_tokens: i64,
    /// Tokens that the language model has read.
    pub prompt_tokens: i64,
    /// Tokens that the language model has written.
    pub completion_tokens: i64,
}

/// The parameters of `GET /usage`.
#[derive(Clone, Debug, Default, JsonSchema)]
#[schemars(inline)]
pub struct UsageRequest {
    /// The first day, `YYYY-MM-DD`.
    #[schemars(extend("format" = "date"))]
    pub from: Option<String>,
    /// The last day.
    #[schemars(extend("format" = "date"))]
    pub to: Option<String>,
    /// The tenant; all that the caller may see if absent.
    pub tenant: Option<String>,
    /// The previous page's `next_cursor`; absent for the first page.
    pub cursor: Option<String>,
    /// The most rows, 1 to 100; 20 if absent.
    #[schemars(range(min = 1, max = Limit::MAX))]
    pub limit: Option<i64>,
}

/// A valid request of a page of usage.
#[derive(Clone, Debug)]
pub struct UsageQuery {
    from: Option<String>,
    to: Option<String>,
    /// The tenant that the request names.
    pub tenant: Option<Tenant>,
    page: ListQuery<Position>,
}

/// The day, tenant and key of a row in the list.
#[derive(Clone, Debug)]
struct Position(String, String, String);

impl Cursor for Position {
    /// None of the parts has a slash.
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '/').map(str::to_owned);
        let position = Self(parts.next()?, parts.next()?, parts.next()?);
        is_day(&position.0).then_some(position)
    }
}

impl UsageRequest {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first invalid parameter.
    pub fn parse(self) -> Result<UsageQuery, FieldError> {
        let day = |text: Option<String>, field: &str| match text {
            Some(text) if !is_day(&text) => {
                Err(FieldError::new(field, "is not a day such as 2026-11-28"))
            }
            text => Ok(text),
        };
        let tenant = self.tenant.map(|name| Tenant::parse(&name, "tenant"));
        let page = ListRequest {
            cursor: self.cursor,
            limit: self.limit,
        };
        Ok(UsageQuery {
            from: day(self.from, "from")?,
            to: day(self.to, "to")?,
            tenant: tenant.transpose()?,
            page: page.parse()?,
        })
    }
}

impl UsageQuery {
    /// Reads the page: one round trip.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn read(self, database: &Database) -> Result<UsagePage, DatabaseError> {
        let limit = self.page.limit;
        let after = self.page.after;
        let (day, tenant, key) = after.map_or((None, None, None), |Position(day, tenant, key)| {
            (Some(day), Some(tenant), Some(key))
        });
        let statement = Statement::read(
            "SELECT to_char(u.day, 'YYYY-MM-DD') AS day, u.tenant, u.key, u.requests, u.documents, u.embedded_tokens,
                    u.prompt_tokens, u.completion_tokens
             FROM rappel.usage AS u
             WHERE ($1 IS NULL OR u.day >= $1::date) AND ($2 IS NULL OR u.day <= $2::date)
               AND ($3 IS NULL OR u.tenant = $3)
               AND ($4 IS NULL OR u.day < $4::date OR u.day = $4::date AND (u.tenant, u.key) < ($5, $6))
             ORDER BY u.day DESC, u.tenant DESC, u.key DESC LIMIT $7",
        )
        .bind(self.from)
        .bind(self.to)
        .bind(self.tenant.map(|tenant| tenant.as_str().to_owned()))
        .bind(day)
        .bind(tenant)
        .bind(key)
        .bind(limit.rows());
        let mut usage: Vec<DayUsage> = database.fetch_all(statement).await?;
        let next_cursor = limit.next_cursor(&mut usage, |row| {
            format!("{}/{}/{}", row.day, row.tenant, row.key)
        });
        Ok(UsagePage { usage, next_cursor })
    }
}

/// Whether a text is a day of the calendar, `YYYY-MM-DD`.
fn is_day(text: &str) -> bool {
    let digits = |range: std::ops::Range<usize>| -> Option<u32> {
        let part = text.get(range)?;
        part.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| part.parse().ok())?
    };
    let (Some(year), Some(month), Some(day)) = (digits(0..4), digits(5..7), digits(8..10)) else {
        return false;
    };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let dashes = [4, 7].map(|at| text.as_bytes().get(at));
    text.len() == 10
        && dashes == [Some(&b'-'); 2]
        && year > 0
        && (1..=12).contains(&month)
        && (1..=longest).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_one_of_the_calendar() {
        for (text, expected) in [
            ("2026-11-28", true),
            ("2024-02-29", true),
            ("2026-02-29", false),
            ("1900-02-29", false),
            ("2026-11-31", false),
            ("2026-13-01", false),
            ("2026-00-10", false),
            ("0000-01-01", false),
            ("2026-11-2", false),
            ("2026/11/28", false),
            ("2026-11-28T", false),
            ("+026-11-28", false),
            ("", false),
            ("20é6-11-28", false),
        ] {
            assert_eq!(is_day(text), expected, "{text}");
        }
    }
}
