-- Documents, their chunks, and the one model that embedded them.
--
-- `{dimensions}` is replaced with the configured model's dimensions before this file is applied.

-- The model that every embedding of this database comes from: distances between the embeddings of
-- two models mean nothing, so a function with another model must refuse to serve.
CREATE TABLE rappel.model (
    singleton  boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    name       text    NOT NULL,
    dimensions integer NOT NULL
);

-- Ids compare bytewise: a page's cursor means the same under every collation of the database.
CREATE TABLE rappel.documents (
    id           text COLLATE "C" PRIMARY KEY,
    title        text        NOT NULL,
    content      text        NOT NULL,
    metadata     jsonb       NOT NULL,
    content_hash bytea       NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now()
);

-- Only containment (`@>`) is asked of metadata, which `jsonb_path_ops` answers with a smaller index.
CREATE INDEX documents_metadata ON rappel.documents USING gin (metadata jsonb_path_ops);

-- Neighbouring chunks overlap: only their places tell how to merge them.
CREATE TABLE rappel.chunks (
    document_id text COLLATE "C" NOT NULL REFERENCES rappel.documents (id) ON DELETE CASCADE,
    ordinal     integer NOT NULL,
    start       integer NOT NULL, -- where it begins in the document's content, in characters from 0
    content     text    NOT NULL,
    embedding   halfvec({dimensions}) NOT NULL,
    PRIMARY KEY (document_id, ordinal)
);

-- An embedding that stays in its row is read three times faster by an exact search than one that
-- Postgres moved to the TOAST table.
ALTER TABLE rappel.chunks ALTER COLUMN embedding SET STORAGE PLAIN;

-- Raises RP001 when the caller's model is not the one that embedded this database.
CREATE FUNCTION rappel.require_model(wanted text) RETURNS void
LANGUAGE plpgsql STABLE AS $$
DECLARE
    stored text := (SELECT name FROM rappel.model);
BEGIN
    IF stored IS DISTINCT FROM wanted THEN
        RAISE EXCEPTION 'the database holds embeddings of the model %, but the function is configured with %',
            coalesce(stored, '(none)'), wanted USING ERRCODE = 'RP001';
    END IF;
END
$$;
