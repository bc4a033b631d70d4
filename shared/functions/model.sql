-- The one model that embedded the database.

-- Raises RP001 when the caller's model is not the one that embedded this database.
CREATE FUNCTION require_model(wanted text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
    stored text := (SELECT name FROM rappel.model);
BEGIN
    IF stored IS DISTINCT FROM wanted THEN
        RAISE EXCEPTION 'the database holds embeddings of the model %, but the function is configured with %',
            coalesce(stored, '(none)'), wanted USING ERRCODE = 'RP001';
    END IF;
END
$$;
