-- The search in three modes: semantic, keyword, and both fused.
--
-- It is a function because it needs settings of its own (`SET` below) in the one round trip of a
-- warm search, and because a plain prepared statement turns into a generic plan after five runs,
-- which may leave the index.

-- The statement that measures every candidate both ways and orders their documents by
-- semantic_weight * near + (1 - semantic_weight) * worded, where both are the candidates' similarity and
-- BM25 stretched to 0 to 1 (a convex combination after min-max normalisation: Bruch, Gai and Ingber,
-- "An Analysis of Fusion Functions for Hybrid Retrieval", 2023). In mode `keyword` by BM25 alone.
CREATE FUNCTION fusion(mode text, expression text) RETURNS text
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT format(
        'WITH candidates AS (
             SELECT u.document_id, u.ordinal, min(u.distance) AS distance, min(u.keyword_score) AS keyword_score
             FROM (
                 SELECT n.document_id, n.ordinal, n.distance, NULL::double precision AS keyword_score
                 FROM unnest($1, $2, $3) AS n (document_id, ordinal, distance)
                 UNION ALL
                 SELECT w.document_id, w.ordinal, NULL, w.keyword_score
                 FROM unnest($4, $5, $6) AS w (document_id, ordinal, keyword_score)
             ) AS u
             GROUP BY u.document_id, u.ordinal
         ), measured AS MATERIALIZED (
             -- What a search of its own has measured already is not measured again.
             SELECT c.document_id, c.ordinal,
                    coalesce(c.distance, (
                        SELECT e.embedding <=> $7 FROM rappel.chunks AS e
                        WHERE e.document_id = c.document_id AND e.ordinal = c.ordinal
                    )) AS distance,
                    coalesce(c.keyword_score, (
                        SELECT %s
                        FROM (
                            SELECT t.terms, t.frequencies AS f, $8 * (1 - $9 + $9 * t.length / $10) AS saturation
                            FROM rappel.chunk_terms AS t
                            WHERE t.document_id = c.document_id AND t.ordinal = c.ordinal
                        ) AS t
                    ), 0) AS keyword_score
             FROM candidates AS c
         ), stretched AS (
             SELECT m.*,
                    coalesce((max(m.distance) OVER () - m.distance)
                             / nullif(max(m.distance) OVER () - min(m.distance) OVER (), 0), 1) AS near,
                    coalesce((m.keyword_score - min(m.keyword_score) OVER ())
                             / nullif(max(m.keyword_score) OVER () - min(m.keyword_score) OVER (), 0),
                             sign(m.keyword_score)) AS worded
             FROM measured AS m
             WHERE $11 IS NULL OR m.distance <= $11
         ), scored AS (
             SELECT s.*, %s AS score FROM stretched AS s
         ), best AS (
             SELECT DISTINCT ON (s.document_id) s.* FROM scored AS s ORDER BY s.document_id, s.score DESC, s.ordinal
         ), top AS (
             SELECT b.* FROM best AS b ORDER BY b.score DESC, b.distance, b.document_id LIMIT $13
         )
         SELECT array_agg(t.document_id) AS ids, array_agg(t.ordinal) AS ordinals, array_agg(t.distance) AS distances,
                array_agg(t.keyword_score) AS keyword_scores, array_agg(t.score) AS scores,
                array_agg(t.near) AS near, array_agg(t.worded) AS worded
         FROM top AS t',
        expression,
        CASE mode WHEN 'keyword' THEN 's.keyword_score' ELSE '$12 * s.near + (1 - $12) * s.worded' END);
END;

-- How a hit's score came about.
CREATE FUNCTION explanation(
    document_id text, ordinal integer, near double precision, worded double precision,
    mode text, semantic_weight double precision, terms text[], weights double precision[], average double precision
) RETURNS jsonb
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT jsonb_strip_nulls(jsonb_build_object(
        'semantic_weight', CASE mode WHEN 'hybrid' THEN semantic_weight END,
        'semantic', near,
        'keyword', worded,
        'length', t.length,
        'average_length', average,
        'terms', (
            SELECT jsonb_agg(jsonb_build_object(
                'term', q.term, 'weight', q.weight, 'frequency', t.frequencies[array_position(t.terms, q.term)]))
            FROM unnest(explanation.terms, explanation.weights) AS q (term, weight)
            WHERE q.term = ANY (t.terms)
        )))
    FROM (SELECT) AS one
    LEFT JOIN rappel.chunk_terms AS t
        ON mode <> 'semantic' AND t.document_id = explanation.document_id AND t.ordinal = explanation.ordinal;
END;

