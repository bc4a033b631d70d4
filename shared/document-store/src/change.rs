//! Conditional changes of stored documents.

use database::{Database, DatabaseError, Statement};
use filter::Filter;
use json::FieldError;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    batch::{Batch, CheckedDocument},
    compare::{Compared, Relabelled},
    etag::Expected,
    id::DocumentId,
    input::DocumentInput,
    patch::{MetadataPatch, Patch, stored},
    prepared::Prepared,
    read::get,
    retry::Retry,
    upsert::{Outcome, Status, outcomes, relabel_statement, upsert},
    visibility::{Visibility, VisibilityParameters},
};

/// Why a document was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The result would be invalid.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<FieldError>),
    /// There is no such document.
    #[error("no document has the id {0:?}")]
    Missing(String),
    /// The stored document is not the expected one.
    #[error("the document {0:?} has changed")]
    Unexpected(String),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// What a change of many documents did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Changed {
    /// How many documents matched.
    pub matching: i64,
    /// How many of them changed.
    pub updated: i64,
}

/// How often to try a change that conflicts with other writers.
const ATTEMPTS: u32 = 5;

/// Stores one document if the stored one is as `expected`: see [`upsert`]. Expectations cost two more round trips and a
/// transaction.
///
/// # Errors
/// [`ChangeError::Unexpected`], or when the embedding or the database fails; then nothing is stored.
pub async fn replace<F, R, E>(
    database: &Database,
    visibility: &Visibility,
    recipe: &str,
    batch: Batch,
    expected: &Expected,
    embed: F,
) -> Result<Vec<Outcome>, E>
where
    F: Fn(Vec<Prepared>) -> R,
    R: Future<Output = Result<Vec<Prepared>, E>>,
    E: From<DatabaseError> + From<ChangeError>,
{
    if *expected == Expected::Anything {
        return upsert(database, visibility, recipe, batch, embed).await;
    }
    let ids: Vec<DocumentId> = batch
        .documents
        .iter()
        .map(|document| document.id.clone())
        .collect();
    // Checked first, to embed nothing in vain.
    for id in &ids {
        let statement = hash_statement(&visibility.parameters(), id, false);
        let hash: Option<(Vec<u8>,)> = database.fetch_optional(statement).await?;
        if !expected.allows(hash.as_ref().map(|(hash,)| hash.as_slice())) {
            return Err(ChangeError::Unexpected(id.as_str().to_owned()).into());
        }
    }
    let documents = batch.documents.into_iter().map(Prepared::new).collect();
    let compared = Compared::with_stored(database, &visibility.parameters(), documents)
        .await?
        .embedded(&embed)
        .await?;
    let written = compared
        .write_expected(database, recipe, &ids, expected)
        .await?;
    Ok(outcomes(ids, written, &compared))
}

