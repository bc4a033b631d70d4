-- The search in three modes: semantic, keyword, and both fused.
--
-- It is a function because it needs settings of its own (`SET` below) in the one round trip of a
-- warm search, and because a plain prepared statement turns into a generic plan after five runs,
-- which may leave the index.

-- The statement that measures every candidate both ways and orders them by
-- semantic_weight * similarity + (1 - semantic_weight) * coverage: the cosine of the embeddings, and BM25 as a share of
-- the most that the question's words can give. Neither depends on the other candidates, so a score means the same
-- whatever else is found, and a stray common word counts for no more than it is worth. Relevance is a logistic function of
-- the same two: `$13` has its intercept and their coefficients. Hits that an earlier pool gave (`$18` to `$20`) are left out. `$21` is the tenant.
-- With several `passages` of a document, `possible` is how many hits the candidates would make if none were left out; without, null.
CREATE FUNCTION fusion(expression text, passages integer) RETURNS text
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
                        WHERE e.tenant = $21 AND e.document_id = c.document_id AND e.ordinal = c.ordinal
                    )) AS distance,
                    coalesce(c.keyword_score, (
                        SELECT %s
                        FROM (
                            SELECT t.terms, t.frequencies AS f, $8 * (1 - $9 + $9 * t.length / $10) AS saturation
                            FROM rappel.chunk_terms AS t
                            WHERE t.tenant = $21 AND t.document_id = c.document_id AND t.ordinal = c.ordinal
                        ) AS t
                    ), 0) AS keyword_score
             FROM candidates AS c
         ), covered AS (
             SELECT m.*, coalesce(least(m.keyword_score / nullif($11, 0), 1), 0) AS coverage FROM measured AS m
         ), scored AS (
             SELECT c.*, $12 * (1 - c.distance) + (1 - $12) * c.coverage AS score,
                    1 / (1 + exp(-($13[1] + $13[2] * (1 - c.distance) + $13[3] * c.coverage))) AS relevance
             FROM covered AS c
         ), placed AS (
             SELECT s.*, row_number() OVER (
                        PARTITION BY s.document_id ORDER BY s.score DESC, s.keyword_score DESC, s.ordinal) AS place
             FROM scored AS s
             WHERE ($14 IS NULL OR s.distance <= $14) AND s.relevance >= $15
         ), neighbours AS (
             -- Neighbouring chunks of a document become one hit: what their ordinals and numbers differ by is the same.
             SELECT p.*, p.ordinal - row_number() OVER (PARTITION BY p.document_id ORDER BY p.ordinal) AS run
             FROM placed AS p
             WHERE p.place <= $16
         ), merged AS (
             SELECT DISTINCT ON (n.document_id, n.run) n.*,
                    min(n.ordinal) OVER (PARTITION BY n.document_id, n.run) AS first,
                    max(n.ordinal) OVER (PARTITION BY n.document_id, n.run) AS last
             FROM neighbours AS n
             ORDER BY n.document_id, n.run, n.place
         ), top AS (
             SELECT m.* FROM merged AS m
             WHERE NOT EXISTS (
                 SELECT FROM unnest($18, $19, $20) AS s (document_id, first, last)
                 WHERE s.document_id = m.document_id AND ($16 = 1 OR m.first <= s.last AND m.last >= s.first)
             )
             ORDER BY m.score DESC, m.keyword_score DESC, m.distance, m.document_id, m.ordinal
             LIMIT $17
         )
         SELECT array_agg(t.document_id) AS ids, array_agg(t.ordinal) AS ordinals,
                array_agg(t.first) AS firsts, array_agg(t.last) AS lasts, array_agg(t.distance) AS distances,
                array_agg(t.keyword_score) AS keyword_scores, array_agg(t.coverage) AS coverages,
                array_agg(t.score) AS scores, array_agg(t.relevance) AS relevances, %s AS possible
         FROM top AS t',
        expression,
        CASE WHEN passages = 1 THEN 'NULL::bigint' ELSE
            '(SELECT count_hits(array_agg(s.document_id), array_agg(s.ordinal), array_agg(-s.score), $16) FROM scored AS s)'
        END);
END;

