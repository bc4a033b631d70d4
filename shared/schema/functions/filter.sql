-- Filters, as the crate `filter` compiles them: a JSON object whose members are parameters, never SQL.
--   metadata    a jsonpath predicate on the metadata; its equalities are answered from the index
--   document    a jsonpath predicate on an object of the metadata and the document's own fields
--   ids         ids, of which the document has one
--   created_at, updated_at
--               objects with `from` and `before`, in milliseconds since 1970

-- The strings of a JSON array.
CREATE FUNCTION texts(list jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT array_agg(t.text) FROM jsonb_array_elements_text(list) AS t (text);
END;

-- Whether a document matches. One expression without a subquery, so that the planner inlines it: with a constant
-- filter, absent conditions are folded away, and the others are estimated and use indexes like any condition.
CREATE FUNCTION matches(d rappel.documents, filter jsonb) RETURNS boolean
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT (filter -> 'metadata' IS NULL OR d.metadata @@ (filter ->> 'metadata')::jsonpath)
       AND (filter -> 'ids' IS NULL OR d.id = ANY (texts(filter -> 'ids')))
       AND (filter #> '{created_at,from}' IS NULL
            OR d.created_at >= to_timestamp((filter #>> '{created_at,from}')::double precision / 1000))
       AND (filter #> '{created_at,before}' IS NULL
            OR d.created_at < to_timestamp((filter #>> '{created_at,before}')::double precision / 1000))
       AND (filter #> '{updated_at,from}' IS NULL
            OR d.updated_at >= to_timestamp((filter #>> '{updated_at,from}')::double precision / 1000))
       AND (filter #> '{updated_at,before}' IS NULL
            OR d.updated_at < to_timestamp((filter #>> '{updated_at,before}')::double precision / 1000))
       AND (filter -> 'document' IS NULL
            OR jsonb_build_object(
                   'metadata', d.metadata, 'id', d.id, 'title', d.title,
                   'created_at', floor(extract(epoch FROM d.created_at) * 1000),
                   'updated_at', floor(extract(epoch FROM d.updated_at) * 1000)
               ) @@ (filter ->> 'document')::jsonpath);
END;

-- The number of documents that match: exact if `exact` is set or the table is small, otherwise the planner's estimate.
-- Volatile, because only a volatile function may run EXPLAIN.
CREATE FUNCTION count_matching(filter jsonb, exact boolean, OUT documents bigint, OUT is_exact boolean)
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT AS $$
DECLARE
    -- Bytes of a table that can be counted in one or two milliseconds.
    small CONSTANT bigint := 1024 * 1024;
    plan  json;
BEGIN
    is_exact := exact OR pg_relation_size('rappel.documents') <= small;
    IF is_exact THEN
        EXECUTE 'SELECT count(*) FROM rappel.documents AS d WHERE $1 IS NULL OR matches(d, $1)' INTO documents USING filter;
    ELSE
        EXECUTE format('EXPLAIN (FORMAT JSON) SELECT FROM rappel.documents AS d WHERE matches(d, %L)', coalesce(filter, '{}'))
        INTO plan;
        documents := (plan #>> '{0,Plan,Plan Rows}')::double precision;
    END IF;
END
$$;

-- Counts the values of `keys`, jsonpaths into the metadata, among the documents `ids`: for each key the most frequent
-- ones, at most `most`. A list counts once for each of its values.
CREATE FUNCTION facets(ids text[], keys text[], most integer) RETURNS jsonb
LANGUAGE sql STABLE
BEGIN ATOMIC
    WITH document AS MATERIALIZED (
        SELECT d.metadata FROM rappel.documents AS d WHERE d.id = ANY (ids)
    ), counted AS (
        SELECT k.place, v.value, count(*) AS documents
        FROM unnest(keys) WITH ORDINALITY AS k (path, place)
        CROSS JOIN document AS d
        CROSS JOIN LATERAL (
            SELECT DISTINCT q.value FROM jsonb_path_query(d.metadata, k.path::jsonpath) AS q (value)
            WHERE jsonb_typeof(q.value) NOT IN ('object', 'array')
        ) AS v
        GROUP BY k.place, v.value
    ), ranked AS (
        SELECT c.*, row_number() OVER (PARTITION BY c.place ORDER BY c.documents DESC, c.value) AS rank,
               count(*) OVER (PARTITION BY c.place) AS distinct_values
        FROM counted AS c
    )
    SELECT jsonb_agg(coalesce(f.values, '[]') ORDER BY k.place)
    FROM generate_subscripts(keys, 1) AS k (place)
    LEFT JOIN (
        SELECT r.place, jsonb_agg(jsonb_build_object('value', r.value, 'count', r.documents) ORDER BY r.rank) AS values
        FROM ranked AS r WHERE r.rank <= most
        GROUP BY r.place
    ) AS f USING (place);
END;

-- The requested metadata of a document: all of it, or only the members `keys`.
CREATE FUNCTION chosen(metadata jsonb, keys text[]) RETURNS jsonb
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT CASE WHEN keys IS NULL THEN metadata ELSE coalesce((
        SELECT jsonb_object_agg(m.key, m.value) FROM jsonb_each(metadata) AS m WHERE m.key = ANY (keys)
    ), '{}') END;
END;

-- A page of the documents that match, and, unless `counted` is 'none', a last row without an id that has the count.
--   sort      'id', 'created_at' or 'updated_at'; among equal times by id
--   downward  whether the order is descending
--   after_at, after_id
--             the time and the id of the document before the page, or null for the first page
CREATE FUNCTION list_documents(
    filter jsonb, sort text, downward boolean, after_at timestamptz, after_id text, wanted integer,
    metadata_keys text[], counted text
) RETURNS TABLE (
    id text, title text, metadata jsonb, chunks bigint, created_at timestamptz, updated_at timestamptz,
    total bigint, is_exact boolean
)
LANGUAGE plpgsql VOLATILE
SET search_path FROM CURRENT
SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    key       CONSTANT text := CASE sort WHEN 'created_at' THEN 'd.created_at, d.id' WHEN 'updated_at' THEN 'd.updated_at, d.id'
                                         ELSE 'd.id' END;
    after     CONSTANT text := CASE sort WHEN 'id' THEN '$3' ELSE '($2, $3)' END;
    direction CONSTANT text := CASE WHEN downward THEN ' DESC' ELSE '' END;
BEGIN
    RETURN QUERY EXECUTE format(
        'SELECT d.id, d.title, chosen(d.metadata, $5),
                (SELECT count(*) FROM rappel.chunks AS c WHERE c.document_id = d.id), d.created_at, d.updated_at,
                NULL::bigint, NULL::boolean
         FROM rappel.documents AS d
         WHERE ($1 IS NULL OR matches(d, $1)) AND ($3 IS NULL OR (%s) %s %s)
         ORDER BY %s
         LIMIT $4',
        key, CASE WHEN downward THEN '<' ELSE '>' END, after, replace(key, ',', direction || ',') || direction)
    USING filter, after_at, after_id, wanted, metadata_keys;
    IF counted <> 'none' THEN
        RETURN QUERY
        SELECT NULL::text, NULL::text, NULL::jsonb, NULL::bigint, NULL::timestamptz, NULL::timestamptz, c.documents, c.is_exact
        FROM count_matching(filter, counted = 'exact') AS c;
    END IF;
END
$$;

-- Locks at most `wanted` documents that match, in the order of their ids, beginning after `after_id`.
CREATE FUNCTION lock_matching(filter jsonb, after_id text, wanted integer) RETURNS SETOF rappel.documents
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    RETURN QUERY
    SELECT d.* FROM rappel.documents AS d
    WHERE matches(d, filter) AND (after_id IS NULL OR d.id > after_id)
    ORDER BY d.id
    LIMIT wanted
    FOR UPDATE;
END
$$;

-- Deletes at most `wanted` documents that match, and returns how many. Their chunks are deleted in one statement first,
-- because the foreign key would delete them document by document.
CREATE FUNCTION delete_matching(filter jsonb, wanted integer) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    ids CONSTANT text[] := ARRAY(SELECT d.id FROM lock_matching(filter, NULL, wanted) AS d);
BEGIN
    DELETE FROM rappel.chunk_terms AS t WHERE t.document_id = ANY (ids);
    DELETE FROM rappel.chunks AS c WHERE c.document_id = ANY (ids);
    DELETE FROM rappel.documents AS d WHERE d.id = ANY (ids);
    RETURN cardinality(ids);
END
$$;
