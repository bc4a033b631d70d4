//! A document that could not be stored with its neighbours, on a message of its own.

use super::{
    Imports,
    ended::{Ended, WorkError, not_stored},
    line_rows::AloneLine,
    part::{model, prepare},
    rows::Hold,
};
use crate::{
    State,
    database::DatabaseError,
    documents::{Compared, Prepared, Retry},
};

/// Tries to store the document of `line`. After the last failure the reason is written down.
pub(super) async fn work(
    state: &State,
    imports: &Imports,
    hold: &Hold,
    line: &AloneLine,
    is_last: bool,
) -> Result<Ended, WorkError> {
    let position = hold.message.position.unwrap_or_default();
    let (object, base) = line.place.object(&imports.config.bucket);
    let start = (position - base).unsigned_abs();
    let range = start..start + u64::from(line.length.unsigned_abs());
    let etag = object.etag.as_deref();
    let text = object.source.read(&imports.s3, &range, etag).await?;
    let document = Prepared::read(text.strip_suffix(b"\n").unwrap_or(&text))
        .map_err(|cause| WorkError::failed("its line is no document", cause))?;
    let failure = match prepare(state, vec![document], None).await? {
        Ok(compared) => {
            let (model, mut retry) = (model(state)?, Retry::default());
            let stored = loop {
                match store(state, hold, position, model, &compared).await {
                    Err(error) if retry.again(&error).await => {}
                    outcome => break outcome,
                }
            };
            match stored {
                Ok(true) => return Ok(Ended::Done),
                // Another writer was faster; the next time what it stored is known.
                Ok(false) => return Ok(Ended::Again),
                Err(error) if error.may_blame_values() => not_stored(&error),
                Err(error) => return Err(error.into()),
            }
        }
        Err(failure) => failure,
    };
    tracing::warn!(
        import = hold.message.import,
        part = hold.message.part,
        position,
        is_last,
        "a document failed alone"
    );
    if !is_last {
        return Ok(Ended::Again);
    }
    let statement = hold.settle(position, "failed", Some(failure));
    state.database().fetch_all::<(i64,)>(statement).await?;
    Ok(Ended::GivenUp)
}

/// Stores the document and its outcome: both or none. False if another writer changed the document meanwhile.
async fn store(
    state: &State,
    hold: &Hold,
    position: i64,
    model: &str,
    compared: &Compared,
) -> Result<bool, DatabaseError> {
    let mut transaction = state.database().begin().await?;
    if compared
        .write_within(&mut transaction, model)
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
        .fetch_all::<(i64,)>(hold.settle(position, outcome, None))
        .await?;
    if settled.is_empty() {
        // Another delivery of the message was faster; dropped, the transaction takes back what it stored.
        return Ok(true);
    }
    transaction.commit().await?;
    Ok(true)
}
