-- What the workers of followed tables do. These functions read the tables with the privileges of the caller.
--
-- Locks are taken in this order: the source, its leases, its changes. `follow` and `unfollow` lock the source FOR UPDATE and then
-- delete its leases. So who locks a lease locks the source FOR KEY SHARE before, as the foreign key of a later statement would.
-- A walk locks it FOR NO KEY UPDATE, which excludes other walks and no worker.

-- Leases changes to a worker, the oldest first and those of the walk last. A key that failed is delayed, unless its row has
-- changed since. `attempts` includes this attempt.
CREATE FUNCTION claim_changes(worker_name text, lease double precision, most integer)
RETURNS TABLE (source_id integer, tenant text, source_name text, key text, version text, attempts integer, had_failed boolean)
LANGUAGE sql VOLATILE SET search_path FROM CURRENT AS $$
    WITH due AS MATERIALIZED (
        SELECT c.source_id, c.key, c.version
        FROM rappel.source_changes AS c
        JOIN rappel.sources AS s ON s.id = c.source_id
        LEFT JOIN rappel.source_attempts AS a ON a.source_id = c.source_id AND a.key = c.key
        WHERE s.phase IS DISTINCT FROM 'removal'
          AND (s.failure IS NULL OR s.failed_at < now() - interval '30 seconds')
          AND (a.key IS NULL OR a.until < now() OR (a.worker IS NULL AND a.version <> c.version))
        ORDER BY c.changed_at
        LIMIT most
        FOR KEY SHARE OF s SKIP LOCKED FOR UPDATE OF c SKIP LOCKED
    ), leased AS (
        INSERT INTO rappel.source_attempts AS a (source_id, key, version, worker, until, attempts)
        SELECT d.source_id, d.key, d.version, worker_name, now() + lease * interval '1 second', 1
        FROM due AS d
        ORDER BY d.source_id, d.key
        ON CONFLICT (source_id, key) DO UPDATE
            SET version = excluded.version, worker = excluded.worker, until = excluded.until,
                attempts = CASE WHEN a.version = excluded.version THEN a.attempts + 1 ELSE 1 END
            WHERE a.until < now() OR (a.worker IS NULL AND a.version <> excluded.version)
        RETURNING a.source_id, a.key, a.version, a.attempts, a.reason
    )
    SELECT l.source_id, s.tenant, s.name, l.key, l.version::text, l.attempts, l.reason IS NOT NULL
    FROM leased AS l JOIN rappel.sources AS s ON s.id = l.source_id
    ORDER BY l.source_id, l.key
$$;

