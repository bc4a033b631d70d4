-- The search in three modes: semantic, keyword, and both fused.

-- The question's terms that any chunk has, the rarest first, with their weight in BM25:
-- idf = ln(1 + (N - n + 0.5) / (n + 0.5)) for a term that n of N chunks have.
CREATE FUNCTION rappel.term_weights(question text[])
RETURNS TABLE (term text, weight double precision)
LANGUAGE sql STABLE AS $$
    WITH corpus AS MATERIALIZED (
        SELECT sum(s.chunks)::double precision AS chunks FROM rappel.term_statistics AS s WHERE s.term = ''
    )
    SELECT q.term, ln(1 + (corpus.chunks - sum(s.chunks) + 0.5) / (sum(s.chunks) + 0.5))
    FROM corpus, unnest(question) AS q (term)
    JOIN rappel.term_statistics AS s ON s.term = q.term
    GROUP BY q.term, corpus.chunks
    HAVING sum(s.chunks) > 0
    ORDER BY 2 DESC, 1
$$;

-- BM25 as an expression over a row of `rappel.chunk_terms`, one summand a term:
-- weight * (k1 + 1) * f / (f + saturation), where saturation = k1 * (1 - b + b * length / average), and 0
-- where the chunk lacks the term. It is written so that the chunk's terms are read once for each.
-- The terms are written out because a loop over them in a subquery takes twice as long a chunk.
CREATE FUNCTION rappel.bm25_expression(
    terms text[], weights double precision[], k1 double precision, b double precision
) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT coalesce(string_agg(format(
        'coalesce(%s * (1 - saturation / (f[array_position(terms, %L)] + saturation)), 0)',
        q.weight * (k1 + 1), q.term), ' + ' ORDER BY q.weight DESC), '0::float8')
    FROM unnest(terms, weights) AS q (term, weight)
$$;

-- The tsquery that a chunk matches if the weights of its terms add up to `threshold`: `terms` and
-- `weights` are sorted by descending weight, `remaining` is the sum from `position` on. Null if they
-- cannot, empty if nothing is asked.
--
-- GIN enumerates only the rarest terms without which the query cannot be true and skips through the
-- lists of the others, which is what the MaxScore algorithm does.
CREATE FUNCTION rappel.reaching(
    terms text[], weights double precision[], threshold double precision,
    place integer, remaining double precision
) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    head    text;
    with_it text;
    without text;
BEGIN
    IF threshold <= 1e-9 THEN
        RETURN '';
    ELSIF remaining < threshold - 1e-9 THEN
        RETURN NULL;
    END IF;
    -- A term holds letters, digits and the marks of numbers, never a quote or a backslash.
    head    := quote_literal(terms[place]);
    with_it := rappel.reaching(terms, weights, threshold - weights[place], place + 1, remaining - weights[place]);
    without := rappel.reaching(terms, weights, threshold, place + 1, remaining - weights[place]);
    IF with_it IS NULL THEN
        RETURN without;
    END IF;
    head := CASE with_it WHEN '' THEN head ELSE '(' || head || '&' || with_it || ')' END;
    RETURN CASE WHEN without IS NULL THEN head ELSE '(' || head || '|' || without || ')' END;
END
$$;

