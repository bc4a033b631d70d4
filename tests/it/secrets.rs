//! The database's login in AWS Secrets Manager: fetched at start, rotated, delayed, unavailable.

use std::time::{Duration, Instant};

use anyhow::Result;
use reqwest::Url;
use serde_json::{Value, json};
use tests::{Answer, App, Sql, secrets::Secrets};
use tokio::time::sleep;

use crate::Outcome;

const URL: &str = "arn:aws:secretsmanager:eu-west-3:123456789012:secret:database-AbCdEf";
const PARAMETER: &str = "arn:aws:ssm:eu-west-3:123456789012:parameter/database";

/// What the server's superuser does to the role that the functions log in with.
struct Role {
    sql: Sql,
    name: String,
    url: Url,
}

impl Role {
    /// A role of the test's own that may do everything, with the password `first`.
    async fn create(database_url: &str) -> Result<Self> {
        let url: Url = database_url.parse()?;
        let name = format!("keeper_of_{}", url.path().trim_start_matches('/'));
        let sql = Sql::connect(database_url).await?;
        sql.run(&format!(
            "CREATE ROLE {name} SUPERUSER LOGIN PASSWORD 'first'"
        ))
        .await?;
        Ok(Self { sql, name, url })
    }

    /// The URL with this role and a password.
    fn url(&self, password: &str) -> String {
        let mut url = self.url.clone();
        url.set_username(&self.name).expect("the URL has a host");
        url.set_password(Some(password))
            .expect("the URL has a host");
        url.into()
    }

    /// What RDS keeps of a login.
    fn credentials(&self, password: &str) -> String {
        json!({ "username": self.name, "password": password, "engine": "postgres" }).to_string()
    }

    /// The URL without user and password.
    fn bare_url(&self) -> String {
        let mut url = self.url.clone();
        url.set_username("").expect("the URL has a host");
        url.set_password(None).expect("the URL has a host");
        url.into()
    }

    /// Gives the role another password, and ends the connections that were made with the one before.
    async fn rotate(&self, password: &str) -> Result<()> {
        let name = &self.name;
        self.sql
            .run(&format!(
                "ALTER ROLE {name} PASSWORD '{password}';
                 SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{name}'"
            ))
            .await
    }
}

/// An app whose functions find their login with `secrets`, which `keep` fills.
async fn app(
    settings: &[(&str, &str)],
    keep: impl FnOnce(&Secrets, &Role),
) -> Result<(App, Secrets, Role)> {
    let (app, (secrets, role)) = App::through(async |database_url| {
        let role = Role::create(database_url).await?;
        let secrets = Secrets::new().await?;
        keep(&secrets, &role);
        let mut environment = secrets.environment();
        for (name, value) in settings {
            let value = if *value == BARE {
                role.bare_url()
            } else {
                (*value).to_owned()
            };
            environment.push(((*name).to_owned(), value));
        }
        Ok(((secrets, role), environment))
    })
    .await?;
    Ok((app, secrets, role))
}

/// Stands for the database's URL without user and password.
const BARE: &str = "bare";

async fn page(app: &App) -> Result<Answer> {
    app.get("/documents", &[]).await
}

