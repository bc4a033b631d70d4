//! The metadata keys of documents.

use database::{Database, DatabaseError, Statement};
use serde_json::Value;
use sqlx::{FromRow, types::Json};

/// A key that filters may name.
#[derive(Clone, Debug, FromRow)]
pub struct MetadataKey {
    /// The key.
    pub key: String,
    /// How many different values it has.
    pub values: i64,
    /// Some of them, the most frequent first.
    pub examples: Json<Vec<Value>>,
}

/// The most frequent metadata keys of any 2,000 stored documents: at most 50 with 5 values each, the elements of lists
/// one by one, none longer than 100 characters. One round trip.
///
/// # Errors
/// When the database fails.
pub async fn metadata_keys(database: &Database) -> Result<Vec<MetadataKey>, DatabaseError> {
    let statement = Statement::read(
        "WITH sample AS MATERIALIZED (SELECT d.metadata FROM rappel.documents AS d LIMIT 2000),
              pairs AS (SELECT e.key, e.value FROM sample AS s, jsonb_each(s.metadata) AS e
                        WHERE length(e.key) <= 100),
              single AS (SELECT p.key, p.value FROM pairs AS p WHERE jsonb_typeof(p.value) <> 'array'
                         UNION ALL
                         SELECT p.key, item.value
                         FROM pairs AS p,
                              jsonb_array_elements(CASE jsonb_typeof(p.value) WHEN 'array' THEN p.value ELSE '[]' END) AS item),
              counted AS (SELECT s.key, s.value, count(*) AS uses,
                                 row_number() OVER (PARTITION BY s.key, length(s.value::text) <= 100
                                                    ORDER BY count(*) DESC, s.value) AS place
                          FROM single AS s GROUP BY s.key, s.value)
         SELECT c.key, count(*) AS values,
                coalesce(jsonb_agg(c.value ORDER BY c.place)
                         FILTER (WHERE c.place <= 5 AND length(c.value::text) <= 100), '[]') AS examples
         FROM counted AS c GROUP BY c.key ORDER BY sum(c.uses) DESC, c.key LIMIT 50",
    );
    database.fetch_all(statement).await
}
