-- Followed tables. These functions read followed tables with the privileges of the caller, except those with SECURITY DEFINER.

-- Finds the table and the columns of a source, and has the database check its expressions. Returns `errors`, each with a
-- `field` and a `detail`, or what `follow` stores.
CREATE FUNCTION resolve_source(definition jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT AS $$
DECLARE
    parts     text[];
    relation  oid;
    it        record;
    missing   text;
    keys      text[] := ARRAY(SELECT jsonb_array_elements_text(nullif(definition -> 'id', 'null')));
    types     text[];
    wrong     text;
    field     text;
    given     text;
    sql       text;
    compiled  jsonb := '{}';
    watched   text[] := '{}';
    reads     record;
    errors    jsonb := '[]';
BEGIN
    BEGIN
        parts := parse_ident(definition ->> 'table');
    EXCEPTION WHEN invalid_parameter_value THEN
        parts := NULL;
    END;
    IF coalesce(cardinality(parts), 0) NOT IN (1, 2) THEN
        RETURN jsonb_build_object('errors', jsonb_build_array(jsonb_build_object(
            'field', 'table', 'detail', 'is not a table name such as public.articles; quote names with capitals')));
    END IF;
    IF cardinality(parts) = 1 THEN
        parts := ARRAY['public', parts[1]];
    END IF;
    SELECT c.oid, c.relkind, c.relpersistence, c.relowner, n.nspname, c.relname,
           EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhparent = c.oid) AS has_children,
           EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhrelid = c.oid) AS is_child,
           EXISTS (SELECT FROM pg_subscription_rel AS s WHERE s.srrelid = c.oid) AS is_subscribed
    INTO it
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = parts[1] AND c.relname = parts[2];
    relation := it.oid;
    wrong := CASE
        WHEN relation IS NULL THEN format('the table %I.%I does not exist in this database', parts[1], parts[2])
        WHEN parts[1] = 'rappel' THEN format(
            'is in Rappel''s own schema, whose tables cannot be followed: ALTER TABLE rappel.%I SET SCHEMA public moves it', parts[2])
        WHEN parts[1] ~ '^(rappel_|pg_)' OR parts[1] = 'information_schema' THEN 'is a system table, which cannot be followed'
        WHEN it.relkind NOT IN ('r', 'p') THEN 'is not a table: views and foreign tables have no triggers that fire on every change'
        WHEN it.relpersistence <> 'p' THEN 'is temporary or unlogged: its rows can be lost without a trigger firing'
        WHEN it.relkind = 'r' AND it.has_children THEN 'has tables that inherit from it; partitions can be followed, these cannot'
        WHEN row_security_active(relation) THEN format(
            'has row-level security, which hides rows from the role %I: follow it as its owner, or as a role with BYPASSRLS',
            current_user)
    END;
    IF wrong IS NOT NULL THEN
        RETURN jsonb_build_object('errors', jsonb_build_array(jsonb_build_object('field', 'table', 'detail', wrong)));
    END IF;
    SELECT string_agg(g.sql, '; ') INTO missing
    FROM (VALUES
        (has_schema_privilege(parts[1], 'USAGE'), format('GRANT USAGE ON SCHEMA %I TO %I', parts[1], current_user)),
        (has_table_privilege(relation, 'SELECT'), format('GRANT SELECT ON %I.%I TO %I', parts[1], parts[2], current_user)),
        (has_table_privilege(relation, 'TRIGGER'), format('GRANT TRIGGER ON %I.%I TO %I', parts[1], parts[2], current_user))
    ) AS g (has, sql)
    WHERE NOT g.has;
    IF missing IS NOT NULL THEN
        RETURN jsonb_build_object('errors', jsonb_build_array(jsonb_build_object('field', 'table', 'detail', format(
            'cannot be followed by the role %I, which lacks privileges: its owner has to run %s', current_user, missing))));
    END IF;

    -- The key must be unique at every moment, so that a writer of a row has waited for the previous writer of it.
    IF keys = '{}' THEN
        SELECT ARRAY(SELECT a.attname::text FROM unnest(i.indkey) WITH ORDINALITY AS k (number, place)
                     JOIN pg_attribute AS a ON a.attrelid = relation AND a.attnum = k.number
                     ORDER BY k.place)
        INTO keys
        FROM pg_index AS i WHERE i.indrelid = relation AND i.indisprimary;
        IF keys IS NULL THEN
            RETURN jsonb_build_object('errors', jsonb_build_array(jsonb_build_object(
                'field', 'id', 'detail', 'is missing, and the table has no primary key')));
        END IF;
    END IF;
    SELECT string_agg(k.name, ', ') INTO wrong
    FROM unnest(keys) AS k (name)
    WHERE NOT EXISTS (
        SELECT FROM pg_attribute AS a
        WHERE a.attrelid = relation AND a.attname = k.name AND a.attnum > 0 AND NOT a.attisdropped
    );
    IF wrong IS NOT NULL THEN
        RETURN jsonb_build_object('errors', jsonb_build_array(jsonb_build_object(
            'field', 'id', 'detail', format('the table has no column %s', wrong))));
    END IF;
    SELECT string_agg(format('%s is %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ')
               FILTER (WHERE b.base NOT IN (16, 20, 21, 23, 25, 1042, 1043, 1082, 1114, 1184, 1700, 2950)
                          OR (b.base = 1700 AND a.atttypmod = -1)
                          OR EXISTS (SELECT FROM pg_collation AS c
                                     WHERE c.oid = a.attcollation AND NOT c.collisdeterministic)),
           array_agg(format_type(b.base, NULL) ORDER BY k.place)
    INTO wrong, types
    FROM unnest(keys) WITH ORDINALITY AS k (name, place)
    JOIN pg_attribute AS a ON a.attrelid = relation AND a.attname = k.name
    JOIN pg_type AS t ON t.oid = a.atttypid,
    LATERAL (SELECT coalesce(nullif(t.typbasetype, 0), t.oid)) AS b (base);
    IF wrong IS NOT NULL THEN
        RETURN jsonb_build_object('errors', jsonb_build_array(jsonb_build_object('field', 'id', 'detail', format(
            '%s: a key column must have a type whose values have one text form: integers, numeric with a precision, text, uuid, dates and times', wrong))));
    END IF;
    IF NOT EXISTS (
        SELECT FROM pg_index AS i
        WHERE i.indrelid = relation AND i.indisunique AND i.indisvalid AND i.indimmediate
          AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnkeyatts = cardinality(keys)
          AND ARRAY(SELECT a.attname::text FROM generate_series(0, i.indnkeyatts - 1) AS p
                    JOIN pg_attribute AS a ON a.attrelid = relation AND a.attnum = i.indkey[p]
                    ORDER BY a.attname COLLATE "C")
              = ARRAY(SELECT k FROM unnest(keys) AS k ORDER BY k COLLATE "C")
          AND NOT EXISTS (SELECT FROM pg_attribute AS a
                          WHERE a.attrelid = relation AND a.attname = ANY (keys) AND NOT a.attnotnull)
    ) THEN
        RETURN jsonb_build_object('errors', jsonb_build_array(jsonb_build_object('field', 'id', 'detail', format(
            '%s must be a primary key, or NOT NULL with a unique index of just these columns that is neither partial nor deferrable',
            array_to_string(keys, ', ')))));
    END IF;

    -- A column name is quoted; anything else is an expression. A temporary view shows which columns an expression reads. It
    -- contains the expression in both forms in which it is used later, so that unbalanced parentheses fail here.
    PERFORM set_config('search_path', format('pg_catalog, %I, public, pg_temp', parts[1]), true);
    FOR field, given IN
        SELECT * FROM (VALUES ('title', definition ->> 'title'), ('content', definition ->> 'content'),
                              ('where', definition ->> 'where')) AS f (field, given)
        WHERE f.given IS NOT NULL
        UNION ALL
        SELECT 'metadata.' || m.key, m.value FROM jsonb_each_text(nullif(definition -> 'metadata', 'null')) AS m
    LOOP
        IF EXISTS (SELECT FROM pg_attribute AS a
                   WHERE a.attrelid = relation AND a.attname = given AND a.attnum > 0 AND NOT a.attisdropped) THEN
            sql := format('%I', given);
        ELSE
            sql := given || E'\n';
        END IF;
        BEGIN
            EXECUTE format('CREATE TEMP VIEW rappel_probe AS SELECT 1 AS one FROM %I.%I WHERE (%s) %s AND (CASE WHEN %s THEN %s END) %s',
                parts[1], parts[2], sql, CASE field WHEN 'where' THEN '' ELSE 'IS NULL' END,
                CASE field WHEN 'where' THEN sql ELSE 'true' END, CASE field WHEN 'where' THEN 'true' ELSE sql END,
                CASE field WHEN 'where' THEN '' ELSE 'IS NULL' END);
            SELECT string_agg(DISTINCT d.refobjid::regclass::text, ', ')
                       FILTER (WHERE d.refobjid NOT IN (relation, 'pg_temp.rappel_probe'::regclass)) AS others,
                   array_agg(a.attname::text) FILTER (WHERE d.refobjid = relation AND d.refobjsubid > 0) AS columns
            INTO reads
            FROM pg_rewrite AS r
            JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                 AND d.refclassid = 'pg_class'::regclass
            LEFT JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid AND d.refobjsubid > 0
            WHERE r.ev_class = 'pg_temp.rappel_probe'::regclass;
            DROP VIEW pg_temp.rappel_probe;
            IF reads.others IS NOT NULL THEN
                errors := errors || jsonb_build_object('field', field, 'detail', format(
                    'also reads %s, whose changes are not followed', reads.others));
            END IF;
            watched := watched || coalesce(reads.columns, '{}');
            -- An expression may read a whole row by the name of the table.
            IF strpos(lower(sql), lower(parts[2])) > 0 AND sql <> format('%I', given) THEN
                watched := watched || ARRAY(SELECT a.attname::text FROM pg_attribute AS a
                                            WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped);
            END IF;
            compiled := compiled || jsonb_build_object(field, sql);
        EXCEPTION
            WHEN insufficient_privilege THEN
                errors := errors || jsonb_build_object('field', field, 'detail', format(
                    '%s; the check needs a temporary view: GRANT TEMPORARY ON DATABASE %I TO %I',
                    SQLERRM, current_database(), current_user));
            WHEN OTHERS THEN
                errors := errors || jsonb_build_object('field', field, 'detail', 'Postgres: ' || SQLERRM);
        END;
    END LOOP;
    IF errors <> '[]' THEN
        RETURN jsonb_build_object('errors', errors);
    END IF;
    RETURN jsonb_build_object(
        'schema', parts[1], 'table', parts[2], 'relation', relation::bigint,
        'by_row', it.relkind = 'p' OR it.is_child OR it.is_subscribed,
        'owned', pg_has_role(it.relowner, 'USAGE'),
        'keys', keys, 'types', types,
        'watched', ARRAY(SELECT DISTINCT w FROM unnest(watched) AS w WHERE w <> ALL (keys) ORDER BY w),
        'title', coalesce(compiled ->> 'title', ''''''),
        'content', compiled ->> 'content',
        'metadata', coalesce((
            SELECT 'jsonb_build_object(' || string_agg(format('%L, (%s)', substr(c.key, 10), c.value), ', ') || ')'
            FROM jsonb_each_text(compiled) AS c WHERE c.key LIKE 'metadata.%'), '''{}''::jsonb'),
        'where', coalesce(compiled ->> 'where', 'true'));
END
$$;

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
    pair      text;
    noted     text;
BEGIN
    SELECT * INTO STRICT it FROM rappel.sources AS s WHERE s.id = source;
    SELECT string_agg(format('pg_typeof(r.%I) = %s::oid::regtype', a.attname, a.atttypid), ' AND ' ORDER BY k.place),
           string_agg(CASE it.key_types[k.place]
               -- The text form must not depend on the session.
               WHEN 'timestamp with time zone' THEN format('r.%I AT TIME ZONE ''UTC''', a.attname)
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
    pair := format('%s, %s AS image', key, coalesce((
        SELECT 'ROW(' || string_agg(format('r.%I', w.name), ', ') || ')'
        FROM jsonb_array_elements_text(it.definition -> 'watched') AS w (name)), 'ROW(0)'));
    noted := 'ON CONFLICT (source_id, key) DO UPDATE
                  SET version = excluded.version, changed_at = least(c.changed_at, excluded.changed_at)
                  WHERE c.version <> excluded.version';
    -- A full join is never a nested loop, so a plan made for one row also serves a million.
    EXECUTE format($sql$
        CREATE OR REPLACE FUNCTION rappel.%1$I() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
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
-- writers of the table, at most five seconds: later changes are recorded by triggers, and the walk sees earlier ones.
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

-- Detects what no recorded key shows: truncations, changes that were not recorded, missing triggers, changed partitions.
CREATE FUNCTION watch_sources() RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT AS $$
DECLARE
    it      rappel.sources;
    event   record;
    healthy boolean;
    now_has text;
    number  bigint := 0;
BEGIN
    FOR it IN SELECT * FROM rappel.sources AS s ORDER BY s.id FOR UPDATE SKIP LOCKED LOOP
        number := number + 1;
        CONTINUE WHEN it.phase = 'removal';
        WITH taken AS (
            DELETE FROM rappel.source_events AS e WHERE e.source_id = it.id RETURNING e.id, e.why
        )
        SELECT count(*) AS total, count(*) FILTER (WHERE t.why <> 'truncate') AS skipped,
               (array_agg(t.why ORDER BY t.id DESC) FILTER (WHERE t.why <> 'truncate'))[1] AS why
        INTO event FROM taken AS t;
        healthy := it.relation = to_regclass(format('%I.%I', it.schema_name, it.table_name)) AND 4 = (
            SELECT count(*) FROM pg_trigger AS t
            WHERE t.tgrelid = it.relation AND t.tgenabled <> 'D' AND t.tgname LIKE format('rappel\_%s\_%%', it.id)
        );
        now_has := source_partitions(it.relation);
        IF healthy IS NOT TRUE THEN
            UPDATE rappel.sources AS s
            SET failed_at = 'infinity', failure = CASE
                WHEN to_regclass(format('%I.%I', it.schema_name, it.table_name)) IS NULL
                    THEN format('the table %I.%I no longer exists', it.schema_name, it.table_name)
                ELSE 'the triggers of the table are missing or disabled, for example because it was created anew: follow it again'
            END
            WHERE s.id = it.id AND s.failed_at IS DISTINCT FROM 'infinity';
        END IF;
        IF event.total > 0 OR now_has IS DISTINCT FROM it.partitions OR (healthy AND it.failed_at = 'infinity') THEN
            UPDATE rappel.sources AS s
            SET phase = 'rows', position = NULL, walked = 0, walk_began_at = now(), partitions = now_has,
                skipped = s.skipped + event.skipped,
                skipped_at = CASE WHEN event.skipped > 0 THEN now() ELSE s.skipped_at END,
                skipped_why = coalesce(event.why, s.skipped_why),
                failure = CASE WHEN healthy AND s.failed_at = 'infinity' THEN NULL ELSE s.failure END,
                failed_at = CASE WHEN healthy AND s.failed_at = 'infinity' THEN NULL ELSE s.failed_at END
            WHERE s.id = it.id;
        END IF;
    END LOOP;
    RETURN number;
END
$$;

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
        FOR UPDATE OF c SKIP LOCKED
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
        ELSE format('(%s::jsonb ->> %s)::%s', k, t.place - 1, t.name)
    END, ', ' ORDER BY t.place)
    FROM unnest(types) WITH ORDINALITY AS t (name, place)
$$;

-- SQL for the key of a row, as triggers write it, but without the limit of its length.
CREATE FUNCTION key_of_row(columns text[], types text[]) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path FROM CURRENT AS $$
    SELECT 'jsonb_build_array(' || string_agg(CASE c.type
        WHEN 'timestamp with time zone' THEN format('%I AT TIME ZONE ''UTC''', c.name)
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
    -- An error of the followed table must not be reported as one of Rappel's own schema.
    WHEN undefined_table OR undefined_column OR undefined_function OR undefined_object OR invalid_schema_name
         OR insufficient_privilege OR syntax_error OR datatype_mismatch OR read_only_sql_transaction THEN
        RETURN QUERY SELECT NULL::text, NULL::text, NULL::text, NULL::text, SQLERRM;
END
$$;

-- Continues a walk: records the keys of the next rows, or documents, of one source, or deletes the next documents of a source
-- that was removed. Returns how many; null if no walk is in progress. What it records counts as newer than any change.
CREATE FUNCTION walk_sources(most integer) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT SET "TimeZone" = 'UTC' SET "DateStyle" = 'ISO, YMD' AS $$
DECLARE
    it       rappel.sources;
    source   integer;
    query    text;
    keys     text[];
    missing  text[];
    ended    boolean;
BEGIN
    SELECT * INTO it FROM rappel.sources AS s
    WHERE s.phase IS NOT NULL AND (s.failure IS NULL OR s.failed_at < now() - interval '30 seconds')
    ORDER BY s.walk_began_at LIMIT 1 FOR UPDATE SKIP LOCKED;
    IF it.id IS NULL THEN
        RETURN NULL;
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
        RETURN cardinality(keys);
    END IF;

    IF it.phase = 'rows' THEN
        IF it.position IS NULL THEN
            -- Keys that are too long to look up: the walk records them again if their rows still exist.
            WITH gone AS (
                SELECT c.key FROM rappel.source_changes AS c
                WHERE c.source_id = it.id AND c.key LIKE '#%' FOR UPDATE SKIP LOCKED
            ), forgotten AS (
                DELETE FROM rappel.source_attempts AS a USING gone AS g WHERE a.source_id = it.id AND a.key = g.key
            )
            DELETE FROM rappel.source_changes AS c USING gone AS g WHERE c.source_id = it.id AND c.key = g.key;
        END IF;
        query := format('SELECT ARRAY(SELECT %s FROM %I.%I %s ORDER BY %s LIMIT $2)',
            key_of_row(it.key_columns, it.key_types), it.schema_name, it.table_name,
            CASE WHEN it.position IS NOT NULL THEN format('WHERE (%s) > (%s)',
                (SELECT string_agg(format('%I', c.name), ', ' ORDER BY c.place)
                 FROM unnest(it.key_columns) WITH ORDINALITY AS c (name, place)),
                key_values(it.key_types, '$1')) END,
            (SELECT string_agg(format('%I', c.name), ', ' ORDER BY c.place)
             FROM unnest(it.key_columns) WITH ORDINALITY AS c (name, place)));
        BEGIN
            EXECUTE query INTO keys USING it.position, most;
        EXCEPTION WHEN undefined_table OR undefined_column OR invalid_schema_name OR insufficient_privilege THEN
            UPDATE rappel.sources AS s SET failure = SQLERRM, failed_at = now() WHERE s.id = it.id;
            RETURN 0;
        END;
        missing := keys;
    ELSE
        keys := ARRAY(SELECT d.key FROM rappel.source_documents AS d
                      WHERE d.source_id = it.id AND (it.position IS NULL OR d.key > it.position)
                      ORDER BY d.key LIMIT most);
        query := format('SELECT ARRAY(SELECT %s FROM %I.%I WHERE (%s) IN (SELECT %s FROM unnest($1) AS k))',
            key_of_row(it.key_columns, it.key_types), it.schema_name, it.table_name,
            (SELECT string_agg(format('%I', c.name), ', ' ORDER BY c.place)
             FROM unnest(it.key_columns) WITH ORDINALITY AS c (name, place)),
            key_values(it.key_types, 'k'));
        BEGIN
            EXECUTE query INTO missing USING keys;
        EXCEPTION
            WHEN undefined_table OR undefined_column OR invalid_schema_name OR insufficient_privilege THEN
                UPDATE rappel.sources AS s SET failure = SQLERRM, failed_at = now() WHERE s.id = it.id;
                RETURN 0;
            -- Keys of another definition, which match no row of this one.
            WHEN data_exception THEN
                missing := '{}';
        END;
        missing := ARRAY(SELECT k FROM unnest(keys) AS k EXCEPT SELECT m FROM unnest(missing) AS m);
    END IF;
    INSERT INTO rappel.source_changes AS c (source_id, key, version, changed_at)
    SELECT it.id,
           CASE WHEN octet_length(k) > 1024 THEN '#' || encode(sha256(convert_to(k, 'UTF8')), 'hex') ELSE k END,
           pg_current_xact_id(), 'infinity'
    FROM unnest(missing) AS k
    ON CONFLICT (source_id, key) DO NOTHING;
    ended := cardinality(keys) < most;
    UPDATE rappel.sources AS s
    SET phase = CASE WHEN NOT ended THEN s.phase WHEN s.phase = 'rows' THEN 'documents' END,
        position = CASE WHEN NOT ended THEN keys[cardinality(keys)] END,
        walked = s.walked + CASE WHEN s.phase = 'rows' THEN cardinality(keys) ELSE 0 END,
        filled_at = CASE WHEN ended AND s.phase = 'documents' THEN coalesce(s.filled_at, now()) ELSE s.filled_at END
    WHERE s.id = it.id;
    RETURN cardinality(keys);
END
$$;

-- Locks the leases of a worker on keys of a source until the end of the transaction, and returns whether the worker holds them
-- all, and so may store. Waits only for a lease that another transaction is taking over.
CREATE FUNCTION hold_changes(worker_name text, source integer, keys text[]) RETURNS boolean
LANGUAGE sql VOLATILE SET search_path FROM CURRENT AS $$
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
    WITH stored AS (
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
    WITH failed AS (
        UPDATE rappel.sources AS s SET failure = why, failed_at = now()
        WHERE s.id = failed_source AND s.failed_at IS DISTINCT FROM 'infinity'
    ), kept AS (
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

-- The state of the source of a tenant with this name, or of all; null is for all tenants.
CREATE FUNCTION source_state(tenant text, wanted text)
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
    FROM rappel.sources AS s,
    LATERAL (
        SELECT count(*) AS pending,
               coalesce(extract(epoch FROM now() - min(c.changed_at) FILTER (WHERE c.changed_at < 'infinity' AND NOT EXISTS (
                   SELECT FROM rappel.source_attempts AS a
                   WHERE a.source_id = c.source_id AND a.key = c.key AND a.reason IS NOT NULL AND a.version = c.version)
               ))::double precision, 0) AS lag
        FROM rappel.source_changes AS c WHERE c.source_id = s.id
    ) AS c
    WHERE (source_state.tenant IS NULL OR s.tenant = source_state.tenant) AND (wanted IS NULL OR s.name = wanted)
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