-- Answers at most `hits` documents, best first, each with its best chunk.
--   mode             semantic: by distance; keyword: by BM25 of the terms in `question`; hybrid: by both
--   embedding        the question's embedding
--   filter           metadata that every hit must contain, or null
--   max_distance     the greatest cosine distance of a hit (0 to 2), or null, in every mode
--   effort           hnsw.ef_search: how many candidates the index keeps (1 to 1,000)
--   semantic_weight  0 to 1; the keyword score weighs the rest
--   expand           how many neighbouring chunks before and after are merged into a hit's content
--   explain          whether each hit says how its score came about
CREATE FUNCTION search(
    model           text,
    mode            text,
    embedding       real[],
    question        text[],
    hits            integer,
    filter          jsonb,
    max_distance    double precision,
    effort          integer,
    semantic_weight double precision,
    k1              double precision,
    b               double precision,
    expand          integer,
    explain         boolean
) RETURNS TABLE (
    document_id text, chunk integer, title text, content text, metadata jsonb,
    distance double precision, keyword_score double precision, score double precision, explanation jsonb
)
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
SET jit = off
SET plan_cache_mode = force_custom_plan
-- To start parallel workers takes longer than the part of a search that they would share.
SET max_parallel_workers_per_gather = 0
-- Pages are in memory or on a solid-state disk. By the default of 4, the planner reads all of a table where a
-- few thousand of its rows are wanted.
SET random_page_cost = 1.1
SET hnsw.iterative_scan = relaxed_order
SET hnsw.ef_search = 200
AS $$
#variable_conflict use_column
DECLARE
    -- Below this many matching chunks an exact search is faster than the index, and always right.
    few        CONSTANT integer := 5000;
    -- What each search contributes to a fusion at least, in chunks and in documents.
    near_wanted   CONSTANT integer := greatest(100, hits * 3);
    worded_wanted CONSTANT integer := greatest(100, hits);
    query      halfvec := embedding::halfvec;
    terms      text[];
    weights    double precision[];
    average    double precision;
    expression text;
    near       record; -- ids, ordinals, distances, few_match: what the semantic search found
    worded     record; -- ids, ordinals, scores: what the keyword search found
    top        record; -- ids, ordinals, distances, keyword_scores, scores, near, worded: the hits
BEGIN
    PERFORM require_model(model);
    PERFORM set_config('hnsw.ef_search', effort::text, true);

    IF mode = 'semantic' THEN
        SELECT * INTO near FROM semantic_candidates(query, hits, hits * 3, filter, max_distance, few);
        -- `max_distance` is applied to the candidates, not inside the index scan, where it would make
        -- an iterative scan search on for rows that cannot exist.
        SELECT array_agg(t.document_id) AS ids, array_agg(t.ordinal) AS ordinals,
               array_agg(t.distance) AS distances, NULL::double precision[] AS keyword_scores,
               array_agg(1 - t.distance) AS scores, array_agg(1 - t.distance) AS near,
               NULL::double precision[] AS worded
        INTO top
        FROM (
            SELECT best.*
            FROM (
                SELECT DISTINCT ON (n.document_id) n.document_id, n.ordinal, n.distance
                FROM unnest(near.ids, near.ordinals, near.distances) AS n (document_id, ordinal, distance)
                WHERE max_distance IS NULL OR n.distance <= max_distance
                ORDER BY n.document_id, n.distance
            ) AS best
            ORDER BY best.distance, best.document_id
            LIMIT hits
        ) AS t;
    ELSE
        SELECT array_agg(w.term), array_agg(w.weight) INTO terms, weights FROM term_weights(question) AS w;
        average := (
            SELECT sum(s.occurrences) / nullif(sum(s.chunks), 0) FROM rappel.term_statistics AS s WHERE s.term = ''
        );
        expression := bm25_expression(terms, weights, k1);
        IF mode = 'hybrid' THEN
            SELECT * INTO near FROM semantic_candidates(query, hits, near_wanted, filter, max_distance, few);
        ELSE
            SELECT NULL::text[] AS ids, NULL::integer[] AS ordinals, NULL::double precision[] AS distances,
                   filter IS NOT NULL AND few_match(filter, few) AS few_match
            INTO near;
        END IF;
        SELECT * INTO worded FROM keyword_candidates(
            terms, weights, expression, k1, b, average, worded_wanted, query, filter, max_distance, near.few_match,
            -- A chunk's row costs as much as some of its terms do. Where the words decide alone, all is worth
            -- some 30 ms; in a fusion two thirds of that, because the order of chunks that have but one common
            -- word hardly counts where the embeddings decide among them.
            greatest(1000, CASE mode WHEN 'keyword' THEN 60000 / (cardinality(terms) + 1)
                                     ELSE 36000 / (cardinality(terms) + 6) END));
        EXECUTE fusion(mode, expression)
        INTO top
        USING near.ids, near.ordinals, near.distances, worded.ids, worded.ordinals, worded.scores,
              query, k1, b, average, max_distance, semantic_weight, hits;
    END IF;

    RETURN QUERY
    SELECT t.document_id, t.ordinal, d.title,
           CASE WHEN expand = 0 THEN c.content ELSE (
               SELECT substring(d.content FROM min(n.start) + 1
                                FOR max(n.start + char_length(n.content)) - min(n.start))
               FROM rappel.chunks AS n
               WHERE n.document_id = t.document_id AND n.ordinal BETWEEN t.ordinal - expand AND t.ordinal + expand
           ) END,
           d.metadata, t.distance, t.keyword_score, t.score,
           CASE WHEN explain THEN
               explanation(t.document_id, t.ordinal, t.near, t.worded, mode, semantic_weight, terms, weights, average)
           END
    FROM unnest(top.ids, top.ordinals, top.distances, top.keyword_scores, top.scores, top.near, top.worded)
         WITH ORDINALITY AS t (document_id, ordinal, distance, keyword_score, score, near, worded, place)
    JOIN rappel.documents AS d ON d.id = t.document_id
    JOIN rappel.chunks AS c ON c.document_id = t.document_id AND c.ordinal = t.ordinal
    ORDER BY t.place;
END
$$;
