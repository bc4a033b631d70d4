//! The command line against a running API.

use anyhow::Context as _;
use serde_json::json;
use tests::{
    App,
    command::{Printed, rappel},
    endpoint::Endpoint,
    language_model::{LanguageModel, Reply},
};

use crate::{Outcome, chat::app_with};

#[tokio::test(flavor = "multi_thread")]
async fn a_search_asks_the_api_that_is_named() -> Outcome {
    let app = App::start().await?;
    let document = json!({ "id": "plage", "title": "Plage", "content": "La plage ferme à 22 heures.",
        "metadata": { "saison": "été" } });
    app.ingest(vec![document]).await?;
    let mut command = rappel(None, &["search", "Quand ferme la plage ?"]).await?;
    let printed = Printed::by(command.env("RAPPEL_API", app.url())).await?;
    let answer = printed.answer()?;
    for part in ["Plage", "La plage ferme à 22 heures.", "été", "found in"] {
        assert!(answer.contains(part), "{answer}");
    }
    let url = app.url();
    let arguments = [
        "search",
        "plage",
        "--api",
        &url,
        "--json",
        "--filter",
        r#"{"saison": "hiver"}"#,
    ];
    let found = Printed::by(&mut rappel(None, &arguments).await?)
        .await?
        .json()?;
    assert_eq!(found["hits"], json!([]));
    let arguments = ["search", "plage", "--api", &url, "-n", "101"];
    let refused = Printed::by(&mut rappel(None, &arguments).await?).await?;
    assert!(
        !refused.success && refused.stderr.contains("1 to 100"),
        "{refused:?}"
    );

    // Who names a database means that one, and not the API of every other command.
    let arguments = [
        "search",
        "plage",
        "--json",
        "--database-url",
        app.database_url(),
    ];
    let mut command = rappel(None, &arguments).await?;
    let found = Printed::by(command.env("RAPPEL_API", "http://127.0.0.1:9")).await?;
    assert_eq!(found.json()?["hits"][0]["document_id"], "plage");

    // An empty variable, such as one of an .env file that was not filled in, names none.
    let mut command = rappel(Some(app.database_url()), &["search", "plage", "--json"]).await?;
    let empty = [
        "RAPPEL_API",
        "RAPPEL_TENANT",
        "DATABASE_POOLER",
        "RAPPEL_DATA",
    ];
    let found = Printed::by(command.envs(empty.map(|name| (name, "")))).await?;
    assert_eq!(found.json()?["hits"][0]["document_id"], "plage");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_shown_to_the_api_and_nowhere_else() -> Outcome {
    // It answers as API Gateway does to a token that is not good.
    let refusal = json!({ "message": "Unauthorized" });
    let replies = [(); 6].map(|()| Reply::Status(401, None, refusal.clone()));
    let api = LanguageModel::replying(replies).await?;
    let url = api.url();
    let mut said = String::new();
    for arguments in [
        vec!["search", "a", "--api", &url],
        vec!["search", "a"],
        vec!["chat", "a"],
        vec!["import", "s3://bucket/key"],
        vec!["follow", "a", "--table", "a", "--content", "b"],
        vec!["keys", "create", "--name", "a", "--scope", "search"],
    ] {
        let mut command = rappel(None, &arguments).await?;
        let variables = [("RAPPEL_API", url.as_str()), ("RAPPEL_KEY", "tok-123")];
        let printed = Printed::by(command.envs(variables)).await?;
        assert!(!printed.success, "{printed:?}");
        said.push_str(&printed.stdout);
        said.push_str(&printed.stderr);
    }
    for asked in api.asked() {
        assert_eq!(
            asked.authorization.as_deref(),
            Some("Bearer tok-123"),
            "{}",
            asked.path
        );
    }
    assert_eq!(api.asked().len(), 6, "{said}");
    assert!(
        said.contains("--key") && !said.contains("tok-123"),
        "{said}"
    );
    let help = Printed::by(
        rappel(None, &["search", "--help"])
            .await?
            .env("RAPPEL_KEY", "tok-123"),
    )
    .await?;
    assert!(!help.answer()?.contains("tok-123"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_filter_of_a_new_key_is_sent_as_it_is_written() -> Outcome {
    // The API refuses keys that stand twice; without one of them, the new key would see more than was meant.
    let filter = r#"{"n": 0.12345678901234567890, "n": {"$gt": 1}}"#;
    let api = Endpoint::answering(|_| Some((422, "{}".to_owned()))).await?;
    let url = api.url();
    let arguments = [
        "keys", "create", "--name", "a", "--scope", "search", "--filter", filter, "--api", &url,
    ];
    let refused = Printed::by(&mut rappel(None, &arguments).await?).await?;
    assert!(!refused.success, "{refused:?}");
    let asked = api.asked();
    let body = asked.first().context("a request")?.body.clone();
    let body = String::from_utf8(body)?;
    assert!(body.contains(filter), "{body}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_a_request_to_aws_is_signed() -> Outcome {
    // It acts as a proxy, so every address leads here.
    let replies = [(); 3].map(|()| Reply::Status(200, None, json!({ "hits": [], "took_ms": {} })));
    let proxy = LanguageModel::replying(replies).await?;
    let api = "http://a1b2.execute-api.eu-west-3.amazonaws.com";
    for credentials in [true, false] {
        let mut command = rappel(None, &["search", "plage", "--api", api]).await?;
        command
            .env("http_proxy", proxy.url())
            .env_remove("no_proxy");
        command.env_remove("AWS_ACCESS_KEY_ID");
        if credentials {
            command.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
            command
                .env("AWS_SECRET_ACCESS_KEY", "secret")
                .env("AWS_SESSION_TOKEN", "session");
        }
        Printed::by(&mut command).await?.answer()?;
    }
    // A domain of its own does not say where it is.
    let arguments = ["search", "plage", "--api", "http://api.example.org"];
    let mut command = rappel(None, &arguments).await?;
    command
        .env("http_proxy", proxy.url())
        .env_remove("no_proxy")
        .env("RAPPEL_SIGN_REGION", "eu-west-1")
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret");
    Printed::by(&mut command).await?.answer()?;
    let [signed, unsigned, own] = &proxy.asked()[..] else {
        anyhow::bail!("three requests: {:?}", proxy.asked());
    };
    let authorization = own.authorization.as_deref().context("a signature")?;
    assert!(
        authorization.contains("/eu-west-1/execute-api/aws4_request"),
        "{authorization}"
    );
    let authorization = signed.authorization.as_deref().context("a signature")?;
    let scope = authorization.contains("/eu-west-3/execute-api/aws4_request");
    assert!(
        authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/") && scope,
        "{authorization}"
    );
    assert_eq!(signed.headers["x-amz-security-token"], "session");
    assert_eq!(unsigned.authorization, None, "it may be open");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_is_checked_and_left_as_it_was() -> Outcome {
    let reply = Reply::text(&["At nine [1]."]);
    let (app, _model) = app_with([reply], &[]).await?;
    let url = app.url();
    let mut check = rappel(None, &["check", "--api", &url]).await?;
    let printed = Printed::by(&mut check).await?;
    let lines: Vec<&str> = printed.answer()?.lines().collect();
    for (line, word) in lines.iter().zip(["stored", "found", "chatted", "removed"]) {
        assert!(line.starts_with(word) && line.contains(" ms"), "{line}");
    }
    assert_eq!(lines.len(), 4, "{lines:?}");
    let left = app.get("/documents", &[]).await?.success(200)?;
    assert_eq!(left["documents"], json!([]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_fails_where_something_does_and_still_cleans_up() -> Outcome {
    // The model's endpoint hangs up, so the chat fails.
    let (app, _model) = app_with([Reply::HangUp], &[]).await?;
    let url = app.url();
    let printed = Printed::by(&mut rappel(None, &["check", "--api", &url]).await?).await?;
    assert!(!printed.success, "{printed:?}");
    assert!(printed.stderr.contains("chatting about it"), "{printed:?}");
    assert!(printed.stdout.contains("removed"), "{printed:?}");
    let nobody = ["check", "--api", "127.0.0.1:9"];
    let printed = Printed::by(&mut rappel(None, &nobody).await?).await?;
    assert!(
        printed
            .stderr
            .contains("no server responds at http://127.0.0.1:9"),
        "{printed:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_and_man_know_every_command() -> Outcome {
    let help = Printed::by(&mut rappel(None, &["--help"]).await?).await?;
    let commands: Vec<&str> = help
        .answer()?
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .map_while(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !name.is_empty() && *name != "help")
        .collect();
    assert!(commands.len() > 12, "{commands:?}");
    let page = Printed::by(&mut rappel(None, &["man"]).await?).await?;
    let script = Printed::by(&mut rappel(None, &["completions", "bash"]).await?).await?;
    for command in &commands {
        assert!(
            script.answer()?.contains(&format!("rappel,{command})")),
            "{command}"
        );
        let section = format!("RAPPEL {}", command.to_uppercase());
        assert!(page.answer()?.contains(&section), "{command}");
    }
    // bash reads what it is given.
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("rappel.bash");
    std::fs::write(&file, script.answer()?)?;
    let checked = std::process::Command::new("bash")
        .arg("-n")
        .arg(&file)
        .status()
        .context("bash")?;
    assert!(checked.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doctor_asks_the_api_to_check_itself() -> Outcome {
    let app = App::start().await?;
    let url = app.url();
    let arguments = ["doctor", "--api", &url];
    let printed = Printed::by(&mut rappel(None, &arguments).await?).await?;
    let answer = printed.answer()?;
    for part in ["database", "search"] {
        assert!(answer.contains(part), "{answer}");
    }
    drop(app);
    let unmigrated = App::unmigrated().await?;
    let url = unmigrated.url();
    let arguments = ["doctor", "--api", &url];
    let printed = Printed::by(&mut rappel(None, &arguments).await?).await?;
    assert_eq!(printed.status, Some(1), "{printed:?}");
    for part in ["failed", "rappel migrate", "checks failed"] {
        assert!(
            printed.stdout.contains(part) || printed.stderr.contains(part),
            "{part}: {printed:?}"
        );
    }
    Ok(())
}
