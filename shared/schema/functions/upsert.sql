-- Upserts a batch of documents with their chunks and returns which are new. Raises RP004 if the tenant would have more than
-- `max_documents` documents or than it may have, RP005 if it is being removed, RP002 if `visible` is not null and one of the
-- documents did not match it before or does not match it afterwards: the caller may not make it or change it.
--
-- One call is one statement, so it is atomic and takes one round trip, with or without a pooler.
-- The arrays `ids` to `text_hashes` have one element per document; `chunk_documents`
-- holds, for each chunk, its document's position in `ids` (from 1), and `chunk_embeddings` holds all
-- embeddings, concatenated. `chunk_terms` and `chunk_frequencies` hold the terms of all chunks, concatenated,
-- `chunk_distinct` how many terms each chunk has.
CREATE FUNCTION upsert(
    tenant            text,
    visible           jsonb,
    max_documents     bigint,
    model             text,
    ids               text[],
    titles            text[],
    contents          text[],
    metadatas         text[],
    hashes            bytea[],
    text_hashes       bytea[],
    chunk_documents   integer[],
    chunk_ordinals    integer[],
    chunk_starts      integer[],
    chunk_headings    text[],
    chunk_contents    text[],
    chunk_embeddings  real[],
    chunk_lengths     integer[],
    chunk_distinct    integer[],
    chunk_terms       text[],
    chunk_frequencies smallint[]
) RETURNS TABLE (document_id text, created boolean)
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT AS $$
#variable_conflict use_column
DECLARE
    width  integer := (SELECT dimensions FROM rappel.model);
    stored integer;
BEGIN
    PERFORM set_config('rappel.tenant', upsert.tenant, true);
    PERFORM require_model(model);
    PERFORM admit_documents(upsert.tenant, upsert.max_documents, ids, cardinality(chunk_documents));

    -- Rows are locked in the order of their ids, so two batches that share documents cannot deadlock.
    RETURN QUERY
    INSERT INTO rappel.documents AS d (tenant, id, title, content, metadata, content_hash, text_hash)
    SELECT upsert.tenant, u.id, u.title, u.content, u.metadata::jsonb, u.hash, u.text_hash
    FROM unnest(ids, titles, contents, metadatas, hashes, text_hashes)
         AS u (id, title, content, metadata, hash, text_hash)
    ORDER BY u.id COLLATE "C"
    ON CONFLICT (tenant, id) DO UPDATE
        SET title = excluded.title,
            content = excluded.content,
            metadata = excluded.metadata,
            content_hash = excluded.content_hash,
            text_hash = excluded.text_hash,
            updated_at = now()
        WHERE visible IS NULL OR matches(d, visible)
    RETURNING d.id, d.xmax = 0;
    GET DIAGNOSTICS stored = ROW_COUNT;
    IF stored < cardinality(ids) THEN
        RAISE EXCEPTION 'a document is not among those that the caller may change' USING ERRCODE = 'RP002';
    END IF;
    PERFORM require_visible(upsert.tenant, visible, ids);

    -- Every statement of a volatile function sees what others committed while it waited for the
    -- locks above: chunks that a concurrent writer of the same document left are deleted too.
    DELETE FROM rappel.chunks AS c WHERE c.tenant = upsert.tenant AND c.document_id = ANY (ids);
    DELETE FROM rappel.chunk_terms AS t WHERE t.tenant = upsert.tenant AND t.document_id = ANY (ids);

    -- PL/pgSQL holds an array in expanded form, which is flattened again for each slice; a row stores it flat.
    WITH flat AS MATERIALIZED (
        SELECT chunk_embeddings || '{}'::real[] AS embeddings
    )
    INSERT INTO rappel.chunks (tenant, document_id, ordinal, start, heading, content, embedding)
    SELECT upsert.tenant, ids[u.document], u.ordinal, u.start, u.heading, u.content,
           flat.embeddings[(u.position - 1) * width + 1 : u.position * width]::halfvec
    FROM flat,
         unnest(chunk_documents, chunk_ordinals, chunk_starts, chunk_headings, chunk_contents)
         WITH ORDINALITY AS u (document, ordinal, start, heading, content, position);

    PERFORM store_terms(
        upsert.tenant, ids, chunk_documents, chunk_ordinals, chunk_lengths, chunk_distinct, chunk_terms, chunk_frequencies);
END
$$;

-- Stores the terms of chunks, which are given as to `upsert`.
CREATE FUNCTION store_terms(
    tenant            text,
    ids               text[],
    chunk_documents   integer[],
    chunk_ordinals    integer[],
    chunk_lengths     integer[],
    chunk_distinct    integer[],
    chunk_terms       text[],
    chunk_frequencies smallint[]
) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT AS $$
#variable_conflict use_column
DECLARE
    -- The chunks of a document whose metadata are copied beside their terms: a change rewrites the rows of all of them.
    many CONSTANT bigint := 64;
BEGIN
    PERFORM set_config('rappel.tenant', store_terms.tenant, true);
    -- Texts have no fixed width, so each slice would be searched for from the first element.
    INSERT INTO rappel.chunk_terms (tenant, document_id, ordinal, length, terms, frequencies, metadata)
    SELECT store_terms.tenant, d.id, c.ordinal, c.length, coalesce(t.terms, '{}'), coalesce(t.frequencies, '{}'),
           CASE WHEN count(*) OVER (PARTITION BY c.document) <= many THEN rappel.small_metadata(d.metadata) END
    FROM unnest(chunk_documents, chunk_ordinals, chunk_lengths)
         WITH ORDINALITY AS c (document, ordinal, length, position)
    JOIN rappel.documents AS d ON d.tenant = store_terms.tenant AND d.id = ids[c.document]
    LEFT JOIN (
        SELECT owner.chunk,
               array_agg(u.term ORDER BY u.position) AS terms,
               array_agg(u.frequency ORDER BY u.position) AS frequencies
        FROM (
            SELECT n.position AS chunk, row_number() OVER (ORDER BY n.position) AS position
            FROM unnest(chunk_distinct) WITH ORDINALITY AS n (distinct_terms, position),
                 generate_series(1, n.distinct_terms)
        ) AS owner
        JOIN unnest(chunk_terms, chunk_frequencies) WITH ORDINALITY AS u (term, frequency, position)
            ON u.position = owner.position
        GROUP BY owner.chunk
    ) AS t ON t.chunk = c.position;
END
$$;
