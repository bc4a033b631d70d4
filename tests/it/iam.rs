//! IAM authentication: the functions log in to the database with tokens that they sign.

use std::{fmt::Write as _, fs, net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result};
use ring::{digest, hmac};
use serde_json::json;
use tests::{App, Sql, iam::Gate};
use tokio::time::sleep;

use crate::Outcome;

const SECRET: &str = "wJalrXUtnFEMI";

/// Whether RDS would take a token for this user at this address: it is a request that is signed as any other.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>
fn is_signed(token: &str, user: &str) -> bool {
    let check = || {
        let (host, query) = token.split_once("/?")?;
        let mut pairs: Vec<&str> = query.split('&').collect();
        let place = pairs
            .iter()
            .position(|pair| pair.starts_with("X-Amz-Signature="))?;
        let (_, signature) = pairs.remove(place).split_once('=')?;
        pairs.sort_unstable();
        let value = |name: &str| pairs.iter().find_map(|pair| pair.strip_prefix(name));
        let time = value("X-Amz-Date=")?;
        let scope = format!("{}/eu-west-3/rds-db/aws4_request", time.get(..8)?);
        let credential = format!("AKIDEXAMPLE/{scope}").replace('/', "%2F");
        let right = value("Action=")? == "connect"
            && value("DBUser=")? == user
            && value("X-Amz-Expires=")? == "900"
            && value("X-Amz-Credential=")? == credential;
        let request = format!(
            "GET\n/\n{}\nhost:{host}\n\nhost\n{}",
            pairs.join("&"),
            hex(sha256(""))
        );
        let text = format!(
            "AWS4-HMAC-SHA256\n{time}\n{scope}\n{}",
            hex(sha256(&request))
        );
        let mut key = format!("AWS4{SECRET}").into_bytes();
        for part in scope.split('/') {
            key = keyed(&key, part);
        }
        Some(right && hex(keyed(&key, &text)) == signature)
    };
    check().unwrap_or(false)
}

fn sha256(text: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, text.as_bytes())
        .as_ref()
        .to_vec()
}

fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: Vec<u8>) -> String {
    bytes.into_iter().fold(String::new(), |mut text, byte| {
        // A text takes whatever is written to it.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Makes a role that the server lets in without a password, and a gate before it that asks for a token.
async fn gate(url: &str, user: &'static str) -> Result<Gate> {
    let sql = Sql::connect(url).await?;
    sql.run(&format!("CREATE ROLE {user} LOGIN SUPERUSER"))
        .await?;
    let file = sql.texts("SHOW hba_file", &[]).await?.remove(0);
    let rules = fs::read_to_string(&file).with_context(|| format!("reading {file}"))?;
    fs::write(
        &file,
        format!("host all {user} 127.0.0.1/32 trust\n{rules}"),
    )?;
    sql.run("SELECT pg_reload_conf()").await?;
    let address = sql
        .texts(
            "SELECT host(inet_server_addr()) || ':' || inet_server_port()",
            &[],
        )
        .await?;
    let server: SocketAddr = address[0].parse()?;
    Gate::before(server, move |token| is_signed(token, user)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_logs_in_by_its_role_and_again_when_its_token_is_too_old() -> Outcome {
    let user = "rappel_iam";
    let (app, gate) = App::through(async |url| {
        let gate = gate(url, user).await?;
        let database = url.rsplit('/').next().context("a database")?;
        let address = gate.address();
        let environment = [
            (
                "DATABASE_URL",
                format!("postgres://{user}@{address}/{database}"),
            ),
            ("DATABASE_CREDENTIALS", "iam".to_owned()),
            ("AWS_REGION", "eu-west-3".to_owned()),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
            ("AWS_SESSION_TOKEN", String::new()),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value));
        Ok((gate, environment.to_vec()))
    })
    .await?;
    app.invoke("migrate", json!({})).await?;
    app.post("/search", json!({ "query": "plage" }))
        .await?
        .success(200)?;
    let (let_in, refused) = gate.counts();
    assert!(let_in >= 2, "{let_in} connections");
    assert_eq!(refused, 0);

    // Fifteen minutes later: the connection is gone, and the token that made it no longer good.
    gate.expire();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'rappel_iam'";
    app.sql().await?.run(end).await?;
    // Tokens of one second are the same.
    sleep(Duration::from_millis(1_100)).await;
    app.post("/search", json!({ "query": "plage" }))
        .await?
        .success(200)?;
    let (later, refused) = gate.counts();
    assert!(later > let_in, "{later} connections");
    assert!(refused >= 1, "the old token is tried once");
    Ok(())
}
