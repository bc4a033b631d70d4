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
