-- Tenants. Documents, and what is made of them, belong to one; what was stored before belongs to the tenant ''.
--
-- A column with a constant default rewrites no table. Keys are built anew, which reads each table once while writers and
-- readers wait.

ALTER TABLE rappel.documents ADD COLUMN tenant text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE rappel.chunks ADD COLUMN tenant text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE rappel.chunk_terms ADD COLUMN tenant text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE rappel.term_statistics ADD COLUMN tenant text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE rappel.imports
    ADD COLUMN tenant  text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN visible jsonb; -- the filter that whoever asked for it is held to; see functions/filter.sql
ALTER TABLE rappel.sources ADD COLUMN tenant text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE rappel.source_documents ADD COLUMN tenant text COLLATE "C" NOT NULL DEFAULT '';

-- Two tenants may have documents with one id.
ALTER TABLE rappel.chunks DROP CONSTRAINT chunks_document_id_fkey, DROP CONSTRAINT chunks_pkey;
ALTER TABLE rappel.chunk_terms DROP CONSTRAINT chunk_terms_document_id_fkey, DROP CONSTRAINT chunk_terms_pkey;
ALTER TABLE rappel.source_documents
    DROP CONSTRAINT source_documents_document_id_fkey, DROP CONSTRAINT source_documents_document_id_key;
ALTER TABLE rappel.documents DROP CONSTRAINT documents_pkey, ADD PRIMARY KEY (tenant, id);
ALTER TABLE rappel.chunks
    ADD PRIMARY KEY (tenant, document_id, ordinal),
    ADD FOREIGN KEY (tenant, document_id) REFERENCES rappel.documents (tenant, id) ON DELETE CASCADE;
ALTER TABLE rappel.chunk_terms
    ADD PRIMARY KEY (tenant, document_id, ordinal),
    ADD FOREIGN KEY (tenant, document_id) REFERENCES rappel.documents (tenant, id) ON DELETE CASCADE;
ALTER TABLE rappel.source_documents
    ADD UNIQUE (tenant, document_id),
    ADD FOREIGN KEY (tenant, document_id) REFERENCES rappel.documents (tenant, id) ON DELETE CASCADE;
ALTER TABLE rappel.term_statistics DROP CONSTRAINT term_statistics_pkey, ADD PRIMARY KEY (tenant, term, stripe);
ALTER TABLE rappel.sources DROP CONSTRAINT sources_name_key, ADD UNIQUE (tenant, name);

DROP INDEX rappel.documents_created_at, rappel.documents_updated_at;
CREATE INDEX documents_created_at ON rappel.documents (tenant, created_at, id);
CREATE INDEX documents_updated_at ON rappel.documents (tenant, updated_at, id);

-- The counts of each tenant are its own: nobody's scores tell of another's documents.
CREATE OR REPLACE FUNCTION rappel.count_terms() RETURNS trigger
LANGUAGE plpgsql SET search_path = rappel, pg_temp AS $$
DECLARE
    sign CONSTANT integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        TRUNCATE rappel.term_statistics;
        RETURN NULL;
    END IF;
    WITH counted AS (
        SELECT c.tenant, u.term, count(*) AS chunks, sum(u.frequency) AS occurrences
        FROM changed AS c, unnest(c.terms, c.frequencies) AS u (term, frequency)
        GROUP BY c.tenant, u.term
        UNION ALL
        SELECT c.tenant, '', count(*), sum(c.length) FROM changed AS c GROUP BY c.tenant
    ), placed AS MATERIALIZED (
        SELECT c.tenant, c.term, c.chunks, c.occurrences, free.stripes, free.chunks AS more_chunks,
               free.occurrences AS more_occurrences
        FROM counted AS c
        CROSS JOIN LATERAL (
            SELECT array_agg(f.stripe ORDER BY f.stripe) AS stripes,
                   (array_agg(f.chunks ORDER BY f.stripe))[2] AS chunks,
                   (array_agg(f.occurrences ORDER BY f.stripe))[2] AS occurrences
            FROM (
                SELECT s.stripe, s.chunks, s.occurrences
                FROM rappel.term_statistics AS s
                WHERE s.tenant = c.tenant AND s.term = c.term LIMIT 2 FOR UPDATE SKIP LOCKED
            ) AS f
        ) AS free
    ), emptied AS (
        DELETE FROM rappel.term_statistics AS s USING placed AS p
        WHERE s.tenant = p.tenant AND s.term = p.term AND s.stripe = p.stripes[2]
    )
    INSERT INTO rappel.term_statistics AS s (tenant, term, stripe, chunks, occurrences)
    SELECT p.tenant, p.term, coalesce(p.stripes[1], (random() * 2147483647)::integer),
           sign * p.chunks + coalesce(p.more_chunks, 0), sign * p.occurrences + coalesce(p.more_occurrences, 0)
    FROM placed AS p
    ON CONFLICT (tenant, term, stripe) DO UPDATE
        SET chunks = s.chunks + excluded.chunks, occurrences = s.occurrences + excluded.occurrences;
    RETURN NULL;
