-- Bulk imports: the progress of each, and the outcome of its lines.

-- Stores an import and its plan, unless it is there: a statement may be sent twice. Raises RP005 if its tenant is being removed.
--
-- Two statements, because the policy of `import_parts` looks for the import, which a statement that inserts both does not see.
CREATE FUNCTION accept_import(
    tenant text, visible jsonb, max_documents bigint, key text, id text, source text, etag text, bytes bigint, queue text
) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('rappel.tenant', accept_import.tenant, true);
    PERFORM admit_documents(accept_import.tenant, NULL, '{}');
    INSERT INTO rappel.imports (id, source, etag, bytes, queue, tenant, visible, max_documents, key)
    VALUES (accept_import.id, accept_import.source, accept_import.etag, accept_import.bytes, accept_import.queue,
            accept_import.tenant, accept_import.visible, accept_import.max_documents, accept_import.key)
    ON CONFLICT DO NOTHING;
    INSERT INTO rappel.import_parts (import_id, part, first, last, position)
    VALUES (accept_import.id, 0, 0, accept_import.bytes, 0)
    ON CONFLICT DO NOTHING;
END
$$;

-- The parts of an import, as they are now. Nothing is written when a part or a line is lost because its worker died at
-- the last delivery of its message, or because the import takes longer than the queue retains messages: that is
-- derived here.
CREATE FUNCTION import_parts_now(wanted text, max_receives integer)
RETURNS TABLE (part integer, first bigint, last bigint, "position" bigint, lines bigint, stored bigint,
               unchanged bigint, refused bigint, attempts integer, begun boolean, failure text, ended_at timestamptz)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT p.part, p.first, p.last, p.position, p.lines, p.stored, p.unchanged, p.refused, p.attempts,
           p.worker IS NOT NULL OR p.attempts > 0 OR p.lines > 0,
           CASE WHEN dead THEN
               CASE WHEN p.attempts >= max_receives THEN format('the worker died %s times', p.attempts)
                    ELSE 'no worker received it in time' END
           ELSE p.failure END,
           CASE WHEN dead THEN greatest(p.leased_until, i.created_at) ELSE p.finished_at END
    FROM rappel.imports AS i
    JOIN rappel.import_parts AS p ON p.import_id = i.id
    CROSS JOIN LATERAL (
        SELECT p.finished_at IS NULL AND p.leased_until < now()
               AND (least(p.attempts, p.receives) >= max_receives OR i.created_at < now() - interval '4 days') AS dead
    ) AS d
    WHERE i.id = wanted;
END;

-- The lines that were recorded one by one (refused, failed or retried), as they are now.
CREATE FUNCTION import_lines_now(wanted text, max_receives integer)
RETURNS TABLE (part integer, "position" bigint, line bigint, document_id text, outcome text, reason text,
               ended_at timestamptz)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT l.part, l.position, l.line, l.document_id,
           CASE WHEN dead THEN 'failed' ELSE l.outcome END,
           CASE WHEN dead AND l.attempts > 0
                THEN format('the worker died %s times; first: %s', l.attempts, l.reason) ELSE l.reason END,
           CASE WHEN dead THEN greatest(l.leased_until, i.created_at) ELSE l.settled_at END
    FROM rappel.imports AS i
    JOIN rappel.import_lines AS l ON l.import_id = i.id
    JOIN import_parts_now(wanted, max_receives) AS p ON p.part = l.part
    CROSS JOIN LATERAL (
        SELECT l.outcome = 'retrying' AND l.leased_until < now()
               AND (least(l.attempts, l.receives) >= max_receives OR i.created_at < now() - interval '4 days'
                    -- Its message is sent when its part is finished.
                    OR (l.attempts = 0 AND p.failure IS NOT NULL)) AS dead
    ) AS d
    WHERE i.id = wanted;
END;

