-- A database of the releases that recorded no checksums: the schema of commit 950a265 and a few rows, as pg_dump wrote them.

SET check_function_bodies = false;

CREATE SCHEMA rappel;

CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;

CREATE FUNCTION rappel.bm25_expression(terms text[], weights double precision[], k1 double precision) RETURNS text
    LANGUAGE sql STABLE
    AS $$
    SELECT coalesce(string_agg(format(
        'coalesce(%s * (1 - saturation / (f[array_position(terms, %L)] + saturation)), 0)',
        q.weight * (k1 + 1), q.term), ' + ' ORDER BY q.weight DESC), '0::float8')
    FROM unnest(terms, weights) AS q (term, weight)
$$;

CREATE FUNCTION rappel.count_terms() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION rappel.explanation(document_id text, ordinal integer, near double precision, worded double precision, mode text, semantic_weight double precision, terms text[], weights double precision[], average double precision) RETURNS jsonb
    LANGUAGE sql STABLE
    AS $$
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

CREATE FUNCTION rappel.few_match(filter jsonb, few integer) RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
    RETURN NOT rappel.many_match(filter, few) AND (
        SELECT count(*) <= few
        FROM (
            SELECT FROM rappel.documents AS d
            JOIN rappel.chunks AS c ON c.document_id = d.id
            WHERE d.metadata @> filter
            LIMIT few + 1
        ) AS matching
    );
END
$$;

CREATE FUNCTION rappel.forgotten_work(wanted text, queue text, max_receives integer, silence double precision) RETURNS TABLE(part integer, "position" bigint, reason text)
    LANGUAGE sql
    AS $$
    WITH silent AS MATERIALIZED (
        SELECT i.id
        FROM rappel.imports AS i
        CROSS JOIN (SELECT now() - silence * interval '1 second' AS begun) AS s
        WHERE i.id = wanted AND i.queue = forgotten_work.queue AND i.failure IS NULL AND i.created_at < s.begun
          AND NOT EXISTS (
              SELECT FROM rappel.import_parts AS p
              WHERE p.import_id = i.id AND greatest(p.leased_until, p.finished_at) > s.begun
          )
          AND NOT EXISTS (
              SELECT FROM rappel.import_lines AS l
              WHERE l.import_id = i.id AND greatest(l.leased_until, l.settled_at) > s.begun
          )
    ), part AS (
        UPDATE rappel.import_parts AS p SET leased_until = now()
        WHERE (p.import_id, p.part) IN (
            SELECT o.import_id, o.part
            FROM silent JOIN rappel.import_parts AS o ON o.import_id = silent.id
            WHERE o.finished_at IS NULL AND least(o.attempts, o.receives) < max_receives
            ORDER BY o.part
            LIMIT 10
        )
        RETURNING p.part
    ), line AS (
        UPDATE rappel.import_lines AS l SET leased_until = now()
        WHERE (l.import_id, l.part, l.position) IN (
            SELECT o.import_id, o.part, o.position
            FROM silent
            JOIN rappel.import_lines AS o ON o.import_id = silent.id
            JOIN rappel.import_parts AS p ON p.import_id = o.import_id AND p.part = o.part
            WHERE o.outcome = 'retrying' AND p.finished_at IS NOT NULL AND least(o.attempts, o.receives) < max_receives
            LIMIT 10
        )
        RETURNING l.part, l.position, l.reason
    )
    SELECT part.part, NULL::bigint, NULL::text FROM part
    UNION ALL
    SELECT line.part, line.position, line.reason FROM line
$$;

