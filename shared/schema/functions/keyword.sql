-- The keyword half of a search: the choice of chunks to score, and their scores by BM25.

-- The question's terms that any chunk of the tenant has, the rarest first, with their weights in BM25:
-- idf = ln(1 + (N - n + 0.5) / (n + 0.5)) for a term that n of N chunks have. `words` numbers the words that the question's
-- terms stand for, `pieces` the pieces of these words: terms of one piece are its stems, and alternatives. `pieces` comes back
-- for the known terms. `most` is the weight of all words, known or not: each counts as much as the best known of its terms,
-- and if no chunk has it, as one that n = 0 chunks have.
CREATE FUNCTION term_weights(
    tenant text, question text[], words integer[], INOUT pieces integer[],
    OUT terms text[], OUT weights double precision[], OUT most double precision
)
LANGUAGE sql STABLE
BEGIN ATOMIC
    WITH corpus AS MATERIALIZED (
        SELECT coalesce(sum(s.chunks), 0)::double precision AS chunks
        FROM rappel.term_statistics AS s WHERE s.tenant = term_weights.tenant AND s.term = ''
    ), counted AS MATERIALIZED (
        SELECT q.term, q.word, q.piece, coalesce(sum(s.chunks), 0)::double precision AS chunks
        FROM unnest(question, words, pieces) AS q (term, word, piece)
        LEFT JOIN rappel.term_statistics AS s ON s.tenant = term_weights.tenant AND s.term = q.term
        WHERE q.term <> '' -- whose statistics are those of all chunks
        GROUP BY q.term, q.word, q.piece
    ), weighed AS MATERIALIZED (
        SELECT c.*, ln(1 + (corpus.chunks - c.chunks + 0.5) / (c.chunks + 0.5)) AS weight
        FROM corpus, counted AS c
    )
    SELECT array_agg(w.piece ORDER BY w.weight DESC, w.term) FILTER (WHERE w.chunks > 0),
           array_agg(w.term ORDER BY w.weight DESC, w.term) FILTER (WHERE w.chunks > 0),
           array_agg(w.weight ORDER BY w.weight DESC, w.term) FILTER (WHERE w.chunks > 0),
           (
               SELECT sum(v.weight)
               FROM (
                   SELECT coalesce(max(w.weight) FILTER (WHERE w.chunks > 0), max(w.weight)) AS weight
                   FROM weighed AS w
                   GROUP BY w.word
               ) AS v
           )
    FROM weighed AS w;
END;

-- The terms that a word with this beginning may have, at most `most`: the most frequent ones that begin so, as far as not so many
-- chunks have them that to look them up takes longer than somebody types a letter. If none begins so, the beginning may be longer
-- than the stem of its word: then it is the longest term that it begins with.
CREATE FUNCTION completions(tenant text, beginning text, most integer) RETURNS text[]
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
    -- The chunks of the terms before the last one: some 10 ms.
    affordable CONSTANT bigint := 30000;
    terms      text[] := ARRAY(
        SELECT c.term
        FROM (
            SELECT s.term, sum(s.chunks) AS chunks, sum(sum(s.chunks)) OVER (ORDER BY sum(s.chunks) DESC, s.term) AS so_far
            FROM rappel.term_statistics AS s
            WHERE s.tenant = completions.tenant AND s.term >= beginning AND s.term < beginning || chr(1114111)
            GROUP BY s.term
            HAVING sum(s.chunks) > 0
            ORDER BY chunks DESC, s.term
            LIMIT most
        ) AS c
        WHERE c.so_far - c.chunks < affordable
        ORDER BY c.chunks DESC, c.term);
BEGIN
    IF terms = '{}' THEN
        -- Endings have at most seven letters: -issement-.
        terms := ARRAY(
            SELECT b.term
            FROM generate_series(greatest(4, length(beginning) - 7), length(beginning) - 1) AS l (letters)
            CROSS JOIN LATERAL (SELECT left(beginning, l.letters) AS term) AS b
            WHERE EXISTS (
                SELECT FROM rappel.term_statistics AS s
                WHERE s.tenant = completions.tenant AND s.term = b.term AND s.chunks > 0
            )
            ORDER BY l.letters DESC
            LIMIT 1);
    END IF;
    RETURN terms;
END
$$;

-- The same as `term_weights` for a question whose last word has only begun: its completions are stems of the last word's last
-- piece, all as rare as the most frequent of them. By their own weights, the rarest completion would come first. `forms` are the
-- completions.
CREATE FUNCTION begun_weights(
    tenant text, question text[], words integer[], INOUT pieces integer[], beginning text,
    OUT terms text[], OUT weights double precision[], OUT most double precision, OUT forms text[]
)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
    -- The last word is one of the question's, or a stop word, which has no terms.
    last_word  integer;
    last_piece integer;
    lowest     double precision;
    highest    double precision;