-- The totals of an import.
CREATE FUNCTION import_state(tenant text, wanted text, max_receives integer)
RETURNS TABLE (id text, source text, created_at text, ended_at text, seconds double precision, failed boolean,
               begun boolean, planned boolean, ended boolean, bytes bigint, bytes_done bigint, parts bigint,
               parts_done bigint, parts_failed bigint, stored bigint, unchanged bigint, refused bigint,
               retrying bigint)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT i.id, i.source, to_char(i.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
           CASE WHEN e.ended THEN to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') END,
           extract(epoch FROM CASE WHEN e.ended THEN e.at ELSE now() END - i.created_at)::double precision,
           i.failure IS NOT NULL OR p.failed,
           p.begun, p.planned, e.ended,
           p.bytes, p.bytes_done, p.parts, p.parts_done, p.parts_failed,
           p.stored + l.stored, p.unchanged + l.unchanged, p.refused + l.failed, l.retrying
    FROM rappel.imports AS i
    CROSS JOIN (
        SELECT coalesce(bool_or(p.begun), false) AS begun,
               coalesce(bool_or(p.part = 0 AND p.ended_at IS NOT NULL AND p.failure IS NULL), false) AS planned,
               coalesce(bool_or(p.failure IS NOT NULL), false) AS failed,
               coalesce(bool_and(p.ended_at IS NOT NULL), false) AS ended, max(p.ended_at) AS ended_at,
               coalesce(sum(p.last - p.first) FILTER (WHERE p.part > 0), 0)::bigint AS bytes,
               coalesce(sum(least(p.position, p.last) - p.first) FILTER (WHERE p.part > 0 AND (p.ended_at IS NULL OR p.failure IS NOT NULL)), 0)::bigint
                   + coalesce(sum(p.last - p.first) FILTER (WHERE p.part > 0 AND p.ended_at IS NOT NULL AND p.failure IS NULL), 0)::bigint
                   AS bytes_done,
               count(*) FILTER (WHERE p.part > 0) AS parts,
               count(*) FILTER (WHERE p.part > 0 AND p.ended_at IS NOT NULL AND p.failure IS NULL) AS parts_done,
               count(*) FILTER (WHERE p.part > 0 AND p.failure IS NOT NULL) AS parts_failed,
               coalesce(sum(p.stored), 0)::bigint AS stored, coalesce(sum(p.unchanged), 0)::bigint AS unchanged,
               coalesce(sum(p.refused), 0)::bigint AS refused
        FROM import_parts_now(wanted, max_receives) AS p
    ) AS p
    CROSS JOIN (
        SELECT count(*) FILTER (WHERE l.outcome = 'stored') AS stored,
               count(*) FILTER (WHERE l.outcome = 'unchanged') AS unchanged,
               count(*) FILTER (WHERE l.outcome = 'failed') AS failed,
               count(*) FILTER (WHERE l.outcome = 'retrying') AS retrying, max(l.ended_at) AS ended_at
        FROM import_lines_now(wanted, max_receives) AS l
    ) AS l
    CROSS JOIN LATERAL (
        SELECT i.failure IS NOT NULL OR (p.ended AND l.retrying = 0) AS ended,
               coalesce(i.failed_at, greatest(p.ended_at, l.ended_at)) AS at
    ) AS e
    WHERE i.id = wanted AND i.tenant = import_state.tenant;
END;

-- The failures of an import, in the order of its object.
CREATE FUNCTION import_failures(tenant text, wanted text, max_receives integer)
RETURNS TABLE ("offset" bigint, line bigint, document_id text, reason text)
LANGUAGE sql STABLE
BEGIN ATOMIC
    WITH part AS MATERIALIZED (
        SELECT p.*,
               -- The number of lines before a part is known once all parts before it are finished.
               CASE WHEN bool_and(p.ended_at IS NOT NULL AND p.failure IS NULL) OVER before IS NOT FALSE
                    THEN coalesce(sum(p.lines) OVER before, 0)::bigint END AS lines_before
        FROM import_parts_now(wanted, max_receives) AS p
        WHERE EXISTS (SELECT FROM rappel.imports AS i WHERE i.id = wanted AND i.tenant = import_failures.tenant)
        WINDOW before AS (ORDER BY p.part ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    )
    SELECT f."offset", f.line, f.document_id, f.reason
    FROM (
        SELECT -1 AS part, NULL::bigint AS "offset", NULL::bigint AS line, NULL::text AS document_id, i.failure AS reason
        FROM rappel.imports AS i
        WHERE i.id = wanted AND i.tenant = import_failures.tenant AND i.failure IS NOT NULL
        UNION ALL
        SELECT p.part, CASE WHEN p.part > 0 THEN p.position END, NULL, NULL,
               CASE WHEN p.part = 0 THEN p.failure
                    ELSE format('the lines from here to byte %s were given up: %s', p.last, p.failure) END
        FROM part AS p WHERE p.failure IS NOT NULL
        UNION ALL
        SELECT l.part, l.position, p.lines_before + l.line, l.document_id, l.reason
        FROM import_lines_now(wanted, max_receives) AS l
        JOIN part AS p ON p.part = l.part
        WHERE l.outcome IN ('refused', 'failed')
    ) AS f
    ORDER BY f.part, f."offset" NULLS FIRST;
END;

-- Reopens the plan of each unfinished import of `queue`, so that its messages are sent again.
CREATE FUNCTION reopen_imports(queue text, max_receives integer) RETURNS SETOF text
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT AS $$
DECLARE
    open text[] := ARRAY(
        SELECT i.id FROM rappel.imports AS i
        WHERE i.queue = reopen_imports.queue AND i.failure IS NULL
          AND NOT (SELECT s.ended FROM import_state(i.tenant, i.id, max_receives) AS s)
    );
BEGIN
    -- A finished part sends the messages of its retried lines again when it finishes again.
    UPDATE rappel.import_parts AS p
    SET finished_at = NULL, attempts = 0, receives = 0, worker = NULL, leased_until = '-infinity'
    WHERE p.import_id = ANY (open)
      AND (p.part = 0 OR p.finished_at IS NULL OR EXISTS (
          SELECT FROM rappel.import_lines AS l
          WHERE l.import_id = p.import_id AND l.part = p.part AND l.outcome = 'retrying'
      ));
    RETURN QUERY SELECT unnest(open);
END
$$;

-- Finds stalled work: parts and lines of an import of `queue` in which nothing has changed for `silence` seconds, for
-- example because workers died before they leased a part, and the queue gave up its message. Returns the messages to
-- send again, a few at a time; a redundant message does no harm.
CREATE FUNCTION forgotten_work(
    tenant text, wanted text, queue text, max_receives integer, silence double precision
)
RETURNS TABLE (part integer, "position" bigint, reason text)
LANGUAGE sql VOLATILE
BEGIN ATOMIC
    WITH silent AS MATERIALIZED (
        SELECT i.id
        FROM rappel.imports AS i
        CROSS JOIN (SELECT now() - silence * interval '1 second' AS begun) AS s
        WHERE i.id = wanted AND i.tenant = forgotten_work.tenant AND i.queue = forgotten_work.queue AND i.failure IS NULL AND i.created_at < s.begun
          AND NOT EXISTS (
              SELECT FROM rappel.import_parts AS p
              WHERE p.import_id = i.id AND greatest(p.leased_until, p.finished_at) > s.begun
          )
          AND NOT EXISTS (
              SELECT FROM rappel.import_lines AS l
              WHERE l.import_id = i.id AND greatest(l.leased_until, l.settled_at) > s.begun
          )
    ), part AS (
        UPDATE rappel.import_parts AS p SET leased_until = now()
        WHERE (p.import_id, p.part) IN (
            SELECT o.import_id, o.part
            FROM silent JOIN rappel.import_parts AS o ON o.import_id = silent.id
            WHERE o.finished_at IS NULL AND least(o.attempts, o.receives) < max_receives
            ORDER BY o.part
            LIMIT 10
        )
        RETURNING p.part
    ), line AS (
        UPDATE rappel.import_lines AS l SET leased_until = now()
        WHERE (l.import_id, l.part, l.position) IN (
            SELECT o.import_id, o.part, o.position
            FROM silent
            JOIN rappel.import_lines AS o ON o.import_id = silent.id
            JOIN rappel.import_parts AS p ON p.import_id = o.import_id AND p.part = o.part
            WHERE o.outcome = 'retrying' AND p.finished_at IS NOT NULL AND least(o.attempts, o.receives) < max_receives
            LIMIT 10
        )
        RETURNING l.part, l.position, l.reason
    )
    SELECT part.part, NULL::bigint, NULL::text FROM part
    UNION ALL
    SELECT line.part, line.position, line.reason FROM line;
END;
