//! Rappel is removed from a database, and nothing else is.

use std::process::Stdio;

use anyhow::{Context as _, ensure};
use serde_json::json;
use tests::{
    App, Sql,
    command::{Printed, rappel},
};
use tokio::{io::AsyncWriteExt as _, process::Command};

use crate::Outcome;

/// Whatever the catalog has of Rappel, outside of the tests' own role and database.
const LEFT: &str = "
    SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname LIKE 'rappel%'
    UNION ALL SELECT 'relation ' || relname FROM pg_class WHERE relname LIKE 'rappel%'
    UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE NOT tgisinternal AND tgname NOT LIKE 'own_%'
    UNION ALL SELECT 'function ' || proname FROM pg_proc WHERE proname LIKE 'rappel%' OR prosrc LIKE '%rappel.%'
    UNION ALL SELECT 'type ' || typname FROM pg_type WHERE typname LIKE '%rappel%'
    UNION ALL SELECT 'policy ' || polname FROM pg_policy
    UNION ALL SELECT 'publication ' || pubname FROM pg_publication
    UNION ALL SELECT 'event trigger ' || evtname FROM pg_event_trigger
    UNION ALL SELECT 'setting ' || s FROM pg_db_role_setting, unnest(setconfig) AS s WHERE s LIKE '%rappel%'";

/// What the user had before Rappel came.
const USERS: &str = "
    CREATE TABLE public.articles (id int PRIMARY KEY, title text NOT NULL, body text NOT NULL, near vector(2));
    INSERT INTO public.articles VALUES (1, 'Plage', 'La plage ferme à 22 heures.', '[1,2]'), (2, 'Port', 'Le port dort.', NULL);
    CREATE TABLE public.changes (id int);
    CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN INSERT INTO public.changes VALUES (NEW.id); RETURN NULL; END';
    CREATE TRIGGER own_note AFTER INSERT ON public.articles FOR EACH ROW EXECUTE FUNCTION public.note();";

const ROWS: &str = "SELECT a::text FROM public.articles AS a ORDER BY id";

async fn uninstall(app: &App, options: &[&str]) -> anyhow::Result<Printed> {
    let arguments = [&["uninstall"], options].concat();
    Printed::by(&mut rappel(Some(app.database_url()), &arguments).await?).await
}

/// The same at a terminal, where this is typed. All that the terminal got.
async fn at_a_terminal(app: &App, typed: &str) -> anyhow::Result<String> {
    let command = rappel(Some(app.database_url()), &["uninstall"]).await?;
    let program = command.as_std().get_program().to_string_lossy();
    let mut terminal = Command::new("script")
        .args(["--quiet", "--return", "--command"])
        .args([&format!("'{program}' uninstall"), "/dev/null"])
        .env("DATABASE_URL", app.database_url())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut keyboard = terminal.stdin.take().context("a keyboard")?;
    keyboard.write_all(typed.as_bytes()).await?;
    // It is kept until the end: `script` passes the end of its input on.
    let output = terminal.wait_with_output().await?;
    drop(keyboard);
    ensure!(!output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

async fn with_documents_keys_and_a_followed_table(app: &App, sql: &Sql) -> Outcome {
    app.ingest_samples(&["recette-crepes"]).await?;
    app.follow(
        "articles",
        json!({ "table": "articles", "title": "title", "content": "body" }),
    )
    .await?;
    app.synced("articles").await?;
    let create = [
        "keys", "create", "--name", "a", "--scope", "search", "--tenant", "acme",
    ];
    Printed::by(&mut rappel(Some(app.database_url()), &create).await?)
        .await?
        .answer()?;
    let all = [
        "SELECT count(*) FROM rappel.documents",
        "SELECT count(*) FROM rappel.keys",
        "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'rappel%'",
    ];
    for some in all {
        assert!(sql.number(some, &[]).await? > 0, "{some}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn uninstall_removes_what_rappel_made_and_nothing_else() -> Outcome {
    let app = App::start().await?;
    let sql = app.user_sql().await?;
    // The columns of one's own tables may have the extension's types, and the extension be among Rappel's tables.
    sql.run("ALTER EXTENSION vector SET SCHEMA rappel; SET search_path = public, rappel")
        .await?;
    sql.run(USERS).await?;
    app.invoke("migrate", json!({})).await?;
    with_documents_keys_and_a_followed_table(&app, &sql).await?;
    let rows = sql.texts(ROWS, &[]).await?;

    // Without a terminal nobody is asked, and nothing happens.
    let unasked = uninstall(&app, &[]).await?;
    assert_eq!(unasked.status, Some(1), "{unasked:?}");
    assert!(unasked.stderr.contains("--yes"), "{unasked:?}");
    for shown in [
        "the schema rappel: ",
        "with 3 documents",
        "the schema rappel_",
        "the triggers on the followed table public.articles",
        "The extension vector moves from the schema rappel to public",
    ] {
        assert!(unasked.stdout.contains(shown), "{shown}: {unasked:?}");
    }

    // At a terminal it asks for the database's name.
    let said = at_a_terminal(&app, "yes\n").await?;
    assert!(said.contains("Type the database's name"), "{said}");
    assert!(said.contains("nothing was removed"), "{said}");

    // What others have made of Rappel's tables, or beside them, would go too.
    sql.run(
        "CREATE VIEW public.titles AS SELECT title FROM rappel.documents;
         CREATE TABLE rappel.mine (id int PRIMARY KEY, name text);
         CREATE FUNCTION rappel.twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 2 * n'",
    )
    .await?;
    let refused = uninstall(&app, &["--yes"]).await?;
    assert_eq!(refused.status, Some(1), "{refused:?}");
    for named in ["view titles", "table mine", "function twice(integer)"] {
        let bare = refused.stderr.replace("public.", "").replace("rappel.", "");
        assert!(bare.contains(named), "{named}: {refused:?}");
    }
    assert!(!refused.stderr.contains("articles"), "{refused:?}");
    sql.run("DROP VIEW public.titles; ALTER TABLE rappel.mine SET SCHEMA public; DROP FUNCTION rappel.twice")
        .await?;

    let removed = uninstall(&app, &["--yes"]).await?;
    removed.answer()?;
    let left = sql.texts(LEFT, &[]).await?;
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(sql.texts(ROWS, &[]).await?, rows);
    sql.run(
        "INSERT INTO public.articles VALUES (3, 'Phare', 'Le phare veille.', '[3,4]');
         UPDATE public.articles SET title = 'Digue' WHERE id = 2;
         DELETE FROM public.articles WHERE id = 1",
    )
    .await?;
    let noted = "SELECT count(*) FROM public.changes";
    assert_eq!(sql.number(noted, &[]).await?, 1, "their own triggers stay");
    let stays = "SELECT count(*) FROM pg_extension WHERE extname = 'vector'";
    assert_eq!(sql.number(stays, &[]).await?, 1);

    let again = uninstall(&app, &["--yes"]).await?;
    assert_eq!(again.answer()?, "Rappel has nothing in this database\n");
    // It can come back.
    app.invoke("migrate", json!({})).await?;
    Ok(())
}
