-- The state of followed tables, which are read with the privileges of the caller.

-- The state of the source of a tenant with the name `wanted`, or if that is null of those after the name `after`, at most
-- `most`. A tenant that is null stands for all, `most` for any number.
CREATE FUNCTION source_state(tenant text, wanted text, after text, most integer)
RETURNS TABLE (
    source_id integer, name text, definition jsonb, phase text, walked bigint, failure text,
    skipped bigint, skipped_at text, skipped_why text, created_at text, updated_at text, filled_at text,
    rows_estimate bigint, documents bigint, pending bigint, failed bigint, lag double precision, walking double precision,
    always boolean
)
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT s.id, s.name, s.definition - 'watched' || jsonb_build_object('id', s.key_columns), s.phase, s.walked, s.failure,
           s.skipped, utc(s.skipped_at), s.skipped_why, utc(s.created_at), utc(s.updated_at), utc(s.filled_at),
           coalesce((SELECT sum(greatest(c.reltuples, 0))::bigint
                     FROM pg_partition_tree(s.relation) AS t JOIN pg_class AS c ON c.oid = t.relid WHERE t.isleaf),
                    (SELECT greatest(c.reltuples, 0)::bigint FROM pg_class AS c WHERE c.oid = s.relation), 0),
           (SELECT count(*) FROM rappel.source_documents AS d WHERE d.source_id = s.id),
           c.pending,
           (SELECT count(*) FROM rappel.source_attempts AS a WHERE a.source_id = s.id AND a.reason IS NOT NULL),
           c.lag, CASE WHEN s.phase IS NOT NULL THEN extract(epoch FROM now() - s.walk_began_at)::double precision END,
           (SELECT bool_and(t.tgenabled = 'A') FROM pg_trigger AS t
            WHERE t.tgrelid = s.relation AND t.tgname LIKE format('rappel\_%s\_%%', s.id))
    FROM (
        SELECT o.* FROM rappel.sources AS o
        WHERE (source_state.tenant IS NULL OR o.tenant = source_state.tenant) AND (wanted IS NULL OR o.name = wanted) AND (after IS NULL OR o.name > after)
        ORDER BY o.name LIMIT most
    ) AS s,
    LATERAL (
        SELECT count(*) AS pending,
               coalesce(extract(epoch FROM now() - min(c.changed_at) FILTER (WHERE c.changed_at < 'infinity' AND NOT EXISTS (
                   SELECT FROM rappel.source_attempts AS a
                   WHERE a.source_id = c.source_id AND a.key = c.key AND a.reason IS NOT NULL AND a.version = c.version)
               ))::double precision, 0) AS lag
        FROM rappel.source_changes AS c WHERE c.source_id = s.id
    ) AS c
    ORDER BY s.name
$$;

-- The number of rows in a source's table; null if it cannot be read.
CREATE FUNCTION count_source_rows(source integer) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
    total bigint;
BEGIN
    EXECUTE (SELECT format('SELECT count(*) FROM %I.%I', s.schema_name, s.table_name) FROM rappel.sources AS s WHERE s.id = source)
    INTO total;
    RETURN total;
EXCEPTION WHEN undefined_table OR invalid_schema_name OR insufficient_privilege OR query_canceled THEN
    RETURN NULL;
END
$$;
