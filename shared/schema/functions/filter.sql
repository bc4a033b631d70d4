-- Filters, as the crate `filter` compiles them: a JSON object whose members are parameters, never SQL.
--   metadata    a jsonpath predicate on the metadata; its equalities are answered from the index
--   document    a jsonpath predicate on an object of the metadata and the document's own fields
--   ids         ids, of which the document has one
--   created_at, updated_at
--               objects with `from` and `before`, in milliseconds since 1970
--   ranges      of conditions in `metadata`, what an index on a field can answer: objects with the `path` of the field, the
--               `type` of its values, `number` or `text`, and their bounds `low` and `high`
--   rest        a jsonpath predicate of the other conditions in `metadata`, if there are ranges and others

-- The strings of a JSON array.
CREATE FUNCTION texts(list jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT array_agg(t.text) FROM jsonb_array_elements_text(list) AS t (text);
END;

-- The source that a document comes from; null if it was not made of a row. In PL/pgSQL, which keeps the plan.
CREATE FUNCTION source_of(tenant text, document text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
BEGIN
    RETURN (
        SELECT s.name FROM rappel.source_documents AS r JOIN rappel.sources AS s ON s.id = r.source_id
        WHERE r.tenant = source_of.tenant AND r.document_id = source_of.document
    );
END
$$;

-- Whether a document matches. One expression without a subquery, so that the planner inlines it: with a constant
-- filter, absent conditions are folded away, and the others are estimated and use indexes like any condition.
-- Texts of a filter are in Unicode's normal form C. So are titles, but not those that earlier versions stored; Postgres
-- knows the form in databases of UTF-8 alone.
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
                   'metadata', d.metadata, 'id', d.id,
                   'title', CASE WHEN strpos(filter ->> 'document', '$."title"') > 0 AND getdatabaseencoding() = 'UTF8'
                                 THEN normalize(d.title, NFC) ELSE d.title END,
                   'source', CASE WHEN strpos(filter ->> 'document', '$."source"') > 0 THEN source_of(d.tenant, d.id) END,
                   'created_at', floor(extract(epoch FROM d.created_at) * 1000),
                   'updated_at', floor(extract(epoch FROM d.updated_at) * 1000)
               ) @@ (filter ->> 'document')::jsonpath);
END;

