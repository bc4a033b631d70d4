-- A keyword search that keeps what it has scored, and a limit of its own for the fusion.
--
-- Questions of very common words match tens of thousands of chunks. Cutting them off in whatever order they
-- lie is harmless only for the last of the steps in which they are asked for, so each step now adds to
-- the ones before it, and all of them share one limit. In a fusion the order of chunks that have but one common
-- word hardly counts, because the embeddings decide among them: there the limit is lower.

-- The best chunk of each of the `wanted` documents that score highest by BM25, best first.
--
-- Scoring every chunk that has any of the terms is exact, and slow where the words are common. So the
-- chunks are asked for in steps: first those that have most of the question's weight, then less, until
-- there are enough documents; only these chunks are scored.
--   expression  see `rappel.bm25_expression`
--   saturation  k1 and b; average is the mean length of all chunks
--   few_match   whether so few chunks match the filter that each is scored
--   affordable  the most chunks to score, unless few match the filter
DROP FUNCTION rappel.keyword_candidates;
CREATE FUNCTION rappel.keyword_candidates(
    terms text[], weights double precision[], expression text,
    k1 double precision, b double precision, average double precision,
    wanted integer, query halfvec, filter jsonb, max_distance double precision, few_match boolean,
    affordable integer,
    OUT ids text[], OUT ordinals integer[], OUT scores double precision[]
)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    -- More terms make the tsquery grow beyond what it saves.
    most      CONSTANT integer := 5;
    shares    CONSTANT double precision[] := '{0.6, 0.35, 0.2, 0.1}';
    -- Occurrences of the question's words in so few chunks that each of them is scored, in 1 or 2 ms.
    rare      CONSTANT integer := 500;
    total     double precision := (SELECT sum(w) FROM unnest(weights[1:most]) AS w);
    questions text[] := ARRAY(SELECT rappel.reaching(terms[1:most], weights[1:most], share * total, 1, total)
                              FROM unnest(shares) AS share)
        || array_to_string(ARRAY(SELECT quote_literal(t) FROM unnest(terms[1:most]) AS t), '|')
        || array_to_string(ARRAY(SELECT quote_literal(t) FROM unnest(terms) AS t), '|');
    source    text := 'rappel.chunk_terms AS t WHERE array_to_tsvector(t.terms) @@ $5';
    question  text;
    answered  tsquery; -- what the steps before asked for
    scored    integer;
BEGIN
    IF terms IS NULL THEN
        RETURN;
    END IF;
    -- Where the words are rare, all chunks that have one are scored sooner than steps are gone.
    IF (SELECT sum(s.chunks) <= rare FROM rappel.term_statistics AS s WHERE s.term = ANY (terms)) THEN
        questions := questions[cardinality(questions):];
    END IF;
    IF few_match THEN
        source := 'rappel.documents AS d JOIN rappel.chunk_terms AS t ON t.document_id = d.id WHERE d.metadata @> $6';
        affordable := NULL;
    ELSIF filter IS NOT NULL THEN
        source := source || ' AND (SELECT d.metadata @> $6 FROM rappel.documents AS d WHERE d.id = t.document_id)';
    END IF;
    IF max_distance IS NOT NULL THEN
        source := source || ' AND (SELECT c.embedding <=> $7 FROM rappel.chunks AS c
                                   WHERE c.document_id = t.document_id AND c.ordinal = t.ordinal) <= $8';
    END IF;
    FOREACH question IN ARRAY questions LOOP
        EXECUTE format(
            'WITH scored AS MATERIALIZED (
                 SELECT t.document_id, t.ordinal, %s AS score
                 FROM (
                     SELECT t.document_id, t.ordinal, t.terms, t.frequencies AS f,
                            $1 * (1 - $2 + $2 * t.length / $3) AS saturation
                     FROM %s
                     LIMIT $12
                 ) AS t
             ), best AS (
                 SELECT DISTINCT ON (s.document_id) s.document_id, s.ordinal, s.score
                 FROM (
                     SELECT s.* FROM scored AS s WHERE s.score > 0
                     UNION ALL
                     SELECT * FROM unnest($9, $10, $11)
                 ) AS s
                 ORDER BY s.document_id, s.score DESC, s.ordinal
             ), top AS (
                 SELECT b.* FROM best AS b ORDER BY b.score DESC, b.document_id LIMIT $4
             )
             SELECT array_agg(t.document_id), array_agg(t.ordinal), array_agg(t.score), (SELECT count(*) FROM scored)
             FROM top AS t', expression, source)
        INTO ids, ordinals, scores, scored
        USING k1, b, average, wanted,
              CASE WHEN answered IS NULL THEN question::tsquery ELSE question::tsquery && !!answered END,
              filter, query, max_distance, ids, ordinals, scores, affordable;
        affordable := affordable - scored;
        EXIT WHEN few_match OR cardinality(ids) >= wanted OR affordable <= 0;
        answered := question::tsquery;
    END LOOP;
