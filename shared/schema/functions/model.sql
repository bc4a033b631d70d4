-- The embedding recipe of the database.

-- Raises RP001 if the caller's recipe is not the database's: see `embedder/recipe.rs`.
CREATE FUNCTION require_model(wanted text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
    stored text := (SELECT name FROM rappel.model);
BEGIN
    IF stored IS DISTINCT FROM wanted THEN
        RAISE EXCEPTION 'the database was made with the recipe %, but the function has %: run `rappel migrate` or the migrate function',
            coalesce(stored, '(none)'), wanted USING ERRCODE = 'RP001';
    END IF;
END
$$;