BEGIN
    SELECT q.word, q.piece INTO last_word, last_piece
    FROM unnest(question, words, begun_weights.pieces) AS q (term, word, piece)
    WHERE starts_with(q.term, beginning) OR starts_with(beginning, q.term)
    ORDER BY q.word DESC, q.piece DESC LIMIT 1;
    last_word  := coalesce(last_word, (SELECT max(w) + 1 FROM unnest(words) AS w), 0);
    last_piece := coalesce(last_piece, (SELECT max(p) + 1 FROM unnest(begun_weights.pieces) AS p), 0);
    forms := completions(tenant, beginning, 12);
    SELECT t.terms, t.weights, t.pieces, t.most
    INTO begun_weights.terms, begun_weights.weights, begun_weights.pieces, begun_weights.most
    FROM term_weights(
        tenant,
        ARRAY(SELECT q.term FROM unnest(question) AS q (term) WHERE NOT q.term = ANY (forms)) || forms,
        ARRAY(SELECT q.word FROM unnest(question, words) AS q (term, word) WHERE NOT q.term = ANY (forms))
            || array_fill(last_word, ARRAY[cardinality(forms)]),
        ARRAY(SELECT q.piece FROM unnest(question, begun_weights.pieces) AS q (term, piece) WHERE NOT q.term = ANY (forms))
            || array_fill(last_piece, ARRAY[cardinality(forms)])) AS t;
    SELECT min(w.weight), max(w.weight) INTO lowest, highest
    FROM unnest(begun_weights.terms, begun_weights.weights) AS w (term, weight) WHERE w.term = ANY (forms);
    IF lowest IS NULL THEN
        RETURN;
    END IF;
    begun_weights.most := begun_weights.most - highest + lowest;
    SELECT array_agg(w.term ORDER BY w.weight DESC, w.term), array_agg(w.weight ORDER BY w.weight DESC, w.term),
           array_agg(w.piece ORDER BY w.weight DESC, w.term)
    INTO begun_weights.terms, begun_weights.weights, begun_weights.pieces
    FROM (
        SELECT u.term, CASE WHEN u.term = ANY (forms) THEN lowest ELSE u.weight END AS weight, u.piece
        FROM unnest(begun_weights.terms, begun_weights.weights, begun_weights.pieces) AS u (term, weight, piece)
    ) AS w;
END
$$;

-- BM25 as an expression over a chunk's `terms`, their frequencies `f`, and `saturation`, one summand a term:
-- weight * (k1 + 1) * f / (f + saturation), where saturation = k1 * (1 - b + b * length / average), and 0
-- where the chunk lacks the term. It is written so that the chunk's terms are read once for each.
-- Pieces of one word add up: a code that stands as the question writes it has more of them than one that shares its parts.
-- Of the stems of one piece only the best counts: a passage that has a word in several has it once.
-- The terms are written out because a loop over them in a subquery takes twice as long a chunk.
CREATE FUNCTION bm25_expression(
    terms text[], weights double precision[], pieces integer[], k1 double precision
) RETURNS text
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT coalesce(string_agg(
        CASE WHEN p.stems = 1 THEN p.score ELSE 'greatest(' || p.score || ')' END,
        ' + ' ORDER BY p.weight DESC, p.piece), '0::float8')
    FROM (
        SELECT q.piece, count(*) AS stems, max(q.weight) AS weight,
               string_agg(format(
                   'coalesce(%s * (1 - saturation / (f[array_position(terms, %L)] + saturation)), 0)',
                   q.weight * (k1 + 1), q.term), ', ' ORDER BY q.weight DESC, q.term) AS score
        FROM unnest(terms, weights, pieces) AS q (term, weight, piece)
        GROUP BY q.piece
    ) AS p;
END;

-- The tsquery that a chunk matches if the weights of those of `questions` that it matches add up to `threshold`: `questions`,
-- tsqueries as well, and `weights` are sorted by descending weight, `remaining` is the sum from `place` on. Null if they
-- cannot, empty if nothing is asked.
--
-- GIN enumerates only the rarest terms without which the query cannot be true and skips through the
-- lists of the others, which is what the MaxScore algorithm does.
CREATE FUNCTION reaching(
    questions text[], weights double precision[], threshold double precision,
    place integer, remaining double precision
) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT SET search_path FROM CURRENT AS $$
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
    head    := questions[place];
    with_it := reaching(questions, weights, threshold - weights[place], place + 1, remaining - weights[place]);
    without := reaching(questions, weights, threshold, place + 1, remaining - weights[place]);
    IF with_it IS NULL THEN
        RETURN without;
    END IF;
    head := CASE with_it WHEN '' THEN head ELSE '(' || head || '&' || with_it || ')' END;
    RETURN CASE WHEN without IS NULL THEN head ELSE '(' || head || '|' || without || ')' END;
