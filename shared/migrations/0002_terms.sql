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
