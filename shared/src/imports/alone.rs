//! A document that could not be stored with its neighbours, on a message of its own.

use super::{
    Imports,
    ended::{Ended, WorkError, reason},
    line_rows::AloneLine,
    part::{document, model, prepare},
    rows::Hold,
};
use crate::{
    State,
    cause::chain,
    database::DatabaseError,
    documents::{self, Prepared},
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
    let document =
        document(text.strip_suffix(b"\n").unwrap_or(&text)).map_err(WorkError::Failed)?;
    let failure = match prepare(state, vec![document]).await? {
        Ok((fresh, _)) => match store(state, hold, position, model(state)?, &fresh).await {
            Ok(()) => return Ok(Ended::Done),
            Err(error) if error.may_blame_values() => reason(&chain(&error)),
            Err(error) => return Err(error.into()),
        },
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

/// Stores the document and its outcome: both or none.
async fn store(
    state: &State,
    hold: &Hold,
    position: i64,
    model: &str,
    fresh: &[Prepared],
) -> Result<(), DatabaseError> {
    let mut transaction = state.database().begin().await?;
    let outcome = if fresh.is_empty() {
        "unchanged"
    } else {
        documents::upsert_within(&mut transaction, model, fresh).await?;
        "stored"
    };
    let settled = transaction
        .fetch_all::<(i64,)>(hold.settle(position, outcome, None))
        .await?;
    if settled.is_empty() {
        // Another delivery of the message was faster; dropped, the transaction takes back what it stored.
        return Ok(());
    }
    transaction.commit().await
}
