//! The rights of the login that migrates, and of that of the functions.

use std::fs;

use serde_json::{Value, json};
use tests::{
    App, Sql,
    command::{Printed, rappel},
    logins::{self, login},
};

use super::refused;
use crate::Outcome;

#[tokio::test(flavor = "multi_thread")]
async fn an_unmet_requirement_is_reported_with_its_remedy() -> Outcome {
    let app = App::unmigrated().await?;
    let sql = app.sql().await?;
    let role = format!("stranger_{}", std::process::id());
    let stranger = login(app.database_url(), &role)?;
    sql.run(&format!("CREATE ROLE {role} LOGIN PASSWORD 'secret'"))
        .await?;
    let said = refused(&stranger, &["migrate"]).await?;
    assert!(
        said.contains("cannot create schemas") && said.contains("GRANT CREATE ON DATABASE"),
        "{said}"
    );

    let database = sql
        .texts("SELECT current_database()::text", &[])
        .await?
        .concat();
    sql.run(&format!(
        "ALTER ROLE {role} SET default_transaction_read_only = on"
    ))
    .await?;
    let said = refused(&stranger, &["migrate"]).await?;
    assert!(said.contains("are read-only"), "{said}");

    sql.run(&format!(
        "ALTER ROLE {role} RESET ALL; CREATE EXTENSION vector; GRANT CREATE ON DATABASE {database} TO {role};
         UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'"
    ))
    .await?;
    let said = refused(&stranger, &["migrate"]).await?;
    assert!(
        said.contains("pgvector 0.7.4") && said.contains("ALTER EXTENSION vector UPDATE"),
        "{said}"
    );
    assert_eq!(
        sql.number(
            "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'rappel%'",
            &[]
        )
        .await?,
        0
    );
    sql.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_login_migrates_and_the_functions_role_gets_what_it_needs_and_no_more() -> Outcome {
    let role = format!("served_{}", std::process::id());
    let reader = format!("reader_{}", std::process::id());
    let two_logins = async |url: &str| Ok(((), logins::served(url, &[&role, &reader]).await?));
    let (app, ()) = App::through(two_logins).await?;
    app.invoke("migrate", json!({})).await?;
    app.ingest_samples(&["recette-crepes", "jardin-tomates"])
        .await?;
    assert_eq!(app.hits(json!({ "query": "des crêpes" })).await?.len(), 2);
    app.delete("/documents/jardin-tomates")
        .await?
        .success(204)?;
    app.get("/health", &[("deep", "true")])
        .await?
        .success(200)?;

    let sql = app.sql().await?;
    let served = Sql::connect(&login(app.database_url(), &role)?).await?;
    for forbidden in [
        "UPDATE rappel.model SET name = 'x'",
        "DELETE FROM rappel.migrations",
        "DELETE FROM rappel.functions",
        "DROP TABLE rappel.documents",
        "TRUNCATE rappel.documents CASCADE",
        "CREATE TABLE rappel.mine ()",
    ] {
        assert!(served.run(forbidden).await.is_err(), "{forbidden}");
    }
    // Every table is in one of the two lists.
    let without = format!(
        "SELECT c.relname::text FROM pg_class AS c
         WHERE c.relnamespace = 'rappel'::regnamespace AND c.relkind = 'r' AND NOT has_table_privilege('{role}', c.oid, 'SELECT')"
    );
    let without = sql.texts(&without, &[]).await?;
    assert!(without.is_empty(), "{without:?}");

    // A role that may only read searches with the functions of this build and of the next.
    sql.run(&format!(
        "GRANT USAGE ON SCHEMA rappel TO {reader}; GRANT SELECT ON ALL TABLES IN SCHEMA rappel TO {reader};
         DROP SCHEMA {} CASCADE",
        migrations::FUNCTIONS
    ))
    .await?;
    app.invoke("migrate", json!({})).await?;
    let url = login(app.database_url(), &reader)?;
    let printed = Printed::by(&mut rappel(Some(&url), &["search", "des crêpes"]).await?).await?;
    assert!(printed.success, "{printed:?}");
    // And measures searches on the documents that are loaded.
    let folder = tempfile::tempdir()?;
    let file = |name: &str, text: &str| -> anyhow::Result<String> {
        let path = folder.path().join(name);
        fs::write(&path, text)?;
        Ok(path.display().to_string())
    };
    let queries = file("queries.jsonl", r#"{"_id": "q", "text": "des crêpes"}"#)?;
    let qrels = file("qrels.tsv", "q\trecette-crepes\t1\n")?;
    let eval = ["eval", "--queries", &queries, "--qrels", &qrels, "--json"];
    let printed = Printed::by(&mut rappel(Some(&url), &eval).await?).await?;
    let report: Value = serde_json::from_str(printed.answer()?)?;
    assert_eq!(report["documents"], 1, "{report}");
    assert_eq!(
        report["modes"]["hybrid"]["ndcg_at_10"]["mean"], 1.0,
        "{report}"
    );
    sql.run(&format!(
        "DROP OWNED BY {role}; DROP ROLE {role}; DROP OWNED BY {reader}; DROP ROLE {reader}"
    ))
    .await
}
