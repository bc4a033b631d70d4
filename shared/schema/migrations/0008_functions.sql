-- Functions get a schema per build. What has to stay among the tables is the function of the triggers.

-- The schemas that hold the functions of a build, of which the newest three are kept.
CREATE TABLE rappel.functions (
    schema       text COLLATE "C" PRIMARY KEY,
    installed_at timestamptz NOT NULL DEFAULT now() -- by the last `migrate` of that build
);

-- A trigger belongs to its table, so its function serves every build.
--
-- A writer takes two stripes of a term, if as many are free, and leaves one: what many writers at a time have made
-- is brought together again by those that come after them.
CREATE OR REPLACE FUNCTION rappel.count_terms() RETURNS trigger
LANGUAGE plpgsql SET search_path = rappel, pg_temp AS $$
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
        SELECT c.term, c.chunks, c.occurrences, free.stripes, free.chunks AS more_chunks,
               free.occurrences AS more_occurrences
        FROM counted AS c
        CROSS JOIN LATERAL (
            SELECT array_agg(f.stripe ORDER BY f.stripe) AS stripes,
                   (array_agg(f.chunks ORDER BY f.stripe))[2] AS chunks,
                   (array_agg(f.occurrences ORDER BY f.stripe))[2] AS occurrences
            FROM (
                SELECT s.stripe, s.chunks, s.occurrences
                FROM rappel.term_statistics AS s WHERE s.term = c.term LIMIT 2 FOR UPDATE SKIP LOCKED
            ) AS f
        ) AS free
    ), emptied AS (
        DELETE FROM rappel.term_statistics AS s USING placed AS p WHERE s.term = p.term AND s.stripe = p.stripes[2]
    )
    INSERT INTO rappel.term_statistics AS s (term, stripe, chunks, occurrences)
    SELECT p.term, coalesce(p.stripes[1], (random() * 2147483647)::integer),
           sign * p.chunks + coalesce(p.more_chunks, 0), sign * p.occurrences + coalesce(p.more_occurrences, 0)
    FROM placed AS p
    ON CONFLICT (term, stripe) DO UPDATE
        SET chunks = s.chunks + excluded.chunks, occurrences = s.occurrences + excluded.occurrences;
    RETURN NULL;
END
$$;
