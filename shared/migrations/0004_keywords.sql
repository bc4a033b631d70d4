-- Keyword search: the terms of every chunk, in how many chunks each term is, and the choice of chunks
-- to score by BM25.

-- Where a chunk begins in its document's content, in characters from 0: neighbouring chunks overlap,
-- and only their places tell how to merge them.
ALTER TABLE rappel.chunks ADD COLUMN start integer NOT NULL DEFAULT 0;

UPDATE rappel.chunks AS c
SET start = position(c.content IN d.content) - 1
FROM rappel.documents AS d
WHERE d.id = c.document_id AND position(c.content IN d.content) > 1;

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

-- The upsert of 0002 with the places and the terms of the chunks: `chunk_terms` and
-- `chunk_frequencies` hold the terms of all chunks end to end, `chunk_distinct` how many are each chunk's.
DROP FUNCTION rappel.upsert;
CREATE FUNCTION rappel.upsert(
    model             text,
    ids               text[],
    titles            text[],
    contents          text[],
    metadatas         text[],
    hashes            bytea[],
    chunk_documents   integer[],
    chunk_ordinals    integer[],
    chunk_starts      integer[],
    chunk_contents    text[],
    chunk_embeddings  real[],
    chunk_lengths     integer[],
    chunk_distinct    integer[],
    chunk_terms       text[],
    chunk_frequencies smallint[]
) RETURNS TABLE (document_id text, created boolean)
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    width integer := (SELECT dimensions FROM rappel.model);
BEGIN
    PERFORM rappel.require_model(model);

    -- Rows are locked in the order of their ids, so two batches that share documents cannot deadlock.
    RETURN QUERY
    INSERT INTO rappel.documents AS d (id, title, content, metadata, content_hash)
    SELECT u.id, u.title, u.content, u.metadata::jsonb, u.hash
    FROM unnest(ids, titles, contents, metadatas, hashes) AS u (id, title, content, metadata, hash)
    ORDER BY u.id COLLATE "C"
    ON CONFLICT (id) DO UPDATE
        SET title = excluded.title,
            content = excluded.content,
            metadata = excluded.metadata,
            content_hash = excluded.content_hash,
            updated_at = now()
    RETURNING d.id, d.xmax = 0;

    -- Every statement of a volatile function sees what others committed while it waited for the
    -- locks above: chunks that a concurrent writer of the same document left are deleted too.
    DELETE FROM rappel.chunks AS c WHERE c.document_id = ANY (ids);
    DELETE FROM rappel.chunk_terms AS t WHERE t.document_id = ANY (ids);

    INSERT INTO rappel.chunks (document_id, ordinal, start, content, embedding)
    SELECT ids[u.document], u.ordinal, u.start, u.content,
           chunk_embeddings[(u.position - 1) * width + 1 : u.position * width]::halfvec
    FROM unnest(chunk_documents, chunk_ordinals, chunk_starts, chunk_contents)
         WITH ORDINALITY AS u (document, ordinal, start, content, position);

    INSERT INTO rappel.chunk_terms (document_id, ordinal, length, terms, frequencies)
    SELECT ids[u.document], u.ordinal, u.length,
           chunk_terms[u.last - u.distinct_terms + 1 : u.last], chunk_frequencies[u.last - u.distinct_terms + 1 : u.last]
    FROM (
        SELECT c.*, sum(c.distinct_terms) OVER (ORDER BY c.position)::integer AS last
        FROM unnest(chunk_documents, chunk_ordinals, chunk_lengths, chunk_distinct)
             WITH ORDINALITY AS c (document, ordinal, length, distinct_terms, position)
    ) AS u;
END
$$;
