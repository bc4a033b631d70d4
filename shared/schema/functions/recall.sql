-- How much of the true neighbours the index finds, and the effort that finds enough of them.

-- Measures the index with questions made from stored passages, and stores the least effort with which it finds `wanted`
-- of the ten nearest. A question is a passage with noise that leaves it as similar to the passage as a question is to its
-- answer, a cosine of one half: what lies about it is then as far and as many. Does nothing where the last measurement
-- was for the same recall and at most half or twice as many chunks, or where there are so few that none is needed.
CREATE FUNCTION measure_recall(wanted double precision, questions integer) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path FROM CURRENT
SET jit = off
SET plan_cache_mode = force_custom_plan
SET max_parallel_workers_per_gather = 0
SET random_page_cost = 1.1
SET hnsw.iterative_scan = relaxed_order
SET hnsw.ef_search = 200
AS $$
DECLARE
    few      CONSTANT bigint := 5000;
    efforts  CONSTANT integer[] := '{40, 60, 80, 100, 150, 200, 300, 400, 600, 800, 1000}';
    width    CONSTANT integer := (SELECT m.dimensions FROM rappel.model AS m);
    -- Of each of `width` numbers with a variance of 1/4: with it, noise is the square root of 3 long.
    scale    CONSTANT double precision := sqrt(3 * 4.0 / width);
    chunks   CONSTANT bigint := (SELECT count(*) FROM rappel.chunks AS c);
    last     record;
    asked    vector[] := '{}';
    farthest double precision[] := '{}'; -- the distance of the tenth nearest, for each question
    passage  vector;
    question vector;
    found    double precision;
    used     integer;
BEGIN
    SELECT m.recall_wanted, m.recall_chunks INTO last FROM rappel.model AS m;
    IF chunks < few OR (last.recall_wanted = wanted AND chunks BETWEEN last.recall_chunks / 2 AND last.recall_chunks * 2)
    THEN
        RETURN;
    END IF;
    FOR passage IN
        SELECT c.embedding::vector FROM rappel.chunks AS c ORDER BY random() LIMIT questions
    LOOP
        -- The sum of three uniform distributions from 0 to 1 has a variance of 1/4.
        question := l2_normalize(passage + (
            SELECT array_agg(((random() + random() + random() - 1.5) * scale)::real)::vector
            FROM generate_series(1, width)
        ));
        asked := asked || question;
        farthest := farthest || (
            SELECT max(n.distance) FROM nearest_of_all(question::real[], 10) AS n
        );
    END LOOP;
    FOREACH used IN ARRAY efforts LOOP
        PERFORM set_config('hnsw.ef_search', used::text, true);
        found := 0;
        FOR i IN 1 .. cardinality(asked) LOOP
            -- Chunks at one distance are as good as each other; the last bits depend on the order of a sum.
            found := found + (
                SELECT count(*) FROM nearest_in_index(asked[i]::halfvec, 10) AS n WHERE n.distance <= farthest[i] + 1e-6
            );
        END LOOP;
        found := found / (10 * cardinality(asked));
        EXIT WHEN found >= wanted;
    END LOOP;
    UPDATE rappel.model AS m
    SET effort = used, recall_wanted = wanted, recall = found, recall_chunks = chunks;
END
$$;
