//! Checks that an index build has enough memory.

use database::Statement;
use retrieval::{
    SearchState,
    health::finding::{Check, Status, warning},
};
use shared::Error;

/// Bytes of a graph element besides its embedding, in pgvector 0.8 with m = 16: the element, and 32 neighbours of
/// 16 bytes in the lowest layer.
/// <https://github.com/pgvector/pgvector/blob/v0.8.0/src/hnsw.h>
const ELEMENT: i64 = 700;

const MEGABYTE: i64 = 1024 * 1024;

/// Adds a warning to a successful index check if the next build would be short of memory.
pub(super) async fn advise(state: &SearchState, index: &mut Check) -> Result<(), Error> {
    let statement = Statement::read(
        "SELECT greatest(c.reltuples, 0)::bigint, m.dimensions::bigint,
                pg_size_bytes(current_setting('maintenance_work_mem'))
         FROM pg_class AS c, rappel.model AS m
         WHERE c.oid = 'rappel.chunks'::regclass",
    );
    let row: Option<(i64, i64, i64)> = state.database.fetch_optional(statement).await?;
    if let Some((chunks, dimensions, memory)) = row
        && let Some(advice) = advice(chunks, dimensions, memory)
        && index.status == Status::Ok
    {
        let found = format!("{}; {advice}", index.found);
        let (status, found, remedy) = warning(found, REMEDY);
        index.status = status;
        index.found = found;
        index.remedy = remedy;
    }
    Ok(())
}

const REMEDY: &str = "set INDEX_BUILD_MEMORY for `rappel migrate`, `rappel import` and the migrate function, or \
                      maintenance_work_mem on the server: a build in memory takes about a fifth of the time. The server \
                      needs as much free memory, and as much in /dev/shm";

/// The advice if a build for this many chunks needs more than `memory` bytes.
fn advice(chunks: i64, dimensions: i64, memory: i64) -> Option<String> {
    let needed = chunks * (2 * dimensions + ELEMENT);
    (needed > memory).then(|| {
        format!(
            "building it in memory takes about {} MB, and maintenance_work_mem is {} MB",
            needed / MEGABYTE,
            memory / MEGABYTE
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_server_is_short_of_memory_from_some_45000_passages_on() {
        assert_eq!(advice(45_000, 384, 64 * MEGABYTE), None);
        let said = advice(300_000, 384, 64 * MEGABYTE);
        assert!(said.is_some_and(|said| said.contains("419 MB") && said.contains("64 MB")));
        assert_eq!(advice(300_000, 384, 1024 * MEGABYTE), None);
    }
}
