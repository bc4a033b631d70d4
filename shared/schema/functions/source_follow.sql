-- Starts and stops following a table: triggers, which record keys, and what outlives a build's functions.

-- Creates the trigger function of a source. It is in the schema of the tables, which outlives a build's functions, and it runs
-- as the owner of that schema, so that writers of the followed table need no privileges there. It takes only quoted names from
-- the input and calls only built-in functions, so that types of other users cannot run code.
CREATE FUNCTION make_source_function(source integer) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $make$
DECLARE
    it        rappel.sources;
    typed     text;
    values_of text;
    is_text   boolean;
    key       text;
    image     text;
    pair      text;
    noted     text;
BEGIN
    SELECT * INTO STRICT it FROM rappel.sources AS s WHERE s.id = source;
    SELECT string_agg(format('pg_typeof(r.%I) = %s::oid::regtype', a.attname, a.atttypid), ' AND ' ORDER BY k.place),
           string_agg(CASE
               -- The text form must not depend on the session, nor on the length of the column.
               WHEN it.key_types[k.place] = 'timestamp with time zone' THEN format('r.%I AT TIME ZONE ''UTC''', a.attname)
               WHEN it.key_types[k.place] IN ('character', 'bpchar') THEN format('r.%I::text', a.attname)
               ELSE format('r.%I', a.attname)
           END, ', ' ORDER BY k.place)
    INTO STRICT typed, values_of
    FROM unnest(it.key_columns) WITH ORDINALITY AS k (name, place)
    JOIN pg_attribute AS a ON a.attrelid = it.relation AND a.attname = k.name AND NOT a.attisdropped;
    is_text := it.key_types && ARRAY['text', 'character varying', 'character', 'bpchar'];

    key := format('jsonb_build_array(%s)::text', values_of);
    IF is_text THEN
        -- The limit of an index entry and of a document's id.
        key := format('CASE WHEN octet_length(%1$s) > 1024
                            THEN ''#'' || encode(sha256(convert_to(%1$s, ''UTF8'')), ''hex'') ELSE %1$s END', key);
    END IF;
    key := format('(CASE WHEN %s THEN %s END) COLLATE "C" AS key', typed, key);
    -- A virtual column is null in the rows of a trigger: the columns from which it is computed are compared instead.
    SELECT 'ROW(' || string_agg(DISTINCT format('r.%I', coalesce(i.name, w.name)), ', ') || ')' INTO image
    FROM jsonb_array_elements_text(it.definition -> 'watched') AS w (name)
    LEFT JOIN LATERAL (
        SELECT a.attname::text AS name
        FROM pg_attribute AS v
        JOIN pg_attrdef AS e ON e.adrelid = v.attrelid AND e.adnum = v.attnum
        JOIN pg_depend AS d ON d.classid = 'pg_attrdef'::regclass AND d.objid = e.oid
             AND d.refclassid = 'pg_class'::regclass AND d.refobjid = v.attrelid AND d.refobjsubid <> v.attnum
        JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid AND a.attnum > 0
        WHERE v.attrelid = it.relation AND v.attname = w.name AND v.attgenerated = 'v'
    ) AS i ON true;
    pair := format('%s, %s AS image', key, coalesce(image, 'ROW(0)'));
    noted := 'ON CONFLICT (source_id, key) DO UPDATE
                  SET version = excluded.version, changed_at = least(c.changed_at, excluded.changed_at)
                  WHERE c.version <> excluded.version';
    -- A full join is never a nested loop, so a plan made for one row also serves a million.
    EXECUTE format($sql$
        CREATE OR REPLACE FUNCTION rappel.%1$I() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
        -- Restores switch it off, and then a statement on tables with policies fails. `watch_sources` looks for this setting.
        SET row_security = on AS $body$
        BEGIN
            IF TG_OP = 'TRUNCATE' THEN
                INSERT INTO rappel.source_events (source_id, why) VALUES (%2$s, 'truncate');
            ELSIF TG_OP = 'UPDATE' AND TG_LEVEL = 'STATEMENT' THEN
                INSERT INTO rappel.source_changes AS c (source_id, key, version)
                SELECT %2$s, coalesce(n.key, o.key), pg_current_xact_id()
                FROM (SELECT %4$s FROM old_rows AS r) AS o FULL JOIN (SELECT %4$s FROM new_rows AS r) AS n ON n.key = o.key
                WHERE n.key IS NULL OR o.key IS NULL OR n.image *<> o.image %5$s;
            ELSIF TG_OP = 'UPDATE' THEN
                INSERT INTO rappel.source_changes AS c (source_id, key, version)
                SELECT %2$s, coalesce(n.key, o.key), pg_current_xact_id()
                FROM (SELECT %4$s FROM (SELECT OLD.*) AS r) AS o
                FULL JOIN (SELECT %4$s FROM (SELECT NEW.*) AS r) AS n ON n.key = o.key
                WHERE n.key IS NULL OR o.key IS NULL OR n.image *<> o.image %5$s;
            ELSIF TG_OP = 'INSERT' AND TG_LEVEL = 'STATEMENT' THEN
                INSERT INTO rappel.source_changes AS c (source_id, key, version)
                SELECT %2$s, k.key, pg_current_xact_id() FROM (SELECT %3$s FROM new_rows AS r) AS k WHERE true %5$s;
            ELSIF TG_OP = 'INSERT' THEN
                INSERT INTO rappel.source_changes AS c (source_id, key, version)
                SELECT %2$s, k.key, pg_current_xact_id() FROM (SELECT %3$s FROM (SELECT NEW.*) AS r) AS k WHERE true %5$s;
            ELSIF TG_LEVEL = 'STATEMENT' THEN
                INSERT INTO rappel.source_changes AS c (source_id, key, version)
                SELECT %2$s, k.key, pg_current_xact_id() FROM (SELECT %3$s FROM old_rows AS r) AS k WHERE true %5$s;
            ELSE
                INSERT INTO rappel.source_changes AS c (source_id, key, version)
                SELECT %2$s, k.key, pg_current_xact_id() FROM (SELECT %3$s FROM (SELECT OLD.*) AS r) AS k WHERE true %5$s;
            END IF;
            RETURN NULL;
        EXCEPTION WHEN OTHERS THEN
            -- The user's transaction continues; a walk over the whole table makes up for the missed change.
            BEGIN
                INSERT INTO rappel.source_events (source_id, why) VALUES (%2$s, SQLSTATE);
            EXCEPTION WHEN OTHERS THEN
                RAISE WARNING 'Rappel could not record a change for its source %% (SQLSTATE %%): resync it', %2$s, SQLSTATE;
            END;
            RETURN NULL;
        END
        $body$
    $sql$, 'source_' || source, source, key, pair, noted);
END
$make$;
REVOKE ALL ON FUNCTION make_source_function(integer) FROM PUBLIC;

-- Drops the trigger function of a source, or empties it while triggers that only the table's owner may drop still call it.
CREATE FUNCTION drop_source_function(source integer) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $make$
BEGIN
    EXECUTE format('DROP FUNCTION IF EXISTS rappel.%I()', 'source_' || source);
EXCEPTION WHEN dependent_objects_still_exist THEN
    EXECUTE format('CREATE OR REPLACE FUNCTION rappel.%I() RETURNS trigger LANGUAGE plpgsql
                    SET search_path = pg_catalog, pg_temp AS ''BEGIN RETURN NULL; END''', 'source_' || source);
END
$make$;
REVOKE ALL ON FUNCTION drop_source_function(integer) FROM PUBLIC;

-- Starts to follow a table, or changes how it is followed. Returns `errors`, or whether the source was `created`. Waits for
-- writers of the table, at most five seconds: later changes are recorded by triggers, and the walk sees earlier ones. Raises
-- RP005 if the tenant is being removed.
CREATE FUNCTION follow(tenant text, source_name text, wanted jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT SET lock_timeout = '5s' AS $$
#variable_conflict use_column
DECLARE
    found   jsonb := resolve_source(wanted);
    before  rappel.sources;
    source  integer;
    event   text;
    tables  text;
    level   text;
    title   text;
BEGIN
    IF found ? 'errors' THEN
        RETURN found;
    END IF;
    PERFORM admit_documents(follow.tenant, NULL, '{}');
    SELECT * INTO before FROM rappel.sources AS s WHERE s.tenant = follow.tenant AND s.name = source_name FOR UPDATE;
    INSERT INTO rappel.sources AS s (
        tenant, name, definition, schema_name, table_name, relation, by_row, key_columns, key_types, title_sql, content_sql, metadata_sql,
        where_sql, phase, walk_began_at
    )
    VALUES (
        follow.tenant, source_name, wanted || jsonb_build_object('watched', found -> 'watched'), found ->> 'schema', found ->> 'table',
        (found ->> 'relation')::oid, (found ->> 'by_row')::boolean,
        ARRAY(SELECT jsonb_array_elements_text(found -> 'keys')), ARRAY(SELECT jsonb_array_elements_text(found -> 'types')),
        found ->> 'title', found ->> 'content', found ->> 'metadata', found ->> 'where', 'rows', now()
    )
    ON CONFLICT (tenant, name) DO UPDATE
        SET definition = excluded.definition, schema_name = excluded.schema_name, table_name = excluded.table_name,
            relation = excluded.relation, by_row = excluded.by_row, key_columns = excluded.key_columns,
            key_types = excluded.key_types, title_sql = excluded.title_sql, content_sql = excluded.content_sql,
            metadata_sql = excluded.metadata_sql, where_sql = excluded.where_sql, updated_at = now(),
            phase = 'rows', position = NULL, walked = 0, walk_began_at = now(), failure = NULL, failed_at = NULL
    RETURNING s.id INTO source;
    -- A worker that has read rows with the old definition must not store them.
    DELETE FROM rappel.source_attempts AS a WHERE a.source_id = source;
    IF before.id IS NOT NULL AND before.relation <> (found ->> 'relation')::oid THEN
        PERFORM drop_source_triggers(source, before.relation);
    END IF;
    PERFORM make_source_function(source);
    FOR event, tables IN VALUES ('insert', 'REFERENCING NEW TABLE AS new_rows'),
                                ('update', 'REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows'),
                                ('delete', 'REFERENCING OLD TABLE AS old_rows'), ('truncate', '')
    LOOP
        title := format('rappel_%s_%s', source, event);
        level := 'STATEMENT';
        IF (found ->> 'by_row')::boolean AND event <> 'truncate' THEN
            level := 'ROW';
            tables := '';
        END IF;
        EXECUTE format('CREATE OR REPLACE TRIGGER %I AFTER %s ON %I.%I %s FOR EACH %s EXECUTE FUNCTION rappel.%I()',
            title, event, found ->> 'schema', found ->> 'table', tables, level, 'source_' || source);
        IF (found ->> 'owned')::boolean THEN
            -- Replication and restores change rows too; only the owner may enable this.
            EXECUTE format('ALTER TABLE %I.%I ENABLE ALWAYS TRIGGER %I', found ->> 'schema', found ->> 'table', title);
        END IF;
    END LOOP;
    UPDATE rappel.sources AS s SET partitions = source_partitions(s.relation) WHERE s.id = source;
    RETURN jsonb_build_object('created', before.id IS NULL);
END
$$;

-- The partitions of a table and their storage: no trigger fires when a partition is attached, detached or truncated directly.
CREATE FUNCTION source_partitions(relation oid) RETURNS text
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
BEGIN
    RETURN (
        SELECT string_agg(format('%s/%s', t.relid::oid, c.relfilenode), ' ' ORDER BY t.relid::oid)
        FROM pg_partition_tree(relation) AS t JOIN pg_class AS c ON c.oid = t.relid
        WHERE t.relid <> relation
    );
END
$$;

-- Drops the triggers of a source; returns the statements that the table's owner has to run where this role may not.
CREATE FUNCTION drop_source_triggers(source integer, relation oid) RETURNS text[]
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT SET lock_timeout = '5s' AS $$
DECLARE
    statement text;
    rest      text[] := '{}';
BEGIN
    FOR statement IN
        SELECT format('DROP TRIGGER %I ON %I.%I', t.tgname, n.nspname, c.relname)
        FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE t.tgrelid = relation AND t.tgname LIKE format('rappel\_%s\_%%', source)
    LOOP
        BEGIN
            EXECUTE statement;
        EXCEPTION WHEN insufficient_privilege THEN
            rest := rest || statement;
        END;
    END LOOP;
    RETURN rest;
END
$$;

-- Stops following a table. Returns null if the source does not exist, otherwise the statements that the table's owner has to
-- run. Its documents are kept, or deleted by the worker, page by page.
CREATE FUNCTION unfollow(tenant text, source_name text, keep boolean) RETURNS text[]
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT AS $$
DECLARE
    it   rappel.sources;
    rest text[];
BEGIN
    SELECT * INTO it FROM rappel.sources AS s WHERE s.tenant = unfollow.tenant AND s.name = source_name FOR UPDATE;
    IF it.id IS NULL THEN
        RETURN NULL;
    END IF;
    rest := drop_source_triggers(it.id, it.relation);
    PERFORM drop_source_function(it.id);
    DELETE FROM rappel.source_attempts AS a WHERE a.source_id = it.id;
    DELETE FROM rappel.source_changes AS c WHERE c.source_id = it.id;
    DELETE FROM rappel.source_events AS e WHERE e.source_id = it.id;
    IF keep THEN
        DELETE FROM rappel.sources AS s WHERE s.id = it.id;
    ELSE
        UPDATE rappel.sources AS s
        SET phase = 'removal', position = NULL, failure = NULL, failed_at = NULL, updated_at = now() WHERE s.id = it.id;
    END IF;
    RETURN rest;
END
$$;

-- Restarts the walk of a source. Returns whether the source exists.
CREATE FUNCTION resync_source(tenant text, source_name text) RETURNS boolean
LANGUAGE sql VOLATILE SET search_path FROM CURRENT AS $$
    WITH begun AS (
        UPDATE rappel.sources AS s
        SET phase = 'rows', position = NULL, walked = 0, walk_began_at = now()
        WHERE s.tenant = resync_source.tenant AND s.name = source_name AND s.phase IS DISTINCT FROM 'removal'
        RETURNING s.id
    ), hurried AS (
        UPDATE rappel.source_attempts AS a SET until = now() FROM begun AS b WHERE a.source_id = b.id AND a.reason IS NOT NULL
    )
    SELECT EXISTS (SELECT FROM begun)
$$;
