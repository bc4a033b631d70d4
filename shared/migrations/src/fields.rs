//! Indexes on fields of metadata, for filters that ask for a range of values, and for the planner's statistics of them. The
//! index on all of the metadata answers equality alone.
//!
//! The catalog says which there are: an index has the path of its field in its definition. A field has an index for each
//! type of its values, numbers and texts, because they compare differently.

use database::{Database, DatabaseError, Statement};
use filter::RangeKind;
use serde::Serialize;

use crate::{
    IndexConfig, IndexState,
    index::{self, Index},
};

/// An index on a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldIndex {
    /// The field, as a filter names it.
    pub field: String,
    /// The type of the values that it has.
    #[serde(rename = "type")]
    pub kind: RangeKind,
    /// Whether searches use it.
    pub state: IndexState,
    /// Its size.
    pub bytes: i64,
}

/// Both types of values that have an order.
const KINDS: [RangeKind; 2] = [RangeKind::Number, RangeKind::Text];

/// Builds the indexes that the values of a field call for, without blocking writers, and collects their statistics; both if
/// no document has a number or a text there. `path` is what [`filter::values_path`] makes of the field. Builds one again that
/// an interrupted build left.
///
/// # Errors
/// Any error of the database. A failed build is not one.
pub async fn index_field(
    database: &Database,
    path: &str,
    config: &IndexConfig,
) -> Result<Vec<Index>, DatabaseError> {
    let kinds = kinds(database, path).await?;
    let mut built = Vec::with_capacity(kinds.len());
    for kind in kinds {
        let name = name(database, path, kind).await?;
        let definition = definition(database, path, kind).await?;
        built.push(index::build(database, config, &name, &definition).await?);
    }
    // The statistics of an expression are those of its index, once it is analysed.
    database
        .run_unlimited(&[], "ANALYZE rappel.documents")
        .await?;
    Ok(built)
}

/// Drops the indexes on a field; false if it has none.
///
/// # Errors
/// Any error of the database.
pub async fn unindex_field(database: &Database, path: &str) -> Result<bool, DatabaseError> {
    let mut found = false;
    for kind in KINDS {
        let name = name(database, path, kind).await?;
        if index::state(database, &name).await? != IndexState::Missing {
            index::drop(database, &name).await?;
            found = true;
        }
    }
    Ok(found)
}

/// All indexes on fields, in the order of their names.
///
/// # Errors
/// Any error of the database.
pub async fn field_indexes(database: &Database) -> Result<Vec<FieldIndex>, DatabaseError> {
    let statement = Statement::read(
        "SELECT c.relname::text, f.path, c.relname LIKE '%\\_number', pg_relation_size(c.oid)
         FROM pg_index AS i
         JOIN pg_class AS c ON c.oid = i.indexrelid,
         LATERAL (
             -- As a literal is written: with quotes, and as E'' also with backslashes, that are doubled.
             SELECT CASE WHEN l.parts[1] = '' THEN replace(l.parts[2], '''''', '''')
                         ELSE replace(replace(l.parts[2], '''''', ''''), '\\\\', '\\') END AS path
             FROM regexp_match(pg_get_indexdef(c.oid, 2, true), '(E?)''(.*)''::jsonpath') AS l (parts)
         ) AS f
         WHERE i.indrelid = to_regclass('rappel.documents') AND c.relname LIKE 'documents\\_field\\_%' AND f.path IS NOT NULL
         ORDER BY f.path, c.relname",
    );
    let rows: Vec<(String, String, bool, i64)> = database.fetch_all(statement).await?;
    let mut indexes = Vec::with_capacity(rows.len());
    for (name, path, is_number, bytes) in rows {
        indexes.push(FieldIndex {
            field: filter::key_of(&path).unwrap_or(path),
            kind: if is_number {
                RangeKind::Number
            } else {
                RangeKind::Text
            },
            state: index::state(database, &name).await?,
            bytes,
        });
    }
    Ok(indexes)
}

/// The types of the values that documents have; both if none has any.
async fn kinds(database: &Database, path: &str) -> Result<Vec<RangeKind>, DatabaseError> {
    let statement = Statement::read(
        "SELECT bool_or(jsonb_path_exists(d.metadata, ($1 || ' ? (@.type() == \"number\")')::jsonpath)),
                bool_or(jsonb_path_exists(d.metadata, ($1 || ' ? (@.type() == \"string\")')::jsonpath))
         FROM rappel.documents AS d",
    )
    .bind(path.to_owned());
    let mut transaction = database.begin().await?;
    transaction.lift_limits().await?;
    let found: Vec<(Option<bool>, Option<bool>)> = transaction.fetch_all(statement).await?;
    transaction.commit().await?;
    let has = found.first().map_or([false; 2], |(number, text)| {
        [number.unwrap_or_default(), text.unwrap_or_default()]
    });
    let none = has == [false; 2];
    let kinds = KINDS.into_iter().zip(has);
    Ok(kinds
        .filter(|(_, has)| *has || none)
        .map(|(kind, _)| kind)
        .collect())
}

async fn name(database: &Database, path: &str, kind: RangeKind) -> Result<String, DatabaseError> {
    let statement = Statement::read(concat!(
        "SELECT ",
        schema::function!("field_index"),
        "($1, $2)"
    ));
    one(database, statement.bind(path.to_owned()).bind(kind.name())).await
}

/// The table and the columns. The path is quoted by the server.
async fn definition(
    database: &Database,
    path: &str,
    kind: RangeKind,
) -> Result<String, DatabaseError> {
    let statement = match kind {
        RangeKind::Number => Statement::read(
            "SELECT format('rappel.documents (tenant, rappel.number_at(metadata, %L::jsonpath))', $1)",
        ),
        RangeKind::Text => Statement::read(
            "SELECT format('rappel.documents (tenant, rappel.text_at(metadata, %L::jsonpath) COLLATE \"C\")', $1)",
        ),
    };
    one(database, statement.bind(path.to_owned())).await
}

async fn one(database: &Database, statement: Statement) -> Result<String, DatabaseError> {
    let row: Option<(String,)> = database.fetch_optional(statement).await?;
    Ok(row.map(|(text,)| text).unwrap_or_default())
}
