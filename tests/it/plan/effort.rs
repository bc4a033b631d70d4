//! The effort of a search in the index, which is measured.

use serde_json::json;
use tests::{
    App, Sql,
    command::{Printed, rappel},
    logins::served,
};

use super::{DOCUMENTS, INDEX, store_synthetic};
use crate::{Outcome, index::index_check};

#[tokio::test(flavor = "multi_thread")]
async fn the_effort_that_finds_enough_is_measured_and_used() -> Outcome {
    let app = App::start().await?;
    let sql = app.sql().await?;
    // Nothing is near anything among random embeddings, so even the greatest effort may not find enough.
    let measured =
        "SELECT effort || ' ' || (recall BETWEEN 0.1 AND 1 AND effort BETWEEN 40 AND 1000)
            || ' ' || recall_chunks
        FROM rappel.model WHERE effort IS NOT NULL";
    assert!(
        sql.texts(measured, &[]).await?.is_empty(),
        "so few chunks need no index"
    );

    store_synthetic(&sql).await?;
    app.invoke("migrate", json!({})).await?;
    let found = sql.texts(measured, &[]).await?.concat();
    let parts: Vec<&str> = found.split(' ').collect();
    assert_eq!(parts[1..], ["true", &DOCUMENTS.to_string()], "{found}");
    let effort: i32 = parts[0].parse()?;

    let request = json!({ "query": "la mer", "limit": 1, "explain": true });
    let hits = app.hits(request).await?;
    assert_eq!(hits[0]["explanation"]["effort"], effort);
    let health = app
        .get("/health", &[("deep", "true")])
        .await?
        .success(200)?;
    assert_eq!(health["index_recall"]["effort"], effort, "{health}");
    assert_eq!(health["index_recall"]["chunks"], DOCUMENTS, "{health}");

    // It is not measured again, until there is reason to.
    sql.run("UPDATE rappel.model SET effort = 777").await?;
    app.invoke("migrate", json!({})).await?;
    assert!(sql.texts(measured, &[]).await?.concat().starts_with("777 "));
    sql.run("UPDATE rappel.model SET recall_chunks = 10; ANALYZE rappel.chunks")
        .await?;
    assert_eq!(index_check(&app).await?["status"], "warning");
    app.invoke("migrate", json!({})).await?;
    assert_eq!(index_check(&app).await?["status"], "ok");
    assert!(!sql.texts(measured, &[]).await?.concat().starts_with("777 "));

    // The command measures whenever it is asked to.
    sql.run("UPDATE rappel.model SET effort = 777").await?;
    let tune = ["tune", "--recall", "--json"];
    let printed = Printed::by(&mut rappel(Some(app.database_url()), &tune).await?).await?;
    let told = printed.json()?;
    let stored = sql.texts(measured, &[]).await?.concat();
    assert_eq!(
        format!("{} true {}", told["effort"], told["chunks"]),
        stored,
        "{told}"
    );

    the_login_that_migrates_stores_the_effort(&app, &sql).await?;
    what_no_effort_reaches_does_not_cost_the_greatest_one(&sql).await
}

/// The login of the functions may only read it.
async fn the_login_that_migrates_stores_the_effort(app: &App, sql: &Sql) -> Outcome {
    let role = format!("tune_reader_{}", std::process::id());
    let environment = served(app.database_url(), &[&role]).await?;
    for arguments in [&["migrate"][..], &["tune", "--recall"]] {
        sql.run("UPDATE rappel.model SET effort = 777").await?;
        let mut command = rappel(None, arguments).await?;
        let printed = Printed::by(command.envs(environment.clone())).await?;
        printed.answer()?;
    }
    let effort = "SELECT effort::text FROM rappel.model";
    assert_ne!(sql.texts(effort, &[]).await?, ["777"]);
    sql.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .await
}

/// Among embeddings of eight dimensions a low effort finds nearly all.
async fn what_no_effort_reaches_does_not_cost_the_greatest_one(sql: &Sql) -> Outcome {
    let index = "SELECT pg_get_indexdef(to_regclass('rappel.chunks_embedding_hnsw'))";
    let create_index = sql.texts(index, &[]).await?.concat();
    sql.run(&format!(
        "DROP INDEX rappel.{INDEX};
         UPDATE rappel.chunks AS c SET embedding = (
             -- Naming the chunk makes the subquery run, and so be random, for each.
             SELECT array_agg(CASE WHEN d <= 8 THEN (random() - 0.5)::real ELSE 0 END)
             FROM generate_series(1, 384) AS d WHERE c.ordinal + d > 0
         )::halfvec"
    ))
    .await?;
    sql.run(&create_index).await?;
    let unreachable = concat!(
        "SELECT ",
        schema::function!("measure_recall"),
        "(1.5, 10, true)::text"
    );
    assert_eq!(sql.texts(unreachable, &[]).await?, ["true"]);
    let found = "SELECT effort::text FROM rappel.model WHERE recall_wanted = 1.5 AND recall < 1.5";
    let effort: i32 = sql.texts(found, &[]).await?.concat().parse()?;
    assert!(effort < 1_000, "{effort}");
    Ok(())
}