END
$$;

-- The search of 0005, which says how much the words may cost: some 30 ms where they decide alone, and 20 in a
-- fusion, at about 0.7 microseconds for each term of a chunk and six times that for its row.
CREATE OR REPLACE FUNCTION rappel.search(
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
SET jit = off
SET plan_cache_mode = force_custom_plan
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
    few_match  boolean := false;
    terms      text[];
    weights    double precision[];
    average    double precision;
    expression text;
    near       record; -- ids, ordinals, distances: what the semantic search found
    worded     record; -- ids, ordinals, scores: what the keyword search found
    top        record; -- ids, ordinals, distances, keyword_scores, scores, near, worded: the hits
BEGIN
    PERFORM rappel.require_model(model);
    PERFORM set_config('hnsw.ef_search', effort::text, true);

    IF filter IS NOT NULL THEN
        few_match := (
            SELECT count(*) <= few
            FROM (
                SELECT FROM rappel.documents AS d
                JOIN rappel.chunks AS c ON c.document_id = d.id
                WHERE d.metadata @> filter
                LIMIT few + 1
            ) AS matching
        );
    END IF;

    IF mode = 'semantic' THEN
        SELECT * INTO near FROM rappel.semantic_candidates(query, hits, hits * 3, filter, max_distance, few_match);
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
        SELECT array_agg(w.term), array_agg(w.weight) INTO terms, weights FROM rappel.term_weights(question) AS w;
        average := (
            SELECT sum(s.occurrences) / nullif(sum(s.chunks), 0) FROM rappel.term_statistics AS s WHERE s.term = ''
        );
        expression := rappel.bm25_expression(terms, weights, k1, b);
        SELECT * INTO worded FROM rappel.keyword_candidates(
            terms, weights, expression, k1, b, average, worded_wanted, query, filter, max_distance, few_match,
            greatest(1000, CASE mode WHEN 'keyword' THEN 60000 / (cardinality(terms) + 1)
                                     ELSE 36000 / (cardinality(terms) + 6) END));
        SELECT NULL::text[] AS ids, NULL::integer[] AS ordinals, NULL::double precision[] AS distances INTO near;
        IF mode = 'hybrid' THEN
            SELECT * INTO near FROM rappel.semantic_candidates(
                query, hits, near_wanted, filter, max_distance, few_match);
        END IF;
        EXECUTE rappel.fusion(mode, expression)
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
               rappel.explanation(t.document_id, t.ordinal, t.near, t.worded, mode, semantic_weight, terms, weights, average)
           END
    FROM unnest(top.ids, top.ordinals, top.distances, top.keyword_scores, top.scores, top.near, top.worded)
         WITH ORDINALITY AS t (document_id, ordinal, distance, keyword_score, score, near, worded, place)
    JOIN rappel.documents AS d ON d.id = t.document_id
    JOIN rappel.chunks AS c ON c.document_id = t.document_id AND c.ordinal = t.ordinal
    ORDER BY t.place;
END
$$;
