-- A hash of what chunks and embeddings are made of, apart from metadata: a document whose metadata alone has
-- changed is stored again without being embedded. None of documents that were stored before there was one.
ALTER TABLE rappel.documents ADD COLUMN text_hash bytea;

-- Where the documents of an import are in its object, as long as it is worked on: of several lines with one id the
-- last one counts, whichever worker has it. `is_other` says whether the last two were different documents.
CREATE TABLE rappel.import_ids (
    import_id   text COLLATE "C" NOT NULL REFERENCES rappel.imports (id) ON DELETE CASCADE,
    document_id text COLLATE "C" NOT NULL,
    position    bigint NOT NULL,
    hash        bytea  NOT NULL,
    is_other    boolean NOT NULL DEFAULT false,
    PRIMARY KEY (import_id, document_id)
);
