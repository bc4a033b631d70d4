-- The semantic half of a search: the chunks whose embeddings are nearest to the question's.

-- The nearest chunks of all tenants in the order of the index, to measure it.
CREATE FUNCTION nearest_in_index(query halfvec, candidates integer)
RETURNS TABLE (distance double precision)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT c.embedding <=> query
    FROM rappel.chunks AS c
    ORDER BY c.embedding <=> query
    LIMIT candidates;
END;

-- The nearest chunks of a tenant in the order of the index. Nothing is joined here: a join around the
-- `ORDER BY ... LIMIT` can make the planner leave the index.
CREATE FUNCTION nearest(tenant text, query halfvec, candidates integer)
RETURNS TABLE (document_id text, ordinal integer, distance double precision)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT c.document_id, c.ordinal, c.embedding <=> query
    FROM rappel.chunks AS c
    WHERE c.tenant = nearest.tenant
    ORDER BY c.embedding <=> query
    LIMIT candidates;
END;

-- The nearest chunks whose document matches `filter`. The filter is a scalar subquery,
-- not a join, so that the index is still walked in its order.
CREATE FUNCTION nearest_filtered(tenant text, query halfvec, candidates integer, filter jsonb)
RETURNS TABLE (document_id text, ordinal integer, distance double precision)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT c.document_id, c.ordinal, c.embedding <=> query
    FROM rappel.chunks AS c
    WHERE c.tenant = nearest_filtered.tenant
      AND (SELECT matches(d, filter) FROM rappel.documents AS d WHERE d.tenant = c.tenant AND d.id = c.document_id)
    ORDER BY c.embedding <=> query
    LIMIT candidates;
END;

-- The nearest chunks, at most `passages` of a document, by reading every matching chunk: exact.
CREATE FUNCTION nearest_exact(tenant text, query halfvec, candidates integer, passages integer, filter jsonb)
RETURNS TABLE (document_id text, ordinal integer, distance double precision)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT b.document_id, b.ordinal, b.distance
    FROM (
        SELECT m.*, row_number() OVER (PARTITION BY m.document_id ORDER BY m.distance, m.ordinal) AS place
        FROM (
            SELECT c.document_id, c.ordinal, c.embedding <=> query AS distance
            FROM rappel.documents AS d
            JOIN rappel.chunks AS c ON c.tenant = d.tenant AND c.document_id = d.id
            WHERE d.tenant = nearest_exact.tenant AND c.tenant = nearest_exact.tenant AND selected(d, filter)
        ) AS m
    ) AS b
    WHERE b.place <= passages
    ORDER BY b.distance, b.document_id, b.ordinal
    LIMIT candidates;
END;

-- The same among the chunks of some documents, of which at most `most` are read. `matching` is how many were.
CREATE FUNCTION nearest_of_documents(
    tenant text, query halfvec, candidates integer, passages integer, documents text[], most integer
)
RETURNS TABLE (document_id text, ordinal integer, distance double precision, matching bigint)
LANGUAGE sql STABLE
BEGIN ATOMIC
    WITH matching AS MATERIALIZED (
        SELECT d.place AS document, c.document_id, c.ordinal, c.embedding <=> query AS distance
        FROM unnest(documents) WITH ORDINALITY AS d (id, place)
        JOIN rappel.chunks AS c ON c.tenant = nearest_of_documents.tenant AND c.document_id = d.id
        LIMIT most
    )
    SELECT b.document_id, b.ordinal, b.distance, (SELECT count(*) FROM matching)
    FROM (
        SELECT m.*, row_number() OVER (PARTITION BY m.document ORDER BY m.distance, m.ordinal) AS place
        FROM matching AS m
    ) AS b
    WHERE b.place <= passages
    ORDER BY b.distance, b.document_id, b.ordinal
    LIMIT candidates;
END;

-- The same of every chunk of a tenant. The 0 that is added keeps the planner from the index of embeddings.
CREATE FUNCTION nearest_of_tenant(tenant text, query halfvec, candidates integer, passages integer)
RETURNS TABLE (document_id text, ordinal integer, distance double precision)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT b.document_id, b.ordinal, b.distance
    FROM (
        SELECT m.*, row_number() OVER (PARTITION BY m.document_id ORDER BY m.distance, m.ordinal) AS place
        FROM (
            SELECT c.document_id, c.ordinal, (c.embedding <=> query) + 0 AS distance
            FROM rappel.chunks AS c
            WHERE c.tenant = nearest_of_tenant.tenant
        ) AS m
    ) AS b
    WHERE b.place <= passages
    ORDER BY b.distance, b.document_id, b.ordinal
    LIMIT candidates;
