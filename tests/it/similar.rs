//! Documents like a stored one.

use serde_json::{Value, json};
use tests::App;

use crate::Outcome;

fn document(id: &str, content: &str, kind: &str) -> Value {
    json!({ "id": id, "title": "", "content": content, "metadata": { "kind": kind, "size": content.len() } })
}

fn ids(found: &Value) -> Vec<&str> {
    let hits = found["hits"].as_array().into_iter().flatten();
    hits.filter_map(|hit| hit["document_id"].as_str()).collect()
}

async fn stored(app: &App) -> Outcome {
    app.ingest(vec![
        document(
            "pets/cat",
            "A cat sleeps most of the day and hunts mice at night.",
            "animal",
        ),
        document(
            "pets/dog",
            "A dog barks, guards the house and needs a walk every day.",
            "animal",
        ),
        document(
            "kitten",
            "Kittens drink milk, sleep a lot and learn to hunt mice.",
            "animal",
        ),
        document(
            "vat",
            "Value added tax is declared each quarter to the tax office.",
            "tax",
        ),
        document(
            "income",
            "Income tax is due in September; the tax office sends a notice.",
            "tax",
        ),
    ])
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_like_another_are_found_nearest_first() -> Outcome {
    let app = App::start().await?;
    stored(&app).await?;
    let found = app.get("/documents/vat/similar", &[]).await?.success(200)?;
    assert_eq!(ids(&found).len(), 4, "all others: {found}");
    assert_eq!(ids(&found)[0], "income");
    let hits = found["hits"].as_array().cloned().unwrap_or_default();
    let distances: Vec<f64> = hits
        .iter()
        .filter_map(|hit| hit["distance"].as_f64())
        .collect();
    assert!(distances.is_sorted(), "{distances:?}");
    assert_eq!(hits[0]["chunk"], 0);
    assert!(
        hits[0]["content"]
            .as_str()
            .is_some_and(|text| text.starts_with("Income tax"))
    );

    // Ids with slashes, filters, the number of hits and their metadata.
    let found = app
        .get("/documents/pets%2Fcat/similar", &[("limit", "1")])
        .await?
        .success(200)?;
    assert_eq!(ids(&found), ["kitten"]);
    let found = app
        .get(
            "/documents/pets/cat/similar",
            &[
                ("filter", r#"{"kind": "tax"}"#),
                ("metadata_fields", "kind"),
            ],
        )
        .await?
        .success(200)?;
    assert_eq!(ids(&found).len(), 2);
    assert_eq!(found["hits"][0]["metadata"], json!({ "kind": "tax" }));
    let nearest = format!("{}", distances[0] + 1e-6);
    let found = app
        .get("/documents/vat/similar", &[("max_distance", &nearest)])
        .await?;
    assert_eq!(ids(&found.success(200)?), ["income"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_whose_id_ends_so_is_read_and_a_missing_one_is_404() -> Outcome {
    let app = App::start().await?;
    stored(&app).await?;
    app.get("/documents/nobody/similar", &[])
        .await?
        .problem(404, "not-found")?;
    app.get("/documents/vat/similar/similar", &[])
        .await?
        .problem(404, "not-found")?;
    for (field, value) in [
        ("limit", "0"),
        ("max_distance", "3"),
        ("filter", "[]"),
        ("like", "x"),
    ] {
        let answer = app.get("/documents/vat/similar", &[(field, value)]).await?;
        assert_eq!(answer.refused()?, [field]);
    }
    app.ingest(vec![document(
        "vat/similar",
        "A document of its own.",
        "odd",
    )])
    .await?;
    let read = app.get("/documents/vat/similar", &[]).await?.success(200)?;
    assert_eq!(read["content"], "A document of its own.");
    let found = app
        .get("/documents/vat/similar/similar", &[("limit", "1")])
        .await?
        .success(200)?;
    assert_eq!(ids(&found).len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_document_does_not_hide_the_others() -> Outcome {
    let app = App::start().await?;
    stored(&app).await?;
    let long =
        "Income tax and value added tax are declared to the tax office in time. ".repeat(250);
    app.ingest(vec![document("manual", &long, "tax")]).await?;
    let found = app
        .get("/documents/manual/similar", &[("limit", "2")])
        .await?
        .success(200)?;
    let mut found = ids(&found);
    found.sort_unstable();
    assert_eq!(found, ["income", "vat"]);
    Ok(())
}
