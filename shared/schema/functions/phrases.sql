-- Exact phrases and exclusions of a question, as the crate `analysis` writes them: a JSON object whose members are
-- parameters, never SQL.
--   phrases         regular expressions; a hit's chunk, its heading or its document's title matches each of them
--   query           a tsquery that the terms of such chunks match, or null if the phrases have no term to look up
--   excluded        terms that no chunk of a hit's document has
--   excluded_phrases
--                   regular expressions; a hit's document does not match any
-- They name every letter that they match, so the collation does not matter; "C" is the fastest.

-- Whether a chunk has the phrases, and its document nothing that is excluded.
CREATE FUNCTION has_wording(tenant text, id text, ordinal integer, wording jsonb) RETURNS boolean
LANGUAGE sql STABLE COST 1000
BEGIN ATOMIC
    SELECT NOT EXISTS (
               SELECT FROM rappel.chunk_terms AS t
               WHERE t.tenant = has_wording.tenant AND t.document_id = has_wording.id AND t.terms && texts(wording -> 'excluded')
           )
       AND NOT EXISTS (
               SELECT FROM rappel.documents AS d
               JOIN jsonb_array_elements_text(wording -> 'excluded_phrases') AS p (pattern)
                 ON d.title COLLATE "C" ~ p.pattern OR d.content COLLATE "C" ~ p.pattern
               WHERE d.tenant = has_wording.tenant AND d.id = has_wording.id
           )
       AND NOT EXISTS (
               SELECT FROM rappel.chunks AS c
               JOIN rappel.documents AS d ON d.tenant = c.tenant AND d.id = c.document_id
               JOIN jsonb_array_elements_text(wording -> 'phrases') AS p (pattern)
                 ON c.content COLLATE "C" !~ p.pattern AND d.title COLLATE "C" !~ p.pattern
                AND c.heading COLLATE "C" !~ p.pattern
               WHERE c.tenant = has_wording.tenant AND c.document_id = has_wording.id AND c.ordinal = has_wording.ordinal
           );
END;

-- The chunks that have the phrases and match the filter, if there are at most `few`; else, and if there are no phrases,
-- null. What few chunks have is searched exactly, whatever the index would find.
CREATE FUNCTION chunks_with_phrases(
    tenant text, wording jsonb, filter jsonb, few integer, OUT ids text[], OUT ordinals integer[]
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    source text := 'rappel.chunk_terms AS t WHERE t.tenant = $4 AND has_wording($4, t.document_id, t.ordinal, $1)';
BEGIN
    PERFORM require_tenant(tenant);
    IF wording -> 'phrases' IS NULL THEN
        RETURN;
    END IF;
    -- The tables are read only for what the index leaves.
    IF wording ->> 'query' IS NOT NULL THEN
        source := source || ' AND array_to_tsvector(t.terms) @@ ($1 ->> ''query'')::tsquery';
    END IF;
    IF filter IS NOT NULL THEN
        source := source || ' AND (SELECT matches(d, $2) FROM rappel.documents AS d
                             WHERE d.tenant = t.tenant AND d.id = t.document_id)';
    END IF;
    EXECUTE format(
        'SELECT coalesce(array_agg(s.document_id), ''{}''), coalesce(array_agg(s.ordinal), ''{}'')
         FROM (SELECT t.document_id, t.ordinal FROM %s LIMIT $3) AS s', source)
    INTO ids, ordinals
    USING wording, filter, few + 1, tenant;
    IF cardinality(ids) > few THEN
        ids      := NULL;
        ordinals := NULL;
    END IF;
END
$$;
