-- Upserts a batch of documents with their chunks and returns which are new.
--
-- One call is one statement, so it is atomic and takes one round trip, with or without a pooler.
-- The arrays `ids` to `text_hashes` have one element per document; `chunk_documents`
-- holds, for each chunk, its document's position in `ids` (from 1), and `chunk_embeddings` holds all
-- embeddings, concatenated. `chunk_terms` and `chunk_frequencies` hold the terms of all chunks, concatenated,
-- `chunk_distinct` how many terms each chunk has.
CREATE FUNCTION upsert(
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
    width integer := (SELECT dimensions FROM rappel.model);
BEGIN
    PERFORM require_model(model);

    -- Rows are locked in the order of their ids, so two batches that share documents cannot deadlock.
    RETURN QUERY
    INSERT INTO rappel.documents AS d (id, title, content, metadata, content_hash, text_hash)
    SELECT u.id, u.title, u.content, u.metadata::jsonb, u.hash, u.text_hash
    FROM unnest(ids, titles, contents, metadatas, hashes, text_hashes)
         AS u (id, title, content, metadata, hash, text_hash)
    ORDER BY u.id COLLATE "C"
    ON CONFLICT (id) DO UPDATE
        SET title = excluded.title,
            content = excluded.content,
            metadata = excluded.metadata,
            content_hash = excluded.content_hash,
            text_hash = excluded.text_hash,
            updated_at = now()
    RETURNING d.id, d.xmax = 0;

    -- Every statement of a volatile function sees what others committed while it waited for the
    -- locks above: chunks that a concurrent writer of the same document left are deleted too.
    DELETE FROM rappel.chunks AS c WHERE c.document_id = ANY (ids);
    DELETE FROM rappel.chunk_terms AS t WHERE t.document_id = ANY (ids);

    -- PL/pgSQL holds an array in expanded form, which is flattened again for each slice; a row stores it flat.
    WITH flat AS MATERIALIZED (
        SELECT chunk_embeddings || '{}'::real[] AS embeddings
    )
    INSERT INTO rappel.chunks (document_id, ordinal, start, heading, content, embedding)
    SELECT ids[u.document], u.ordinal, u.start, u.heading, u.content,
           flat.embeddings[(u.position - 1) * width + 1 : u.position * width]::halfvec
    FROM flat,
         unnest(chunk_documents, chunk_ordinals, chunk_starts, chunk_headings, chunk_contents)
         WITH ORDINALITY AS u (document, ordinal, start, heading, content, position);

    -- Texts have no fixed width, so each slice would be searched for from the first element.
    INSERT INTO rappel.chunk_terms (document_id, ordinal, length, terms, frequencies)
    SELECT ids[c.document], c.ordinal, c.length, coalesce(t.terms, '{}'), coalesce(t.frequencies, '{}')
    FROM unnest(chunk_documents, chunk_ordinals, chunk_lengths)
         WITH ORDINALITY AS c (document, ordinal, length, position)
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
