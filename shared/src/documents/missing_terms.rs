//! The words of chunks that were stored before Rappel analysed words.

use crate::{
    analysis::{self, Language},
    database::{Database, DatabaseError, Statement},
};

/// Chunks that are read, analysed and written together.
const BATCH: i32 = 1_000;

/// A chunk without terms.
#[derive(sqlx::FromRow)]
struct Missing {
    document_id: String,
    ordinal: i32,
    content: String,
    title: String,
    language: Option<String>,
    content_hash: Vec<u8>,
}

/// Analyses every chunk that has no terms yet; returns how many there were. Interrupted, it goes on
/// where it stopped when it is called again.
///
/// # Errors
/// Whatever the database says.
pub async fn analyse_missing(database: &Database) -> Result<usize, DatabaseError> {
    let mut analysed = 0;
    let mut after = (String::new(), -1);
    loop {
        let statement = Statement::read(
            "SELECT c.document_id, c.ordinal, c.content, d.title, d.metadata ->> 'language' AS language, d.content_hash
             FROM rappel.chunks AS c
             JOIN rappel.documents AS d ON d.id = c.document_id
             LEFT JOIN rappel.chunk_terms AS t ON t.document_id = c.document_id AND t.ordinal = c.ordinal
             WHERE t.document_id IS NULL AND (c.document_id, c.ordinal) > ($1, $2)
             ORDER BY c.document_id, c.ordinal
             LIMIT $3",
        )
        .bind(after.0)
        .bind(after.1)
        .bind(BATCH);
        let missing: Vec<Missing> = database.fetch_all(statement).await?;
        let Some(last) = missing.last() else {
            return Ok(analysed);
        };
        after = (last.document_id.clone(), last.ordinal);
        analysed += missing.len();
        database.fetch_all::<(i32,)>(insert(&missing)).await?;
    }
}

/// Inserts the terms of chunks whose document is still the one that was read.
fn insert(missing: &[Missing]) -> Statement {
    let mut lengths = Vec::new();
    let mut distinct = Vec::new();
    let (mut terms, mut frequencies) = (Vec::new(), Vec::new());
    for chunk in missing {
        let language = Language::of(chunk.language.as_deref(), &chunk.content);
        let found = analysis::passage(&chunk.title, &chunk.content, language);
        lengths.push(found.length);
        distinct.push(i32::try_from(found.frequencies.len()).unwrap_or(i32::MAX));
        for (term, frequency) in found.frequencies {
            terms.push(term);
            frequencies.push(frequency);
        }
    }
    let column = |value: fn(&Missing) -> &str| -> Vec<String> {
        missing
            .iter()
            .map(|chunk| value(chunk).to_owned())
            .collect()
    };
    let ordinals: Vec<i32> = missing.iter().map(|chunk| chunk.ordinal).collect();
    let hashes: Vec<Vec<u8>> = missing
        .iter()
        .map(|chunk| chunk.content_hash.clone())
        .collect();
    Statement::upsert(
        "WITH analysed AS MATERIALIZED (
             SELECT u.*, sum(u.distinct_terms) OVER (ORDER BY u.position)::integer AS last
             FROM unnest($1::text[], $2::integer[], $3::bytea[], $4::integer[], $5::integer[])
                  WITH ORDINALITY AS u (document_id, ordinal, hash, length, distinct_terms, position)
         ), current AS MATERIALIZED (
             SELECT d.id, d.content_hash
             FROM rappel.documents AS d
             WHERE d.id IN (SELECT a.document_id FROM analysed AS a)
             ORDER BY d.id
             FOR SHARE
         )
         INSERT INTO rappel.chunk_terms AS t (document_id, ordinal, length, terms, frequencies)
         SELECT a.document_id, a.ordinal, a.length,
                ($6::text[])[a.last - a.distinct_terms + 1 : a.last],
                ($7::smallint[])[a.last - a.distinct_terms + 1 : a.last]
         FROM analysed AS a
         JOIN current ON current.id = a.document_id AND current.content_hash = a.hash
         ON CONFLICT DO NOTHING
         RETURNING t.ordinal",
    )
    .bind(column(|chunk| &chunk.document_id))
    .bind(ordinals)
    .bind(hashes)
    .bind(lengths)
    .bind(distinct)
    .bind(terms)
    .bind(frequencies)
}