-- SQL for the values of the key columns in the key `k`, to compare columns with.
CREATE FUNCTION key_values(types text[], k text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path FROM CURRENT AS $$
    SELECT string_agg(CASE t.name
        WHEN 'timestamp with time zone' THEN format('((%s::jsonb ->> %s)::timestamp AT TIME ZONE ''UTC'')', k, t.place - 1)
        -- Earlier builds stored this name, which means one character.
        WHEN 'character' THEN format('(%s::jsonb ->> %s)::bpchar', k, t.place - 1)
        ELSE format('(%s::jsonb ->> %s)::%s', k, t.place - 1, t.name)
    END, ', ' ORDER BY t.place)
    FROM unnest(types) WITH ORDINALITY AS t (name, place)
$$;

-- SQL for the key of a row, as triggers write it, but without the limit of its length.
CREATE FUNCTION key_of_row(columns text[], types text[]) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path FROM CURRENT AS $$
    SELECT 'jsonb_build_array(' || string_agg(CASE
        WHEN c.type = 'timestamp with time zone' THEN format('%I AT TIME ZONE ''UTC''', c.name)
        -- Without the blanks that fill the column.
        WHEN c.type IN ('character', 'bpchar') THEN format('%I::text', c.name)
        ELSE format('%I', c.name)
    END, ', ' ORDER BY c.place) || ')::text'
    FROM unnest(columns, types) WITH ORDINALITY AS c (name, type, place)
$$;

-- Reads the current rows of `keys` that satisfy `where`, or returns one row with the reason why the table cannot be read.
-- The expressions of a source are evaluated only here, in a read-only transaction.
CREATE FUNCTION source_rows(source integer, keys text[])
RETURNS TABLE (key text, title text, content text, metadata text, failure text)
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT
SET "TimeZone" = 'UTC' SET "DateStyle" = 'ISO, YMD' SET "IntervalStyle" = 'postgres' AS $$
DECLARE
    it    rappel.sources;
    query text;
BEGIN
    SELECT * INTO it FROM rappel.sources AS s WHERE s.id = source;
    IF it.id IS NULL THEN
        -- It was removed, and with it the leases of who asks.
        RETURN;
    END IF;
    -- The expressions see only the columns of the table.
    query := format(
        'SELECT %s, (%s)::text, (%s)::text, (%s)::text, NULL::text FROM %I.%I WHERE (%s) IN (SELECT %s FROM unnest($1) AS k) AND (%s)',
        key_of_row(it.key_columns, it.key_types), it.title_sql, it.content_sql, it.metadata_sql, it.schema_name, it.table_name,
        (SELECT string_agg(format('%I', c.name), ', ' ORDER BY c.place)
         FROM unnest(it.key_columns) WITH ORDINALITY AS c (name, place)),
        key_values(it.key_types, 'k'), it.where_sql);
    PERFORM set_config('search_path', format('pg_catalog, %I, public, pg_temp', it.schema_name), true);
    RETURN QUERY EXECUTE query USING keys;
EXCEPTION
    -- An error of the followed table must not be reported as one of Rappel's own schema, nor end the work on other tables. The first
    -- is the whole class 42: columns and functions that are gone or ambiguous, types that cannot be cast, privileges.
    WHEN syntax_error_or_access_rule_violation OR invalid_schema_name OR read_only_sql_transaction THEN
        RETURN QUERY SELECT NULL::text, NULL::text, NULL::text, NULL::text, SQLERRM;
END
$$;

-- Continues a walk: records the keys of the next rows, or documents, of one source, or deletes the next documents of a source
-- that was removed. Returns the source and how many; null if it waits for an open transaction, so that the caller passes it
-- over by `waiting` for a while; no row if no other walk is in progress. What it records counts as newer than any change.
CREATE FUNCTION walk_sources(most integer, waiting integer[] DEFAULT '{}') RETURNS TABLE (source integer, noted bigint)
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT SET "TimeZone" = 'UTC' SET "DateStyle" = 'ISO, YMD' AS $$
DECLARE
    it       rappel.sources;
    key_list text;
    keys     text[];
    missing  text[];
    ended    boolean;
    problem  text;
    patience text := current_setting('lock_timeout');
BEGIN
    SELECT * INTO it FROM rappel.sources AS s
    WHERE s.phase IS NOT NULL AND s.id <> ALL (waiting) AND (s.failure IS NULL OR s.failed_at < now() - interval '30 seconds')
    ORDER BY s.walk_began_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
    IF it.id IS NULL THEN
        RETURN;
    END IF;
    IF it.phase = 'removal' THEN
        keys := ARRAY(SELECT d.document_id FROM rappel.source_documents AS d WHERE d.source_id = it.id ORDER BY d.key LIMIT most);
        WITH locked AS (
            SELECT d.id FROM rappel.documents AS d WHERE d.tenant = it.tenant AND d.id = ANY (keys) ORDER BY d.id FOR UPDATE
        )
        DELETE FROM rappel.documents AS d USING locked AS l WHERE d.tenant = it.tenant AND d.id = l.id;
        IF cardinality(keys) < most THEN
            DELETE FROM rappel.source_changes AS c WHERE c.source_id = it.id;
            DELETE FROM rappel.sources AS s WHERE s.id = it.id;
        END IF;
        RETURN QUERY SELECT it.id, cardinality(keys)::bigint;
        RETURN;
    END IF;

    key_list := (SELECT string_agg(format('%I', c.name), ', ' ORDER BY c.place)
                 FROM unnest(it.key_columns) WITH ORDINALITY AS c (name, place));
    IF it.phase = 'documents' THEN
        keys := ARRAY(SELECT d.key FROM rappel.source_documents AS d
                      WHERE d.source_id = it.id AND (it.position IS NULL OR d.key > it.position)
                      ORDER BY d.key LIMIT most);
    ELSIF it.position IS NULL THEN
        -- Keys that are too long to look up: the walk records them again if their rows still exist.
        WITH gone AS (
            SELECT c.key FROM rappel.source_changes AS c
            WHERE c.source_id = it.id AND c.key LIKE '#%' FOR UPDATE SKIP LOCKED
        ), forgotten AS (
            DELETE FROM rappel.source_attempts AS a USING gone AS g WHERE a.source_id = it.id AND a.key = g.key
        )
        DELETE FROM rappel.source_changes AS c USING gone AS g WHERE c.source_id = it.id AND c.key = g.key;
    END IF;
    -- What is wrong with one table does not end the walks of others.
    BEGIN
        IF it.phase = 'rows' THEN
            EXECUTE format('SELECT ARRAY(SELECT %s FROM %I.%I %s ORDER BY %s LIMIT $2)',
                key_of_row(it.key_columns, it.key_types), it.schema_name, it.table_name,
                CASE WHEN it.position IS NOT NULL THEN format('WHERE (%s) > (%s)', key_list, key_values(it.key_types, '$1')) END,
                key_list)
            INTO keys USING it.position, most;
            missing := keys;
        ELSE
            EXECUTE format('SELECT ARRAY(SELECT %s FROM %I.%I WHERE (%s) IN (SELECT %s FROM unnest($1) AS k))',
                key_of_row(it.key_columns, it.key_types), it.schema_name, it.table_name, key_list, key_values(it.key_types, 'k'))
            INTO missing USING keys;
            missing := ARRAY(SELECT k FROM unnest(keys) AS k EXCEPT SELECT m FROM unnest(missing) AS m);
        END IF;
    EXCEPTION
        WHEN syntax_error_or_access_rule_violation OR invalid_schema_name THEN
            problem := SQLERRM;
        WHEN data_exception THEN
            IF it.phase = 'documents' THEN
                -- Keys of another definition, which match no row of this one.
                missing := keys;
            ELSE
                -- The database's message would quote a value.
                problem := format('the values of the key have another type than before (SQLSTATE %s): follow it again', SQLSTATE);
            END IF;
    END;
    IF problem IS NOT NULL THEN
        UPDATE rappel.sources AS s SET failure = problem, failed_at = now() WHERE s.id = it.id;
        RETURN QUERY SELECT it.id, 0::bigint;
        RETURN;
    END IF;

    ended := cardinality(keys) < most;
    -- This waits for transactions that have recorded one of the keys, while writers wait for the others. So it soon gives up,
    -- and records fewer: those before the key in use, with which the next walk begins.
    LOOP
        BEGIN
            PERFORM set_config('lock_timeout', '100ms', true);
            INSERT INTO rappel.source_changes AS c (source_id, key, version, changed_at)
            SELECT it.id,
                   CASE WHEN octet_length(k) > 1024 THEN '#' || encode(sha256(convert_to(k, 'UTF8')), 'hex') ELSE k END,
                   pg_current_xact_id(), 'infinity'
            FROM unnest(missing) AS k
            ON CONFLICT (source_id, key) DO NOTHING;
            PERFORM set_config('lock_timeout', patience, true);
            EXIT;
        EXCEPTION WHEN lock_not_available THEN
            IF cardinality(keys) < 2 THEN
                RETURN QUERY SELECT it.id, NULL::bigint;
                RETURN;
            END IF;
            ended := false;
            keys := keys[1 : cardinality(keys) / 2];
            missing := ARRAY(SELECT m FROM unnest(missing) AS m WHERE m = ANY (keys));
        END;
    END LOOP;
    UPDATE rappel.sources AS s
    SET phase = CASE WHEN NOT ended THEN s.phase WHEN s.phase = 'rows' THEN 'documents' END,
        position = CASE WHEN NOT ended THEN keys[cardinality(keys)] END,
        walked = s.walked + CASE WHEN s.phase = 'rows' THEN cardinality(keys) ELSE 0 END,
        filled_at = CASE WHEN ended AND s.phase = 'documents' THEN coalesce(s.filled_at, now()) ELSE s.filled_at END,
        failure = NULL, failed_at = NULL
    WHERE s.id = it.id;
    RETURN QUERY SELECT it.id, cardinality(keys)::bigint;
END
$$;

-- Locks the leases of a worker on keys of a source until the end of the transaction, and returns whether the worker holds them
-- all, and so may store. Waits only for a lease that another transaction is taking over.
CREATE FUNCTION hold_changes(worker_name text, source integer, keys text[]) RETURNS boolean
LANGUAGE sql VOLATILE SET search_path FROM CURRENT AS $$
    SELECT FROM rappel.sources AS s WHERE s.id = source FOR KEY SHARE;
    WITH held AS (
        SELECT a.key FROM rappel.source_attempts AS a
        WHERE a.source_id = source AND a.key = ANY (keys) AND a.worker = worker_name
        ORDER BY a.key FOR UPDATE
    )
    SELECT count(*) = cardinality(keys) FROM held
$$;

-- Records that the documents of `keys` match their rows: deletes the changes, unless there are newer ones, and the leases.
-- `documents` has an id for each key, or null where the row has no document.
CREATE FUNCTION settle_changes(worker_name text, source integer, keys text[], versions text[], documents text[])
RETURNS bigint
LANGUAGE sql VOLATILE SET search_path FROM CURRENT AS $$
    WITH replaced AS (
        -- Earlier builds wrote the ids of some keys in another way.
        DELETE FROM rappel.documents AS d
        USING rappel.source_documents AS r, unnest(keys, documents) AS u (key, document)
        WHERE r.source_id = source AND r.key = u.key AND r.document_id IS DISTINCT FROM u.document
          AND d.tenant = r.tenant AND d.id = r.document_id
    ), stored AS (
        INSERT INTO rappel.source_documents AS d (source_id, tenant, key, document_id)
        SELECT source, s.tenant, u.key, u.document
        FROM rappel.sources AS s, unnest(keys, documents) AS u (key, document)
        WHERE s.id = source AND u.document IS NOT NULL
        ORDER BY u.key COLLATE "C"
        ON CONFLICT (source_id, key) DO UPDATE SET document_id = excluded.document_id WHERE d.document_id <> excluded.document_id
    ), released AS (
        DELETE FROM rappel.source_attempts AS a
        WHERE a.source_id = source AND a.key = ANY (keys) AND a.worker = worker_name
    ), clear AS MATERIALIZED (
        -- A change that another transaction is updating will be newer anyway: do not wait for it.
        SELECT c.key FROM rappel.source_changes AS c
        JOIN unnest(keys, versions) AS u (key, version) ON c.key = u.key AND c.version = u.version::xid8
        WHERE c.source_id = source
        FOR UPDATE OF c SKIP LOCKED
    ), cleared AS (
        DELETE FROM rappel.source_changes AS c USING clear AS l WHERE c.source_id = source AND c.key = l.key RETURNING c.key
    )
    SELECT count(*) FROM cleared
$$;

-- Records why a row cannot be stored. It is retried after a minute, then after twice as long each time, at most six hours, or
-- when it has changed.
CREATE FUNCTION fail_change(worker_name text, source integer, failed_key text, why text) RETURNS bigint
LANGUAGE sql VOLATILE SET search_path FROM CURRENT AS $$
    WITH failed AS (
        UPDATE rappel.source_attempts AS a
        SET worker = NULL, reason = why,
            until = now() + least(interval '1 minute' * power(2, least(a.attempts, 20) - 1), interval '6 hours')
        WHERE a.source_id = source AND a.key = failed_key AND a.worker = worker_name
        RETURNING a.key
    )
    SELECT count(*) FROM failed
$$;

-- Releases a worker's leases on work that it has not begun, except the one on `spared_key`. Records `why` `failed_source` cannot be
-- read, if given.
CREATE FUNCTION release_changes(
    worker_name text, spared_source integer, spared_key text, failed_source integer, why text
) RETURNS bigint
LANGUAGE sql VOLATILE SET search_path FROM CURRENT AS $$
    UPDATE rappel.sources AS s SET failure = why, failed_at = now()
    WHERE s.id = failed_source AND s.failed_at IS DISTINCT FROM 'infinity';
    WITH kept AS (
        UPDATE rappel.source_attempts AS a
        SET worker = NULL, until = now(), attempts = a.attempts - 1
        WHERE a.worker = worker_name AND (a.source_id, a.key) IS DISTINCT FROM (spared_source, spared_key) AND (a.reason IS NOT NULL OR a.attempts > 1)
    ), released AS (
        DELETE FROM rappel.source_attempts AS a
        WHERE a.worker = worker_name AND (a.source_id, a.key) IS DISTINCT FROM (spared_source, spared_key) AND a.reason IS NULL AND a.attempts <= 1
        RETURNING a.key
    )
    SELECT count(*) FROM released
$$;

-- Extends the leases of a worker that is still working.
CREATE FUNCTION renew_changes(worker_name text, lease double precision) RETURNS bigint
LANGUAGE sql VOLATILE SET search_path FROM CURRENT AS $$
    WITH renewed AS (
        UPDATE rappel.source_attempts AS a SET until = now() + lease * interval '1 second'
        WHERE a.worker = worker_name
        RETURNING a.key
    )
    SELECT count(*) FROM renewed
$$;

-- The table was read: clears the failure.
CREATE FUNCTION source_was_read(source integer) RETURNS bigint
LANGUAGE sql VOLATILE SET search_path FROM CURRENT AS $$
    WITH mended AS (
        UPDATE rappel.sources AS s SET failure = NULL, failed_at = NULL
        WHERE s.id = source AND s.failure IS NOT NULL AND s.failed_at <> 'infinity'
        RETURNING s.id
    )
    SELECT count(*) FROM mended
$$;
