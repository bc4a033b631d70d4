//! Checks the indexes on fields of the metadata, and proposes one where filters seem to need it.

use database::Statement;
use migrations::{IndexState, field_indexes};
use retrieval::{
    SearchState,
    health::finding::{Finding, ok, warning},
};
use shared::Error;

/// Up to this many documents are read in a few milliseconds.
const FEW: i64 = 10_000;

/// So often have all documents been read that something asks for it again and again.
const READS: i64 = 20;

/// Reports invalid indexes. If all of many documents are read again and again, which is what a range in a filter takes without
/// an index, names the fields that have values to ask for a range of: numbers or dates, in most of a sample's documents, of
/// many different values. Which fields were asked for is not recorded.
pub(super) async fn examine(state: &SearchState) -> Result<Finding, Error> {
    let indexes = field_indexes(&state.database).await?;
    let invalid = indexes
        .iter()
        .find(|index| index.state == IndexState::Invalid);
    if let Some(index) = invalid {
        let field = &index.field;
        return Ok(warning(
            format!("the index on {field} is invalid: filters do not use it"),
            format!("run `rappel index add {field}`"),
        ));
    }
    let (documents, reads) = reads(state).await?;
    if documents > FEW && reads >= READS {
        let has_index = |field: &String| indexes.iter().any(|index| index.field == *field);
        let mut fields = ranged(state).await?;
        fields.retain(|field| !has_index(field));
        if let Some(first) = fields.first() {
            return Ok(warning(
                format!(
                    "all {documents} documents were read {reads} times; ranges of {} have no index",
                    fields.join(", ")
                ),
                format!(
                    "if filters ask for a range of one of them, index it: `rappel index add {first}`"
                ),
            ));
        }
    }
    let mut fields: Vec<&str> = indexes.iter().map(|index| index.field.as_str()).collect();
    fields.dedup();
    Ok(ok(if fields.is_empty() {
        "none, and none is needed".to_owned()
    } else {
        fields.join(", ")
    }))
}

/// The planner's number of documents, and how often as many were read by scans of all, as the server counts.
async fn reads(state: &SearchState) -> Result<(i64, i64), Error> {
    let statement = Statement::read(
        "SELECT greatest(c.reltuples, 0)::bigint,
                (coalesce(pg_stat_get_tuples_returned(c.oid), 0) / greatest(c.reltuples, 1))::bigint
         FROM pg_class AS c WHERE c.oid = to_regclass('rappel.documents')",
    );
    let row: Option<(i64, i64)> = state.database.fetch_optional(statement).await?;
    Ok(row.unwrap_or_default())
}

async fn ranged(state: &SearchState) -> Result<Vec<String>, Error> {
    let statement = Statement::read(
        "WITH sample AS MATERIALIZED (
             SELECT d.metadata
             FROM rappel.documents AS d TABLESAMPLE SYSTEM (10) LIMIT 1000
         )
         SELECT '$.' || to_jsonb(m.key)::text || '[*]'
         FROM sample AS s CROSS JOIN LATERAL jsonb_each(s.metadata) AS m
         WHERE jsonb_typeof(m.value) = 'number'
            OR jsonb_typeof(m.value) = 'string' AND m.value #>> '{}' ~ '^[0-9]{4}-[0-9]{2}(-[0-9]{2}|$)'
         GROUP BY m.key
         HAVING count(*) * 2 >= (SELECT count(*) FROM sample) AND count(DISTINCT m.value) >= 20
         ORDER BY m.key
         LIMIT 5",
    );
    let rows: Vec<(String,)> = state.database.fetch_all(statement).await?;
    Ok(rows
        .into_iter()
        .filter_map(|(path,)| filter::key_of(&path))
        .collect())
}
