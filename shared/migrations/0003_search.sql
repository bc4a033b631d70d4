-- The semantic search: the best chunk of each of the nearest documents.
--
-- It is a function because it needs settings of its own (`SET` below) in the one round trip of a
-- warm search, and because a plain prepared statement turns into a generic plan after five runs,
-- which may leave the index.

-- The nearest chunks in the order of the index. Nothing is joined here: a join around the
-- `ORDER BY ... LIMIT` can make the planner leave the index.
CREATE FUNCTION rappel.nearest(query halfvec, candidates integer)
RETURNS TABLE (document_id text, ordinal integer, distance double precision)
LANGUAGE sql STABLE AS $$
    SELECT c.document_id, c.ordinal, c.embedding <=> query
    FROM rappel.chunks AS c
    ORDER BY c.embedding <=> query
    LIMIT candidates
$$;

-- The nearest chunks whose document's metadata contains `filter`. The filter is a scalar subquery,
-- not a join, so that the index is still walked in its order.
CREATE FUNCTION rappel.nearest_filtered(query halfvec, candidates integer, filter jsonb)
RETURNS TABLE (document_id text, ordinal integer, distance double precision)
LANGUAGE sql STABLE AS $$
    SELECT c.document_id, c.ordinal, c.embedding <=> query
    FROM rappel.chunks AS c
    WHERE (SELECT d.metadata @> filter FROM rappel.documents AS d WHERE d.id = c.document_id)
    ORDER BY c.embedding <=> query
    LIMIT candidates
$$;

-- The nearest documents by reading every matching chunk: exact, and faster than the index when
-- few chunks match.
CREATE FUNCTION rappel.nearest_exact(query halfvec, hits integer, filter jsonb)
RETURNS TABLE (document_id text, ordinal integer, distance double precision)
LANGUAGE sql STABLE AS $$
    SELECT b.document_id, b.ordinal, b.distance
    FROM (
        SELECT DISTINCT ON (c.document_id) c.document_id, c.ordinal, c.embedding <=> query AS distance
        FROM rappel.documents AS d
        JOIN rappel.chunks AS c ON c.document_id = d.id
        WHERE d.metadata @> filter
        ORDER BY c.document_id, c.embedding <=> query
    ) AS b
    ORDER BY b.distance, b.document_id
    LIMIT hits
$$;

-- Answers at most `hits` documents, nearest first.
--   embedding     the query's embedding
--   filter        metadata that every hit must contain, or null
--   max_distance  the greatest cosine distance of a hit (0 to 2), or null
--   effort        hnsw.ef_search: how many candidates the index keeps (1 to 1,000)
CREATE FUNCTION rappel.search(
    model        text,
    embedding    real[],
    hits         integer,
    filter       jsonb,
    max_distance double precision,
    effort       integer
) RETURNS TABLE (
    document_id text, chunk integer, title text, content text, metadata jsonb, distance double precision
)
LANGUAGE plpgsql STABLE
SET jit = off
SET plan_cache_mode = force_custom_plan
SET hnsw.iterative_scan = relaxed_order
SET hnsw.ef_search = 200
AS $$
#variable_conflict use_column
DECLARE
    -- Below this many matching chunks an exact search is faster than the index, and always right.
    few        CONSTANT integer := 5000;
    query      halfvec := embedding::halfvec;
    -- Several chunks of one document may be near: three candidates a hit are mostly enough.
    candidates integer := hits * 3;
    exact      boolean := false;
    ids        text[];
    ordinals   integer[];
    distances  double precision[];
    documents  integer := 0;
BEGIN
    PERFORM rappel.require_model(model);
    PERFORM set_config('hnsw.ef_search', effort::text, true);

    IF filter IS NOT NULL THEN
        exact := (
            SELECT count(*) <= few
            FROM (
                SELECT FROM rappel.documents AS d
                JOIN rappel.chunks AS c ON c.document_id = d.id
                WHERE d.metadata @> filter
                LIMIT few + 1
            ) AS matching
        );
    END IF;

    WHILE NOT exact LOOP
        IF filter IS NULL THEN
            SELECT array_agg(n.document_id), array_agg(n.ordinal), array_agg(n.distance), count(DISTINCT n.document_id)
            INTO ids, ordinals, distances, documents
            FROM rappel.nearest(query, candidates) AS n;
        ELSE
            SELECT array_agg(n.document_id), array_agg(n.ordinal), array_agg(n.distance), count(DISTINCT n.document_id)
            INTO ids, ordinals, distances, documents
            FROM rappel.nearest_filtered(query, candidates, filter) AS n;
        END IF;
        EXIT WHEN documents >= hits;
        -- The rest is farther than the caller wants.
        EXIT WHEN max_distance <= (SELECT max(d) FROM unnest(distances) AS d);
        -- Fewer chunks than asked for: the index has no more to give within its scan limit, and
        -- only reading every match tells whether there are more.
        exact := coalesce(cardinality(ids), 0) < candidates;
        candidates := candidates * 4;
    END LOOP;

    IF exact THEN
        SELECT array_agg(n.document_id), array_agg(n.ordinal), array_agg(n.distance)
        INTO ids, ordinals, distances
        FROM rappel.nearest_exact(query, hits, coalesce(filter, '{}')) AS n;
    END IF;

    -- `max_distance` is applied to the candidates, not inside the index scan, where it would make
    -- an iterative scan search on for rows that cannot exist.
    RETURN QUERY
    WITH best AS MATERIALIZED (
        SELECT DISTINCT ON (n.document_id) n.document_id, n.ordinal, n.distance
        FROM unnest(ids, ordinals, distances) AS n (document_id, ordinal, distance)
        WHERE max_distance IS NULL OR n.distance <= max_distance
        ORDER BY n.document_id, n.distance
    ), top AS MATERIALIZED (
        SELECT b.document_id, b.ordinal, b.distance
        FROM best AS b
        ORDER BY b.distance, b.document_id
        LIMIT hits
    )
    SELECT t.document_id, t.ordinal, d.title, c.content, d.metadata, t.distance
    FROM top AS t
    JOIN rappel.documents AS d ON d.id = t.document_id
    JOIN rappel.chunks AS c ON c.document_id = t.document_id AND c.ordinal = t.ordinal
    ORDER BY t.distance, t.document_id;
END
$$;
