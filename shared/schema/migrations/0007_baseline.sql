-- The tables of the releases that recorded no checksums, whose migrations 1 to 7 this one stands for: a database
-- that has those is taken to have this one. Their functions were in the schema `rappel`, where a database that
-- had them keeps them: during a deploy and after a rollback, those releases call them.

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

-- The words of every chunk, for keyword search: its terms, and in how many chunks each term is.

-- The terms of a chunk and of its document's title. They have a table of their own because a search
-- reads hundreds of these rows: beside an embedding and a text they would be moved out of line.
-- Rows are added and deleted, never updated.
CREATE TABLE rappel.chunk_terms (
    document_id text COLLATE "C" NOT NULL REFERENCES rappel.documents (id) ON DELETE CASCADE,
    ordinal     integer    NOT NULL,
    length      integer    NOT NULL, -- occurrences of all terms
    terms       text[] COLLATE "C" NOT NULL, -- distinct
    frequencies smallint[] NOT NULL, -- occurrences of each of `terms`
    PRIMARY KEY (document_id, ordinal)
);

-- Postgres would collect new rows in a list that every search has to read as well; a row's terms are
-- few enough to be sorted into the index at once.
CREATE INDEX chunk_terms_terms ON rappel.chunk_terms USING gin (array_to_tsvector(terms)) WITH (fastupdate = off);

-- In how many chunks a term is, and how often in all; the empty term stands for any term, so its row
-- has the number of chunks and their whole length.
--
-- A term's count is the sum of its stripes. A writer adds to a stripe that no other transaction holds
-- and makes a new one when there is none: writers never wait for each other, not even on the most
-- common word, they cannot deadlock, and every snapshot sees the exact sum of what it can see.
CREATE TABLE rappel.term_statistics (
    term        text COLLATE "C" NOT NULL,
    stripe      integer NOT NULL,
    chunks      bigint  NOT NULL,
    occurrences bigint  NOT NULL,
    PRIMARY KEY (term, stripe)
) WITH (fillfactor = 70);

CREATE FUNCTION rappel.count_terms() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    sign CONSTANT integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        TRUNCATE rappel.term_statistics;
        RETURN NULL;
    END IF;
    WITH counted AS (
        SELECT u.term, count(*) AS chunks, sum(u.frequency) AS occurrences
        FROM changed AS c, unnest(c.terms, c.frequencies) AS u (term, frequency)
        GROUP BY u.term
        UNION ALL
        SELECT '', count(*), sum(c.length) FROM changed AS c HAVING count(*) > 0
    ), placed AS MATERIALIZED (
        SELECT c.term, c.chunks, c.occurrences, coalesce(free.stripe, (random() * 2147483647)::integer) AS stripe
        FROM counted AS c
        LEFT JOIN LATERAL (
            SELECT s.stripe FROM rappel.term_statistics AS s WHERE s.term = c.term LIMIT 1 FOR UPDATE SKIP LOCKED
        ) AS free ON true
    )
    INSERT INTO rappel.term_statistics AS s (term, stripe, chunks, occurrences)
    SELECT p.term, p.stripe, sign * p.chunks, sign * p.occurrences
    FROM placed AS p
    ON CONFLICT (term, stripe) DO UPDATE
        SET chunks = s.chunks + excluded.chunks, occurrences = s.occurrences + excluded.occurrences;
    RETURN NULL;
END
$$;

CREATE TRIGGER chunk_terms_added AFTER INSERT ON rappel.chunk_terms
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION rappel.count_terms();
CREATE TRIGGER chunk_terms_deleted AFTER DELETE ON rappel.chunk_terms
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION rappel.count_terms();
CREATE TRIGGER chunk_terms_emptied AFTER TRUNCATE ON rappel.chunk_terms
    FOR EACH STATEMENT EXECUTE FUNCTION rappel.count_terms();

-- Bulk imports: how far each is, and what became of the lines that need a word of their own.
--
-- The queue says what is to be done, these tables say what has been done, and they alone are believed:
-- a message that comes twice, late or to two workers finds here that its work is over, or in other hands.

CREATE TABLE rappel.imports (
    id         text COLLATE "C" PRIMARY KEY,
    source     text        NOT NULL, -- as the caller named it
    etag       text        NOT NULL, -- of the object that was accepted; another one ends the import
    bytes      bigint      NOT NULL,
    queue      text        NOT NULL, -- its messages are there: several queues may share a database
    created_at timestamptz NOT NULL DEFAULT now(),
    failure    text,                 -- why all of it ended
    failed_at  timestamptz
);

-- Part 0 is the plan: the work of cutting the object into the others. It is taken, lost and given up as
-- they are.
--
-- Bytes are counted from the beginning of the text, which of a compressed object is its content. A part
-- has the lines that begin from `first` to before `last`.
CREATE TABLE rappel.import_parts (
    import_id    text COLLATE "C" NOT NULL REFERENCES rappel.imports (id) ON DELETE CASCADE,
    part         integer NOT NULL,
    first        bigint  NOT NULL,
    last         bigint  NOT NULL,
    piece        text,                        -- the object that holds just these bytes; none: the source
    -- What has been done of it, written together with the documents that it tells of.
    position     bigint  NOT NULL,            -- where the next line is looked for
    lines        bigint  NOT NULL DEFAULT 0,  -- before that
    stored       bigint  NOT NULL DEFAULT 0,
    unchanged    bigint  NOT NULL DEFAULT 0,
    refused      bigint  NOT NULL DEFAULT 0,  -- lines that are no documents
    -- Who is at it. A worker that does not renew its lease is dead, and what it still sends is not taken.
    worker       text,
    leased_until timestamptz NOT NULL DEFAULT '-infinity',
    attempts     integer NOT NULL DEFAULT 0,  -- since `position` last moved
    receives     integer NOT NULL DEFAULT 0,  -- deliveries of the message of the last attempt
    failure      text,                        -- why the rest of it was given up
    finished_at  timestamptz,
    PRIMARY KEY (import_id, part)
);

-- Lines with an outcome of their own: `refused` ones, of which only some are kept here and all are counted
-- in their part, and documents that could not be stored with their neighbours. These are `retrying` on
-- messages of their own until they are `stored`, `unchanged` or have `failed`.
CREATE TABLE rappel.import_lines (
    import_id    text COLLATE "C" NOT NULL,
    part         integer NOT NULL,
    position     bigint  NOT NULL,
    length       integer NOT NULL,
    line         bigint  NOT NULL,            -- in its part, from 1
    document_id  text,
    outcome      text    NOT NULL CHECK (outcome IN ('refused', 'retrying', 'stored', 'unchanged', 'failed')),
    reason       text    NOT NULL,
    leased_until timestamptz NOT NULL DEFAULT '-infinity',
    attempts     integer NOT NULL DEFAULT 0,
    receives     integer NOT NULL DEFAULT 0,
    settled_at   timestamptz,
    PRIMARY KEY (import_id, part, position),
    FOREIGN KEY (import_id, part) REFERENCES rappel.import_parts (import_id, part) ON DELETE CASCADE
);
