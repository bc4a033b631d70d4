//! A database that is paused and resumes at the first connection.

use std::time::Duration;

use anyhow::Context as _;
use database::{Cause, Database, DatabaseError};
use tests::{
    App,
    proxy::{Proxy, with_port},
};
use tokio::{net::TcpListener, time::sleep};

use super::{Outcome, cause, echo, failure, server_port, settings};

#[tokio::test(flavor = "multi_thread")]
async fn a_request_waits_for_a_database_that_wakes() -> Outcome {
    let app = App::unmigrated().await?;
    let asleep = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
    let mut config = settings(&with_port(app.database_url(), asleep)?);
    config.acquire_timeout = Duration::from_millis(300);
    let database = Database::new(&config)?;
    let error = failure(&database).await?;
    assert!(
        matches!(
            error,
            DatabaseError::Unavailable {
                cause: Cause::Refused,
                ..
            }
        ),
        "{error}"
    );

    config.wake_timeout = Duration::from_secs(20);
    let database = Database::new(&config)?;
    let server = server_port(&app)?;
    let wakes = async {
        sleep(Duration::from_millis(1_500)).await;
        Proxy::on(asleep, server).await
    };
    let (answer, proxy) = tokio::join!(echo(&database, 1), wakes);
    let _proxy = proxy?;
    assert_eq!(answer.context("it waits until the database is awake")?, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_does_not_wake_names_the_setting_and_a_wrong_password_fails_at_once()
-> Outcome {
    let app = App::unmigrated().await?;
    let asleep = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
    let mut config = settings(&with_port(app.database_url(), asleep)?);
    config.acquire_timeout = Duration::from_millis(300);
    config.wake_timeout = Duration::from_millis(900);
    let (found, said) = cause(&config).await?;
    assert_eq!(found, Cause::Refused, "{said}");
    assert!(
        said.contains("within 900 ms (DATABASE_WAKE_TIMEOUT_MS)"),
        "{said}"
    );

    config.url = app.database_url().replace("rappel:", "rappel:not");
    // Longer than the story may take.
    config.wake_timeout = Duration::from_hours(1);
    let (found, said) = cause(&config).await?;
    assert_eq!(found, Cause::Authentication, "{said}");
    Ok(())
}
