//! Bulk loads: new documents by `COPY`, the rest by upsert.

use analysis::Terms;
use database::{Database, DatabaseError, Statement};
use pgvector::HalfVector;

use super::{compare::Compared, prepared::Prepared, retry::Retry, upsert::write};

/// Stores embedded documents: the new ones all or nothing, and the others all or nothing. False if another writer
/// meanwhile changed one that only needs other metadata: `compared` must be embedded
/// [with all texts](Compared::with_all_texts) and loaded again.
///
/// # Errors
/// When the database fails.
pub async fn load(
    database: &Database,
    model: &str,
    compared: &mut Compared,
) -> Result<bool, DatabaseError> {
    if !compared.new.is_empty() {
        load_new(database, model, &compared.new).await?;
        compared.loaded += std::mem::take(&mut compared.new).len();
    }
    let written = compared.write_retrying(database, model).await?;
    Ok(written.is_some())
}

async fn load_new(database: &Database, model: &str, new: &[Prepared]) -> Result<(), DatabaseError> {
    let mut retry = Retry::default();
    loop {
        match copy(database, model, new).await {
            // Another writer stored one of these ids since the comparison.
            Err(DatabaseError::Statement(error)) if error.is_unique_violation() => break,
            Err(error) if retry.again(&error).await => {}
            outcome => return outcome,
        }
    }
    let documents: Vec<&Prepared> = new.iter().collect();
    let mut retry = Retry::default();
    loop {
        match write(database, model, &documents, documents.len()).await {
            Err(error) if retry.again(&error).await => {}
            outcome => return outcome.map(drop),
        }
    }
}

async fn copy(database: &Database, model: &str, new: &[Prepared]) -> Result<(), DatabaseError> {
    let mut documents = BinaryCopy::new();
    let mut chunks = BinaryCopy::new();
    let mut terms = TermsCopy::new();
    for prepared in new {
        let document = &prepared.document;
        let id = document.id.as_str().as_bytes();
        documents.row(&[
            id,
            document.title.as_bytes(),
            document.content.as_bytes(),
            // jsonb's binary form is a version byte and its text.
            &[&[1], document.metadata.as_json().as_bytes()].concat(),
            &document.hash,
            &document.text_hash(),
        ]);
        for (ordinal, chunk) in (0_i32..).zip(&prepared.chunks) {
            chunks.row(&[
                id,
                &ordinal.to_be_bytes(),
                &chunk.start.to_be_bytes(),
                chunk.heading.as_bytes(),
                chunk.content.as_bytes(),
                &halfvec(&chunk.embedding),
            ]);
            terms.row(document.id.as_str(), ordinal, &chunk.terms);
        }
    }
    let mut transaction = database.begin().await?;
    // An output of the outermost query, because the planner drops a subquery's unused column.
    let check = Statement::read(concat!(
        "SELECT ",
        schema::function!("require_model"),
        "($1)::text"
    ))
    .bind(model.to_owned());
    transaction.fetch_all::<(String,)>(check).await?;
    transaction
        .copy_in(
            "COPY rappel.documents (id, title, content, metadata, content_hash, text_hash) FROM STDIN (FORMAT binary)",
            &documents.finish(),
        )
        .await?;
    transaction
        .copy_in(
            "COPY rappel.chunks (document_id, ordinal, start, heading, content, embedding) FROM STDIN (FORMAT binary)",
            &chunks.finish(),
        )
        .await?;
    transaction.copy_in(COPY_TERMS, &terms.finish()).await?;
    transaction.commit().await
}

/// The statement for the rows of a [`TermsCopy`].
pub(super) const COPY_TERMS: &str = "COPY rappel.chunk_terms (document_id, ordinal, length, terms, frequencies) FROM STDIN (FORMAT binary)";

/// Rows of `rappel.chunk_terms`.
pub(super) struct TermsCopy(BinaryCopy);

impl TermsCopy {
    pub(super) fn new() -> Self {
        Self(BinaryCopy::new())
    }

    pub(super) fn row(&mut self, document: &str, ordinal: i32, terms: &Terms) {
        let row = terms_row(document.as_bytes(), ordinal, terms);
        self.0.row(&row.each_ref().map(Vec::as_slice));
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0.finish()
    }
}

/// The binary format of `COPY`: a header, rows of length-prefixed fields, a trailer.
/// <https://www.postgresql.org/docs/current/sql-copy.html>, "Binary Format".
struct BinaryCopy {
    bytes: Vec<u8>,
}

impl BinaryCopy {
    fn new() -> Self {
        // Signature, no flags, no header extension.
        Self {
            bytes: [b"PGCOPY\n\xff\r\n\0".as_slice(), &[0; 8]].concat(),
        }
    }

    fn row(&mut self, fields: &[&[u8]]) {
        let count = i16::try_from(fields.len()).expect("a table has fewer than 1,600 columns");
        self.bytes.extend(count.to_be_bytes());
        for field in fields {
            // A field comes from a document, and imports refuse lines beyond 6 MB.
            let length = i32::try_from(field.len()).expect("a field is smaller than 2 GB");
            self.bytes.extend(length.to_be_bytes());
            self.bytes.extend_from_slice(field);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        self.bytes.extend((-1_i16).to_be_bytes());
        self.bytes
    }
}

/// The fields of a row of `rappel.chunk_terms`.
fn terms_row(id: &[u8], ordinal: i32, terms: &Terms) -> [Vec<u8>; 5] {
    /// Object ids of the element types, from the catalog `pg_type`.
    const TEXT: i32 = 25;
    const SMALLINT: i32 = 21;
    let frequencies = &terms.frequencies;
    let distinct = frequencies.iter().map(|(term, _)| term.as_bytes().to_vec());
    let counts = frequencies
        .iter()
        .map(|(_, frequency)| frequency.to_be_bytes().to_vec());
    [
        id.to_vec(),
        ordinal.to_be_bytes().to_vec(),
        terms.length.to_be_bytes().to_vec(),
        array(TEXT, distinct),
        array(SMALLINT, counts),
    ]
}

/// An array's binary form: dimensions, whether there are nulls, the element type; the length and the first index
/// of its one dimension; then each element after its length.
fn array(element_type: i32, elements: impl ExactSizeIterator<Item = Vec<u8>>) -> Vec<u8> {
    let length = |length: usize| i32::try_from(length).expect("a chunk has few and short terms");
    let mut bytes = Vec::new();
    for number in [1, 0, element_type, length(elements.len()), 1] {
        bytes.extend(number.to_be_bytes());
    }
    for element in elements {
        bytes.extend(length(element.len()).to_be_bytes());
        bytes.extend(element);
    }
    bytes
}

/// halfvec's binary form: the number of dimensions, an unused field, the halves.
fn halfvec(embedding: &[f32]) -> Vec<u8> {
    let halves = HalfVector::from_f32_slice(embedding);
    let dimensions =
        i16::try_from(embedding.len()).expect("a manifest allows at most 3,072 dimensions");
    let mut bytes = Vec::with_capacity(4 + 2 * embedding.len());
    bytes.extend(dimensions.to_be_bytes());
    bytes.extend([0; 2]);
    for half in halves.as_slice() {
        bytes.extend(half.to_be_bytes());
    }
    bytes
}
