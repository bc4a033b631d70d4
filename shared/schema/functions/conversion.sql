-- Converts stored embeddings when a database gets another recipe.

-- Applies to every stored embedding what `Centring::apply` applies to a new one: subtracts `shift`, removes the
-- components along `directions` (orthonormal vectors, concatenated), and normalises the result.
CREATE FUNCTION centre(shift real[], directions real[]) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT AS $$
DECLARE
    width CONSTANT integer := cardinality(shift);
    -- pgvector multiplies vectors with vectors, not with numbers; `<#>` is the negative inner product.
    parts CONSTANT text := coalesce((
        SELECT string_agg(format(
            ' + array_fill((s.shifted <#> %1$L::vector)::real, ARRAY[%2$s])::vector * %1$L::vector',
            directions[n * width + 1 : (n + 1) * width]::vector, width), '')
        FROM generate_series(0, cardinality(directions) / width - 1) AS n), '');
BEGIN
    EXECUTE format(
        'UPDATE rappel.chunks AS c
         SET embedding = (
             SELECT l2_normalize(s.shifted%s)::halfvec
             FROM (SELECT c.embedding::vector - $1::vector AS shifted OFFSET 0) AS s
         )', parts)
    USING shift;
END
$$;