-- Whether a value of the metadata may lie in a range of a filter, by the key that its index has (see the migration of field
-- indexes). One expression, as above; what is constant is folded, so that one comparison remains.
CREATE FUNCTION may_lie_in(metadata jsonb, range jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT CASE
        WHEN range IS NULL THEN true
        WHEN range ->> 'type' = 'number' THEN CASE
            WHEN range ->> 'high' IS NULL THEN
                rappel.number_at(metadata, (range ->> 'path')::jsonpath) >= rappel.number_key((range ->> 'low')::numeric)
            WHEN range ->> 'low' IS NULL THEN
                rappel.number_at(metadata, (range ->> 'path')::jsonpath) <= rappel.number_key((range ->> 'high')::numeric)
                OR rappel.number_at(metadata, (range ->> 'path')::jsonpath) = 'NaN'::double precision
            WHEN range ->> 'low' = range ->> 'high' THEN
                rappel.number_at(metadata, (range ->> 'path')::jsonpath) = rappel.number_key((range ->> 'low')::numeric)
                OR rappel.number_at(metadata, (range ->> 'path')::jsonpath) = 'NaN'::double precision
            ELSE
                rappel.number_at(metadata, (range ->> 'path')::jsonpath) >= rappel.number_key((range ->> 'low')::numeric)
                AND rappel.number_at(metadata, (range ->> 'path')::jsonpath) <= rappel.number_key((range ->> 'high')::numeric)
                OR rappel.number_at(metadata, (range ->> 'path')::jsonpath) = 'NaN'::double precision
            END
        ELSE CASE
            WHEN range ->> 'low' IS NULL THEN
                rappel.text_at(metadata, (range ->> 'path')::jsonpath) COLLATE "C" <= rappel.text_key(range ->> 'high')
            WHEN range ->> 'high' IS NULL THEN
                rappel.text_at(metadata, (range ->> 'path')::jsonpath) COLLATE "C" >= rappel.text_key(range ->> 'low')
                OR rappel.text_at(metadata, (range ->> 'path')::jsonpath) COLLATE "C" = ''
            WHEN range ->> 'low' = range ->> 'high' THEN
                rappel.text_at(metadata, (range ->> 'path')::jsonpath) COLLATE "C" = rappel.text_key(range ->> 'low')
                OR rappel.text_at(metadata, (range ->> 'path')::jsonpath) COLLATE "C" = ''
            ELSE
                rappel.text_at(metadata, (range ->> 'path')::jsonpath) COLLATE "C" >= rappel.text_key(range ->> 'low')
                AND rappel.text_at(metadata, (range ->> 'path')::jsonpath) COLLATE "C" <= rappel.text_key(range ->> 'high')
                OR rappel.text_at(metadata, (range ->> 'path')::jsonpath) COLLATE "C" = ''
            END
        END;
END;

-- The same as `matches`, for statements that look for all documents that match: the ranges are conditions of their own, which
-- indexes answer. Where each document is tested by itself, they would only be evaluated in vain.
CREATE FUNCTION selected(d rappel.documents, filter jsonb) RETURNS boolean
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT matches(d, filter)
       AND may_lie_in(d.metadata, filter #> '{ranges,0}')
       AND may_lie_in(d.metadata, filter #> '{ranges,1}')
       AND may_lie_in(d.metadata, filter #> '{ranges,2}');
END;

-- The name of the index on a field. No MD5: a server whose OpenSSL is in FIPS mode refuses it.
CREATE FUNCTION field_index(path text, type text) RETURNS text
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT format('documents_field_%s_%s', left(encode(sha256(convert_to(path, 'UTF8')), 'hex'), 16), type);
END;

-- A filter with those of its ranges alone that have an index; `indexed` says whether all had one. Applied again, it changes
-- nothing.
CREATE FUNCTION with_indexes(filter jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
    ranges jsonb;
BEGIN
    IF filter -> 'ranges' IS NULL OR filter ? 'indexed' THEN
        RETURN filter;
    END IF;
    SELECT coalesce(jsonb_agg(r.range ORDER BY r.place), '[]') INTO ranges
    FROM jsonb_array_elements(filter -> 'ranges') WITH ORDINALITY AS r (range, place)
    JOIN pg_index AS i ON i.indexrelid = to_regclass('rappel.' || field_index(r.range ->> 'path', r.range ->> 'type'))
    WHERE i.indisvalid;
    RETURN filter || jsonb_build_object(
        'ranges', ranges,
        'indexed', jsonb_array_length(ranges) BETWEEN jsonb_array_length(filter -> 'ranges') AND 3);
END
$$;

-- The filter whose matches the planner estimates best: where each range has an index, and so statistics, they stand in for
-- their conditions in `metadata`. Both together would be taken for independent of each other.
CREATE FUNCTION to_estimate(filter jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT CASE WHEN filter -> 'indexed' = 'true'
                THEN jsonb_strip_nulls(filter || jsonb_build_object('metadata', filter -> 'rest')) ELSE filter END;
END;

-- The number of documents that match: exact if `exact` is set or the table is small, otherwise the planner's estimate.
-- Volatile, because only a volatile function may run EXPLAIN.
CREATE FUNCTION count_matching(tenant text, filter jsonb, exact boolean, OUT documents bigint, OUT is_exact boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT SET jit = off AS $$
DECLARE
    -- Bytes of a table that can be counted in one or two milliseconds.
    small CONSTANT bigint := 1024 * 1024;
    -- The same in chunks of a tenant.
    few   CONSTANT bigint := 2000;
    plan  json;
BEGIN
    PERFORM require_tenant(tenant);
    filter := with_indexes(filter);
    is_exact := exact OR pg_relation_size('rappel.documents') <= small OR count_chunks(tenant) <= few;
    IF is_exact THEN
        EXECUTE 'SELECT count(*) FROM rappel.documents AS d WHERE d.tenant = $1 AND ($2 IS NULL OR selected(d, $2))'
        INTO documents USING tenant, filter;
    ELSE
        EXECUTE format('EXPLAIN (FORMAT JSON) SELECT FROM rappel.documents AS d WHERE d.tenant = %L AND selected(d, %L)',
                       tenant, coalesce(to_estimate(filter), '{}'))
        INTO plan;
        documents := (plan #>> '{0,Plan,Plan Rows}')::double precision;
    END IF;
END
$$;

-- Counts the values of `keys`, jsonpaths into the metadata, among the documents `ids`: for each key the most frequent
-- ones, at most `most`. A list counts once for each of its values.
CREATE FUNCTION facets(tenant text, ids text[], keys text[], most integer) RETURNS jsonb
LANGUAGE sql STABLE
BEGIN ATOMIC
    WITH document AS MATERIALIZED (
        SELECT d.metadata FROM rappel.documents AS d WHERE d.tenant = facets.tenant AND d.id = ANY (ids)
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

-- The ids of a page of documents that match, in its order: see `list_documents`.
CREATE FUNCTION page_of_ids(
    tenant text, filter jsonb, sort text, downward boolean, after_at timestamptz, after_id text, wanted integer
) RETURNS text[]
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path FROM CURRENT
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    key       CONSTANT text := CASE sort WHEN 'created_at' THEN 'd.created_at, d.id' WHEN 'updated_at' THEN 'd.updated_at, d.id'
                                         ELSE 'd.id' END;
    after     CONSTANT text := CASE sort WHEN 'id' THEN '$4' ELSE '($3, $4)' END;
    direction CONSTANT text := CASE WHEN downward THEN ' DESC' ELSE '' END;
    ids       text[];
BEGIN
    PERFORM require_tenant(tenant);
    filter := with_indexes(filter);
    EXECUTE format(
        'SELECT ARRAY(
             SELECT d.id FROM rappel.documents AS d
             WHERE d.tenant = $1 AND ($2 IS NULL OR selected(d, $2)) AND ($4 IS NULL OR (%s) %s %s)
             ORDER BY %s
             LIMIT $5
         )',
        key, CASE WHEN downward THEN '<' ELSE '>' END, after, replace(key, ',', direction || ',') || direction)
    INTO ids USING tenant, filter, after_at, after_id, wanted;
    RETURN ids;
END
$$;

-- A page of the documents that match, and, unless `counted` is 'none', a last row without an id that has the count.
--   sort      'id', 'created_at' or 'updated_at'; among equal times by id
--   downward  whether the order is descending
--   after_at, after_id
--             the time and the id of the document before the page, or null for the first page
CREATE FUNCTION list_documents(
    tenant text, filter jsonb, sort text, downward boolean, after_at timestamptz, after_id text, wanted integer,
    metadata_keys text[], counted text
) RETURNS TABLE (
    id text, title text, metadata jsonb, chunks bigint, created_at timestamptz, updated_at timestamptz,
    total bigint, is_exact boolean
)
LANGUAGE plpgsql VOLATILE
SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('rappel.tenant', list_documents.tenant, true);
    RETURN QUERY
    SELECT d.id, d.title, chosen(d.metadata, metadata_keys),
           (SELECT count(*) FROM rappel.chunks AS c WHERE c.tenant = d.tenant AND c.document_id = d.id),
           d.created_at, d.updated_at, NULL::bigint, NULL::boolean
    FROM unnest(page_of_ids(list_documents.tenant, filter, sort, downward, after_at, after_id, wanted))
         WITH ORDINALITY AS p (id, place)
    JOIN rappel.documents AS d ON d.tenant = list_documents.tenant AND d.id = p.id
    ORDER BY p.place;
    IF counted <> 'none' THEN
        RETURN QUERY
        SELECT NULL::text, NULL::text, NULL::jsonb, NULL::bigint, NULL::timestamptz, NULL::timestamptz, c.documents, c.is_exact
        FROM count_matching(list_documents.tenant, filter, counted = 'exact') AS c;
    END IF;
END
$$;

-- How many documents match.
CREATE FUNCTION count_documents(tenant text, filter jsonb) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM set_config('rappel.tenant', tenant, true);
    RETURN (SELECT c.documents FROM count_matching(tenant, filter, true) AS c);
END
$$;

-- Locks at most `wanted` documents that match, in the order of their ids, from the one after `after_id` on. If `most` is not null,
-- only so many that their contents have at most so many bytes together, but at least one, if there is one: for callers that read
-- the contents. Length is told without reading a content.
CREATE FUNCTION lock_matching(tenant text, filter jsonb, after_id text, wanted integer, most bigint DEFAULT NULL)
RETURNS SETOF rappel.documents
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT AS $$
#variable_conflict use_column
DECLARE
    last   text := after_id;
    page   text[];
    ids    text[];
    locked integer := 0;
    found  integer;
BEGIN
    PERFORM set_config('rappel.tenant', lock_matching.tenant, true);
    LOOP
        page := page_of_ids(lock_matching.tenant, filter, 'id', false, NULL, last, wanted - locked);
        ids := page;
        IF most IS NOT NULL THEN
            ids := ARRAY(
                SELECT s.id
                FROM (
                    SELECT p.id, p.place, coalesce(sum(octet_length(d.content)) OVER (ORDER BY p.place), 0) AS bytes
                    FROM unnest(page) WITH ORDINALITY AS p (id, place)
                    LEFT JOIN rappel.documents AS d ON d.tenant = lock_matching.tenant AND d.id = p.id
                ) AS s
                WHERE s.place = 1 OR s.bytes <= most
                ORDER BY s.place
            );
        END IF;
        -- One that another transaction has changed meanwhile may match no more.
        RETURN QUERY
        SELECT d.* FROM rappel.documents AS d
        WHERE d.tenant = lock_matching.tenant AND d.id = ANY (ids) AND (filter IS NULL OR matches(d, filter))
        ORDER BY d.id
        FOR UPDATE;
        GET DIAGNOSTICS found = ROW_COUNT;
        EXIT WHEN locked + found = wanted
               OR most IS NOT NULL AND found > 0
               OR cardinality(page) < wanted - locked AND cardinality(ids) = cardinality(page);
        locked := locked + found;
        last := ids[cardinality(ids)];
    END LOOP;
END
$$;

-- Deletes at most `wanted` documents that match, in the order of their ids, from the one after `after_id` on, and notes in the
-- audit that `actor` did. Returns how many, and the last one's id, after which the next call begins: from the first id on it would
-- read again what did not match. Their chunks are deleted in one statement first, because the foreign key would delete them
-- document by document.
CREATE FUNCTION delete_matching(
    tenant text, filter jsonb, after_id text, wanted integer, actor text, OUT deleted bigint, OUT last_id text
)
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT AS $$
#variable_conflict use_column
DECLARE
    ids CONSTANT text[] := ARRAY(SELECT d.id FROM lock_matching(delete_matching.tenant, filter, after_id, wanted) AS d);
BEGIN
    PERFORM set_config('rappel.tenant', delete_matching.tenant, true);
    DELETE FROM rappel.chunk_terms AS t WHERE t.tenant = delete_matching.tenant AND t.document_id = ANY (ids);
    DELETE FROM rappel.chunks AS c WHERE c.tenant = delete_matching.tenant AND c.document_id = ANY (ids);
    DELETE FROM rappel.documents AS d WHERE d.tenant = delete_matching.tenant AND d.id = ANY (ids);
    deleted := cardinality(ids);
    last_id := ids[cardinality(ids)];
    INSERT INTO rappel.audit (actor, tenant, act, subject, detail)
    SELECT delete_matching.actor, delete_matching.tenant, 'documents.delete', 'documents that match a filter',
           jsonb_build_object('documents', cardinality(ids))
    WHERE cardinality(ids) > 0;
END
$$;
