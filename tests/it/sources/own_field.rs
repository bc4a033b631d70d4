//! `$source` in filters.

use serde_json::json;
use tests::App;

use super::{ARTICLES, definition};
use crate::Outcome;

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_selected_by_the_source_that_they_come_from() -> Outcome {
    let app = App::start().await?;
    let sql = app.user_sql().await?;
    sql.run(ARTICLES).await?;
    app.follow("articles", definition()).await?;
    let mut others = definition();
    others["where"] = json!("id > 6");
    app.follow("late", others).await?;
    app.synced("articles").await?;
    app.synced("late").await?;
    // One whose id looks like one of a row.
    app.ingest(vec![
        json!({ "id": "articles/own", "content": "the body of an article of our own" }),
    ])
    .await?;
    for (filter, count) in [
        (json!({ "$source": "articles" }), 8),
        (json!({ "$source": { "$in": ["late", "nothing"] } }), 2),
        (json!({ "$source": { "$exists": false } }), 1),
        (json!({ "$source": null }), 1),
        (json!({ "$source": { "$ne": "articles" } }), 3),
        (
            json!({ "$source": "articles", "author": "ada", "$id": { "$in": ["articles/3", "late/7"] } }),
            1,
        ),
        (
            json!({ "$or": [{ "$source": "late" }, { "$id": "articles/own" }] }),
            3,
        ),
    ] {
        for mode in ["semantic", "keyword", "hybrid"] {
            let request =
                json!({ "query": "body of article", "mode": mode, "filter": filter, "limit": 50 });
            assert_eq!(app.hits(request).await?.len(), count, "{mode}: {filter}");
        }
        let query = [("filter", filter.to_string())];
        let query = query
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let page = app.get("/documents", &query).await?.success(200)?;
        assert_eq!(page["total"], count, "{filter}");
    }

    // Documents that are kept are of no source any more.
    app.delete("/sources/late?keep=true").await?.success(200)?;
    let none = json!({ "query": "body of article", "filter": { "$source": null }, "limit": 50 });
    assert_eq!(app.hits(none).await?.len(), 3);
    Ok(())
}