END
$$;

-- Releases before this one find a conflict by a key that is gone. Theirs are the documents and sources of the tenant ''.
DO $$
DECLARE
    it record;
BEGIN
    FOR it IN
        SELECT pg_get_functiondef(p.oid) AS definition
        FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
        WHERE (n.nspname = 'rappel' OR n.nspname IN (SELECT f.schema FROM rappel.functions AS f))
          AND (p.proname, p.prokind) IN (('upsert', 'f'), ('follow', 'f'))
    LOOP
        EXECUTE replace(replace(it.definition, 'ON CONFLICT (id) DO UPDATE', 'ON CONFLICT (tenant, id) DO UPDATE'),
                        'ON CONFLICT (name) DO UPDATE', 'ON CONFLICT (tenant, name) DO UPDATE');
    END LOOP;
END
$$;

-- A tenant that is removed, until all of it is gone and afterwards.
CREATE TABLE rappel.tenant_removals (
    tenant       text COLLATE "C" PRIMARY KEY,
    requested_at timestamptz NOT NULL DEFAULT now(),
    documents    bigint NOT NULL DEFAULT 0, -- removed so far
    chunks       bigint NOT NULL DEFAULT 0,
    finished_at  timestamptz
);

-- The second wall. Statements name the tenant; these policies refuse the rows of any other than the setting
-- `rappel.tenant`, which the functions set until the end of the transaction. Without it the tenant is '', as for a release
-- before tenants; work for all tenants sets `*`, which no tenant is named. The login that owns the tables sees all rows.
DO $$
DECLARE
    tenant  CONSTANT text := 'coalesce(current_setting(''rappel.tenant'', true), '''')';
    visible text;
    it      text;
BEGIN
    FOREACH it IN ARRAY ARRAY[
        'documents', 'chunks', 'chunk_terms', 'term_statistics', 'imports', 'import_parts', 'import_lines', 'import_ids',
        'sources', 'source_documents', 'source_changes', 'source_attempts', 'source_events', 'tenant_removals'
    ] LOOP
        visible := CASE
            WHEN it LIKE 'import\__%' THEN 'EXISTS (SELECT FROM rappel.imports AS i WHERE i.id = import_id)'
            WHEN it IN ('source_changes', 'source_attempts', 'source_events')
                THEN 'EXISTS (SELECT FROM rappel.sources AS s WHERE s.id = source_id)'
            ELSE format('tenant = %1$s OR %1$s = ''*''', tenant)
        END;
        EXECUTE format('ALTER TABLE rappel.%1$I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', it);
        EXECUTE format('CREATE POLICY tenant ON rappel.%I USING (%s)', it, visible);
        EXECUTE format('CREATE POLICY operator ON rappel.%I TO CURRENT_USER USING (true)', it);
    END LOOP;
END
$$;
