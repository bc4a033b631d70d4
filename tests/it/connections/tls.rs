//! TLS as the URL requires it, with the test's own certificate authorities.
//!
//! The embedded Postgres has no TLS; `PgBouncer`, with the same library and the same protocol, has.

use anyhow::Result;
use database::{Cause, Database, PoolerSetting};
use servers::pooler::{PgBouncer, Settings};
use tests::{App, tls::Authority};

use super::{Outcome, cause, echo, settings};

/// How the URL asks, and what comes of it.
struct Case<'a> {
    host: &'a str,
    query: String,
    expected: Option<Cause>,
}

async fn try_case(url: &str, case: &Case<'_>) -> Outcome {
    let url = url.replace("127.0.0.1", case.host);
    let mut config = settings(&format!("{url}?{}", case.query));
    config.pooler = PoolerSetting::Transaction;
    match case.expected {
        None => assert_eq!(echo(&Database::new(&config)?, 1).await?, 1),
        Some(expected) => {
            let (found, said) = cause(&config).await?;
            println!("{} at {}: {said}", case.query, case.host);
            assert_eq!(found, expected, "{said}");
            // It is the server that is not believed; the authorities were read.
            let refused = said.contains("invalid peer certificate");
            assert_eq!(refused, expected == Cause::Tls, "{said}");
        }
    }
    Ok(())
}

fn encoded(pem: &str) -> String {
    percent_encoding::utf8_percent_encode(pem, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_url_decides_how_much_of_a_certificate_is_checked() -> Outcome {
    let app = App::unmigrated().await?;
    let (ours, another) = (Authority::new()?, Authority::new()?);
    let tls = Settings {
        mode: "transaction",
        servers: 5,
        clients: 50,
        certificate: Some(ours.vouch("localhost")?),
    };
    let Some(pgbouncer) = PgBouncer::before(app.database_url(), &tls).await? else {
        return Ok(());
    };
    let url = pgbouncer.url()?;
    let folder = tempfile::tempdir()?;
    let path = |name: &str, pem: &str| -> Result<String> {
        let file = folder.path().join(name);
        std::fs::write(&file, pem)?;
        Ok(file.display().to_string())
    };
    let right = path("ours.pem", &ours.certificate)?;
    let wrong = path("another.pem", &another.certificate)?;
    let inline = encoded(&ours.certificate);
    let case = |host, query: String, expected| Case {
        host,
        query,
        expected,
    };
    let tls = Some(Cause::Tls);
    for case in [
        case("127.0.0.1", "sslmode=require".into(), None),
        case("127.0.0.1", "sslmode=prefer".into(), None),
        // As libpq reads it: an authority that is named is asked.
        case(
            "127.0.0.1",
            format!("sslmode=require&sslrootcert={right}"),
            None,
        ),
        case(
            "127.0.0.1",
            format!("sslmode=require&sslrootcert={wrong}"),
            tls,
        ),
        case(
            "127.0.0.1",
            format!("sslmode=verify-ca&sslrootcert={right}"),
            None,
        ),
        case(
            "127.0.0.1",
            format!("sslmode=verify-ca&sslrootcert={wrong}"),
            tls,
        ),
        case("127.0.0.1", "sslmode=verify-ca".into(), tls),
        case(
            "localhost",
            format!("sslmode=verify-full&sslrootcert={right}"),
            None,
        ),
        case(
            "localhost",
            format!("sslmode=verify-full&sslrootcert={inline}"),
            None,
        ),
        case(
            "127.0.0.1",
            format!("sslmode=verify-full&sslrootcert={right}"),
            tls,
        ),
        case(
            "localhost",
            format!("sslmode=verify-full&sslrootcert={wrong}"),
            tls,
        ),
        case("localhost", "sslmode=verify-full".into(), tls),
        case(
            "localhost",
            "sslmode=verify-full&sslrootcert=system".into(),
            tls,
        ),
        // The authorities that we carry are read, and vouch for nobody here.
        case(
            "localhost",
            "sslmode=verify-full&sslrootcert=rds".into(),
            tls,
        ),
        case("127.0.0.1", "sslmode=require&sslrootcert=rds".into(), tls),
        case(
            "localhost",
            "sslmode=verify-full&sslrootcert=/nowhere.pem".into(),
            Some(Cause::Settings),
        ),
    ] {
        try_case(&url, &case).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_wants_tls_refuses_a_client_without() -> Outcome {
    let app = App::unmigrated().await?;
    let tls = Settings {
        mode: "transaction",
        servers: 1,
        clients: 5,
        certificate: Some(Authority::new()?.vouch("localhost")?),
    };
    let Some(pgbouncer) = PgBouncer::before(app.database_url(), &tls).await? else {
        return Ok(());
    };
    let mut config = settings(&format!("{}?sslmode=disable", pgbouncer.url()?));
    config.pooler = PoolerSetting::Transaction;
    let (found, said) = cause(&config).await?;
    assert_eq!(found, Cause::Tls, "{said}");
    Ok(())
}