END
$$;

-- The `wanted` chunks that score highest by BM25, best first, at most `passages` of a document.
--
-- Scoring every chunk that has any of the terms is exact, and slow where the words are common. So the
-- chunks are asked for in steps: first those that have most of the question's weight, then less, until
-- there are enough of them; only these chunks are scored. Questions of very common words match tens of
-- thousands of chunks. Cutting them off in whatever order they lie is harmless only for the last of the
-- steps, so each step adds to the ones before it, and all of them share one limit.
--   terms, weights, pieces, expression  see `term_weights` and `bm25_expression`
--   k1, b       BM25's parameters
--   average     the mean length of all chunks
--   few_match   whether so few chunks match the filter that each is scored
--   affordable  the most chunks to score, unless few match the filter
--   wording                  what the question demands of hits (see phrases.sql), or null
--   listed, listed_ordinals  all chunks that match filter and wording, if they are known: each is scored
--   matching                 the documents that match the filter, if few do and they are known
--   readable                 the most chunks of which the filter is asked after the first step, unless few match; or null
CREATE FUNCTION keyword_candidates(
    tenant text, terms text[], weights double precision[], pieces integer[], expression text,
    k1 double precision, b double precision, average double precision,
    wanted integer, passages integer, query halfvec, filter jsonb, max_distance double precision, few_match boolean,
    affordable integer, wording jsonb DEFAULT NULL, listed text[] DEFAULT NULL, listed_ordinals integer[] DEFAULT NULL,
    matching text[] DEFAULT NULL, readable integer DEFAULT NULL,
    OUT ids text[], OUT ordinals integer[], OUT scores double precision[]
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    -- More pieces make the tsquery grow beyond what it saves.
    most      CONSTANT integer := 5;
    shares    CONSTANT double precision[] := '{0.6, 0.35, 0.2, 0.1}';
    -- Occurrences of the question's words in so few chunks that each of them is scored, in 1 or 2 ms.
    rare      CONSTANT integer := 500;
    stems     text[]; -- a tsquery for any stem of each piece: a chunk that has several scores no more than for the best
    heaviest  double precision[]; -- the weights of the best, in descending order
    total     double precision;
    questions text[];
    source    text := 'rappel.chunk_terms AS t WHERE t.tenant = $16 AND array_to_tsvector(t.terms) @@ $5';
    reading   text := 'SELECT'; -- what `read` is, if the filter is asked of so many chunks only
    condition text;
    question  text;
    answered  tsquery; -- what the steps before asked for
    scored    integer;
    were_read integer;
BEGIN
    PERFORM require_tenant(tenant);
    -- A phrase of stop words has chunks without any of the question's terms.
    IF terms IS NULL AND listed IS NULL THEN
        RETURN;
    END IF;
    SELECT array_agg(p.stems ORDER BY p.weight DESC, p.piece), array_agg(p.weight ORDER BY p.weight DESC, p.piece)
    INTO stems, heaviest
    FROM (
        SELECT q.piece, max(q.weight) AS weight, '(' || string_agg(quote_literal(q.term), '|' ORDER BY q.term) || ')' AS stems
        FROM unnest(terms, weights, pieces) AS q (term, weight, piece)
        GROUP BY q.piece
    ) AS p;
    total     := (SELECT sum(w) FROM unnest(heaviest[1:most]) AS w);
    questions := ARRAY(SELECT reaching(stems[1:most], heaviest[1:most], share * total, 1, total) FROM unnest(shares) AS share)
        || array_to_string(stems[1:most], '|')
        || array_to_string(stems, '|');
    -- Where the words are rare, all chunks that have one are scored sooner than steps are gone.
    IF (SELECT sum(s.chunks) <= rare FROM rappel.term_statistics AS s
        WHERE s.tenant = keyword_candidates.tenant AND s.term = ANY (terms)) THEN
        questions := questions[cardinality(questions):];
    END IF;
    IF listed IS NOT NULL THEN
        source := 'unnest($14, $15) AS l (document_id, ordinal)
                   JOIN rappel.chunk_terms AS t
                       ON t.tenant = $16 AND t.document_id = l.document_id AND t.ordinal = l.ordinal WHERE true';
        affordable := NULL;
    ELSIF matching IS NOT NULL THEN
        source := 'unnest($17) AS d (id) JOIN rappel.chunk_terms AS t ON t.tenant = $16 AND t.document_id = d.id WHERE true';
        affordable := NULL;
    ELSIF few_match THEN
        source := 'rappel.documents AS d JOIN rappel.chunk_terms AS t ON t.tenant = d.tenant AND t.document_id = d.id
                   WHERE d.tenant = $16 AND t.tenant = $16 AND selected(d, $6)';
        affordable := NULL;
    ELSIF filter IS NOT NULL THEN
        -- Beside most terms is a copy of the document's metadata: to look at its row takes four times as long.
        condition := format(
            'CASE WHEN %s THEN t.metadata @@ ($6 ->> ''metadata'')::jsonpath ELSE (
                 SELECT matches(d, $6) FROM rappel.documents AS d WHERE d.tenant = t.tenant AND d.id = t.document_id) END',
            CASE WHEN filter ? 'metadata' AND NOT filter ?| '{ids,created_at,updated_at,document}'
                 THEN 't.metadata IS NOT NULL' ELSE 'false' END);
        IF readable IS NULL THEN
            source := source || ' AND ' || condition;
        ELSE
            reading := format(
                'SELECT l.tenant, l.document_id, l.ordinal, l.length, l.fits,
                        CASE WHEN l.fits THEN l.terms END AS terms, CASE WHEN l.fits THEN l.frequencies END AS frequencies
                 FROM (SELECT t.*, %s AS fits FROM %s LIMIT $18) AS l', condition, source);
            source := 'read AS t WHERE t.fits';
        END IF;
    END IF;
    IF wording IS NOT NULL AND listed IS NULL THEN
        source := source || format(
            ' AND (SELECT %s FROM rappel.documents AS d
                   JOIN rappel.chunks AS c ON c.tenant = d.tenant AND c.document_id = d.id AND c.ordinal = t.ordinal
                   WHERE d.tenant = t.tenant AND d.id = t.document_id)', wording_condition(wording));
        -- The text of each is read.
        affordable := least(affordable, 5000);
    END IF;
    IF max_distance IS NOT NULL THEN
        source := source || ' AND (SELECT c.embedding <=> $7 FROM rappel.chunks AS c
                                   WHERE c.tenant = t.tenant AND c.document_id = t.document_id AND c.ordinal = t.ordinal) <= $8';
    END IF;
    FOREACH question IN ARRAY questions LOOP
        EXECUTE format(
            'WITH read AS MATERIALIZED (%s), scored AS MATERIALIZED (
                 SELECT t.document_id, t.ordinal, %s AS score
                 FROM (
                     SELECT t.document_id, t.ordinal, t.terms, t.frequencies AS f,
                            $1 * (1 - $2 + $2 * t.length / $3) AS saturation
                     FROM %s
                     LIMIT $12
                 ) AS t
             ), placed AS (
                 SELECT s.document_id, s.ordinal, s.score,
                        row_number() OVER (PARTITION BY s.document_id ORDER BY s.score DESC, s.ordinal) AS place
                 FROM (
                     SELECT s.* FROM scored AS s WHERE s.score > 0 OR $14 IS NOT NULL
                     UNION ALL
                     SELECT * FROM unnest($9, $10, $11)
                 ) AS s
             ), top AS (
                 SELECT p.document_id, p.ordinal, p.score
                 FROM placed AS p
                 WHERE p.place <= $13
                 ORDER BY p.score DESC, p.document_id, p.ordinal
                 LIMIT $4
             )
             SELECT array_agg(t.document_id), array_agg(t.ordinal), array_agg(t.score), (SELECT count(*) FROM scored),
                    (SELECT count(*) FROM read)
             FROM top AS t', reading, expression, source)
        INTO ids, ordinals, scores, scored, were_read
        USING k1, b, average, wanted,
              CASE WHEN answered IS NULL THEN question::tsquery ELSE question::tsquery && !!answered END,
              filter, query, max_distance, ids, ordinals, scores, affordable, passages, listed, listed_ordinals,
              tenant, matching, CASE WHEN answered IS NOT NULL THEN readable END;
        affordable := affordable - scored;
        readable := readable - were_read;
        EXIT WHEN few_match OR listed IS NOT NULL OR cardinality(ids) >= wanted OR affordable <= 0 OR readable <= 0;
        answered := question::tsquery;
    END LOOP;
END
$$;
