-- The recall of the index, and the effort that reaches the wanted recall.

-- Measures the index with questions made from stored passages, and stores the lowest effort whose recall@10 is at least
-- `wanted`. A question is halfway between two passages, where the index finds as much as of real questions. Of a passage plus
-- random noise it finds far more: noise has no neighbours that would lead astray. If no effort finds as much, stores the lowest
-- that finds hardly less than the greatest: a search with the greatest would be slow for nothing. Returns whether it measured:
-- not if there are too few chunks to need it, or, unless `again`, if the last measurement was for the same recall and between
-- half and twice as many chunks.
CREATE FUNCTION measure_recall(wanted double precision, questions integer, again boolean DEFAULT false) RETURNS boolean
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
    hardly   CONSTANT double precision := 0.01;
    efforts  CONSTANT integer[] := '{40, 60, 80, 100, 150, 200, 300, 400, 600, 800, 1000}';
    chunks   CONSTANT bigint := (SELECT count(*) FROM rappel.chunks AS c);
    last     record;
    asked    vector[] := '{}';
    farthest double precision[] := '{}'; -- the distance of the tenth nearest, for each question
    passages vector[];
    question vector;
    found    double precision;
    recalls  double precision[] := '{}'; -- of each effort so far
    used     integer;
    chosen   integer;
BEGIN
    SELECT m.recall_wanted, m.recall_chunks INTO last FROM rappel.model AS m;
    IF chunks < few OR NOT again
        AND last.recall_wanted = wanted AND chunks BETWEEN last.recall_chunks / 2 AND last.recall_chunks * 2
    THEN
        RETURN false;
    END IF;
    passages := ARRAY(SELECT c.embedding::vector FROM rappel.chunks AS c ORDER BY random() LIMIT 2 * questions);
    FOR i IN 1 .. cardinality(passages) / 2 LOOP
        question := l2_normalize(passages[i] + passages[cardinality(passages) / 2 + i]);
        asked := asked || question;
        farthest := farthest || (
            SELECT max(n.distance) FROM nearest_of_all(question::real[], 10) AS n
        );
    END LOOP;
    FOREACH used IN ARRAY efforts LOOP
        PERFORM set_config('hnsw.ef_search', used::text, true);
        found := 0;
        FOR i IN 1 .. cardinality(asked) LOOP
            -- Chunks at the same distance are equally good; the last bits depend on the order of summation.
            found := found + (
                SELECT count(*) FROM nearest_in_index(asked[i]::halfvec, 10) AS n WHERE n.distance <= farthest[i] + 1e-6
            );
        END LOOP;
        found := found / (10 * cardinality(asked));
        recalls := recalls || found;
        EXIT WHEN found >= wanted;
    END LOOP;
    SELECT min(r.place) INTO chosen
    FROM unnest(recalls) WITH ORDINALITY AS r (recall, place)
    WHERE r.recall >= CASE WHEN found >= wanted THEN wanted ELSE (SELECT max(b) FROM unnest(recalls) AS b) - hardly END;
    UPDATE rappel.model AS m
    SET effort = efforts[chosen], recall_wanted = wanted, recall = recalls[chosen], recall_chunks = chunks;
    RETURN true;
END
$$;
