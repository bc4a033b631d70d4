//! Hybrid searches against the score of every passage.

use anyhow::Result;
use retrieval::SearchConfig;
use tests::Sql;

/// The ids of the ten documents with the highest scores, and of those with the score of the tenth.
const BEST: &str = "
    CREATE FUNCTION pg_temp.best(
        embedding real[], question text[], words integer[], pieces integer[], weight float8, k1 float8, b float8
    ) RETURNS SETOF text
    LANGUAGE plpgsql SET max_parallel_workers_per_gather = 0 AS $$
    DECLARE
        asked   record;
        average float8;
    BEGIN
        SELECT w.* INTO asked FROM {schema}.term_weights('', question, words, pieces) AS w;
        SELECT sum(s.occurrences) / sum(s.chunks) INTO average
        FROM rappel.term_statistics AS s WHERE s.tenant = '' AND s.term = '';
        RETURN QUERY EXECUTE format(
            'SELECT s.document_id FROM (
                 SELECT c.document_id, $1 * (1 - (c.embedding <=> $2)) + (1 - $1) * coalesce(least((
                     SELECT %s FROM (
                         SELECT t.terms, t.frequencies AS f, $3 * (1 - $4 + $4 * t.length / $5) AS saturation
                     ) AS t
                 ) / nullif($6 * ($3 + 1), 0), 1), 0) AS score
                 FROM rappel.chunks AS c
                 JOIN rappel.chunk_terms AS t
                     ON t.tenant = c.tenant AND t.document_id = c.document_id AND t.ordinal = c.ordinal
             ) AS s
             ORDER BY s.score DESC FETCH FIRST 10 ROWS WITH TIES',
            {schema}.bm25_expression(asked.terms, asked.weights, asked.pieces, k1))
        USING weight, embedding::halfvec, k1, b, average, asked.most;
    END $$";

pub(crate) struct Exact(Sql);

impl Exact {
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        let sql = Sql::connect(url).await?;
        sql.run(&BEST.replace("{schema}", migrations::FUNCTIONS))
            .await?;
        Ok(Self(sql))
    }

    /// The ids that a hybrid search for the ten best should find.
    pub(crate) async fn hybrid(&self, text: &str, embedding: &[f32]) -> Result<Vec<String>> {
        let terms = analysis::query_terms(text);
        let words: Vec<i32> = terms.iter().map(|term| term.word).collect();
        let pieces: Vec<i32> = terms.iter().map(|term| term.piece).collect();
        let terms: Vec<String> = terms.into_iter().map(|term| term.term).collect();
        let SearchConfig {
            semantic_weight,
            k1,
            b,
            ..
        } = SearchConfig::default();
        let best = "SELECT * FROM pg_temp.best($1, $2, $3, $4, $5, $6, $7)";
        self.0
            .texts(
                best,
                &[
                    &embedding,
                    &terms,
                    &words,
                    &pieces,
                    &semantic_weight,
                    &k1,
                    &b,
                ],
            )
            .await
    }
}
