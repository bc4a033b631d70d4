-- API keys, and the audit of administrative acts.

CREATE TABLE rappel.keys (
    id           text COLLATE "C" PRIMARY KEY,
    name         text NOT NULL,
    hash         bytea NOT NULL UNIQUE, -- SHA-256 of the key, which is stored nowhere
    prefix       text NOT NULL,         -- its first characters, by which people recognise it
    scopes       text[] NOT NULL,
    tenant       text COLLATE "C" NOT NULL DEFAULT '',
    filter       text,                  -- as JSON; see functions/filter.sql
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz            -- to the hour
);

-- Without texts of documents or questions, and without secrets.
CREATE TABLE rappel.audit (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT now(),
    actor   text NOT NULL, -- the id of a key, the subject of a token, an ARN, or the login of a command
    tenant  text COLLATE "C" NOT NULL DEFAULT '',
    act     text NOT NULL,
    subject text NOT NULL,
    detail  jsonb NOT NULL DEFAULT '{}'
);

CREATE FUNCTION rappel.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = rappel, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'rappel.audit is append-only' USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON rappel.audit
    FOR EACH STATEMENT EXECUTE FUNCTION rappel.refuse_change();