CREATE FUNCTION rappel.fusion(mode text, expression text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $_$
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
$_$;

CREATE FUNCTION rappel.import_failures(wanted text, max_receives integer) RETURNS TABLE("offset" bigint, line bigint, document_id text, reason text)
    LANGUAGE sql STABLE
    AS $$
    WITH part AS MATERIALIZED (
        SELECT p.*,
               -- The lines before a part are known once all parts before it are done.
               CASE WHEN bool_and(p.ended_at IS NOT NULL AND p.failure IS NULL) OVER before IS NOT FALSE
                    THEN coalesce(sum(p.lines) OVER before, 0)::bigint END AS lines_before
        FROM rappel.import_parts_now(wanted, max_receives) AS p
        WINDOW before AS (ORDER BY p.part ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    )
    SELECT f."offset", f.line, f.document_id, f.reason
    FROM (
        SELECT -1 AS part, NULL::bigint AS "offset", NULL::bigint AS line, NULL::text AS document_id, i.failure AS reason
        FROM rappel.imports AS i WHERE i.id = wanted AND i.failure IS NOT NULL
        UNION ALL
        SELECT p.part, CASE WHEN p.part > 0 THEN p.position END, NULL, NULL,
               CASE WHEN p.part = 0 THEN p.failure
                    ELSE format('the lines from here to byte %s were given up: %s', p.last, p.failure) END
        FROM part AS p WHERE p.failure IS NOT NULL
        UNION ALL
        SELECT l.part, l.position, p.lines_before + l.line, l.document_id, l.reason
        FROM rappel.import_lines_now(wanted, max_receives) AS l
        JOIN part AS p ON p.part = l.part
        WHERE l.outcome IN ('refused', 'failed')
    ) AS f
    ORDER BY f.part, f."offset" NULLS FIRST
$$;

CREATE FUNCTION rappel.import_lines_now(wanted text, max_receives integer) RETURNS TABLE(part integer, "position" bigint, line bigint, document_id text, outcome text, reason text, ended_at timestamp with time zone)
    LANGUAGE sql STABLE
    AS $$
    SELECT l.part, l.position, l.line, l.document_id,
           CASE WHEN dead THEN 'failed' ELSE l.outcome END,
           CASE WHEN dead AND l.attempts > 0
                THEN format('the worker died %s times; first: %s', l.attempts, l.reason) ELSE l.reason END,
           CASE WHEN dead THEN greatest(l.leased_until, i.created_at) ELSE l.settled_at END
    FROM rappel.imports AS i
    JOIN rappel.import_lines AS l ON l.import_id = i.id
    JOIN rappel.import_parts_now(wanted, max_receives) AS p ON p.part = l.part
    CROSS JOIN LATERAL (
        SELECT l.outcome = 'retrying' AND l.leased_until < now()
               AND (least(l.attempts, l.receives) >= max_receives OR i.created_at < now() - interval '4 days'
                    -- Its message is sent when its part is done.
                    OR (l.attempts = 0 AND p.failure IS NOT NULL)) AS dead
    ) AS d
    WHERE i.id = wanted
$$;

CREATE FUNCTION rappel.import_parts_now(wanted text, max_receives integer) RETURNS TABLE(part integer, first bigint, last bigint, "position" bigint, lines bigint, stored bigint, unchanged bigint, refused bigint, attempts integer, begun boolean, failure text, ended_at timestamp with time zone)
    LANGUAGE sql STABLE
    AS $$
    SELECT p.part, p.first, p.last, p.position, p.lines, p.stored, p.unchanged, p.refused, p.attempts,
           p.worker IS NOT NULL OR p.attempts > 0 OR p.lines > 0,
           CASE WHEN dead THEN
               CASE WHEN p.attempts >= max_receives THEN format('the worker died %s times', p.attempts)
                    ELSE 'no worker took it up in time' END
           ELSE p.failure END,
           CASE WHEN dead THEN greatest(p.leased_until, i.created_at) ELSE p.finished_at END
    FROM rappel.imports AS i
    JOIN rappel.import_parts AS p ON p.import_id = i.id
    CROSS JOIN LATERAL (
        SELECT p.finished_at IS NULL AND p.leased_until < now()
               AND (least(p.attempts, p.receives) >= max_receives OR i.created_at < now() - interval '4 days') AS dead
    ) AS d
    WHERE i.id = wanted
$$;

CREATE FUNCTION rappel.import_state(wanted text, max_receives integer) RETURNS TABLE(id text, source text, created_at text, ended_at text, seconds double precision, failed boolean, begun boolean, planned boolean, ended boolean, bytes bigint, bytes_done bigint, parts bigint, parts_done bigint, parts_failed bigint, stored bigint, unchanged bigint, refused bigint, retrying bigint)
    LANGUAGE sql STABLE
    AS $$
    SELECT i.id, i.source, to_char(i.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
           CASE WHEN e.ended THEN to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') END,
           extract(epoch FROM CASE WHEN e.ended THEN e.at ELSE now() END - i.created_at)::double precision,
           i.failure IS NOT NULL OR p.failed,
           p.begun, p.planned, e.ended,
           p.bytes, p.bytes_done, p.parts, p.parts_done, p.parts_failed,
           p.stored + l.stored, p.unchanged + l.unchanged, p.refused + l.failed, l.retrying
    FROM rappel.imports AS i
    CROSS JOIN (
        SELECT coalesce(bool_or(p.begun), false) AS begun,
               coalesce(bool_or(p.part = 0 AND p.ended_at IS NOT NULL AND p.failure IS NULL), false) AS planned,
               coalesce(bool_or(p.failure IS NOT NULL), false) AS failed,
               coalesce(bool_and(p.ended_at IS NOT NULL), false) AS ended, max(p.ended_at) AS ended_at,
               coalesce(sum(p.last - p.first) FILTER (WHERE p.part > 0), 0)::bigint AS bytes,
               coalesce(sum(least(p.position, p.last) - p.first) FILTER (WHERE p.part > 0 AND (p.ended_at IS NULL OR p.failure IS NOT NULL)), 0)::bigint
                   + coalesce(sum(p.last - p.first) FILTER (WHERE p.part > 0 AND p.ended_at IS NOT NULL AND p.failure IS NULL), 0)::bigint
                   AS bytes_done,
               count(*) FILTER (WHERE p.part > 0) AS parts,
               count(*) FILTER (WHERE p.part > 0 AND p.ended_at IS NOT NULL AND p.failure IS NULL) AS parts_done,
               count(*) FILTER (WHERE p.part > 0 AND p.failure IS NOT NULL) AS parts_failed,
               coalesce(sum(p.stored), 0)::bigint AS stored, coalesce(sum(p.unchanged), 0)::bigint AS unchanged,
               coalesce(sum(p.refused), 0)::bigint AS refused
        FROM rappel.import_parts_now(wanted, max_receives) AS p
    ) AS p
    CROSS JOIN (
        SELECT count(*) FILTER (WHERE l.outcome = 'stored') AS stored,
               count(*) FILTER (WHERE l.outcome = 'unchanged') AS unchanged,
               count(*) FILTER (WHERE l.outcome = 'failed') AS failed,
               count(*) FILTER (WHERE l.outcome = 'retrying') AS retrying, max(l.ended_at) AS ended_at
        FROM rappel.import_lines_now(wanted, max_receives) AS l
    ) AS l
    CROSS JOIN LATERAL (
        SELECT i.failure IS NOT NULL OR (p.ended AND l.retrying = 0) AS ended,
               coalesce(i.failed_at, greatest(p.ended_at, l.ended_at)) AS at
    ) AS e
    WHERE i.id = wanted
$$;

CREATE FUNCTION rappel.keyword_candidates(terms text[], weights double precision[], expression text, k1 double precision, b double precision, average double precision, wanted integer, query public.halfvec, filter jsonb, max_distance double precision, few_match boolean, affordable integer, OUT ids text[], OUT ordinals integer[], OUT scores double precision[]) RETURNS record
    LANGUAGE plpgsql STABLE
    AS $_$
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
$_$;

CREATE FUNCTION rappel.many_match(filter jsonb, few integer) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE format(
        'EXPLAIN (FORMAT JSON)
         SELECT FROM rappel.documents AS d JOIN rappel.chunks AS c ON c.document_id = d.id
         WHERE d.metadata @> %L::jsonb', filter) INTO plan;
    RETURN (plan #>> '{0,Plan,Plan Rows}')::double precision > 2 * few;
END
$$;

CREATE FUNCTION rappel.nearest(query public.halfvec, candidates integer) RETURNS TABLE(document_id text, ordinal integer, distance double precision)
    LANGUAGE sql STABLE
    AS $$
    SELECT c.document_id, c.ordinal, c.embedding <=> query
    FROM rappel.chunks AS c
    ORDER BY c.embedding <=> query
    LIMIT candidates
$$;

CREATE FUNCTION rappel.nearest_exact(query public.halfvec, hits integer, filter jsonb, most integer) RETURNS TABLE(document_id text, ordinal integer, distance double precision, matching bigint)
    LANGUAGE sql STABLE
    AS $$
    WITH matching AS MATERIALIZED (
        SELECT c.document_id, c.ordinal, c.embedding <=> query AS distance
        FROM rappel.documents AS d
        JOIN rappel.chunks AS c ON c.document_id = d.id
        WHERE d.metadata @> filter
        LIMIT most
    )
    SELECT b.document_id, b.ordinal, b.distance, (SELECT count(*) FROM matching)
    FROM (
        SELECT DISTINCT ON (m.document_id) m.document_id, m.ordinal, m.distance
        FROM matching AS m
        ORDER BY m.document_id, m.distance
    ) AS b
    ORDER BY b.distance, b.document_id
    LIMIT hits
$$;

CREATE FUNCTION rappel.nearest_filtered(query public.halfvec, candidates integer, filter jsonb) RETURNS TABLE(document_id text, ordinal integer, distance double precision)
    LANGUAGE sql STABLE
    AS $$
    SELECT c.document_id, c.ordinal, c.embedding <=> query
    FROM rappel.chunks AS c
    WHERE (SELECT d.metadata @> filter FROM rappel.documents AS d WHERE d.id = c.document_id)
    ORDER BY c.embedding <=> query
    LIMIT candidates
$$;

CREATE FUNCTION rappel.reaching(terms text[], weights double precision[], threshold double precision, place integer, remaining double precision) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT
    AS $$
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

CREATE FUNCTION rappel.reopen_imports(queue text, max_receives integer) RETURNS SETOF text
    LANGUAGE plpgsql
    AS $$
DECLARE
    open text[] := ARRAY(
        SELECT i.id FROM rappel.imports AS i
        WHERE i.queue = reopen_imports.queue AND i.failure IS NULL
          AND NOT (SELECT s.ended FROM rappel.import_state(i.id, max_receives) AS s)
    );
BEGIN
    -- A part that is done sends the messages of its lines when it is done again.
    UPDATE rappel.import_parts AS p
    SET finished_at = NULL, attempts = 0, receives = 0, worker = NULL, leased_until = '-infinity'
    WHERE p.import_id = ANY (open)
      AND (p.part = 0 OR p.finished_at IS NULL OR EXISTS (
          SELECT FROM rappel.import_lines AS l
          WHERE l.import_id = p.import_id AND l.part = p.part AND l.outcome = 'retrying'
      ));
    RETURN QUERY SELECT unnest(open);
END
$$;

CREATE FUNCTION rappel.require_model(wanted text) RETURNS void
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    stored text := (SELECT name FROM rappel.model);
BEGIN
    IF stored IS DISTINCT FROM wanted THEN
        RAISE EXCEPTION 'the database holds embeddings of the model %, but the function is configured with %',
            coalesce(stored, '(none)'), wanted USING ERRCODE = 'RP001';
    END IF;
END
$$;

CREATE FUNCTION rappel.search(model text, mode text, embedding real[], question text[], hits integer, filter jsonb, max_distance double precision, effort integer, semantic_weight double precision, k1 double precision, b double precision, expand integer, explain boolean) RETURNS TABLE(document_id text, chunk integer, title text, content text, metadata jsonb, distance double precision, keyword_score double precision, score double precision, explanation jsonb)
    LANGUAGE plpgsql STABLE
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_custom_plan'
    SET max_parallel_workers_per_gather TO '0'
    SET random_page_cost TO '1.1'
    SET "hnsw.iterative_scan" TO 'relaxed_order'
    SET "hnsw.ef_search" TO '200'
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
    PERFORM rappel.require_model(model);
    PERFORM set_config('hnsw.ef_search', effort::text, true);

    IF mode = 'semantic' THEN
        SELECT * INTO near FROM rappel.semantic_candidates(query, hits, hits * 3, filter, max_distance, few);
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
        expression := rappel.bm25_expression(terms, weights, k1);
        IF mode = 'hybrid' THEN
            SELECT * INTO near FROM rappel.semantic_candidates(query, hits, near_wanted, filter, max_distance, few);
        ELSE
            SELECT NULL::text[] AS ids, NULL::integer[] AS ordinals, NULL::double precision[] AS distances,
                   filter IS NOT NULL AND rappel.few_match(filter, few) AS few_match
            INTO near;
        END IF;
        SELECT * INTO worded FROM rappel.keyword_candidates(
            terms, weights, expression, k1, b, average, worded_wanted, query, filter, max_distance, near.few_match,
            -- A chunk's row costs as much as some of its terms do. Where the words decide alone, all is worth
            -- some 30 ms; in a fusion two thirds of that, because the order of chunks that have but one common
            -- word hardly counts where the embeddings decide among them.
            greatest(1000, CASE mode WHEN 'keyword' THEN 60000 / (cardinality(terms) + 1)
                                     ELSE 36000 / (cardinality(terms) + 6) END));
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

CREATE FUNCTION rappel.semantic_candidates(query public.halfvec, wanted integer, candidates integer, filter jsonb, max_distance double precision, few integer, OUT ids text[], OUT ordinals integer[], OUT distances double precision[], OUT few_match boolean) RETURNS record
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    at_first  CONSTANT integer := candidates;
    exact     boolean := false;
    documents integer := 0;
BEGIN
    few_match := false;
    IF filter IS NOT NULL AND NOT rappel.many_match(filter, few) THEN
        SELECT array_agg(n.document_id), array_agg(n.ordinal), array_agg(n.distance),
               coalesce(max(n.matching), 0) <= few
        INTO ids, ordinals, distances, few_match
        FROM rappel.nearest_exact(query, greatest(wanted, candidates), filter, few + 1) AS n;
        IF few_match THEN
            RETURN;
        END IF;
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
        FROM rappel.nearest_exact(query, greatest(wanted, at_first), coalesce(filter, '{}'), NULL) AS n;
    END IF;
END
$$;

CREATE FUNCTION rappel.term_weights(question text[]) RETURNS TABLE(term text, weight double precision)
    LANGUAGE sql STABLE
    AS $$
    WITH corpus AS MATERIALIZED (
        SELECT sum(s.chunks)::double precision AS chunks FROM rappel.term_statistics AS s WHERE s.term = ''
    )
    SELECT q.term, ln(1 + (corpus.chunks - sum(s.chunks) + 0.5) / (sum(s.chunks) + 0.5))
    FROM corpus, unnest(question) AS q (term)
    JOIN rappel.term_statistics AS s ON s.term = q.term
    WHERE q.term <> '' -- whose statistics are those of all chunks
    GROUP BY q.term, corpus.chunks
    HAVING sum(s.chunks) > 0
    ORDER BY 2 DESC, 1
$$;

CREATE FUNCTION rappel.upsert(model text, ids text[], titles text[], contents text[], metadatas text[], hashes bytea[], chunk_documents integer[], chunk_ordinals integer[], chunk_starts integer[], chunk_contents text[], chunk_embeddings real[], chunk_lengths integer[], chunk_distinct integer[], chunk_terms text[], chunk_frequencies smallint[]) RETURNS TABLE(document_id text, created boolean)
    LANGUAGE plpgsql
    AS $$
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

    -- PL/pgSQL keeps an array in a form that is flattened anew for each slice of it; a row has it flat.
    WITH flat AS MATERIALIZED (
        SELECT chunk_embeddings || '{}'::real[] AS embeddings
    )
    INSERT INTO rappel.chunks (document_id, ordinal, start, content, embedding)
    SELECT ids[u.document], u.ordinal, u.start, u.content,
           flat.embeddings[(u.position - 1) * width + 1 : u.position * width]::halfvec
    FROM flat,
         unnest(chunk_documents, chunk_ordinals, chunk_starts, chunk_contents)
         WITH ORDINALITY AS u (document, ordinal, start, content, position);

    -- Texts have no fixed width, so a slice of them would be looked for from the first one on.
    INSERT INTO rappel.chunk_terms (document_id, ordinal, length, terms, frequencies)
    SELECT ids[c.document], c.ordinal, c.length, coalesce(t.terms, '{}'), coalesce(t.frequencies, '{}')
    FROM unnest(chunk_documents, chunk_ordinals, chunk_lengths)
         WITH ORDINALITY AS c (document, ordinal, length, position)
    LEFT JOIN (
        SELECT owner.chunk,
               array_agg(u.term ORDER BY u.position) AS terms,
               array_agg(u.frequency ORDER BY u.position) AS frequencies
        FROM (
            SELECT n.position AS chunk, row_number() OVER (ORDER BY n.position) AS position
            FROM unnest(chunk_distinct) WITH ORDINALITY AS n (distinct_terms, position),
                 generate_series(1, n.distinct_terms)
        ) AS owner
        JOIN unnest(chunk_terms, chunk_frequencies) WITH ORDINALITY AS u (term, frequency, position)
            ON u.position = owner.position
        GROUP BY owner.chunk
    ) AS t ON t.chunk = c.position;
END
$$;

CREATE TABLE rappel.chunk_terms (
    document_id text NOT NULL COLLATE pg_catalog."C",
    ordinal integer NOT NULL,
    length integer NOT NULL,
    terms text[] NOT NULL COLLATE pg_catalog."C",
    frequencies smallint[] NOT NULL
);

CREATE TABLE rappel.chunks (
    document_id text NOT NULL COLLATE pg_catalog."C",
    ordinal integer NOT NULL,
    start integer NOT NULL,
    content text NOT NULL,
    embedding public.halfvec(384) NOT NULL
);
ALTER TABLE ONLY rappel.chunks ALTER COLUMN embedding SET STORAGE PLAIN;

CREATE TABLE rappel.documents (
    id text NOT NULL COLLATE pg_catalog."C",
    title text NOT NULL,
    content text NOT NULL,
    metadata jsonb NOT NULL,
    content_hash bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE rappel.import_lines (
    import_id text NOT NULL COLLATE pg_catalog."C",
    part integer NOT NULL,
    "position" bigint NOT NULL,
    length integer NOT NULL,
    line bigint NOT NULL,
    document_id text,
    outcome text NOT NULL,
    reason text NOT NULL,
    leased_until timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    receives integer DEFAULT 0 NOT NULL,
    settled_at timestamp with time zone,
    CONSTRAINT import_lines_outcome_check CHECK ((outcome = ANY (ARRAY['refused'::text, 'retrying'::text, 'stored'::text, 'unchanged'::text, 'failed'::text])))
);

CREATE TABLE rappel.import_parts (
    import_id text NOT NULL COLLATE pg_catalog."C",
    part integer NOT NULL,
    first bigint NOT NULL,
    last bigint NOT NULL,
    piece text,
    "position" bigint NOT NULL,
    lines bigint DEFAULT 0 NOT NULL,
    stored bigint DEFAULT 0 NOT NULL,
    unchanged bigint DEFAULT 0 NOT NULL,
    refused bigint DEFAULT 0 NOT NULL,
    worker text,
    leased_until timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    receives integer DEFAULT 0 NOT NULL,
    failure text,
    finished_at timestamp with time zone
);

CREATE TABLE rappel.imports (
    id text NOT NULL COLLATE pg_catalog."C",
    source text NOT NULL,
    etag text NOT NULL,
    bytes bigint NOT NULL,
    queue text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    failure text,
    failed_at timestamp with time zone
);

CREATE TABLE rappel.migrations (
    version integer NOT NULL,
    name text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE rappel.model (
    singleton boolean DEFAULT true NOT NULL,
    name text NOT NULL,
    dimensions integer NOT NULL,
    CONSTRAINT model_singleton_check CHECK (singleton)
);

CREATE TABLE rappel.term_statistics (
    term text NOT NULL COLLATE pg_catalog."C",
    stripe integer NOT NULL,
    chunks bigint NOT NULL,
    occurrences bigint NOT NULL
)
WITH (fillfactor='70');

INSERT INTO rappel.chunk_terms VALUES ('brulures', 0, 6, '{brulur,eau,minut}', '{1,1,1}');
INSERT INTO rappel.chunk_terms VALUES ('migraine', 0, 6, '{migrain,repos,noir}', '{1,1,1}');
INSERT INTO rappel.chunk_terms VALUES ('jardin', 0, 4, '{tomat,soleil}', '{1,1}');

INSERT INTO rappel.chunks VALUES ('brulures', 0, 0, 'Refroidir la brûlure sous l''eau pendant quinze minutes.', '[0.018005371,0.018997192,0.026992798,0.040008545,-0.040008545,-0.013999939,0.018005371,-0.044006348,0.0010004044,-0.04800415,0.009002686,-0.027999878,0.041992188,0.016998291,-0.0010004044,-0.013000488,-0.018997192,-0.018997192,-0.012001038,0.0010004044,0.020004272,0.045013428,-0.024002075,0.013999939,-0.041992188,0.008003235,-0.036010742,0.026992798,-0.005001068,-0.02999878,-0.04901123,0.037994385,0.03201294,0.03100586,0.036987305,0.04901123,-0.032989502,-0.009002686,0.022003174,-0.040985107,0.0020008087,-0.04901123,0.0069999695,-0.03201294,0.036010742,0.010002136,-0.010002136,-0.024002075,-0.03100586,-0.03201294,-0.026992798,-0.01600647,0.0020008087,0.024993896,-0.045013428,-0.009002686,0.032989502,-0.018997192,0.036010742,-0.0030002594,-0.036010742,0.036987305,0.016998291,0.0020008087,-0.006000519,-0.008003235,-0.0040016174,0.0069999695,0.022994995,0.04598999,-0.024993896,0.010002136,-0.04901123,-0.0010004044,-0.04699707,0.013000488,-0.020996094,-0.04901123,0.02999878,0.01499939,0.006000519,0.0030002594,0.0069999695,0.01600647,0.03201294,-0.04598999,-0.018005371,0.016998291,-0.042999268,0.0040016174,-0.042999268,0.01600647,-0.018997192,-0.04699707,0.03100586,0.01499939,0.005001068,0.0020008087,0.0040016174,0.013000488,0.027999878,0.04901123,-0.024002075,0.010002136,0.049987793,-0.0040016174,0.04800415,0.0069999695,-0.029006958,0.041992188,0.018997192,0.0020008087,-0.009002686,-0.013000488,-0.011001587,-0.0030002594,0.011001587,0.03201294,-0.041992188,-0.009002686,0.02999878,-0.024993896,0.026992798,-0.01600647,0.04800415,0.018005371,-0.006000519,-0.024002075,-0.035003662,-0.040008545,-0.039001465,-0.03201294,-0.018997192,0.0010004044,0.026992798,-0.040985107,-0.0030002594,0.041992188,-0.008003235,0.04901123,0.012001038,-0.018997192,-0.044006348,0.037994385,0.026000977,0.020004272,0.020004272,0.026992798,0.039001465,-0.041992188,-0.016998291,0.013999939,-0.04901123,-0.005001068,0.045013428,0.0010004044,-0.036987305,0.03201294,0.006000519,-0.013000488,-0.026000977,-0.032989502,-0.033996582,-0.027999878,-0.01600647,0.0020008087,0.026000977,-0.044006348,-0.0069999695,0.036010742,-0.01499939,0.040008545,0.0020008087,-0.03100586,0.042999268,0.022994995,0.009002686,0.0020008087,0,0.005001068,0.01600647,0.032989502,-0.044006348,-0.013999939,0.022003174,-0.036010742,0.012001038,-0.033996582,0.026992798,-0.006000519,-0.032989502,0.04598999,0.03201294,0.022994995,0.020996094,0.024993896,0.035003662,-0.04901123,-0.026000977,0.0030002594,0.037994385,-0.020996094,0.026992798,-0.020004272,0.040008545,0.006000519,-0.022003174,-0.044006348,0.040985107,0.03201294,0.029006958,0.03201294,0.041992188,-0.042999268,-0.020996094,0.0069999695,0.040985107,-0.018997192,0.027999878,-0.018997192,0.040008545,0.005001068,-0.024002075,-0.04598999,0.037994385,0.027999878,0.024002075,0.026992798,0.035003662,0.049987793,-0.029006958,-0.0020008087,0.03201294,-0.029006958,0.016998291,-0.03100586,0.026992798,-0.009002686,-0.037994385,0.039001465,0.022003174,0.011001587,0.0069999695,0.008003235,0.01600647,0.02999878,-0.049987793,-0.024002075,0.009002686,0.04800415,-0.0069999695,0.044006348,0.0020008087,-0.035003662,0.035003662,0.011001587,-0.0069999695,-0.018997192,-0.024002075,-0.022994995,-0.01600647,-0.0030002594,0.016998291,0.041992188,-0.026000977,0.012001038,-0.044006348,0.0069999695,-0.036987305,0.026000977,-0.005001068,-0.02999878,-0.04901123,0.039001465,0.032989502,0.032989502,0.039001465,-0.04901123,-0.02999878,-0.005001068,0.026000977,-0.036987305,0.0069999695,-0.044006348,0.012001038,-0.026000977,0.041992188,0.016998291,-0.0030002594,-0.01600647,-0.022994995,-0.024002075,-0.018997192,-0.0069999695,0.011001587,0.035003662,-0.035003662,0.0020008087,0.044006348,-0.0069999695,0.04800415,0.009002686,-0.024002075,-0.049987793,0.02999878,0.01600647,0.008003235,0.0069999695,0.011001587,0.022003174,0.039001465,-0.037994385,-0.009002686,0.026992798,-0.03100586,0.016998291,-0.029006958,0.03201294,-0.0020008087,-0.029006958,0.049987793,0.035003662,0.026992798,0.024002075,0.027999878,0.037994385,-0.04598999,-0.024002075,0.005001068,0.040008545,-0.018997192,0.027999878,-0.018997192,0.040985107,0.0069999695,-0.020996094,-0.042999268,0.041992188,0.03201294,0.029006958,0.03201294,0.040985107,-0.044006348,-0.022003174,0.006000519,0.040008545,-0.020004272,0.026992798,-0.020996094,0.037994385,0.0030002594,-0.026000977,-0.04901123,0.035003662,0.024993896,0.020996094,0.022994995,0.03201294,0.04598999,-0.032989502,-0.006000519,0.026992798,-0.033996582,0.012001038,-0.036010742,0.022003174,-0.013999939,-0.044006348,0.032989502,0.01600647,0.005001068,0,0.0020008087,0.009002686,0.022994995,0.042999268,-0.03100586,0.0020008087,0.040008545,-0.01499939,0.036010742,-0.0069999695,-0.044006348,0.026000977]');
INSERT INTO rappel.chunks VALUES ('migraine', 0, 0, 'Le repos dans le noir soulage la migraine.', '[-0.009002686,-0.008003235,-0.0010004044,0.013000488,0.032989502,-0.040985107,-0.009002686,0.029006958,-0.026000977,0.024993896,-0.018005371,0.045013428,0.013999939,-0.010002136,-0.027999878,-0.040008545,-0.04598999,-0.04598999,-0.039001465,-0.026000977,-0.0069999695,0.018005371,0.04901123,-0.013000488,0.03100586,-0.018997192,0.036987305,-0.0010004044,-0.03201294,0.042999268,0.024002075,0.011001587,0.0040016174,0.0040016174,0.010002136,0.022003174,0.040008545,-0.036010742,-0.005001068,0.03201294,-0.024993896,0.024002075,-0.020996094,0.040985107,0.009002686,-0.016998291,-0.036987305,0.04901123,0.041992188,0.040985107,0.04598999,-0.042999268,-0.026000977,-0.0020008087,0.027999878,-0.036010742,0.006000519,-0.04598999,0.009002686,-0.02999878,0.036987305,0.010002136,-0.011001587,-0.024993896,-0.032989502,-0.035003662,-0.03100586,-0.020996094,-0.0040016174,0.018997192,0.04800415,-0.016998291,0.024002075,-0.027999878,0.026000977,-0.013999939,-0.04800415,0.024002075,0.0030002594,-0.012001038,-0.020996094,-0.024002075,-0.020996094,-0.011001587,0.005001068,0.026992798,-0.045013428,-0.011001587,0.02999878,-0.022994995,0.02999878,-0.011001587,-0.04598999,0.026000977,0.0040016174,-0.012001038,-0.022003174,-0.026000977,-0.022994995,-0.013999939,0.0010004044,0.022003174,0.04901123,-0.016998291,0.022994995,-0.03100586,0.020996094,-0.020996094,0.044006348,0.01499939,-0.008003235,-0.024993896,-0.036010742,-0.040008545,-0.037994385,-0.02999878,-0.01600647,0.0040016174,0.03100586,-0.036010742,0.0030002594,0.04800415,-0.0010004044,-0.042999268,0.020996094,-0.009002686,-0.032989502,0.04901123,0.037994385,0.032989502,0.033996582,0.040985107,-0.04598999,-0.026000977,0,0.03201294,-0.02999878,0.013999939,-0.035003662,0.022003174,-0.01499939,-0.04598999,0.029006958,0.011001587,-0.0010004044,-0.0069999695,-0.0069999695,-0.0010004044,0.012001038,0.03100586,-0.044006348,-0.013000488,0.024002075,-0.03201294,0.018005371,-0.026000977,0.036010742,0.0040016174,-0.020996094,-0.040008545,0.04699707,0.040008545,0.039001465,0.045013428,-0.042999268,-0.024993896,-0.0010004044,0.029006958,-0.033996582,0.009002686,-0.041992188,0.013000488,-0.026000977,0.041992188,0.01600647,-0.0040016174,-0.018005371,-0.026000977,-0.026992798,-0.022003174,-0.011001587,0.006000519,0.029006958,-0.040985107,-0.005001068,0.036987305,-0.01499939,0.039001465,0,-0.032989502,0.040008545,0.018997192,0.0040016174,-0.0040016174,-0.006000519,-0.0020008087,0.008003235,0.024002075,0.04699707,-0.024002075,0.011001587,-0.04800415,-0.0010004044,-0.04699707,0.013000488,-0.020996094,-0.04901123,0.029006958,0.013999939,0.005001068,0.0020008087,0.005001068,0.013999939,0.02999878,-0.04800415,-0.020004272,0.013999939,-0.04598999,0.0010004044,-0.04598999,0.013000488,-0.022003174,0.04901123,0.026992798,0.011001587,0.0010004044,-0.0030002594,-0.0010004044,0.008003235,0.022994995,0.044006348,-0.029006958,0.0040016174,0.044006348,-0.010002136,0.041992188,0,-0.036010742,0.035003662,0.012001038,-0.005001068,-0.01600647,-0.020996094,-0.018997192,-0.011001587,0.0030002594,0.022994995,0.04901123,-0.018005371,0.020996094,-0.033996582,0.016998291,-0.026000977,0.037994385,0.008003235,-0.01600647,-0.033996582,-0.04598999,0.04901123,0.049987793,-0.042999268,-0.02999878,-0.011001587,0.01499939,0.04699707,-0.01499939,0.029006958,-0.020996094,0.036010742,-0.0010004044,-0.03201294,0.042999268,0.024002075,0.012001038,0.006000519,0.006000519,0.012001038,0.024002075,0.042999268,-0.03201294,-0.0010004044,0.036010742,-0.020996094,0.029006958,-0.01499939,0.04699707,0.01499939,-0.011001587,-0.02999878,-0.042999268,0.049987793,0.04901123,-0.04598999,-0.033996582,-0.01600647,0.008003235,0.037994385,-0.026000977,0.016998291,-0.033996582,0.020996094,-0.018005371,0.04901123,0.022994995,0.0030002594,-0.011001587,-0.018997192,-0.020996094,-0.01600647,-0.005001068,0.012001038,0.035003662,-0.036010742,0,0.041992188,-0.010002136,0.044006348,0.0040016174,-0.029006958,0.044006348,0.022994995,0.008003235,-0.0010004044,-0.0030002594,0.0010004044,0.011001587,0.026992798,0.04901123,-0.022003174,0.013000488,-0.04598999,0.0010004044,-0.04598999,0.013999939,-0.020004272,-0.04800415,0.02999878,0.013999939,0.005001068,0.0020008087,0.005001068,0.013999939,0.029006958,-0.04901123,-0.020996094,0.013000488,-0.04699707,-0.0010004044,-0.04800415,0.011001587,-0.024002075,0.04699707,0.024002075,0.008003235,-0.0020008087,-0.006000519,-0.0040016174,0.0040016174,0.018997192,0.040008545,-0.032989502,0,0.039001465,-0.01499939,0.036987305,-0.005001068,-0.040985107,0.029006958,0.006000519,-0.011001587,-0.022003174,-0.026992798,-0.026000977,-0.018005371,-0.0040016174,0.01600647,0.041992188,-0.026000977,0.013000488,-0.041992188,0.009002686,-0.033996582,0.029006958,-0.0010004044]');
INSERT INTO rappel.chunks VALUES ('jardin', 0, 0, 'Les tomates aiment le soleil.', '[-0.036010742,-0.035003662,-0.027999878,-0.013999939,0.006000519,0.03201294,-0.036010742,0.0020008087,0.04699707,-0.0020008087,-0.045013428,0.018005371,-0.013000488,-0.036987305,0.045013428,0.032989502,0.026992798,0.026992798,0.033996582,0.04699707,-0.033996582,-0.009002686,0.022003174,-0.040008545,0.0040016174,-0.04598999,0.010002136,-0.027999878,0.040985107,0.01600647,-0.0030002594,-0.01600647,-0.022994995,-0.022994995,-0.016998291,-0.005001068,0.013000488,0.036987305,-0.03201294,0.005001068,0.04800415,-0.0030002594,-0.04800415,0.013999939,-0.018005371,-0.044006348,0.036010742,0.022003174,0.01499939,0.013999939,0.018997192,0.02999878,0.04699707,-0.029006958,0.0010004044,0.036987305,-0.020996094,0.026992798,-0.018005371,0.042999268,0.010002136,-0.016998291,-0.037994385,0.04800415,0.040008545,0.037994385,0.041992188,-0.04800415,-0.03100586,-0.008003235,0.020996094,-0.044006348,-0.0030002594,0.045013428,-0.0010004044,-0.040985107,0.024993896,-0.0030002594,-0.024002075,-0.039001465,-0.04800415,0.04901123,-0.04800415,-0.037994385,-0.022003174,0,0.027999878,-0.037994385,0.0030002594,0.049987793,0.0030002594,-0.037994385,0.026992798,-0.0010004044,-0.022994995,-0.039001465,-0.04901123,0.04699707,0.049987793,-0.040985107,-0.026000977,-0.005001068,0.022003174,-0.044006348,-0.0040016174,0.041992188,-0.006000519,-0.04800415,0.016998291,-0.012001038,-0.035003662,0.04800415,0.036987305,0.032989502,0.035003662,0.042999268,-0.042999268,-0.022994995,0.0040016174,0.036987305,-0.024002075,0.020996094,-0.027999878,0.02999878,-0.006000519,-0.036010742,0.040008545,0.022003174,0.011001587,0.006000519,0.0069999695,0.013999939,0.026992798,0.04699707,-0.026992798,0.005001068,0.042999268,-0.013000488,0.037994385,-0.005001068,-0.041992188,0.026992798,0.0020008087,-0.01600647,-0.027999878,-0.033996582,-0.033996582,-0.027999878,-0.01499939,0.0040016174,0.029006958,-0.040008545,-0.0030002594,0.040985107,-0.009002686,0.04699707,0.009002686,-0.022994995,-0.04800415,0.032989502,0.020004272,0.013000488,0.012001038,0.018005371,0.02999878,0.04800415,-0.027999878,0.0020008087,0.039001465,-0.018005371,0.03100586,-0.013999939,0.04699707,0.01499939,-0.011001587,-0.03100586,-0.045013428,0.04699707,0.04598999,-0.04901123,-0.037994385,-0.020996094,0.0020008087,0.03201294,-0.03201294,0.010002136,-0.041992188,0.012001038,-0.026992798,0.040008545,0.013000488,-0.008003235,-0.022994995,-0.03100586,-0.032989502,-0.029006958,-0.018997192,-0.0030002594,0.020004272,0.04901123,-0.01600647,0.024993896,-0.027999878,0.026000977,-0.013999939,-0.04800415,0.024002075,0.0020008087,-0.013000488,-0.022003174,-0.024993896,-0.022003174,-0.013000488,0.0030002594,0.024993896,-0.04699707,-0.013000488,0.026992798,-0.026000977,0.026992798,-0.013999939,-0.04901123,0.022003174,0,-0.01600647,-0.026000977,-0.02999878,-0.027999878,-0.018997192,-0.0040016174,0.016998291,0.044006348,-0.022994995,0.016998291,-0.036987305,0.01499939,-0.026992798,0.036987305,0.008003235,-0.01499939,-0.03201294,-0.042999268,-0.04800415,-0.04598999,-0.037994385,-0.024002075,-0.0040016174,0.022003174,-0.045013428,-0.006000519,0.039001465,-0.010002136,0.04699707,0.011001587,-0.018997192,-0.042999268,0.039001465,0.026992798,0.022003174,0.022994995,0.02999878,0.042999268,-0.037994385,-0.012001038,0.020004272,-0.041992188,0.0020008087,-0.04800415,0.009002686,-0.027999878,0.040985107,0.01600647,-0.0030002594,-0.01499939,-0.020996094,-0.020996094,-0.01499939,-0.0030002594,0.01600647,0.040985107,-0.027999878,0.009002686,-0.04800415,0.0020008087,-0.041992188,0.020004272,-0.012001038,-0.037994385,0.042999268,0.02999878,0.022994995,0.022003174,0.026992798,0.039001465,-0.042999268,-0.018997192,0.011001587,0.04699707,-0.010002136,0.039001465,-0.006000519,-0.045013428,0.022003174,-0.0040016174,-0.024002075,-0.037994385,-0.04598999,-0.04800415,-0.042999268,-0.03201294,-0.01499939,0.008003235,0.036987305,-0.026992798,0.01499939,-0.036987305,0.016998291,-0.022994995,0.044006348,0.016998291,-0.0040016174,-0.018997192,-0.027999878,-0.02999878,-0.026000977,-0.01600647,0,0.022003174,-0.04901123,-0.013999939,0.026992798,-0.026000977,0.026992798,-0.013000488,-0.04699707,0.024993896,0.0030002594,-0.013000488,-0.022003174,-0.024993896,-0.022003174,-0.013000488,0.0020008087,0.024002075,-0.04800415,-0.013999939,0.026000977,-0.027999878,0.024993896,-0.01600647,0.04901123,0.020004272,-0.0030002594,-0.018997192,-0.029006958,-0.032989502,-0.03100586,-0.022994995,-0.008003235,0.013000488,0.040008545,-0.026992798,0.012001038,-0.041992188,0.010002136,-0.03201294,0.03201294,0.0020008087,-0.020996094,-0.037994385,-0.04901123,0.04598999,0.04699707,-0.045013428,-0.03100586,-0.011001587,0.01499939,0.04699707,-0.013999939,0.03100586,-0.018005371,0.039001465,0.0020008087,-0.027999878]');

INSERT INTO rappel.documents VALUES ('brulures', 'Brûlures', 'Refroidir la brûlure sous l''eau pendant quinze minutes.', '{"lang": "fr"}', '\x01', '2026-11-28 04:25:48.545391+00', '2026-11-28 04:25:48.545391+00');
INSERT INTO rappel.documents VALUES ('jardin', 'Jardin', 'Les tomates aiment le soleil.', '{}', '\x03', '2026-11-28 04:25:48.545391+00', '2026-11-28 04:25:48.545391+00');
INSERT INTO rappel.documents VALUES ('migraine', 'Migraine', 'Le repos dans le noir soulage la migraine.', '{"lang": "fr", "theme": "sante"}', '\x02', '2026-11-28 04:25:48.545391+00', '2026-11-28 04:25:48.545391+00');

INSERT INTO rappel.import_parts VALUES ('018f-import', 0, 0, 100, NULL, 100, 0, 0, 0, 0, NULL, '-infinity', 0, 0, NULL, '2026-11-28 04:25:48.690083+00');
INSERT INTO rappel.import_parts VALUES ('018f-import', 1, 0, 100, NULL, 100, 3, 3, 0, 0, NULL, '-infinity', 0, 0, NULL, '2026-11-28 04:25:48.690083+00');

INSERT INTO rappel.imports VALUES ('018f-import', 's3://bucket/corpus.jsonl', 'etag', 100, '000000000000/imports', '2026-11-28 04:25:48.654067+00', NULL, NULL);

INSERT INTO rappel.migrations VALUES (1, '0001_documents', '2026-11-28 04:25:48.326072+00');
INSERT INTO rappel.migrations VALUES (2, '0002_terms', '2026-11-28 04:25:48.379437+00');
INSERT INTO rappel.migrations VALUES (3, '0003_upsert', '2026-11-28 04:25:48.508272+00');
INSERT INTO rappel.migrations VALUES (4, '0004_semantic', '2026-11-28 04:25:48.50948+00');
INSERT INTO rappel.migrations VALUES (5, '0005_keyword', '2026-11-28 04:25:48.513021+00');
INSERT INTO rappel.migrations VALUES (6, '0006_search', '2026-11-28 04:25:48.518093+00');
INSERT INTO rappel.migrations VALUES (7, '0007_imports', '2026-11-28 04:25:48.526409+00');

INSERT INTO rappel.model VALUES (true, 'multilingual-e5-small', 384);

INSERT INTO rappel.term_statistics VALUES ('tomat', 117030125, 1, 1);
INSERT INTO rappel.term_statistics VALUES ('soleil', 148068309, 1, 1);
INSERT INTO rappel.term_statistics VALUES ('migrain', 182215415, 1, 1);
INSERT INTO rappel.term_statistics VALUES ('repos', 951797874, 1, 1);
INSERT INTO rappel.term_statistics VALUES ('minut', 210288588, 1, 1);
INSERT INTO rappel.term_statistics VALUES ('brulur', 82164094, 1, 1);
INSERT INTO rappel.term_statistics VALUES ('eau', 987432120, 1, 1);
INSERT INTO rappel.term_statistics VALUES ('noir', 1145814524, 1, 1);
INSERT INTO rappel.term_statistics VALUES ('', 1775908587, 3, 16);

ALTER TABLE ONLY rappel.chunk_terms
    ADD CONSTRAINT chunk_terms_pkey PRIMARY KEY (document_id, ordinal);

ALTER TABLE ONLY rappel.chunks
    ADD CONSTRAINT chunks_pkey PRIMARY KEY (document_id, ordinal);

ALTER TABLE ONLY rappel.documents
    ADD CONSTRAINT documents_pkey PRIMARY KEY (id);

ALTER TABLE ONLY rappel.import_lines
    ADD CONSTRAINT import_lines_pkey PRIMARY KEY (import_id, part, "position");

ALTER TABLE ONLY rappel.import_parts
    ADD CONSTRAINT import_parts_pkey PRIMARY KEY (import_id, part);

ALTER TABLE ONLY rappel.imports
    ADD CONSTRAINT imports_pkey PRIMARY KEY (id);

ALTER TABLE ONLY rappel.migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (version);

ALTER TABLE ONLY rappel.model
    ADD CONSTRAINT model_pkey PRIMARY KEY (singleton);

ALTER TABLE ONLY rappel.term_statistics
    ADD CONSTRAINT term_statistics_pkey PRIMARY KEY (term, stripe);

CREATE INDEX chunk_terms_terms ON rappel.chunk_terms USING gin (array_to_tsvector(terms)) WITH (fastupdate=off);

CREATE INDEX chunks_embedding_hnsw ON rappel.chunks USING hnsw (embedding public.halfvec_cosine_ops);

CREATE INDEX documents_metadata ON rappel.documents USING gin (metadata jsonb_path_ops);

CREATE TRIGGER chunk_terms_added AFTER INSERT ON rappel.chunk_terms REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION rappel.count_terms();

CREATE TRIGGER chunk_terms_deleted AFTER DELETE ON rappel.chunk_terms REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION rappel.count_terms();

CREATE TRIGGER chunk_terms_emptied AFTER TRUNCATE ON rappel.chunk_terms FOR EACH STATEMENT EXECUTE FUNCTION rappel.count_terms();

ALTER TABLE ONLY rappel.chunk_terms
    ADD CONSTRAINT chunk_terms_document_id_fkey FOREIGN KEY (document_id) REFERENCES rappel.documents(id) ON DELETE CASCADE;

ALTER TABLE ONLY rappel.chunks
    ADD CONSTRAINT chunks_document_id_fkey FOREIGN KEY (document_id) REFERENCES rappel.documents(id) ON DELETE CASCADE;

ALTER TABLE ONLY rappel.import_lines
    ADD CONSTRAINT import_lines_import_id_part_fkey FOREIGN KEY (import_id, part) REFERENCES rappel.import_parts(import_id, part) ON DELETE CASCADE;

ALTER TABLE ONLY rappel.import_parts
    ADD CONSTRAINT import_parts_import_id_fkey FOREIGN KEY (import_id) REFERENCES rappel.imports(id) ON DELETE CASCADE;

