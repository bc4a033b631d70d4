-- Exact phrases and exclusions of a question, as the crate `retrieval` writes them: a JSON object with the members
--   phrases           regular expressions; a hit's chunk, its heading or its document's title matches each of them
--   query             a tsquery that the terms of such chunks match, if the phrases have a term to look up
--   excluded          terms that no chunk of a hit's document has
--   excluded_phrases  regular expressions; the title and the content of a hit's document match none of them
-- The regular expressions name every letter that they match, so the collation does not matter; "C" is the fastest.

-- What a chunk `c` of a document `d` has to meet. It is written out because a function would be called, and planned, for
-- each chunk.
CREATE FUNCTION wording_condition(wording jsonb) RETURNS text
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT coalesce(string_agg(p.condition, ' AND ' ORDER BY p.place), 'true')
    FROM (
        SELECT 1 AS place,
               format('(SELECT count(*) = 0 FROM rappel.chunk_terms AS x WHERE x.tenant = d.tenant AND x.document_id = d.id AND x.terms && %L::text[])',
                      texts(wording -> 'excluded')) AS condition
        WHERE wording -> 'excluded' IS NOT NULL
        UNION ALL
        SELECT 2, format('(c.content COLLATE "C" ~ %1$L OR c.heading COLLATE "C" ~ %1$L OR d.title COLLATE "C" ~ %1$L)', p.pattern)
        FROM jsonb_array_elements_text(wording -> 'phrases') AS p (pattern)
        UNION ALL
        SELECT 3, format('NOT (d.title COLLATE "C" ~ %1$L OR d.content COLLATE "C" ~ %1$L)', p.pattern)
        FROM jsonb_array_elements_text(wording -> 'excluded_phrases') AS p (pattern)
    ) AS p;
END;

-- The chunks `c` of documents `d` of a tenant that have the wording and match the filter `$1`, if it is not null. If `most` is not
-- null, only so many chunks with the terms of the phrases are looked at.
CREATE FUNCTION wording_source(tenant text, wording jsonb, most integer DEFAULT NULL) RETURNS text
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT format('(SELECT t.document_id, t.ordinal FROM rappel.chunk_terms AS t WHERE t.tenant = %1$L%2$s%3$s) AS t
            JOIN rappel.documents AS d ON d.tenant = %1$L AND d.id = t.document_id
            JOIN rappel.chunks AS c ON c.tenant = %1$L AND c.document_id = t.document_id AND c.ordinal = t.ordinal
            WHERE ($1 IS NULL OR matches(d, $1)) AND ', tenant,
            CASE WHEN wording ->> 'query' IS NULL THEN ''
                 ELSE format(' AND array_to_tsvector(t.terms) @@ %L::tsquery', wording ->> 'query') END,
            CASE WHEN most IS NULL THEN '' ELSE format(' LIMIT %s', most) END)
        || wording_condition(wording);
END;

-- The chunks that have the wording and match the filter, if at most `few` do. Else null, and so if neither phrases nor
-- the filter leave only few: then most chunks have the wording, and a search finds enough of them on its way.
--
-- To look at a chunk takes some 10 microseconds, and the words of a phrase may be in hundreds of thousands. So at most `most` are
-- looked at, unless the filter leaves few; `is_partial` says that there are others. A question without other words (`only`) has no other way to find
-- its hits than this list, so it is then never null.
CREATE FUNCTION chunks_with_wording(
    tenant text, wording jsonb, filter jsonb, few integer, "only" boolean DEFAULT false,
    OUT ids text[], OUT ordinals integer[], OUT is_partial boolean
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    most integer := 20000;
BEGIN
    PERFORM require_tenant(tenant);
    is_partial := false;
    IF wording IS NULL OR (wording -> 'phrases' IS NULL AND (filter IS NULL OR many_match(tenant, filter, few))) THEN
        RETURN;
    END IF;
    IF filter IS NOT NULL AND NOT many_match(tenant, filter, few) THEN
        most := NULL;
    END IF;
    EXECUTE format(
        'SELECT coalesce(array_agg(s.document_id), ''{}''), coalesce(array_agg(s.ordinal), ''{}'')
         FROM (SELECT c.document_id, c.ordinal FROM %s LIMIT $2) AS s', wording_source(tenant, wording, most))
    INTO ids, ordinals
    USING filter, few + 1;
    IF cardinality(ids) <= few AND most IS NOT NULL THEN
        EXECUTE format(
            'SELECT count(*) > $1 FROM (
                 SELECT FROM rappel.chunk_terms AS t WHERE t.tenant = $2%s LIMIT $1 + 1
             ) AS s',
            CASE WHEN wording ->> 'query' IS NULL THEN ''
                 ELSE format(' AND array_to_tsvector(t.terms) @@ %L::tsquery', wording ->> 'query') END)
        INTO is_partial
        USING most, tenant;
    ELSIF cardinality(ids) > few AND "only" THEN
        is_partial := true;
    ELSIF cardinality(ids) > few THEN
        ids      := NULL;
        ordinals := NULL;
    END IF;
END
$$;

-- The nearest of these chunks, at most `passages` of a document.
CREATE FUNCTION nearest_listed(
    tenant text, query halfvec, candidates integer, passages integer, listed text[], listed_ordinals integer[]
)
RETURNS TABLE (document_id text, ordinal integer, distance double precision)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT b.document_id, b.ordinal, b.distance
    FROM (
        SELECT m.*, row_number() OVER (PARTITION BY m.document_id ORDER BY m.distance, m.ordinal) AS place
        FROM (
            SELECT c.document_id, c.ordinal, c.embedding <=> query AS distance
            FROM unnest(listed, listed_ordinals) AS l (document_id, ordinal)
            JOIN rappel.chunks AS c
                ON c.tenant = nearest_listed.tenant AND c.document_id = l.document_id AND c.ordinal = l.ordinal
        ) AS m
    ) AS b
    WHERE b.place <= passages
    ORDER BY b.distance, b.document_id, b.ordinal
    LIMIT candidates;
END;

-- The nearest chunks that have the wording and match the filter, if it is not null: in the order of the index, or, if it is
-- to be `exact`, by reading all of them, and then at most `passages` of a document.
CREATE FUNCTION nearest_with_wording(
    tenant text, query halfvec, candidates integer, passages integer, filter jsonb, wording jsonb, exact boolean
) RETURNS TABLE (document_id text, ordinal integer, distance double precision)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
BEGIN
    IF exact THEN
        RETURN QUERY EXECUTE format(
            'SELECT b.document_id, b.ordinal, b.distance
             FROM (
                 SELECT m.*, row_number() OVER (PARTITION BY m.document_id ORDER BY m.distance, m.ordinal) AS place
                 FROM (SELECT c.document_id, c.ordinal, c.embedding <=> $2 AS distance FROM %s) AS m
             ) AS b
             WHERE b.place <= $4
             ORDER BY b.distance, b.document_id, b.ordinal
             LIMIT $3', wording_source(tenant, wording))
        USING filter, query, candidates, passages;
    ELSE
        -- A scalar subquery and not a join, so that the index is walked in its order.
        RETURN QUERY EXECUTE format(
            'SELECT c.document_id, c.ordinal, c.embedding <=> $2
             FROM rappel.chunks AS c
             WHERE c.tenant = $4 AND (
                 SELECT ($1 IS NULL OR matches(d, $1)) AND %s
                 FROM rappel.documents AS d WHERE d.tenant = c.tenant AND d.id = c.document_id)
             ORDER BY c.embedding <=> $2
             LIMIT $3', wording_condition(wording))
        USING filter, query, candidates, tenant;
    END IF;
END
$$;
