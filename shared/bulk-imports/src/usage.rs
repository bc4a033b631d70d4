//! What imports use, for the accounts of whoever asked for them.

use database::{DatabaseError, Statement, Transaction};

use super::ImportConfig;

/// Adds documents and embedded tokens to what a key of a tenant has used today. Callers without either are counted where they have
/// tokens, as their requests are.
pub(super) async fn note(
    transaction: &mut Transaction,
    config: &ImportConfig,
    (tenant, key): (&str, &str),
    documents: usize,
    tokens: u64,
) -> Result<(), DatabaseError> {
    let is_known = config.has_tokens || !tenant.is_empty() || !key.is_empty();
    if !is_known || documents == 0 && tokens == 0 {
        return Ok(());
    }
    let statement = Statement::write(
        "INSERT INTO rappel.usage AS u (tenant, key, day, requests, documents, embedded_tokens, prompt_tokens,
                                        completion_tokens, minute, minute_requests)
         VALUES ($1, $2, (now() AT TIME ZONE 'UTC')::date, 0, $3, $4, 0, 0, 0, 0)
         ON CONFLICT (tenant, day, key) DO UPDATE SET
             documents = u.documents + excluded.documents,
             embedded_tokens = u.embedded_tokens + excluded.embedded_tokens
         RETURNING documents",
    )
    .bind(tenant.to_owned())
    .bind(key.to_owned())
    .bind(i64::try_from(documents).unwrap_or(i64::MAX))
    .bind(i64::try_from(tokens).unwrap_or(i64::MAX));
    transaction.fetch_all::<(i64,)>(statement).await.map(drop)
}