fn is_refused(answer: &Answer, word: &str) -> Outcome {
    answer.problem(503, word)?;
    assert_eq!(answer.header("retry-after"), Some("1"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_password_fails_no_request() -> Outcome {
    let keep = |secrets: &Secrets, role: &Role| secrets.keep(URL, role.url("first"));
    let (app, secrets, role) = app(&[("DATABASE_URL", URL)], keep).await?;
    app.invoke("migrate", json!({})).await?;
    app.ingest_samples(&["sante-migraine"]).await?;
    let search = || app.hits(json!({ "query": "comment soulager une migraine ?" }));
    assert_eq!(search().await?.len(), 1);
    let before = secrets.asked();
    assert_eq!(before, 3, "migrate, ingest and search ask once each");
    search().await?;
    assert_eq!(secrets.asked(), before, "what was fetched is kept");

    secrets.keep(URL, role.url("second"));
    role.rotate("second").await?;
    assert_eq!(search().await?.len(), 1);
    assert_eq!(secrets.asked(), before + 1);
    assert_eq!(search().await?.len(), 1);
    app.ingest_samples(&["health-migraine"]).await?;
    assert_eq!(secrets.asked(), before + 2, "each sandbox asks once");

    let logged = app.logged()?;
    assert!(logged.contains("has been rotated"), "{logged}");
    for password in ["first", "second"] {
        assert!(!logged.contains(&role.url(password)), "{logged}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_before_the_secret_changes_is_a_503_until_it_does() -> Outcome {
    let keep = |secrets: &Secrets, role: &Role| secrets.keep(URL, role.url("first"));
    let (app, secrets, role) = app(&[("DATABASE_URL", URL)], keep).await?;
    app.invoke("migrate", json!({})).await?;
    page(&app).await?.success(200)?;
    let before = secrets.asked();

    role.rotate("second").await?;
    let start = Instant::now();
    for _ in 0..5 {
        is_refused(&page(&app).await?, "database-authentication")?;
    }
    let seconds = usize::try_from(start.elapsed().as_secs())?;
    let asked = secrets.asked() - before;
    assert!(
        (1..=seconds + 1).contains(&asked),
        "{asked} questions to AWS in {seconds} s"
    );

    secrets.keep(URL, role.url("second"));
    // What Retry-After said.
    sleep(Duration::from_secs(1)).await;
    page(&app).await?.success(200)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_missing_at_start_is_a_503_until_it_exists() -> Outcome {
    let keep = |secrets: &Secrets, role: &Role| secrets.keep(URL, role.url("first"));
    let (app, secrets, role) = app(&[("DATABASE_URL", URL)], keep).await?;
    app.invoke("migrate", json!({})).await?;
    secrets.lose(URL);
    for _ in 0..2 {
        is_refused(&page(&app).await?, "database-secret")?;
    }
    let logged = app.logged()?;
    assert!(
        logged.contains("ResourceNotFoundException") && logged.contains(URL),
        "{logged}"
    );

    // Nor does what is no URL stop a function.
    secrets.keep(URL, role.credentials("first"));
    is_refused(&page(&app).await?, "database-settings")?;
    assert!(app.logged()?.contains("DATABASE_CREDENTIALS"));

    secrets.keep(URL, role.url("first"));
    page(&app).await?.success(200)?;
    assert_eq!(
        app.sandboxes("documents").len(),
        1,
        "it is the same sandbox"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_login_may_be_kept_as_rds_does_and_the_url_as_a_parameter_or_a_field() -> Outcome {
    let rds = "arn:aws:secretsmanager:eu-west-3:123456789012:secret:rds!db-AbCdEf";
    let field = format!("{URL}#url");
    for url in [BARE, PARAMETER, &field] {
        let keep = |secrets: &Secrets, role: &Role| {
            secrets.keep(rds, role.credentials("first"));
            secrets.keep(PARAMETER, format!("{}\n", role.bare_url()));
            secrets.keep(URL, json!({ "url": role.bare_url() }).to_string());
        };
        let settings = [("DATABASE_URL", url), ("DATABASE_CREDENTIALS", rds)];
        let (app, secrets, role) = app(&settings, keep).await?;
        let migrated: Value = app.invoke("migrate", json!({})).await?;
        assert!(migrated["applied"].is_array(), "{migrated}");
        page(&app).await?.success(200)?;

        secrets.keep(rds, role.credentials("second"));
        role.rotate("second").await?;
        page(&app).await?.success(200)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_says_that_it_needs_the_url_itself() -> Outcome {
    let mut command = tests::command::rappel(Some(URL), &["doctor"]).await?;
    let output = command.output().await?;
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("DATABASE_URL is the ARN of a secret"),
        "{said}"
    );
    Ok(())
}
