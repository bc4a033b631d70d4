//! The effort (`ef_search`) that the vector index needs.

use std::io::Write as _;

use anyhow::ensure;
use database::Statement;
use migrations::IndexState;
use retrieval::SearchConfig;
use serde::Serialize;

use crate::{
    setup::{OwnerArgs, Target},
    terminal,
};

/// What was measured and stored.
#[derive(Serialize)]
struct Measured {
    /// The effort that searches use from now on, unless one is set.
    effort: i32,
    /// The share of the ten nearest passages that it finds.
    recall: f64,
    /// The share that was to be found.
    wanted: f64,
    /// Among so many passages.
    chunks: i64,
}

/// Measures the index of the loaded documents, and prints the effort that is stored, which only the owner of the schema may.
pub(super) async fn measure(target: &Target, owner: &OwnerArgs, json: bool) -> anyhow::Result<()> {
    let wanted = SearchConfig::from_env()?.recall;
    let mut setup = target.prepare("").await?;
    setup.require_schema().await?;
    setup.set_owner(owner);
    let database = setup.schema_database()?;
    ensure!(
        migrations::index_state(&database).await? == IndexState::Valid,
        "no valid index to measure: searches compare every passage until `rappel migrate` builds the index"
    );
    let stored: Option<(i32, f64, i64)> =
        if migrations::measure_recall(&database, wanted, true).await? {
            let stored = "SELECT m.effort, m.recall, m.recall_chunks FROM rappel.model AS m";
            database.fetch_optional(Statement::read(stored)).await?
        } else {
            None
        };
    database.close().await;
    setup.stop().await?;
    let measured = stored.map(|(effort, recall, chunks)| Measured {
        effort,
        recall,
        wanted,
        chunks,
    });
    let mut out = terminal::out();
    if json {
        out.json(&measured)?;
    } else {
        writeln!(out, "{}", told(measured.as_ref()))?;
    }
    Ok(())
}

fn told(measured: Option<&Measured>) -> String {
    let Some(Measured {
        effort,
        recall,
        wanted,
        chunks,
    }) = measured
    else {
        return "there are too few passages to measure: searches compare each of them".to_owned();
    };
    let percent = recall * 100.0;
    let reached = if recall >= wanted {
        format!("the lowest that reaches SEARCH_RECALL {wanted}")
    } else {
        format!("SEARCH_RECALL {wanted} is out of reach, and a higher effort finds hardly more")
    };
    format!(
        "effort {effort} finds {percent:.1} % of the nearest among {chunks} passages: {reached}\n\
         It is stored, and searches use it unless SEARCH_EFFORT is set."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_reach_is_told() {
        let measured = |recall| Measured {
            effort: 300,
            recall,
            wanted: 0.95,
            chunks: 20_000,
        };
        let reached = told(Some(&measured(0.96)));
        assert!(
            reached.starts_with(
                "effort 300 finds 96.0 % of the nearest among 20000 passages: the lowest"
            ),
            "{reached}"
        );
        assert!(told(Some(&measured(0.5))).contains("out of reach"));
        assert!(told(None).contains("too few"));
    }
}