/// Changes title and metadata of the document `id` if it is as `expected`. Only a new title needs new embeddings, of
/// every passage.
///
/// # Errors
/// Any [`ChangeError`], or when the embedding fails; then nothing is changed.
pub async fn patch<F, R, E>(
    database: &Database,
    visibility: &Visibility,
    recipe: &str,
    id: &DocumentId,
    patch: &Patch,
    expected: &Expected,
    embed: F,
) -> Result<Vec<Outcome>, E>
where
    F: Fn(Vec<Prepared>) -> R,
    R: Future<Output = Result<Vec<Prepared>, E>>,
    E: From<DatabaseError> + From<ChangeError>,
{
    let mut attempts = 0;
    loop {
        attempts += 1;
        let Some(document) = get(database, visibility, id).await? else {
            return Err(ChangeError::Missing(id.as_str().to_owned()).into());
        };
        let seen = document.content_hash.clone();
        if !expected.allows(Some(&seen)) {
            return Err(ChangeError::Unexpected(id.as_str().to_owned()).into());
        }
        let invalid = |error| ChangeError::Invalid(vec![error]);
        let changed = patch.applied(document).map_err(invalid)?;
        let batch = Batch::parse_one(id.as_str(), changed).map_err(ChangeError::Invalid)?;
        let documents = batch.documents.into_iter().map(Prepared::new).collect();
        let compared = Compared::with_stored(database, &visibility.parameters(), documents)
            .await?
            .embedded(&embed)
            .await?;
        let ids = vec![id.clone()];
        // The merge is valid only for the document that was read.
        let seen = Expected::OneOf(vec![seen]);
        match compared.write_expected(database, recipe, &ids, &seen).await {
            Ok(written) => return Ok(outcomes(ids, written, &compared)),
            Err(ChangeError::Unexpected(_)) if attempts < ATTEMPTS => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Changes the metadata of every visible document that matches in several transactions, in the order of the ids.
///
/// # Errors
/// [`ChangeError::Invalid`] if a result would be invalid, or when the database fails; earlier changes stay, and the
/// same change may be repeated.
pub async fn patch_matching(
    database: &Database,
    visibility: &Visibility,
    filter: &Filter,
    patch: &MetadataPatch,
) -> Result<Changed, ChangeError> {
    if patch.changes_language() {
        let detail = "changes or removes `language`, which decides how texts are analysed: patch such documents one \
                      by one";
        return Err(ChangeError::Invalid(vec![FieldError::new(
            "metadata", detail,
        )]));
    }
    let (mut changed, mut after, mut retry) = (Changed::default(), None, Retry::default());
    loop {
        match patch_some(database, visibility, filter, patch, after.clone()).await {
            Ok(some) => {
                changed.matching += some.changed.matching;
                changed.updated += some.changed.updated;
                after = some.last;
                if after.is_none() {
                    return Ok(changed);
                }
                retry = Retry::default();
            }
            Err(ChangeError::Database(error)) if retry.again(&error).await => {}
            Err(error) => return Err(error),
        }
    }
}

/// The outcome for some of the matching documents.
struct Portion {
    changed: Changed,
    /// The id of the last one; `None` if there are no more.
    last: Option<String>,
}

#[derive(database::FromRow)]
struct Row {
    id: String,
    title: String,
    content: String,
    metadata: String,
    content_hash: Vec<u8>,
}

async fn patch_some(
    database: &Database,
    visibility: &Visibility,
    filter: &Filter,
    patch: &MetadataPatch,
    after: Option<String>,
) -> Result<Portion, ChangeError> {
    const AT_ONCE: i32 = 50;
    /// The bytes of their contents, which the hashes need; a longer one comes alone.
    const MOST: i64 = 4 * 1024 * 1024;
    let mut transaction = database.begin().await?;
    let statement = Statement::read(concat!(
        "SELECT d.id, d.title, d.content, d.metadata::text AS metadata, d.content_hash FROM ",
        schema::function!("lock_matching"),
        "($1, $2::jsonb, $3, $4, $5) AS d"
    ))
    .bind(visibility.tenant())
    .bind(visibility.within(Some(filter)))
    .bind(after)
    .bind(AT_ONCE)
    .bind(MOST);
    let rows: Vec<Row> = transaction.fetch_all(statement).await?;
    let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    // Fewer than asked for may be followed by others.
    let last = rows.last().map(|row| row.id.clone());
    let mut relabelled = Vec::new();
    for row in rows {
        relabelled.extend(row.patched(patch)?);
    }
    let updated = if relabelled.is_empty() {
        0
    } else {
        let updated: Vec<(String,)> = transaction
            .fetch_all(relabel_statement(&visibility.parameters(), &relabelled))
            .await?;
        i64::try_from(updated.len()).unwrap_or(i64::MAX)
    };
    transaction.commit().await?;
    let changed = Changed {
        matching: count,
        updated,
    };
    Ok(Portion { changed, last })
}

impl Row {
    /// The document with the patched metadata, if they differ.
    fn patched(self, patch: &MetadataPatch) -> Result<Option<Relabelled>, ChangeError> {
        let invalid = |error: FieldError| {
            let detail = format!("of the document {:?}: {}", self.id, error.detail);
            ChangeError::Invalid(vec![FieldError::new(error.field, detail)])
        };
        let before = stored(&self.metadata).map_err(invalid)?;
        let metadata = patch.applied(&before).map_err(invalid)?;
        if metadata == before {
            return Ok(None);
        }
        let input = DocumentInput {
            title: Some(self.title),
            content: Some(self.content),
            metadata: Some(metadata),
            ..DocumentInput::default()
        };
        let batch = Batch::parse_one(&self.id, input).map_err(ChangeError::Invalid)?;
        let relabelled = |document: CheckedDocument| Relabelled {
            document,
            stored: self.content_hash,
            chunks: 0,
        };
        Ok(batch.documents.into_iter().next().map(relabelled))
    }
}

impl Compared {
    /// Stores the documents if those stored under `ids` are as `expected`.
    async fn write_expected(
        &self,
        database: &Database,
        recipe: &str,
        ids: &[DocumentId],
        expected: &Expected,
    ) -> Result<Vec<Outcome>, ChangeError> {
        let mut retry = Retry::default();
        loop {
            match self.write_once(database, recipe, ids, expected).await {
                Err(ChangeError::Database(error)) if retry.again(&error).await => {}
                outcome => return outcome,
            }
        }
    }

    async fn write_once(
        &self,
        database: &Database,
        recipe: &str,
        ids: &[DocumentId],
        expected: &Expected,
    ) -> Result<Vec<Outcome>, ChangeError> {
        let mut transaction = database.begin().await?;
        for id in ids {
            let lock = hash_statement(&self.visibility, id, true);
            let rows: Vec<(Vec<u8>,)> = transaction.fetch_all(lock).await?;
            if !expected.allows(rows.first().map(|(hash,)| hash.as_slice())) {
                return Err(ChangeError::Unexpected(id.as_str().to_owned()));
            }
        }
        let unexpected = || {
            let id = ids.first().map(|id| id.as_str().to_owned());
            ChangeError::Unexpected(id.unwrap_or_default())
        };
        let written = self
            .write_within(&mut transaction, recipe)
            .await?
            .ok_or_else(unexpected)?;
        // One that another writer has stored meanwhile was not there to be locked.
        let is_new = |outcome: &Outcome| outcome.status == Status::Created;
        if *expected == Expected::Absent && !written.iter().all(is_new) {
            return Err(unexpected());
        }
        transaction.commit().await?;
        Ok(written)
    }
}

/// Reads the hash of a visible document, and locks it until the end of the transaction if `lock`.
fn hash_statement(visibility: &VisibilityParameters, id: &DocumentId, lock: bool) -> Statement {
    Statement::read(concat!(
        "SELECT ",
        schema::function!("document_hash"),
        "($1, $2::jsonb, $3, $4)"
    ))
    .bind(visibility.tenant.clone())
    .bind(visibility.filter.clone())
    .bind(id.as_str().to_owned())
    .bind(lock)
}