-- How a hit's score came about.
CREATE FUNCTION explanation(
    tenant text, document_id text, ordinal integer, distance double precision, coverage double precision,
    semantic_weight double precision, effort integer,
    terms text[], weights double precision[], average double precision
) RETURNS jsonb
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT jsonb_strip_nulls(jsonb_build_object(
        'semantic_weight', semantic_weight,
        'semantic', 1 - distance,
        'keyword', coverage,
        'effort', effort,
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
        ON t.tenant = explanation.tenant AND t.document_id = explanation.document_id AND t.ordinal = explanation.ordinal;
END;

-- A document's metadata as a passage carries it: in place of `page_starts`, the characters of the content at which its
-- pages begin, the `page` on which the passage begins.
CREATE FUNCTION hit_metadata(metadata jsonb, start integer) RETURNS jsonb
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT CASE WHEN jsonb_typeof(metadata -> 'page_starts') = 'array' THEN
        jsonb_build_object('page', (
            SELECT greatest(count(*), 1)
            FROM jsonb_array_elements(metadata -> 'page_starts') AS page (begins)
            WHERE page.begins <= to_jsonb(start)
        )) || (metadata - 'page_starts')
    ELSE metadata END;
END;

-- Answers at most `hits` passages, best first, from the one after `skip` on; and a last row without a document, if it has
-- anything to tell. `language` is what the document's metadata say of it, whether or not `metadata_keys` has it.
--   tenant           whose documents are searched
--   model            the recipe of the caller's embeddings and terms
--   mode             semantic: by distance; keyword: by BM25 of the terms in `question`; hybrid: by both
--   embedding        the question's embedding
--   question, words  the question's terms, and for each the number of the word that it stands for
--   filter           what every hit's document must match (see filter.sql), or null
--   max_distance     the greatest cosine distance of a hit (0 to 2), or null, in every mode
--   effort           hnsw.ef_search: how many candidates the index keeps (1 to 1,000); null for what was measured to
--                    find enough, or 200 before anything was
--   semantic_weight  0 to 1; coverage weighs the rest
--   coefficients     of relevance, the logistic function of similarity and coverage: see `fusion`
--   min_relevance    the least relevance of a hit (0 to 1)
--   passages         the most hits of a document (1 to 10); neighbouring ones are merged
--   expand           how many neighbouring chunks before and after are merged into a hit's content
--   explain          whether each hit says how its score came about
--   skip             how many hits come before (0 to 1,000)
--   counted          what the last row tells of the documents that match the filter: their number by 'estimate', their
--                    'exact' number, or 'none'
--   facet_keys       jsonpaths into the metadata whose values are counted in the last row, or null
--   with_content     whether hits have their content
--   metadata_keys    the members of the metadata that hits have, or null for all
--   beginning        the question's last word, if it may go on: terms that begin so are its forms, which the last row tells as
--                    `completions`; or null
--   wording          the phrases and exclusions that hits must obey (see phrases.sql), or null
--   pieces           for each of the question's terms the number of the piece of its word (see `term_weights`); null if no word has
--                    several
CREATE FUNCTION search(
    tenant          text,
    model           text,
    mode            text,
    embedding       real[],
    question        text[],
    words           integer[],
    hits            integer,
    filter          jsonb,
    max_distance    double precision,
    effort          integer,
    semantic_weight double precision,
    k1              double precision,
    b               double precision,
    coefficients    double precision[],
    min_relevance   double precision,
    passages        integer,
    expand          integer,
    explain         boolean,
    skip            integer DEFAULT 0,
    counted         text DEFAULT 'none',
    facet_keys      text[] DEFAULT NULL,
    with_content    boolean DEFAULT true,
    metadata_keys   text[] DEFAULT NULL,
    wording         jsonb DEFAULT NULL,
    beginning       text DEFAULT NULL,
    pieces          integer[] DEFAULT NULL
) RETURNS TABLE (
    document_id text, chunk integer, title text, heading text, content text, metadata jsonb,
    distance double precision, keyword_score double precision, coverage double precision, score double precision,
    relevance double precision, explanation jsonb,
    total bigint, is_exact boolean, facets jsonb, facet_documents bigint, is_partial boolean,
    language text, completions text[]
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
    -- The values that are counted of each facet.
    most       CONSTANT integer := 20;
    query      halfvec := embedding::halfvec;
    weight     CONSTANT double precision := CASE mode WHEN 'semantic' THEN 1 WHEN 'keyword' THEN 0
                                                      ELSE semantic_weight END;
    parts      CONSTANT integer[] := coalesce(pieces, words);
    used       CONSTANT integer := coalesce(effort, (SELECT m.effort FROM rappel.model AS m), 200);
    asked      record; -- terms, weights, pieces, most: the question's words; forms: those of a last word that has only begun
    listed     record; -- ids, ordinals, is_partial: the chunks with the question's wording, if they are few
    average    double precision;
    expression text;
    depth      integer; -- the hits for which candidates are looked for
    near       record; -- ids, ordinals, distances, few_match, matching, is_all: what the semantic search found
    worded     record; -- ids, ordinals, scores: what the keyword search found
    found      record; -- ids, ordinals, firsts, lasts and measures: what they make together; possible
    top        record; -- the same of the hits
    shown      integer; -- how many those are
BEGIN
    PERFORM set_config('rappel.tenant', search.tenant, true);
    PERFORM require_model(model);
    PERFORM set_config('hnsw.ef_search', used::text, true);
    filter := with_indexes(filter);

    IF beginning IS NULL THEN
        SELECT w.*, NULL::text[] AS forms INTO asked FROM term_weights(search.tenant, question, words, parts) AS w;
    ELSE
        SELECT * INTO asked FROM begun_weights(search.tenant, question, words, parts, beginning);
    END IF;
    average := (
        SELECT sum(s.occurrences) / nullif(sum(s.chunks), 0)
        FROM rappel.term_statistics AS s WHERE s.tenant = search.tenant AND s.term = ''
    );
    expression := bm25_expression(asked.terms, asked.weights, asked.pieces, k1);
    SELECT * INTO listed
    FROM chunks_with_wording(search.tenant, wording, filter, 2000, mode = 'keyword' AND asked.terms IS NULL);
    SELECT NULL::text[] AS ids, NULL::integer[] AS ordinals, NULL::integer[] AS firsts, NULL::integer[] AS lasts,
           NULL::double precision[] AS distances, NULL::double precision[] AS keyword_scores,
           NULL::double precision[] AS coverages, NULL::double precision[] AS scores,
           NULL::double precision[] AS relevances
    INTO top;
    -- More candidates may bring hits that belong between those of fewer, so that pages would not fit together. What the
    -- candidates of a page of this size give comes first, whole, on whatever page; what more of them give comes after.
    FOREACH depth IN ARRAY ARRAY[hits, 110, 1100] LOOP
        IF mode = 'keyword' THEN
            SELECT NULL::text[] AS ids, NULL::integer[] AS ordinals, NULL::double precision[] AS distances,
                   listed.ids IS NULL AND filter IS NOT NULL AND few_match(search.tenant, filter, few) AS few_match,
                   NULL::text[] AS matching, false AS is_all
            INTO near;
        ELSE
            -- `max_distance` is applied to the candidates, not inside the index scan, where it would make
            -- an iterative scan search on for rows that cannot exist.
            SELECT * INTO near FROM semantic_candidates(
                search.tenant, query, depth,
                -- What each search contributes to a fusion at least, in chunks.
                CASE WHEN mode = 'hybrid' OR min_relevance > 0 THEN greatest(100, depth * 3) ELSE depth * 3 END,
                passages, filter, max_distance, few, wording, listed.ids, listed.ordinals);
        END IF;
        IF mode = 'semantic' THEN
            SELECT NULL::text[] AS ids, NULL::integer[] AS ordinals, NULL::double precision[] AS scores INTO worded;
        ELSE
            SELECT * INTO worded FROM keyword_candidates(
                search.tenant, asked.terms, asked.weights, asked.pieces, expression, k1, b, average,
                -- At most `passages` are of one document, so these are of as many documents as hits are looked for.
                greatest(100, depth * passages), passages, query, filter, max_distance, near.few_match,
                -- A chunk's row costs as much as some of its terms do. Where the words decide alone, all is worth
                -- some 30 ms; in a fusion two thirds of that, because the order of chunks that have but one common
                -- word hardly counts where the embeddings decide among them; while somebody types, a third.
                greatest(1000, CASE WHEN beginning IS NOT NULL THEN 20000 / (cardinality(asked.terms) + 4)
                                    WHEN mode = 'keyword' THEN 60000 / (cardinality(asked.terms) + 1)
                                    ELSE 36000 / (cardinality(asked.terms) + 6) END),
                wording, listed.ids, listed.ordinals, near.matching,
                -- Where the embeddings decide, chunks with little of the question's weight are not looked for far among those
                -- that the filter leaves out.
                CASE WHEN mode = 'hybrid' AND weight >= 0.5 AND wording IS NULL THEN 4000 END);
        END IF;
        EXECUTE fusion(expression, passages)
        INTO found
        USING near.ids, near.ordinals, near.distances, worded.ids, worded.ordinals, worded.scores,
              query, k1, b, average, asked.most * (k1 + 1), weight, coefficients, max_distance, min_relevance, passages,
              skip + hits - coalesce(cardinality(top.ids), 0), top.ids, top.firsts, top.lasts, search.tenant;
        top.ids            := top.ids || found.ids;
        top.ordinals       := top.ordinals || found.ordinals;
        top.firsts         := top.firsts || found.firsts;
        top.lasts          := top.lasts || found.lasts;
        top.distances      := top.distances || found.distances;
        top.keyword_scores := top.keyword_scores || found.keyword_scores;
        top.coverages      := top.coverages || found.coverages;
        top.scores         := top.scores || found.scores;
        top.relevances     := top.relevances || found.relevances;
        shown              := coalesce(cardinality(top.ids), 0);
        -- A first page that is not full is the last one: what it lacks is too far or not relevant, or not there. Unless the
        -- fusion has chosen neighbours, which are one hit, where each search counted passages that are none: then more
        -- candidates fill it.
        EXIT WHEN shown >= skip + hits
            OR shown < hits AND (passages = 1 OR mode = 'keyword' OR near.is_all OR found.possible >= hits);
    END LOOP;

    RETURN QUERY
    SELECT t.document_id, t.ordinal, d.title, c.heading,
           CASE WHEN NOT with_content THEN '' WHEN expand = 0 AND t.first = t.last THEN c.content ELSE (
               SELECT substring(d.content FROM min(n.start) + 1
                                FOR max(n.start + char_length(n.content)) - min(n.start))
               FROM rappel.chunks AS n
               WHERE n.tenant = search.tenant AND n.document_id = t.document_id AND n.ordinal BETWEEN t.first - expand AND t.last + expand
           ) END,
           chosen(hit_metadata(d.metadata, c.start), metadata_keys), t.distance, t.keyword_score, t.coverage, t.score, t.relevance,
           CASE WHEN explain THEN
               explanation(search.tenant, t.document_id, t.ordinal, t.distance, t.coverage, weight, used,
                           asked.terms, asked.weights, average)
           END,
           NULL::bigint, NULL::boolean, NULL::jsonb, NULL::bigint, NULL::boolean,
           d.metadata ->> 'language', NULL::text[]
    FROM unnest(top.ids, top.ordinals, top.firsts, top.lasts, top.distances, top.keyword_scores, top.coverages,
                top.scores, top.relevances)
         WITH ORDINALITY AS t (document_id, ordinal, first, last, distance, keyword_score, coverage, score, relevance,
                               place)
    JOIN rappel.documents AS d ON d.tenant = search.tenant AND d.id = t.document_id
    JOIN rappel.chunks AS c ON c.tenant = search.tenant AND c.document_id = t.document_id AND c.ordinal = t.ordinal
    WHERE t.place > skip
    ORDER BY t.place;

    IF counted <> 'none' OR facet_keys IS NOT NULL OR listed.is_partial OR asked.forms <> '{}' THEN
        RETURN QUERY
        SELECT NULL::text, NULL::integer, NULL::text, NULL::text, NULL::text, NULL::jsonb, NULL::double precision,
               NULL::double precision, NULL::double precision, NULL::double precision, NULL::double precision, NULL::jsonb,
               n.documents, n.is_exact, facets(search.tenant, f.ids, facet_keys, most), cardinality(f.ids)::bigint,
               listed.is_partial, NULL::text, asked.forms
        FROM (SELECT) AS one
        LEFT JOIN (
            SELECT c.* FROM count_matching(search.tenant, filter, counted = 'exact') AS c WHERE counted <> 'none'
        ) AS n ON true
        LEFT JOIN (
            SELECT coalesce(array_agg(DISTINCT c.id), '{}') AS ids
            FROM (SELECT unnest(near.ids) AS id UNION ALL SELECT unnest(worded.ids)) AS c
        ) AS f ON facet_keys IS NOT NULL;
    END IF;
END
$$;
