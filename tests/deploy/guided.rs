//! The documented first deploy, `sam deploy --guided`, at a terminal: every question has an answer, and the
//! last one is about the change set. What AWS does with it is beyond what can be told without an account:
//! moto neither expands it nor looks at its rules (`parameters.rs` does).

use std::{fs, os::unix::fs::symlink, path::Path};

use anyhow::{Context as _, Result};
use serde_json::json;
use tempfile::TempDir;
use tests::{Account, Assets, Built, Tools};

use crate::Outcome;

const SECRET: (&str, &str) = (
    "DatabaseUrlArn",
    "arn:aws:ssm:eu-west-1:123456789012:parameter/rappel/database-url",
);

/// A folder like the repository after `sam build`: its settings, and what was built.
struct Checkout(TempDir);

impl Checkout {
    async fn with(built: impl FnOnce(&Path, &Path) -> Result<()>) -> Result<Self> {
        let workspace = &Assets::prepared().await?.workspace;
        let folder = TempDir::new()?;
        for file in ["samconfig.toml", "template.yaml"] {
            fs::copy(workspace.join(file), folder.path().join(file))?;
        }
        fs::create_dir(folder.path().join(".aws-sam"))?;
        built(workspace, &folder.path().join(".aws-sam/build"))?;
        Ok(Self(folder))
    }

    /// What was built is a file for each function: the questions are the same.
    async fn small() -> Result<Self> {
        Self::with(lay_small).await
    }

    /// Runs `sam deploy` up to the question whether to deploy, which is answered with no.
    async fn deploy(
        &self,
        account: &Account,
        arguments: &[&str],
        answers: &[(&str, &str)],
    ) -> Result<String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/guided.py");
        let mut python = account.command("python").await?;
        python
            .arg(script)
            .arg(json!(answers).to_string())
            .args(["sam", "deploy"])
            .args(arguments)
            .current_dir(self.0.path());
        Tools::run(&mut python).await
    }
}

/// Lays a file for each function in place of what `sam build` makes.
pub(crate) fn lay_small(workspace: &Path, build: &Path) -> Result<()> {
    fs::create_dir_all(build)?;
    fs::copy(workspace.join("template.yaml"), build.join("template.yaml"))?;
    let functions = fs::read_dir(workspace.join("functions"))?;
    for code in functions.chain(fs::read_dir(workspace.join("layers"))?) {
        let code = code?.path();
        let folder = build.join(code.strip_prefix(workspace)?);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("bootstrap"), folder.display().to_string())?;
    }
    Ok(())
}

/// Deploys guided, with these answers, and once more without.
async fn deployed(checkout: Checkout, name: &str, answers: &[(&str, &str)]) -> Outcome {
    let account = Account::open().await?;
    let named = [&[("Stack Name", name)], answers].concat();
    let said = checkout.deploy(&account, &["--guided"], &named).await?;
    assert!(said.contains("Changeset created successfully"), "{said}");
    assert!(said.contains("Deploy this changeset?"), "{said}");

    // The answers are kept, and nothing in what SAM wrote is in the way of the next deploy.
    let kept = fs::read_to_string(checkout.0.path().join("samconfig.toml"))?;
    for (question, answer) in answers
        .iter()
        .map(|(q, a)| (q.trim(), a))
        .filter(|(q, _)| !q.contains(' '))
    {
        let line = format!("{question}=\\\"{answer}\\\"");
        assert!(kept.contains(&line), "{line} is not in {kept}");
    }
    let again = checkout.deploy(&account, &[], &[]).await?;
    assert!(again.contains("Changeset created successfully"), "{again}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_deploys_with_one_answer() -> Outcome {
    let built = Built::prepared().await?;
    let lay =
        |_: &Path, build: &Path| symlink(&built.functions, build).context("linking what was built");
    deployed(Checkout::with(lay).await?, "rappel", &[SECRET]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_deploys_with_tokens_and_an_rds_secret() -> Outcome {
    let answers = [
        (
            "DatabaseUrl ",
            "postgres://database.example.org:5432/rappel?sslmode=verify-full",
        ),
        (
            "DatabaseCredentialsArn",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds!db-GhIjKl",
        ),
        ("SubnetIds", "subnet-1,subnet-2"),
        ("SecurityGroupIds", "sg-1"),
        ("Authorization", "jwt"),
        ("JwtIssuer", "https://login.example.org/"),
        ("JwtAudience", "rappel"),
        // The function verifies the tokens, which SAM cannot know.
        ("has no authentication", "y"),
    ];
    deployed(Checkout::small().await?, "tokens", &answers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_deploys_an_open_api_after_confirming_it() -> Outcome {
    let answers = [
        SECRET,
        ("Authorization", "open"),
        ("has no authentication", "y"),
    ];
    deployed(Checkout::small().await?, "everybody", &answers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_deploys_with_keys() -> Outcome {
    let answers = [
        SECRET,
        ("Authorization", "keys"),
        ("has no authentication", "y"),
    ];
    deployed(Checkout::small().await?, "keys", &answers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_deploys_with_tokens_keys_and_a_chat_behind_api_gateway() -> Outcome {
    let answers = [
        SECRET,
        ("Authorization", "jwt+keys"),
        ("JwtIssuer", "https://login.example.org/"),
        ("JwtAudience", "rappel"),
        ("ChatEndpoint", "rest"),
        ("has no authentication", "y"),
    ];
    deployed(Checkout::small().await?, "both", &answers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_deploys_with_a_database_of_the_stack() -> Outcome {
    let answers = [("Database ", "aurora")];
    deployed(Checkout::small().await?, "aurora", &answers).await
}
