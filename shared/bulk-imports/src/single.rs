//! Stores a single document that failed with its batch, on a message for itself.

use database::DatabaseError;
use document_store::{Compared, Prepared, Retry};
use records::bare;

use super::{
    Worker,
    attempt::{Attempt, WorkError, not_stored},
    part::prepare,
    state::{Claim, SingleLine},
    usage,
};

/// Tries to store the document of `line`. The last failure is recorded with its reason.
pub(super) async fn work(
    worker: &Worker<'_>,
    claim: &Claim,
    line: &SingleLine,
    is_last: bool,
) -> Result<Attempt, WorkError> {
    let position = claim.message.position.unwrap_or_default();
    let (object, base) = line.place.object(&worker.imports.config.bucket);
    let start = (position - base).unsigned_abs();
    let range = start..start + u64::from(line.length.unsigned_abs());
    let etag = object.etag.as_deref();
    let text = object.source.read(&worker.imports.s3, &range, etag).await?;
    let mut text = text.to_vec();
    bare(&mut text);
    let document = Prepared::read(&text)
        .map_err(|cause| WorkError::failed("its line is not a valid document", cause))?;
    let counted = telemetry::usage().embedded_tokens;
    let failure = match prepare(worker, &line.place.visibility(), vec![document], None).await? {
        Ok(compared) => {
            let mut retry = Retry::default();
            let stored = loop {
                match store(worker, claim, line, &compared, counted).await {
                    Err(error) if retry.again(&error).await => {}
                    outcome => break outcome,
                }
            };
            match stored {
                Ok(true) => return Ok(Attempt::Done),
                // Another writer was faster; the retry compares with what it stored.
                Ok(false) => return Ok(Attempt::Retry),
                Err(error @ (DatabaseError::Limit(_) | DatabaseError::Removed)) => {
                    return Err(error.into());
                }
                Err(error) if error.may_blame_values() => not_stored(&error),
                Err(error) => return Err(error.into()),
            }
        }
        Err(failure) => failure,
    };
    tracing::warn!(
        import = claim.message.import,
        part = claim.message.part,
        position,
        is_last,
        "cannot store a single document"
    );
    if !is_last {
        return Ok(Attempt::Retry);
    }
    let statement = claim.settle(position, "failed", Some(failure));
    worker.database.fetch_all::<(i64,)>(statement).await?;
    Ok(Attempt::DeadLetter)
}

/// Stores the document and its outcome in one transaction. False if another writer changed the document meanwhile. `counted` are
/// the embedded tokens of this invocation before it.
async fn store(
    worker: &Worker<'_>,
    claim: &Claim,
    line: &SingleLine,
    compared: &Compared,
    counted: u64,
) -> Result<bool, DatabaseError> {
    let position = claim.message.position.unwrap_or_default();
    let mut transaction = worker.database.begin().await?;
    if compared
        .write_within(&mut transaction, worker.recipe)
        .await?
        .is_none()
    {
        return Ok(false);
    }
    let outcome = if compared.to_store() == 0 {
        "unchanged"
    } else {
        "stored"
    };
    let settled = transaction
        .fetch_all::<(i64,)>(claim.settle(position, outcome, None))
        .await?;
    if settled.is_empty() {
        // Another delivery of the message was faster; dropping the transaction rolls back.
        return Ok(true);
    }
    usage::note(
        &mut transaction,
        &worker.imports.config,
        line.place.account(),
        compared.to_store(),
        telemetry::usage().embedded_tokens - counted,
    )
    .await?;
    transaction.commit().await?;
    Ok(true)
}
