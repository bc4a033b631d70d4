-- The definition of a followed table.

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
           -- Without a length, which a cast would cut to; but numbers are written with the digits of their type.
           array_agg(format_type(b.base, CASE b.base WHEN 1700 THEN a.atttypmod ELSE -1 END) ORDER BY k.place)
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
          -- A virtual column is null in the rows of a trigger.
          AND NOT EXISTS (SELECT FROM pg_attribute AS a
                          WHERE a.attrelid = relation AND a.attname = ANY (keys) AND (NOT a.attnotnull OR a.attgenerated = 'v'))
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
