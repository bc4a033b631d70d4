-- What each run of a worker checks of followed tables, because no recorded key shows it.

-- Detects truncations, changes that were not recorded, missing triggers, changed partitions, lost privileges, and tables that
-- have changed such that they have to be followed again. Returns the number of sources.
CREATE FUNCTION watch_sources() RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT AS $$
DECLARE
    it       rappel.sources;
    event    record;
    seen     record;
    mended   boolean;
    outdated boolean;
    number   bigint := 0;
BEGIN
    FOR it IN SELECT * FROM rappel.sources AS s ORDER BY s.id FOR NO KEY UPDATE SKIP LOCKED LOOP
        number := number + 1;
        CONTINUE WHEN it.phase = 'removal';
        WITH taken AS (
            DELETE FROM rappel.source_events AS e WHERE e.source_id = it.id RETURNING e.id, e.why
        )
        SELECT count(*) AS total, count(*) FILTER (WHERE t.why <> 'truncate') AS skipped,
               (array_agg(t.why ORDER BY t.id DESC) FILTER (WHERE t.why <> 'truncate'))[1] AS why
        INTO event FROM taken AS t;

        -- By the catalog: `to_regclass` fails for all sources if this role may not use the schema of one.
        SELECT coalesce(
                   CASE
                       WHEN c.oid IS NULL THEN format('the table %I.%I no longer exists', it.schema_name, it.table_name)
                       WHEN c.oid <> it.relation OR 4 <> (
                           SELECT count(*) FROM pg_trigger AS t
                           WHERE t.tgrelid = c.oid AND t.tgenabled <> 'D' AND t.tgname LIKE format('rappel\_%s\_%%', it.id)
                       ) THEN 'the triggers of the table are missing or disabled, for example because it was created anew: follow it again'
                   END,
                   (SELECT format(CASE WHEN a.attnum IS NULL THEN 'the key column %I no longer exists: follow it again'
                                       ELSE 'the type of the key column %I changed: follow it again' END, k.name)
                    FROM unnest(it.key_columns, it.key_types) AS k (name, type)
                    LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = k.name AND NOT a.attisdropped
                    LEFT JOIN pg_type AS t ON t.oid = a.atttypid,
                    LATERAL (SELECT coalesce(nullif(t.typbasetype, 0), t.oid)) AS b (base)
                    -- `character` and `numeric` are how earlier builds wrote two of the types.
                    WHERE coalesce(k.type NOT IN (format_type(b.base, -1), format_type(b.base, a.atttypmod),
                                                  CASE b.base WHEN 1042 THEN 'character' ELSE '' END), true)
                    LIMIT 1),
                   CASE
                       WHEN NOT it.by_row AND EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhrelid = c.oid)
                           THEN 'the table became a partition, or inherits from another table, through which changes are missed: follow it again'
                       WHEN NOT it.by_row AND EXISTS (SELECT FROM pg_subscription_rel AS r WHERE r.srrelid = c.oid)
                           THEN 'the table became the target of a subscription, whose changes are missed: follow it again'
                       WHEN c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhparent = c.oid)
                           THEN 'other tables inherit from the table now, whose changes are missed: it cannot be followed'
                       WHEN row_security_active(c.oid) THEN format(
                           'row-level security hides rows of the table from the role %I now: follow it as its owner, or as a role with BYPASSRLS',
                           current_user)
                   END) AS fault,
               (SELECT string_agg(g.sql, '; ')
                FROM (VALUES
                    (has_schema_privilege(n.oid, 'USAGE'), format('GRANT USAGE ON SCHEMA %I TO %I', it.schema_name, current_user)),
                    (has_any_column_privilege(c.oid, 'SELECT'),
                     format('GRANT SELECT ON %I.%I TO %I', it.schema_name, it.table_name, current_user))
                ) AS g (has, sql)
                WHERE NOT g.has) AS missing,
               source_partitions(it.relation) AS partitions
        INTO seen
        FROM (VALUES (it.schema_name, it.table_name)) AS w (schema_name, table_name)
        LEFT JOIN pg_namespace AS n ON n.nspname = w.schema_name
        LEFT JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.table_name;

        -- A trigger function outlives the build that made it. One that failed may compare a type that the key no longer has.
        mended := seen.fault IS NULL AND it.failed_at IS NOT DISTINCT FROM 'infinity';
        outdated := seen.fault IS NULL AND NOT EXISTS (
            SELECT FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
            WHERE n.nspname = 'rappel' AND p.proname = format('source_%s', it.id) AND 'row_security=on' = ANY (p.proconfig)
        );
        IF outdated OR (seen.fault IS NULL AND event.skipped > 0) THEN
            BEGIN
                PERFORM make_source_function(it.id);
            EXCEPTION WHEN insufficient_privilege THEN
                -- It belongs to another login, and works on as it is.
                outdated := false;
            END;
        END IF;
        -- Of some tables earlier builds missed changes, or wrote keys and ids in another way.
        outdated := outdated AND (it.key_types && ARRAY['character', 'bpchar'] OR EXISTS (
            SELECT FROM pg_attribute AS a
            WHERE a.attrelid = it.relation AND (
                a.attgenerated = 'v' AND (it.definition -> 'watched') ? a.attname::text
                -- A numeric key with decimals, or more digits than JSON's numbers keep: precision and scale are in the modifier.
                OR a.attname = ANY (it.key_columns) AND a.atttypid = 'numeric'::regtype
                   AND (((a.atttypmod - 4) & 65535) > 0 OR ((a.atttypmod - 4) >> 16) > 18)
            )
        ));

        IF seen.fault IS NOT NULL THEN
            UPDATE rappel.sources AS s SET failed_at = 'infinity', failure = seen.fault
            WHERE s.id = it.id AND (s.failed_at IS DISTINCT FROM 'infinity' OR s.failure IS DISTINCT FROM seen.fault);
        END IF;
        IF event.total > 0 OR seen.partitions IS DISTINCT FROM it.partitions OR mended OR outdated THEN
            UPDATE rappel.sources AS s
            SET phase = 'rows', position = NULL, walked = 0, walk_began_at = now(), partitions = seen.partitions,
                skipped = s.skipped + event.skipped,
                skipped_at = CASE WHEN event.skipped > 0 THEN now() ELSE s.skipped_at END,
                skipped_why = coalesce(event.why, s.skipped_why),
                failure = CASE WHEN NOT mended THEN s.failure END,
                failed_at = CASE WHEN NOT mended THEN s.failed_at END
            WHERE s.id = it.id;
        END IF;
        -- Changes are recorded without these privileges too, so that no walk is needed once they are there again.
        IF seen.fault IS NULL AND seen.missing IS NOT NULL THEN
            UPDATE rappel.sources AS s
            SET failed_at = now(), failure = format('the role %I lacks privileges: the owner of the table has to run %s',
                                                    current_user, seen.missing)
            WHERE s.id = it.id;
        ELSIF seen.fault IS NULL AND it.failure LIKE 'the role % lacks privileges: %' THEN
            UPDATE rappel.sources AS s SET failure = NULL, failed_at = NULL WHERE s.id = it.id;
        END IF;
    END LOOP;
    RETURN number;
END
$$;
