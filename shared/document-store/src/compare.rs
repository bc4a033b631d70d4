//! Compares documents with those stored under their ids.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, HashSet},
};

use database::{Database, DatabaseError, Statement};

use super::{
    batch::CheckedDocument, etag::Etag, prepared::Prepared, visibility::VisibilityParameters,
};

/// Documents of different ids, in the order of their ids: writes in this order cannot deadlock.
#[derive(Clone, Debug, Default)]
pub struct Compared {
    /// Whose documents they are, and which of them the writer may change.
    pub(super) visibility: VisibilityParameters,
    /// Documents with a new id.
    pub(super) new: Vec<Prepared>,
    /// Documents stored with another text.
    pub(super) changed: Vec<Prepared>,
    /// Documents stored with the same text and other metadata: they need no embedding.
    pub(super) relabelled: Vec<Relabelled>,
    /// Documents stored unchanged, with their numbers of chunks and their states.
    pub(super) unchanged: HashMap<String, (i64, Etag)>,
    /// How many were dropped for a later, different one with their id.
    replaced: usize,
    /// How many were dropped because a later one is the same.
    repeated: usize,
}

/// A document of which only the metadata has changed.
#[derive(Clone, Debug)]
pub(super) struct Relabelled {
    pub(super) document: CheckedDocument,
    /// The hash of the stored document.
    pub(super) stored: Vec<u8>,
    pub(super) chunks: i64,
}

/// A stored document, for the comparison.
#[derive(database::FromRow)]
struct Stored {
    id: String,
    content_hash: Vec<u8>,
    text_hash: Option<Vec<u8>>,
    chunks: i64,
}

impl Compared {
    /// Compares `documents` with the visible ones that are stored: one round trip. Of two documents with one id the later
    /// one counts.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn with_stored(
        database: &Database,
        visibility: &VisibilityParameters,
        documents: Vec<Prepared>,
    ) -> Result<Self, DatabaseError> {
        let mut compared = Self {
            visibility: visibility.clone(),
            ..Self::default()
        };
        let mut last: BTreeMap<String, Prepared> = BTreeMap::new();
        for prepared in documents {
            let hash = prepared.document.hash.clone();
            if let Some(earlier) = last.insert(prepared.id().to_owned(), prepared) {
                if earlier.document.hash == hash {
                    compared.repeated += 1;
                } else {
                    compared.replaced += 1;
                }
            }
        }
        let mut stored = stored(database, visibility, last.values()).await?;
        for (id, prepared) in last {
            let Some(row) = stored.remove(&id) else {
                compared.new.push(prepared);
                continue;
            };
            if row.content_hash == prepared.document.hash {
                let etag = Etag::of(&row.content_hash);
                compared.unchanged.insert(id, (row.chunks, etag));
            } else if row.has_text_of(&prepared.document) {
                compared.relabelled.push(Relabelled {
                    document: prepared.document,
                    stored: row.content_hash,
                    chunks: row.chunks,
                });
            } else {
                compared.changed.push(prepared);
            }
        }
        Ok(compared)
    }

    /// Has `embed` chunk and embed the documents that need it.
    ///
    /// # Errors
    /// The errors of `embed`.
    pub async fn embedded<F, E>(mut self, embed: impl FnOnce(Vec<Prepared>) -> F) -> Result<Self, E>
    where
        F: Future<Output = Result<Vec<Prepared>, E>>,
    {
        let is_bare = |prepared: &mut Prepared| prepared.chunks.is_empty();
        let mut bare: Vec<Prepared> = self.new.extract_if(.., is_bare).collect();
        let new = bare.len();
        bare.extend(self.changed.extract_if(.., is_bare));
        if !bare.is_empty() {
            let mut embedded = embed(bare).await?;
            self.changed.extend(embedded.split_off(new));
            self.new.extend(embedded);
            self.new.sort_by(|a, b| a.id().cmp(b.id()));
            self.changed.sort_by(|a, b| a.id().cmp(b.id()));
        }
        Ok(self)
    }

    /// The same without trust in the stored texts, because others write the same documents.
    #[must_use]
    pub fn with_all_texts(mut self) -> Self {
        let relabelled = self.relabelled.drain(..);
        self.changed
            .extend(relabelled.map(|relabelled| Prepared::new(relabelled.document)));
        self
    }

    /// The same without the documents `ids`.
    #[must_use]
    pub fn without(&self, ids: &HashSet<&str>) -> Cow<'_, Self> {
        if ids.is_empty() {
            return Cow::Borrowed(self);
        }
        let mut left = self.clone();
        left.new.retain(|prepared| !ids.contains(prepared.id()));
        left.changed.retain(|prepared| !ids.contains(prepared.id()));
        left.relabelled
            .retain(|relabelled| !ids.contains(relabelled.document.id.as_str()));
        left.unchanged.retain(|id, _| !ids.contains(id.as_str()));
        Cow::Owned(left)
    }

    /// How many documents are new or changed.
    #[must_use]
    pub fn to_store(&self) -> usize {
        self.new.len() + self.changed.len() + self.relabelled.len()
    }

    /// How many are stored unchanged.
    #[must_use]
    pub fn unchanged(&self) -> usize {
        self.unchanged.len() + self.repeated
    }

    /// The ids of those stored unchanged.
    pub fn unchanged_ids(&self) -> impl Iterator<Item = &str> {
        self.unchanged.keys().map(String::as_str)
    }

    /// How many a later one with their id replaced.
    #[must_use]
    pub fn replaced(&self) -> usize {
        self.replaced
    }

    /// How many chunks were embedded.
    #[must_use]
    pub fn chunks(&self) -> usize {
        let embedded = self.new.iter().chain(&self.changed);
        embedded.map(|prepared| prepared.chunks.len()).sum()
    }
}

impl Stored {
    fn has_text_of(&self, document: &CheckedDocument) -> bool {
        self.text_hash
            .as_ref()
            .is_some_and(|hash| *hash == document.text_hash_with(&self.content_hash))
    }
}

/// Reads the stored documents with the ids of `documents`.
async fn stored(
    database: &Database,
    visibility: &VisibilityParameters,
    documents: impl Iterator<Item = &Prepared>,
) -> Result<HashMap<String, Stored>, DatabaseError> {
    let ids: Vec<String> = documents.map(|prepared| prepared.id().to_owned()).collect();
    let statement = Statement::read(concat!(
        "SELECT * FROM ",
        schema::function!("stored_documents"),
        "($1, $2::jsonb, $3)"
    ))
    .bind(visibility.tenant.clone())
    .bind(visibility.filter.clone())
    .bind(ids);
    let rows: Vec<Stored> = database.fetch_all(statement).await?;
    Ok(rows.into_iter().map(|row| (row.id.clone(), row)).collect())
}
