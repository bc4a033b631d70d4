//! A caller who is held to a filter: the documents outside of it are not there, and cannot be made or changed.

use database::{DatabaseError, PoolerSetting};
use document_store::{
    ChangeError, Deletion, DocumentId, Expected, MetadataPatch, PageRequest, PatchRequest, Status,
    Visibility,
};
use filter::Filter;
use serde_json::{Value, json, value::RawValue};

use super::{Deployment, Outcome, database, embed, tenant};

fn held() -> anyhow::Result<Visibility> {
    let filter = Filter::parse(r#"{"group": {"$in": ["blue", "green"]}}"#)?;
    Ok(Visibility {
        filter: Some(filter),
        ..tenant("acme")
    })
}

fn note(id: &str, group: &str, text: &str) -> Value {
    json!({ "id": id, "content": text, "metadata": { "group": group } })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_outside_of_the_filter_is_not_found_read_listed_counted_or_deleted() -> Outcome {
    let deployment = Deployment::start("held_reads").await?;
    let database = database(deployment.url()?, PoolerSetting::Auto)?;
    let (all, held) = (tenant("acme"), held()?);
    for (id, group) in [("a", "blue"), ("b", "red"), ("c", "green")] {
        deployment
            .store(&database, &all, note(id, group, "Une note sur le budget."))
            .await?;
    }
    for mode in ["hybrid", "keyword", "semantic"] {
        let found = deployment.found(&database, &held, "budget", mode).await?;
        let mut ids: Vec<&str> = found
            .iter()
            .filter_map(|hit| hit["document_id"].as_str())
            .collect();
        ids.sort_unstable();
        assert_eq!(ids, ["a", "c"], "{mode}");
    }
    let hidden = DocumentId::parse("b", "id")?;
    assert!(
        document_store::get(&database, &held, &hidden)
            .await?
            .is_none()
    );
    let deletion = document_store::delete(&database, &held, &hidden, &Expected::Anything).await?;
    assert_eq!(deletion, Deletion::Missing);
    let page = PageRequest {
        count: Some("exact".to_owned()),
        ..PageRequest::default()
    };
    let page = page.parse()?.read(&database, &held).await?;
    let ids: Vec<&str> = page
        .documents
        .iter()
        .map(|document| document.id.as_str())
        .collect();
    assert_eq!((ids, page.total), (vec!["a", "c"], Some(2)));
    let keys = document_store::metadata_keys(&database, &held).await?;
    assert_eq!(json!(keys[0].examples.0), json!(["blue", "green"]));
    assert!(
        document_store::dates(&database, &held, vec!["b".to_owned()])
            .await?
            .is_empty()
    );
    // The request's own filter narrows, and cannot widen.
    let red = Filter::parse(r#"{"$or": [{"group": "red"}, {"$id": {"$exists": true}}]}"#)?;
    assert_eq!(document_store::count(&database, &held, &red).await?, 2);
    let text: Box<RawValue> = serde_json::from_str(r#"{"seen": true}"#)?;
    let patch = MetadataPatch::parse(&text)?;
    let changed = document_store::patch_matching(&database, &held, &red, &patch).await?;
    assert_eq!((changed.matching, changed.updated), (2, 2));
    assert_eq!(
        document_store::delete_matching(&database, &held, &red, "story").await?,
        2
    );
    let left = document_store::get(&database, &all, &hidden).await?;
    let metadata = left.map(|document| document.metadata.get().to_owned());
    assert_eq!(metadata.as_deref(), Some(r#"{"group": "red"}"#));
    database.close().await;
    deployment.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_outside_of_the_filter_is_neither_made_nor_changed() -> Outcome {
    let deployment = Deployment::start("held_writes").await?;
    let database = database(deployment.url()?, PoolerSetting::Auto)?;
    let (all, held) = (tenant("acme"), held()?);
    deployment
        .store(
            &database,
            &all,
            note("red", "red", "Ce que d'autres ont écrit."),
        )
        .await?;
    let stored = deployment
        .store(&database, &held, note("mine", "blue", "Une note."))
        .await?;
    assert_eq!(stored.status, Status::Created);

    for (document, why) in [
        (note("new", "red", "Une autre note."), "it would be outside"),
        (
            json!({ "id": "bare", "content": "Sans groupe." }),
            "it lacks the key",
        ),
        (
            note("red", "blue", "Ce que d'autres ont écrit."),
            "the stored one is outside",
        ),
        (
            note("mine", "red", "Une note."),
            "only its metadata would lead outside",
        ),
        (note("mine", "red", "Une note, changée."), "it would leave"),
    ] {
        let refused = deployment.store(&database, &held, document).await;
        let error = refused.expect_err(why);
        let error = error.downcast::<DatabaseError>()?;
        assert!(matches!(error, DatabaseError::Invisible), "{why}: {error}");
    }
    // An id that is taken out of sight is not free, and nothing says what has it.
    let id = DocumentId::parse("red", "id")?;
    let patch: PatchRequest = serde_json::from_str(r#"{"metadata": {"group": "blue"}}"#)?;
    let patch = patch.parse()?;
    let recipe = &deployment.recipe;
    let change = document_store::patch(
        &database,
        &held,
        recipe,
        &id,
        &patch,
        &Expected::Anything,
        embed,
    );
    let error = change
        .await
        .expect_err("there is no such document")
        .downcast::<ChangeError>()?;
    assert!(matches!(error, ChangeError::Missing(_)), "{error}");
    let filter = Filter::parse(r#"{"group": "blue"}"#)?;
    let text: Box<RawValue> = serde_json::from_str(r#"{"group": "red"}"#)?;
    let patch = MetadataPatch::parse(&text)?;
    let error = document_store::patch_matching(&database, &held, &filter, &patch).await;
    assert!(
        matches!(error, Err(ChangeError::Database(DatabaseError::Invisible))),
        "{error:?}"
    );
    let sql = deployment.app.sql().await?;
    let texts = sql.texts(
        "SELECT format('%s %s %s', id, metadata ->> 'group', content) FROM rappel.documents ORDER BY id", &[],
    );
    assert_eq!(
        texts.await?,
        ["mine blue Une note.", "red red Ce que d'autres ont écrit."]
    );
    database.close().await;
    deployment.end().await
}
