-- Documents like a stored one.

-- Answers at most `hits` documents, each with the passage that is nearest to the middle of the passages of document `id`,
-- nearest first; and a last row without a document if there is a document `id`.
--   tenant         whose documents they are
--   visible        the filter that the caller is held to, or null: what the document `id` must match
--   filter         what they must match (see filter.sql), or null
--   max_distance   the greatest cosine distance (0 to 2), or null
--   metadata_keys  the members of the metadata that they have, or null for all
CREATE FUNCTION similar_documents(
    tenant text, visible jsonb, id text, hits integer, filter jsonb, max_distance double precision, metadata_keys text[]
) RETURNS TABLE (
    document_id text, chunk integer, title text, heading text, content text, metadata jsonb, distance double precision
)
LANGUAGE plpgsql STABLE
-- As for `search`.
SET search_path FROM CURRENT
SET jit = off
SET plan_cache_mode = force_custom_plan
SET max_parallel_workers_per_gather = 0
SET random_page_cost = 1.1
SET hnsw.iterative_scan = relaxed_order
SET hnsw.ef_search = 200
AS $$
#variable_conflict use_column
DECLARE
    few    CONSTANT integer := 5000;
    middle halfvec;
    stored boolean;
    near   record; -- ids, ordinals, distances
BEGIN
    PERFORM set_config('rappel.tenant', similar_documents.tenant, true);
    stored := EXISTS (
        SELECT FROM rappel.documents AS d
        WHERE d.tenant = similar_documents.tenant AND d.id = similar_documents.id AND (visible IS NULL OR matches(d, visible))
    );
    IF NOT stored THEN
        RETURN;
    END IF;
    middle := (
        SELECT avg(c.embedding) FROM rappel.chunks AS c
        WHERE c.tenant = similar_documents.tenant AND c.document_id = similar_documents.id
    );
    PERFORM set_config('hnsw.ef_search', coalesce((SELECT m.effort FROM rappel.model AS m), 200)::text, true);
    IF middle IS NOT NULL THEN
        -- One more, because the document itself is likely to be the nearest.
        SELECT * INTO near
        FROM semantic_candidates(similar_documents.tenant, middle, hits + 1, (hits + 1) * 3, 1,
                                 with_indexes(similar_documents.filter),
                                 similar_documents.max_distance, few);
        RETURN QUERY
        SELECT n.id, n.ordinal, d.title, c.heading, c.content, chosen(hit_metadata(d.metadata, c.start), metadata_keys), n.distance
        FROM (
            SELECT DISTINCT ON (u.id) u.id, u.ordinal, u.distance
            FROM unnest(near.ids, near.ordinals, near.distances) AS u (id, ordinal, distance)
            WHERE u.id <> similar_documents.id
              AND (similar_documents.max_distance IS NULL OR u.distance <= similar_documents.max_distance)
            ORDER BY u.id, u.distance, u.ordinal
        ) AS n
        JOIN rappel.documents AS d ON d.tenant = similar_documents.tenant AND d.id = n.id
        JOIN rappel.chunks AS c
            ON c.tenant = similar_documents.tenant AND c.document_id = n.id AND c.ordinal = n.ordinal
        ORDER BY n.distance, n.id
        LIMIT hits;
    END IF;
    RETURN QUERY
    SELECT NULL::text, NULL::integer, NULL::text, NULL::text, NULL::text, NULL::jsonb, NULL::double precision;
END
$$;