END;

-- The nearest chunks of all tenants by comparing with every one: what a search should find.
CREATE FUNCTION nearest_of_all(embedding real[], candidates integer)
RETURNS TABLE (document_id text, ordinal integer, distance double precision)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT c.document_id, c.ordinal, c.embedding <=> nearest_of_all.embedding::halfvec
    FROM rappel.chunks AS c
    -- The 0 that is added keeps the planner from the index.
    ORDER BY (c.embedding <=> nearest_of_all.embedding::halfvec) + 0
    LIMIT candidates;
END;

-- How many chunks a tenant has: each is counted under the empty term.
CREATE FUNCTION count_chunks(tenant text) RETURNS bigint
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT coalesce(sum(s.chunks), 0)::bigint
    FROM rappel.term_statistics AS s WHERE s.tenant = count_chunks.tenant AND s.term = '';
END;

-- Whether more than `few` chunks match, as the planner guesses from its statistics: to count them takes longer
-- than to search among them. A guess may be wrong by the half, so only twice as many are called many. Where it is
-- wrong, few matches are found by way of the index, with its recall, or many are counted in vain.
-- Volatile, because EXPLAIN may not be run by a function that is not.
CREATE FUNCTION many_match(tenant text, filter jsonb, few integer) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE format(
        'EXPLAIN (FORMAT JSON)
         SELECT FROM rappel.documents AS d JOIN rappel.chunks AS c ON c.tenant = d.tenant AND c.document_id = d.id
         WHERE d.tenant = %1$L AND c.tenant = %1$L AND selected(d, %2$L)', tenant, to_estimate(filter)) INTO plan;
    RETURN (plan #>> '{0,Plan,Plan Rows}')::double precision > 2 * few;
END
$$;

-- Whether at most `few` chunks match.
CREATE FUNCTION few_match(tenant text, filter jsonb, few integer) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
#variable_conflict use_column
BEGIN
    PERFORM require_tenant(few_match.tenant);
    RETURN count_chunks(few_match.tenant) <= few OR NOT many_match(few_match.tenant, filter, few) AND (
        SELECT count(*) <= few
        FROM (
            SELECT FROM rappel.documents AS d
            JOIN rappel.chunks AS c ON c.tenant = d.tenant AND c.document_id = d.id
            WHERE d.tenant = few_match.tenant AND c.tenant = few_match.tenant AND selected(d, filter)
            LIMIT few + 1
        ) AS matching
    );
END
$$;

-- How many hits chunks make: the `passages` nearest of each document count, and neighbours among these are one hit, as in
-- `fusion`.
CREATE FUNCTION count_hits(ids text[], ordinals integer[], distances double precision[], passages integer) RETURNS bigint
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT count(*) FILTER (WHERE r.before IS DISTINCT FROM r.ordinal - 1)
    FROM (
        SELECT b.ordinal, lag(b.ordinal) OVER (PARTITION BY b.id ORDER BY b.ordinal) AS before
        FROM (
            SELECT n.id, n.ordinal, row_number() OVER (PARTITION BY n.id ORDER BY n.distance, n.ordinal) AS place
            FROM unnest(ids, ordinals, distances) AS n (id, ordinal, distance)
        ) AS b
        WHERE b.place <= passages
    ) AS r;
END;

-- The nearest chunks, at first `candidates` of them, until they make `wanted` hits. Where the tenant has at most `few`
-- chunks, or at most as many match the filter, all of them are compared; `few_match` says whether few match a filter,
-- and `matching` are then the documents that do, unless the wording is listed. `is_all` says whether every document that
-- matches, and is near enough, has as many chunks among them as can be hits.
--   wording                  what the question demands of hits (see phrases.sql), or null
--   listed, listed_ordinals  all chunks that match filter and wording, if they are known
CREATE FUNCTION semantic_candidates(
    tenant text, query halfvec, wanted integer, candidates integer, passages integer, filter jsonb,
    max_distance double precision, few integer, wording jsonb DEFAULT NULL, listed text[] DEFAULT NULL,
    listed_ordinals integer[] DEFAULT NULL,
    OUT ids text[], OUT ordinals integer[], OUT distances double precision[], OUT few_match boolean, OUT matching text[],
    OUT is_all boolean
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    -- The chunks of an exact search. It gives at most `passages` of a document: so many are of `wanted` documents, which
    -- make a hit each, even if all chunks of a document are neighbours.
    enough CONSTANT integer := greatest(candidates, wanted * passages);
    small  CONSTANT boolean := count_chunks(tenant) <= few;
    exact  boolean := small AND (filter IS NULL OR wording IS NOT NULL);
BEGIN
    PERFORM require_tenant(tenant);
    is_all := false;
    few_match := listed IS NOT NULL;
    IF few_match THEN
        SELECT array_agg(n.document_id), array_agg(n.ordinal), array_agg(n.distance)
        INTO ids, ordinals, distances
        FROM nearest_listed(tenant, query, enough, passages, listed, listed_ordinals) AS n;
        is_all := coalesce(cardinality(ids), 0) < enough;
        RETURN;
    END IF;
    IF filter IS NOT NULL AND wording IS NULL AND (small OR NOT many_match(tenant, filter, few)) THEN
        matching := ARRAY(
            SELECT d.id FROM rappel.documents AS d
            WHERE d.tenant = semantic_candidates.tenant AND selected(d, filter)
            LIMIT few + 1);
        IF cardinality(matching) <= few THEN
            SELECT array_agg(n.document_id), array_agg(n.ordinal), array_agg(n.distance),
                   coalesce(max(n.matching), 0) <= few
            INTO ids, ordinals, distances, few_match
            FROM nearest_of_documents(tenant, query, enough, passages, matching, few + 1) AS n;
        END IF;
        IF few_match THEN
            is_all := coalesce(cardinality(ids), 0) < enough;
            RETURN;
        END IF;
        matching := NULL;
    END IF;
    WHILE NOT exact LOOP
        IF wording IS NOT NULL THEN
            SELECT array_agg(n.document_id), array_agg(n.ordinal), array_agg(n.distance)
            INTO ids, ordinals, distances
            FROM nearest_with_wording(tenant, query, candidates, passages, filter, wording, false) AS n;
        ELSIF filter IS NULL THEN
            SELECT array_agg(n.document_id), array_agg(n.ordinal), array_agg(n.distance)
            INTO ids, ordinals, distances
            FROM nearest(tenant, query, candidates) AS n;
        ELSE
            SELECT array_agg(n.document_id), array_agg(n.ordinal), array_agg(n.distance)
            INTO ids, ordinals, distances
            FROM nearest_filtered(tenant, query, candidates, filter) AS n;
        END IF;
        -- Without neighbours to merge, each document is a hit.
        EXIT WHEN wanted <= CASE
            WHEN passages = 1 THEN (SELECT count(*) FROM (SELECT n.id FROM unnest(ids) AS n (id) GROUP BY n.id) AS d)
            ELSE count_hits(ids, ordinals, distances, passages)
        END;
        -- The rest is farther than the caller wants.
        is_all := coalesce(max_distance <= (SELECT max(d) FROM unnest(distances) AS d), false);
        EXIT WHEN is_all;
        -- Fewer chunks than asked for: the index has no more to give within its scan limit, and
        -- only reading every match tells whether there are more.
        exact := coalesce(cardinality(ids), 0) < candidates;
        candidates := candidates * 4;
    END LOOP;

    IF exact AND wording IS NOT NULL THEN
        SELECT array_agg(n.document_id), array_agg(n.ordinal), array_agg(n.distance)
        INTO ids, ordinals, distances
        FROM nearest_with_wording(tenant, query, enough, passages, filter, wording, true) AS n;
    ELSIF exact AND filter IS NULL THEN
        SELECT array_agg(n.document_id), array_agg(n.ordinal), array_agg(n.distance)
        INTO ids, ordinals, distances
        FROM nearest_of_tenant(tenant, query, enough, passages) AS n;
    ELSIF exact THEN
        SELECT array_agg(n.document_id), array_agg(n.ordinal), array_agg(n.distance)
        INTO ids, ordinals, distances
        FROM nearest_exact(tenant, query, enough, passages, filter) AS n;
    END IF;
    IF exact THEN
        is_all := coalesce(cardinality(ids), 0) < enough;
    END IF;
END
$$;
