-- What an index on a field of metadata has as its key. Like those of triggers, these functions belong to what is stored: an index
-- depends on them, and serves every build.
--
-- A key is compared by `>=` and `<=` alone, so it may be coarser than the value: what it lets through is tested again. The values
-- are those of a jsonpath, which ends in `[*]`, so that a list has each of its elements.

-- A number as a key. Rounding keeps the order; what the type cannot hold becomes infinity or 0.
CREATE FUNCTION rappel.number_key(value numeric) RETURNS double precision
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
    SELECT CASE
        WHEN abs(value) > 1e308 THEN sign(value)::double precision * 'Infinity'::double precision
        WHEN abs(value) < 1e-300 THEN 0
        ELSE value::double precision
    END;
END;

-- A text as a key: its beginning, because a row of an index is short.
CREATE FUNCTION rappel.text_key(value text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
    SELECT left(value, 100);
END;

-- The key of a document's only number at a path, NaN if there are several, which sorts after all, and null without any.
CREATE FUNCTION rappel.number_at(metadata jsonb, path jsonpath) RETURNS double precision
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 100
BEGIN ATOMIC
    SELECT CASE WHEN count(*) > 1 THEN 'NaN' ELSE max(rappel.number_key(v.value::numeric)) END
    FROM jsonb_path_query(metadata, path, '{}', true) AS v (value)
    WHERE jsonb_typeof(v.value) = 'number';
END;

-- The key of a document's only text at a path, '' if there are several, which sorts before all, and null without any.
CREATE FUNCTION rappel.text_at(metadata jsonb, path jsonpath) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 100
BEGIN ATOMIC
    SELECT CASE WHEN count(*) > 1 THEN '' ELSE max(rappel.text_key(v.value #>> '{}') COLLATE "C") END
    FROM jsonb_path_query(metadata, path, '{}', true) AS v (value)
    WHERE jsonb_typeof(v.value) = 'string';
END;
