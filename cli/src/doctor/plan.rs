//! Checks that the planner uses the index for a search.

use database::Statement;
use migrations::INDEX;
use retrieval::{
    SearchConfig, SearchState,
    health::finding::{Finding, ok, warning},
};
use shared::Error;

/// Up to this many chunks an exact search takes 15 ms at most (312,000 take 171 to 310 ms), and the planner may
/// prefer it.
const FEW: i64 = 20_000;

/// The candidates of a search for ten hits, as in `search`.
const CANDIDATES: i32 = 30;

/// Plans `nearest_in_index` with the settings of `search`, `search_path` included, in a transaction that ends with
/// them.
pub(super) async fn examine(state: &SearchState) -> Result<Finding, Error> {
    let mut transaction = state.database.begin().await?;
    let adopt = Statement::read(concat!(
        "SELECT set_config(split_part(setting, '=', 1), substr(setting, strpos(setting, '=') + 1), true)
         FROM pg_proc, unnest(proconfig) AS setting
         WHERE oid = to_regproc('",
        schema::function!("search"),
        "')",
    ));
    transaction.fetch_all::<(String,)>(adopt).await?;
    // pgvector's settings take effect once its library is loaded; its schema is in the path now.
    let load = Statement::read("SELECT vector_dims('[1]'::vector)");
    transaction.fetch_all::<(i32,)>(load).await?;
    let effort = Statement::read(
        "SELECT set_config('hnsw.ef_search', coalesce($1, (SELECT m.effort FROM rappel.model AS m), $2)::text, true)",
    )
    .bind(state.config.effort)
    .bind(SearchConfig::EFFORT);
    transaction.fetch_all::<(String,)>(effort).await?;

    let explain =
        Statement::read("EXPLAIN SELECT * FROM nearest_in_index($1::real[]::halfvec, $2)")
            .bind(vec![0.1_f32; state.embedder.manifest().dimensions])
            .bind(CANDIDATES);
    let plan: Vec<(String,)> = transaction.fetch_all(explain).await?;
    let count = Statement::read("SELECT count(*) FROM (SELECT FROM rappel.chunks LIMIT $1) AS c")
        .bind(FEW + 1);
    let chunks: Vec<(i64,)> = transaction.fetch_all(count).await?;
    transaction.commit().await?;

    let uses_index = plan
        .iter()
        .any(|(line,)| line.contains(&format!("using {INDEX}")));
    let chunks = chunks.first().map_or(0, |row| row.0);
    Ok(if uses_index {
        ok(format!("a search uses {INDEX}"))
    } else if chunks <= FEW {
        ok(format!(
            "a search reads every chunk, which is right for so few ({chunks})"
        ))
    } else {
        warning(
            format!("a search reads all of more than {FEW} chunks instead of using {INDEX}"),
            "if the index is valid, run ANALYZE rappel.chunks",
        )
    })
}