-- The best chunk of each of the `wanted` documents that score highest by BM25, best first.
--
-- Scoring every chunk that has any of the terms is exact, and slow where the words are common. So the
-- chunks are asked for in steps: first those that have most of the question's weight, then less, until
-- there are enough documents; only these chunks are scored.
--   expression  see `rappel.bm25_expression`
--   saturation  k1 and b; average is the mean length of all chunks
--   few_match   whether so few chunks match the filter that each is scored
CREATE FUNCTION rappel.keyword_candidates(
    terms text[], weights double precision[], expression text,
    k1 double precision, b double precision, average double precision,
    wanted integer, query halfvec, filter jsonb, max_distance double precision, few_match boolean,
    OUT ids text[], OUT ordinals integer[], OUT scores double precision[]
)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    -- More terms make the tsquery grow beyond what it saves.
    most      CONSTANT integer := 5;
    shares    CONSTANT double precision[] := '{0.6, 0.35, 0.2, 0.1}';
    -- Occurrences of the question's words in so few chunks that each of them is scored, in 1 or 2 ms.
    rare      CONSTANT integer := 500;
    -- The most chunks to score, about 30 ms of work: hardly any question but a single very common word
    -- meets this limit, and then any of the chunks that have it are taken. Never fewer than match a filter
    -- that is answered exactly.
    affordable CONSTANT integer := greatest(5000, 60000 / (cardinality(terms) + 1));
    total     double precision := (SELECT sum(w) FROM unnest(weights[1:most]) AS w);
    questions text[] := ARRAY(SELECT rappel.reaching(terms[1:most], weights[1:most], share * total, 1, total)
                              FROM unnest(shares) AS share)
        || array_to_string(ARRAY(SELECT quote_literal(t) FROM unnest(terms[1:most]) AS t), '|')
        || array_to_string(ARRAY(SELECT quote_literal(t) FROM unnest(terms) AS t), '|');
    source    text := 'rappel.chunk_terms AS t WHERE array_to_tsvector(t.terms) @@ $5';
    question  text;
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
    ELSIF filter IS NOT NULL THEN
        source := source || ' AND (SELECT d.metadata @> $6 FROM rappel.documents AS d WHERE d.id = t.document_id)';
    END IF;
    IF max_distance IS NOT NULL THEN
        source := source || ' AND (SELECT c.embedding <=> $7 FROM rappel.chunks AS c
                                   WHERE c.document_id = t.document_id AND c.ordinal = t.ordinal) <= $8';
    END IF;
    FOREACH question IN ARRAY questions LOOP
        EXECUTE format(
            'SELECT array_agg(top.document_id ORDER BY top.score DESC, top.document_id),
                    array_agg(top.ordinal ORDER BY top.score DESC, top.document_id),
                    array_agg(top.score ORDER BY top.score DESC, top.document_id)
             FROM (
                 SELECT best.document_id, best.ordinal, best.score
                 FROM (
                     SELECT DISTINCT ON (s.document_id) s.document_id, s.ordinal, s.score
                     FROM (
                         SELECT t.document_id, t.ordinal, %s AS score
                         FROM (
                             SELECT t.document_id, t.ordinal, t.terms, t.frequencies AS f,
                                    $1 * (1 - $2 + $2 * t.length / $3) AS saturation
                             FROM %s
                             LIMIT %s
                         ) AS t
                     ) AS s
                     WHERE s.score > 0
                     ORDER BY s.document_id, s.score DESC, s.ordinal
                 ) AS best
                 ORDER BY best.score DESC, best.document_id
                 LIMIT $4
             ) AS top', expression, source, affordable)
        INTO ids, ordinals, scores
        USING k1, b, average, wanted, question::tsquery, filter, query, max_distance;
        EXIT WHEN few_match OR cardinality(ids) >= wanted;
    END LOOP;
END
$$;

-- The nearest chunks until they belong to `wanted` documents, at first `candidates` of them.
CREATE FUNCTION rappel.semantic_candidates(
    query halfvec, wanted integer, candidates integer, filter jsonb, max_distance double precision, few_match boolean,
    OUT ids text[], OUT ordinals integer[], OUT distances double precision[]
)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    exact     boolean := few_match;
    documents integer := 0;
BEGIN
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
        EXIT WHEN documents >= wanted;
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
        FROM rappel.nearest_exact(query, wanted, coalesce(filter, '{}')) AS n;
    END IF;
END
$$;

-- The statement that measures every candidate both ways and orders their documents by
-- semantic_weight * near + (1 - semantic_weight) * worded, where both are the candidates' similarity and
-- BM25 stretched to 0 to 1 (a convex combination after min-max normalisation: Bruch, Gai and Ingber,
-- "An Analysis of Fusion Functions for Hybrid Retrieval", 2023). In mode `keyword` by BM25 alone.
CREATE FUNCTION rappel.fusion(mode text, expression text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
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
        CASE mode WHEN 'keyword' THEN 's.keyword_score' ELSE '$12 * s.near + (1 - $12) * s.worded' END)
$$;

-- How a hit's score came about.
CREATE FUNCTION rappel.explanation(
    document_id text, ordinal integer, near double precision, worded double precision,
    mode text, semantic_weight double precision, terms text[], weights double precision[], average double precision
) RETURNS jsonb
LANGUAGE sql STABLE AS $$
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
        ON mode <> 'semantic' AND t.document_id = explanation.document_id AND t.ordinal = explanation.ordinal
$$;

-- Answers at most `hits` documents, best first, each with its best chunk.
--   mode             semantic: by distance; keyword: by BM25 of the terms in `question`; hybrid: by both
--   embedding        the question's embedding
--   filter           metadata that every hit must contain, or null
--   max_distance     the greatest cosine distance of a hit (0 to 2), or null, in every mode
--   effort           hnsw.ef_search: how many candidates the index keeps (1 to 1,000)
--   semantic_weight  0 to 1; the keyword score weighs the rest
--   expand           how many neighbouring chunks before and after are merged into a hit's content
--   explain          whether each hit says how its score came about
DROP FUNCTION rappel.search;
CREATE FUNCTION rappel.search(
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
            terms, weights, expression, k1, b, average, worded_wanted, query, filter, max_distance, few_match);
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
