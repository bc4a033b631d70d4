//! Texts that look alike are equal, in whichever form of Unicode they are written.

use serde_json::{Value, json};
use tests::App;

use super::{ids, list};
use crate::Outcome;

const COMPOSED: &str = "M\u{e9}moires";
const DECOMPOSED: &str = "Me\u{301}moires";

fn book(id: &str, title: &str) -> Value {
    json!({
        "id": id,
        "title": title,
        "content": format!("Un livre de la réserve : {id}."),
        "metadata": { "e\u{301}poque": "18e" },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_title_and_a_key_are_found_in_either_form() -> Outcome {
    let app = App::start().await?;
    let books = || {
        vec![
            book("composed", COMPOSED),
            book("decomposed", DECOMPOSED),
            book("old", "Atlas"),
            book("other", "Atlas"),
        ]
    };
    app.ingest(books()).await?;
    // As an earlier version stored it.
    let old = format!("UPDATE rappel.documents SET title = '{DECOMPOSED}' WHERE id = 'old'");
    app.sql().await?.run(&old).await?;
    let all = ["composed", "decomposed", "old"];
    for title in [COMPOSED, DECOMPOSED] {
        for (filter, expected) in [
            (json!({ "$title": title }), &all[..]),
            (json!({ "$title": { "$in": ["x", title] } }), &all),
            (json!({ "$title": { "$gte": title, "$lte": title } }), &all),
            (json!({ "$title": { "$ne": title } }), &["other"]),
        ] {
            let request = json!({ "query": "livre", "filter": filter, "limit": 100 });
            let hits = app.hits(request).await?;
            assert_eq!(ids(&hits, "document_id"), expected, "{filter}");
            let filter = filter.to_string();
            let listed = app.get("/documents", &[("filter", &filter)]).await?;
            let listed = listed.success(200)?;
            assert_eq!(ids(list(&listed["documents"])?, "id"), expected, "{filter}");
        }
    }

    let stored = app.get("/documents/decomposed", &[]).await?.success(200)?;
    assert_eq!(stored["title"], COMPOSED);
    let again = app.ingest(books()).await?;
    let statuses: Vec<&Value> = again.iter().map(|line| &line["status"]).collect();
    assert_eq!(statuses, ["unchanged"; 4]);

    for key in ["\u{e9}poque", "e\u{301}poque"] {
        let request = json!({ "query": "livre", "facets": [key] });
        let found = app.post("/search", request).await?.success(200)?;
        let values = json!([{ "value": "18e", "count": 4 }]);
        assert_eq!(found["facets"][key], values, "{key}");
    }
    Ok(())
}
