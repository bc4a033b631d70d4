-- Single documents and lists of them. `visible` is the filter that the caller is held to, or null: to a caller, documents
-- that do not match are not there.

-- A time as answers have it.
CREATE FUNCTION utc(instant timestamptz) RETURNS text
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT to_char(instant AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;

-- Reads one document.
CREATE FUNCTION read_document(tenant text, visible jsonb, wanted text)
RETURNS TABLE (
    content text, content_hash bytea, id text, title text, metadata jsonb, chunks bigint, created_at text, updated_at text
)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('rappel.tenant', read_document.tenant, true);
    RETURN QUERY
    SELECT d.content, d.content_hash, d.id, d.title, d.metadata,
           (SELECT count(*) FROM rappel.chunks AS c WHERE c.tenant = d.tenant AND c.document_id = d.id),
           utc(d.created_at), utc(d.updated_at)
    FROM rappel.documents AS d
    WHERE d.tenant = read_document.tenant AND d.id = wanted AND (visible IS NULL OR matches(d, visible));
END
$$;

-- The hash of one document, which is locked until the end of the transaction if `lock`.
CREATE FUNCTION document_hash(tenant text, visible jsonb, wanted text, lock boolean) RETURNS SETOF bytea
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('rappel.tenant', document_hash.tenant, true);
    IF lock THEN
        RETURN QUERY
        SELECT d.content_hash FROM rappel.documents AS d
        WHERE d.tenant = document_hash.tenant AND d.id = wanted AND (visible IS NULL OR matches(d, visible))
        FOR UPDATE;
    ELSE
        RETURN QUERY
        SELECT d.content_hash FROM rappel.documents AS d
        WHERE d.tenant = document_hash.tenant AND d.id = wanted AND (visible IS NULL OR matches(d, visible));
    END IF;
END
$$;

-- What is stored under `ids`, for a comparison.
CREATE FUNCTION stored_documents(tenant text, visible jsonb, ids text[])
RETURNS TABLE (id text, content_hash bytea, text_hash bytea, chunks bigint)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('rappel.tenant', stored_documents.tenant, true);
    RETURN QUERY
    SELECT d.id, d.content_hash, d.text_hash,
           (SELECT count(*) FROM rappel.chunks AS c WHERE c.tenant = d.tenant AND c.document_id = d.id)
    FROM rappel.documents AS d
    WHERE d.tenant = stored_documents.tenant AND d.id = ANY (ids) AND (visible IS NULL OR matches(d, visible));
END
$$;

-- When documents were stored and changed.
CREATE FUNCTION document_dates(tenant text, visible jsonb, ids text[])
RETURNS TABLE (id text, created_at text, updated_at text)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('rappel.tenant', document_dates.tenant, true);
    RETURN QUERY
    SELECT d.id, to_char(d.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
           to_char(d.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
    FROM rappel.documents AS d
    WHERE d.tenant = document_dates.tenant AND d.id = ANY (ids) AND (visible IS NULL OR matches(d, visible));
END
$$;

-- The most frequent keys of the metadata of any 2,000 documents, with examples of their values.
CREATE FUNCTION metadata_keys(tenant text, visible jsonb)
RETURNS TABLE (key text, "values" bigint, examples jsonb)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('rappel.tenant', metadata_keys.tenant, true);
    RETURN QUERY
    WITH sample AS MATERIALIZED (
        SELECT d.metadata FROM rappel.documents AS d
        WHERE d.tenant = metadata_keys.tenant AND (visible IS NULL OR matches(d, visible))
        LIMIT 2000
    ), pairs AS (
        SELECT e.key, e.value FROM sample AS s, jsonb_each(s.metadata) AS e WHERE length(e.key) <= 100
    ), single AS (
        SELECT p.key, p.value FROM pairs AS p WHERE jsonb_typeof(p.value) <> 'array'
        UNION ALL
        SELECT p.key, item.value
        FROM pairs AS p,
             jsonb_array_elements(CASE jsonb_typeof(p.value) WHEN 'array' THEN p.value ELSE '[]' END) AS item
    ), counted AS (
        SELECT s.key, s.value, count(*) AS uses,
               row_number() OVER (PARTITION BY s.key, length(s.value::text) <= 100 ORDER BY count(*) DESC, s.value) AS place
        FROM single AS s GROUP BY s.key, s.value
    )
    SELECT c.key, count(*),
           coalesce(jsonb_agg(c.value ORDER BY c.place) FILTER (WHERE c.place <= 5 AND length(c.value::text) <= 100), '[]')
    FROM counted AS c GROUP BY c.key ORDER BY sum(c.uses) DESC, c.key LIMIT 50;
END
$$;

-- Deletes one document, if its hash is one of `expected` or that is null: 'deleted', 'refused' or 'missing'.
CREATE FUNCTION delete_document(tenant text, visible jsonb, wanted text, expected bytea[]) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('rappel.tenant', delete_document.tenant, true);
    DELETE FROM rappel.documents AS d
    WHERE d.tenant = delete_document.tenant AND d.id = wanted AND (visible IS NULL OR matches(d, visible))
      AND (expected IS NULL OR d.content_hash = ANY (expected));
    IF FOUND THEN
        RETURN 'deleted';
    END IF;
    PERFORM FROM rappel.documents AS d
    WHERE d.tenant = delete_document.tenant AND d.id = wanted AND (visible IS NULL OR matches(d, visible));
    RETURN CASE WHEN FOUND THEN 'refused' ELSE 'missing' END;
END
$$;

-- Deletes those of `ids` that are there, and answers them.
CREATE FUNCTION delete_documents(tenant text, ids text[]) RETURNS SETOF text
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('rappel.tenant', delete_documents.tenant, true);
    RETURN QUERY
    WITH wanted AS MATERIALIZED (
        SELECT d.id FROM rappel.documents AS d
        WHERE d.tenant = delete_documents.tenant AND d.id = ANY (ids) ORDER BY d.id FOR UPDATE
    )
    DELETE FROM rappel.documents AS d USING wanted AS w
    WHERE d.tenant = delete_documents.tenant AND d.id = w.id
    RETURNING d.id;
END
$$;

-- Raises RP002 if one of `ids` does not match what the caller is held to.
CREATE FUNCTION require_visible(tenant text, visible jsonb, ids text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT AS $$
BEGIN
    IF visible IS NULL THEN
        RETURN;
    END IF;
    PERFORM FROM rappel.documents AS d
    WHERE d.tenant = require_visible.tenant AND d.id = ANY (ids) AND matches(d, visible) IS NOT TRUE;
    IF FOUND THEN
        RAISE EXCEPTION 'a document is not among those that the caller may change' USING ERRCODE = 'RP002';
    END IF;
END
$$;

-- Changes only the metadata of documents, if all of them are as `stored` says or as they would be; and answers their ids.
CREATE FUNCTION relabel(
    tenant text, visible jsonb, ids text[], metadatas text[], hashes bytea[], text_hashes bytea[], stored bytea[]
) RETURNS SETOF text
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('rappel.tenant', relabel.tenant, true);
    -- Locks rows in the order of their ids, as everywhere.
    RETURN QUERY
    WITH wanted AS MATERIALIZED (
        SELECT d.id, u.metadata, u.hash, u.text_hash
        FROM unnest(ids, metadatas, hashes, text_hashes, stored) AS u (id, metadata, hash, text_hash, stored)
        JOIN rappel.documents AS d
            ON d.tenant = relabel.tenant AND d.id = u.id AND d.content_hash IN (u.stored, u.hash)
               AND (visible IS NULL OR matches(d, visible))
        ORDER BY d.id
        FOR UPDATE OF d
    )
    UPDATE rappel.documents AS d
    SET metadata = w.metadata::jsonb, content_hash = w.hash, text_hash = w.text_hash, updated_at = now()
    FROM wanted AS w
    WHERE d.tenant = relabel.tenant AND d.id = w.id AND (SELECT count(*) FROM wanted) = cardinality(ids)
    RETURNING d.id;
    PERFORM require_visible(relabel.tenant, visible, ids);
END
$$;
