-- A release before `text_hash` leaves it as it is when it writes another text, during a deploy and after a rollback:
-- the hash would then be of a text that is gone, and vouch for the wrong embeddings.
CREATE FUNCTION rappel.forget_text_hash() RETURNS trigger
LANGUAGE plpgsql SET search_path = rappel, pg_temp AS $$
BEGIN
    NEW.text_hash := NULL;
    RETURN NEW;
END
$$;

CREATE TRIGGER documents_text_changed BEFORE UPDATE ON rappel.documents FOR EACH ROW
    WHEN (OLD.text_hash IS NOT NULL AND NEW.text_hash IS NOT DISTINCT FROM OLD.text_hash
          AND (NEW.title, NEW.content) IS DISTINCT FROM (OLD.title, OLD.content))
    EXECUTE FUNCTION rappel.forget_text_hash();
