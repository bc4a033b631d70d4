//! `rappel follow` and `rappel sources`.

use anyhow::Context as _;
use serde_json::Value;
use tests::{
    Sql,
    command::{Printed, rappel},
};

use crate::{Outcome, sources::ARTICLES, up::Up};

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_followed_on_the_spot_in_the_database_of_up() -> Outcome {
    let folder = tempfile::tempdir()?;
    // The server runs as another user where this one is root.
    let data = folder.path().join("data").display().to_string();
    std::fs::set_permissions(
        folder.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )?;
    let mut up = Up::start(None, &["--data", &data, "--no-samples"]).await?;
    let database = up.printed.lines().find(|line| line.contains("postgres://"));
    let database = database
        .context("up prints where the database is")?
        .trim()
        .to_owned();
    let sql = Sql::connect(&database).await?;
    sql.run(ARTICLES).await?;

    let arguments = [
        "follow",
        "articles",
        "--table",
        "public.articles",
        "--id",
        "id",
        "--title",
        "title",
        "--content",
        "body",
        "--metadata",
        "author, status",
        "--metadata",
        "year=extract(year from published_at)",
        "--where",
        "status = 'public'",
        "--wait",
        "--json",
    ];
    let printed = Printed::by(&mut rappel(Some(&database), &arguments).await?).await?;
    assert!(printed.success, "{}", printed.stderr);
    let source: Value = serde_json::from_str(&printed.stdout)?;
    assert_eq!(source["documents"], 8, "{source}");

    // Through the API it is the same; a change is found a second later.
    sql.run("INSERT INTO articles (id, title, body) VALUES (77, 'Zebras', 'a zebra has stripes')")
        .await?;
    let url = up.url.clone();
    let hit = tests::eventually("the new row is found", async || {
        let found: Value = reqwest::get(format!("{url}/search?q=zebra+stripes&limit=1"))
            .await?
            .json()
            .await?;
        let id = found["hits"][0]["document_id"].clone();
        Ok((id == "articles/77").then_some(found))
    });
    hit.await?;
    for (arguments, says) in [
        (
            &["sources", "list", "--api", &url][..],
            "articles: following",
        ),
        (
            &["sources", "resync", "articles", "--api", &url],
            "articles: walking",
        ),
        (&["sources", "show", "articles"], "\"documents\""),
        (&["sources", "remove", "articles", "--keep"], ""),
        (&["sources", "list"], ""),
    ] {
        let printed = Printed::by(&mut rappel(Some(&database), arguments).await?).await?;
        assert!(
            printed.success && printed.stdout.contains(says),
            "{arguments:?}: {printed:?}"
        );
    }
    let wrong = ["follow", "wrong", "--table", "nothing", "--content", "body"];
    let printed = Printed::by(&mut rappel(Some(&database), &wrong).await?).await?;
    assert_eq!(printed.status, Some(1), "{printed:?}");
    assert!(
        printed
            .stderr
            .contains("the table public.nothing does not exist"),
        "{printed:?}"
    );
    drop(sql);
    up.stop().await?;
    Ok(())
}
