-- The tenant of a call.
--
-- Whoever serves a caller calls a function whose first parameter is the tenant. It sets `rappel.tenant` until the end of the
-- transaction, by which row-level security judges the rows of its statements, and each of these names the tenant too. A
-- statement outside a transaction is one, so the setting costs no round trip and never reaches another client of a pooler.
--
-- Row-level security lets no index answer a condition that is not leakproof, which those of filters and words are not. Functions
-- that need such an index run with the rights of their owner (SECURITY DEFINER), whom no policy stops: they refuse another
-- tenant than the one that is set, and what they find is read again by their callers, whom the policies do stop.

-- Raises RP003 if a statement is for another tenant than the one that is set.
CREATE FUNCTION require_tenant(tenant text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
BEGIN
    IF tenant IS DISTINCT FROM coalesce(current_setting('rappel.tenant', true), '') THEN
        RAISE EXCEPTION 'a statement is for another tenant than the setting rappel.tenant' USING ERRCODE = 'RP003';
    END IF;
END
$$;

-- The key of the advisory lock between a tenant's writers, who share it until they commit, and its removal.
CREATE FUNCTION tenant_lock(tenant text) RETURNS bigint
LANGUAGE sql IMMUTABLE SET search_path FROM CURRENT AS $$
    SELECT hashtextextended('rappel.tenant:' || tenant, 0)
$$;

-- What a tenant has, and how far its removal is, if it was ever asked for. `bytes` are those of the rows of documents and chunks
-- as they are stored, without indexes; of many, the mean of some is taken for all, because to read a million takes longer than a
-- statement may.
CREATE FUNCTION tenant_state(
    tenant text, OUT documents bigint, OUT chunks bigint, OUT bytes bigint,
    OUT requests_per_minute bigint, OUT max_documents bigint,
    OUT removal_requested_at text, OUT removed_documents bigint, OUT removed_chunks bigint, OUT removal_finished_at text
)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
#variable_conflict use_column
DECLARE
    sample CONSTANT integer := 10000;
BEGIN
    PERFORM set_config('rappel.tenant', tenant_state.tenant, true);
    documents := (SELECT count(*) FROM rappel.documents AS d WHERE d.tenant = tenant_state.tenant);
    chunks := count_chunks(tenant_state.tenant);
    bytes := round(coalesce(documents * (
        SELECT avg(d.size) FROM (
            SELECT pg_column_size(d.title) + pg_column_size(d.content) + pg_column_size(d.metadata) AS size
            FROM rappel.documents AS d WHERE d.tenant = tenant_state.tenant LIMIT sample
        ) AS d
    ), 0) + coalesce(chunks * (
        SELECT avg(c.size) FROM (
            SELECT pg_column_size(c.content) + pg_column_size(c.heading) + pg_column_size(c.embedding) AS size
            FROM rappel.chunks AS c WHERE c.tenant = tenant_state.tenant LIMIT sample
        ) AS c
    ), 0));
    SELECT l.requests_per_minute, l.max_documents INTO requests_per_minute, max_documents
    FROM rappel.tenant_limits AS l WHERE l.tenant = tenant_state.tenant;
    SELECT utc(r.requested_at), r.documents, r.chunks, utc(r.finished_at)
    INTO removal_requested_at, removed_documents, removed_chunks, removal_finished_at
    FROM rappel.tenant_removals AS r WHERE r.tenant = tenant_state.tenant;
END
$$;

-- Raises RP004 if a tenant would have more documents with those of `ids` that are new than it may have, or than `max_documents`;
-- and RP005 if it is being removed, and for two minutes from the beginning, in which revoked keys may still be known somewhere.
-- Writers at the same time do not see each other's documents: the limit is approximate.
--
-- To count hundreds of thousands of documents takes longer than to store a batch. How many chunks a tenant has is known without
-- counting, and each new document has one at least, so a limit of more than `few` documents is looked at when those of the batch,
-- `chunks`, reach the next multiple of a hundredth of it. Who is refused there has not gone on, and is refused again. Where
-- passages are removed in between, no multiple need be reached, so by chance it is also looked at about once in a hundredth.
--
-- A removal sees what writers have committed, not what is under way: they share a lock for which it waits. They do not wait for it:
-- whoever finds it taken meets the removal.
CREATE FUNCTION admit_documents(tenant text, max_documents bigint, ids text[], chunks integer DEFAULT 0) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT AS $$
#variable_conflict use_column
DECLARE
    few  CONSTANT bigint := 10000;
    most CONSTANT bigint := least(admit_documents.max_documents, (
        SELECT l.max_documents FROM rappel.tenant_limits AS l WHERE l.tenant = admit_documents.tenant
    ));
    step CONSTANT bigint := greatest(most / 100, 1);
    stored bigint;
    added  bigint;
    known  bigint;
    shared boolean;
BEGIN
    PERFORM set_config('rappel.tenant', admit_documents.tenant, true);
    shared := pg_try_advisory_xact_lock_shared(tenant_lock(admit_documents.tenant));
    -- A statement of its own, which sees what was committed before the lock was taken.
    PERFORM FROM rappel.tenant_removals AS r
    WHERE r.tenant = admit_documents.tenant
      AND (r.finished_at IS NULL OR r.requested_at > now() - interval '2 minutes');
    IF FOUND OR NOT shared THEN
        RAISE EXCEPTION 'the tenant is being removed' USING ERRCODE = 'RP005';
    END IF;
    IF most IS NULL THEN
        RETURN;
    END IF;
    added := cardinality(ids) - (
        SELECT count(*) FROM rappel.documents AS d WHERE d.tenant = admit_documents.tenant AND d.id = ANY (ids)
    );
    IF added > 0 AND most > few THEN
        known := count_chunks(admit_documents.tenant);
        IF known / step = (known + greatest(added, admit_documents.chunks)) / step
            AND random() >= greatest(added, admit_documents.chunks)::double precision / step
        THEN
            RETURN;
        END IF;
    END IF;
    IF added > 0 THEN
        stored := (SELECT count(*) FROM rappel.documents AS d WHERE d.tenant = admit_documents.tenant);
        IF stored + added > most THEN
            RAISE EXCEPTION 'the tenant has % documents, % more would exceed its limit of %', stored, added, most
                USING ERRCODE = 'RP004';
        END IF;
    END IF;
END
$$;

-- The tenants after `after` that have documents, keys or a removal, in the order of their names, with the number of their documents:
-- a question of all tenants.
CREATE FUNCTION list_tenants(after text, wanted integer)
RETURNS TABLE (id text, documents bigint, removal_requested_at text, removal_finished_at text)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
#variable_conflict use_column
DECLARE
    it text COLLATE "C" := after;
BEGIN
    -- Each step reads one entry of an index, however many documents a tenant has.
    FOR n IN 1..wanted LOOP
        IF it IS NULL THEN
            it := least((SELECT min(d.tenant) FROM rappel.documents AS d), (SELECT min(k.tenant) FROM rappel.keys AS k),
                        (SELECT min(r.tenant) FROM rappel.tenant_removals AS r));
        ELSE
            it := least((SELECT min(d.tenant) FROM rappel.documents AS d WHERE d.tenant > it),
                        (SELECT min(k.tenant) FROM rappel.keys AS k WHERE k.tenant > it),
                        (SELECT min(r.tenant) FROM rappel.tenant_removals AS r WHERE r.tenant > it));
        END IF;
        EXIT WHEN it IS NULL;
        id := it;
        documents := (SELECT count(*) FROM rappel.documents AS d WHERE d.tenant = it);
        SELECT utc(r.requested_at), utc(r.finished_at) INTO removal_requested_at, removal_finished_at
        FROM rappel.tenant_removals AS r WHERE r.tenant = it;
        RETURN NEXT;
    END LOOP;
END
$$;

-- Begins to remove a tenant: its keys are revoked, its sources are followed no more and its imports end. A removal that has begun
-- goes on; one that is finished begins anew.
CREATE FUNCTION begin_removal(tenant text, actor text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('rappel.tenant', begin_removal.tenant, true);
    INSERT INTO rappel.tenant_removals AS r (tenant) VALUES (begin_removal.tenant)
    ON CONFLICT (tenant) DO UPDATE SET requested_at = now(), documents = 0, chunks = 0, finished_at = NULL
        WHERE r.finished_at IS NOT NULL;
    -- Nothing is to come after the documents that are removed.
    UPDATE rappel.keys AS k SET revoked_at = now() WHERE k.tenant = begin_removal.tenant AND k.revoked_at IS NULL;
    BEGIN
        PERFORM unfollow(begin_removal.tenant, s.name, true) FROM rappel.sources AS s WHERE s.tenant = begin_removal.tenant;
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
        -- Somebody works on a table. The tenant's keys are to be revoked nevertheless, and nothing is stored of its rows any more.
        NULL;
    END;
    UPDATE rappel.imports AS i SET failure = 'the tenant was removed', failed_at = now()
    WHERE i.tenant = begin_removal.tenant AND i.failure IS NULL;
    INSERT INTO rappel.audit (actor, tenant, act, subject)
    VALUES (begin_removal.actor, begin_removal.tenant, 'tenant.remove', begin_removal.tenant);
END
$$;

-- Removes at most `wanted` documents of a tenant whose removal has begun, and with the last one all else that there is of it.
-- Returns whether it is finished, also if there is nothing to finish: a message of the queue may arrive twice. What it has removed so far
-- is in the row of the removal, which is locked: there is one worker at a time.
CREATE FUNCTION continue_removal(tenant text, wanted integer) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT AS $$
#variable_conflict use_column
DECLARE
    ids   text[];
    fewer bigint;
BEGIN
    PERFORM set_config('rappel.tenant', continue_removal.tenant, true);
    PERFORM FROM rappel.tenant_removals AS r WHERE r.tenant = continue_removal.tenant AND r.finished_at IS NULL FOR UPDATE;
    IF NOT FOUND THEN
        RETURN true;
    END IF;
    PERFORM pg_advisory_xact_lock(tenant_lock(continue_removal.tenant));
    ids := ARRAY(SELECT d.id FROM lock_matching(continue_removal.tenant, NULL, NULL, wanted) AS d);
    DELETE FROM rappel.chunk_terms AS t WHERE t.tenant = continue_removal.tenant AND t.document_id = ANY (ids);
    DELETE FROM rappel.chunks AS c WHERE c.tenant = continue_removal.tenant AND c.document_id = ANY (ids);
    GET DIAGNOSTICS fewer = ROW_COUNT;
    DELETE FROM rappel.documents AS d WHERE d.tenant = continue_removal.tenant AND d.id = ANY (ids);
    UPDATE rappel.tenant_removals AS r
    SET documents = r.documents + cardinality(ids), chunks = r.chunks + fewer
    WHERE r.tenant = continue_removal.tenant;
    IF cardinality(ids) = wanted THEN
        RETURN false;
    END IF;
    BEGIN
        -- One that was about to be followed when the removal began, or whose table was locked.
        PERFORM unfollow(continue_removal.tenant, s.name, true) FROM rappel.sources AS s WHERE s.tenant = continue_removal.tenant;
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
        -- It still is. The documents are removed nevertheless; without any, whoever asked is to wait.
        IF ids = '{}' THEN
            RAISE;
        END IF;
        RETURN false;
    END;
    DELETE FROM rappel.imports AS i WHERE i.tenant = continue_removal.tenant;
    DELETE FROM rappel.term_statistics AS s WHERE s.tenant = continue_removal.tenant;
    DELETE FROM rappel.tenant_limits AS l WHERE l.tenant = continue_removal.tenant;
    UPDATE rappel.tenant_removals AS r SET finished_at = now() WHERE r.tenant = continue_removal.tenant;
    RETURN true;
END
$$;
