//! What is under way: imports of a login that owns no table, and writes while their tenant is removed.

use std::time::Instant;

use database::PoolerSetting;
use futures_util::future::join;
use tests::{App, Sql};

use super::{Deployment, Outcome, database, tenant};
use crate::imports::lines;

#[tokio::test(flavor = "multi_thread")]
async fn an_import_is_accepted_and_done_by_a_login_that_owns_no_table() -> Outcome {
    let (deployment, imports) = Deployment::importing("accepted").await?;
    let app = &deployment.app;
    let source = imports.put("two.jsonl", lines("page", 2, 10)).await?;
    let id = app.import(&source).await?;
    let import = app.finished(&id).await?;
    assert_eq!(import["state"], "done", "{import}");
    assert_eq!(import["documents"]["done"], 2, "{import}");
    deployment.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_written_when_its_tenant_is_removed_is_removed_too() -> Outcome {
    let deployment = Deployment::start("writing").await?;
    let database = database(deployment.url()?, PoolerSetting::Auto)?;
    let gone = tenant("gone").tenant;
    let write = |id: &str| {
        format!(
            "SELECT document_id FROM {}.upsert('gone', NULL, NULL, '{}', '{{{id}}}', '{{t}}', '{{c}}', '{{\"{{}}\"}}',
                 '{{x}}', '{{x}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}')",
            migrations::FUNCTIONS,
            deployment.recipe
        )
    };
    let sql = deployment.app.sql().await?;
    let writer = Sql::connect(&deployment.url()?).await?;
    writer.run("BEGIN").await?;
    assert_eq!(writer.texts(&write("early"), &[]).await?, ["early"]);
    // Whoever asks for the removal does not wait for the writer.
    document_store::begin_removal(&database, &gone, "story").await?;
    let removal = document_store::continue_removal(&database, &gone, Instant::now());
    let commit = async {
        let waits = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event = 'advisory'";
        sql.counts(waits).await?;
        let late = Sql::connect(&deployment.url()?).await?;
        let refused = late.texts(&write("late"), &[]).await;
        let refused = refused.expect_err("the tenant is being removed");
        let refused = format!("{:?}", refused.root_cause());
        assert!(refused.contains("is being removed"), "{refused}");
        writer.run("COMMIT").await
    };
    let (removed, committed) = join(removal, commit).await;
    committed?;
    assert!(removed?, "nothing is left");
    let state = document_store::tenant_state(&database, &gone).await?;
    let state = state.expect("a row");
    assert_eq!((state.documents, state.removal.documents), (0, Some(1)));
    database.close().await;
    drop(writer);
    deployment.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_begins_though_a_table_of_the_tenant_is_locked() -> Outcome {
    let app = App::start().await?;
    let database = database(app.database_url().to_owned(), PoolerSetting::Auto)?;
    let (sql, writer) = (app.sql().await?, app.sql().await?);
    sql.run(&format!(
        "CREATE TABLE public.notes (id integer PRIMARY KEY, body text);
         SELECT {}.follow('acme', 'notes', '{{\"table\": \"public.notes\", \"content\": \"body\"}}');
         INSERT INTO rappel.keys (id, name, hash, prefix, scopes, tenant)
         VALUES ('key_a', 'a', 'x', 'rpl_', '{{search}}', 'acme');
         INSERT INTO rappel.documents (tenant, id, title, content, metadata, content_hash)
         VALUES ('acme', 'plan', '', '', '{{}}', '')",
        migrations::FUNCTIONS
    ))
    .await?;
    writer
        .run("BEGIN; LOCK TABLE public.notes IN ROW EXCLUSIVE MODE")
        .await?;
    let acme = tenant("acme").tenant;
    document_store::begin_removal(&database, &acme, "story").await?;
    let valid = "SELECT count(*) FROM rappel.keys WHERE revoked_at IS NULL";
    assert_eq!(sql.number(valid, &[]).await?, 0);
    let documents = "SELECT count(*) FROM rappel.documents";
    assert!(!document_store::continue_removal(&database, &acme, Instant::now()).await?);
    assert_eq!(sql.number(documents, &[]).await?, 0);
    document_store::continue_removals(&database, Instant::now())
        .await
        .expect_err("the table is locked");
    writer.run("ROLLBACK").await?;
    assert!(document_store::continue_removal(&database, &acme, Instant::now()).await?);
    for left in [
        "SELECT count(*) FROM rappel.sources",
        "SELECT count(*) FROM pg_trigger AS t WHERE t.tgname LIKE 'rappel\\_%'",
    ] {
        assert_eq!(sql.number(left, &[]).await?, 0, "{left}");
    }
    database.close().await;
    Ok(())
}
