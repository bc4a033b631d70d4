//! `rappel new`: a project deploys a release of Rappel with its own parameters, without a fork.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tempfile::TempDir;
use tests::{
    Account, Assets, Tools,
    cloudformation::Template,
    command::{Printed, rappel},
};

use crate::{Outcome, guided::lay_small};

/// Prints YAML and TOML as JSON.
const AS_JSON: &str = "
import json, sys, tomllib, yaml
text = open(sys.argv[1]).read()
print(json.dumps(tomllib.loads(text) if sys.argv[1].endswith('.toml') else yaml.safe_load(text), default=str))";

async fn read(file: &Path) -> Result<Value> {
    let mut python = Tools::installed().await?.command("python");
    let printed = Tools::run(python.arg("-c").arg(AS_JSON).arg(file)).await?;
    serde_json::from_str(&printed).with_context(|| file.display().to_string())
}

async fn new(folder: &Path) -> Result<Printed> {
    let folder = folder.display().to_string();
    Printed::by(&mut rappel(None, &["new", &folder]).await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_project_deploys_with_its_own_parameters() -> Outcome {
    let parent = TempDir::new()?;
    let project = parent.path().join("search");
    new(&project).await?.answer()?;
    let refused = new(&project).await?;
    assert_eq!(refused.status, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("is not empty"), "{refused:?}");

    // The parameters are those of the template, with values that it accepts.
    let config = read(&project.join("samconfig.toml")).await?;
    let deploy = &config["prod"]["deploy"]["parameters"];
    let given: Vec<(String, String)> = deploy["parameter_overrides"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|it| it.as_str()?.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let given: Vec<(&str, &str)> = given
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    assert!(given.len() > 1, "{config}");
    let template = Template::expanded().await?;
    template.stack(&given)?;
    assert_eq!(template.refusals(&given)?, [""; 0]);

    // The steps of the workflow that can be run here: `sam deploy` in the checkout of Rappel, up to the change set.
    let workflow = read(&project.join(".github/workflows/deploy.yml")).await?;
    let steps = workflow["jobs"]["deploy"]["steps"]
        .as_array()
        .context("steps")?;
    let runs: Vec<&str> = steps
        .iter()
        .filter_map(|step| step["run"].as_str())
        .collect();
    let checkout = project.join("rappel");
    fs::create_dir_all(checkout.join(".aws-sam/build"))?;
    let workspace = &Assets::prepared().await?.workspace;
    fs::copy(
        workspace.join("template.yaml"),
        checkout.join("template.yaml"),
    )?;
    lay_small(workspace, &checkout.join(".aws-sam/build"))?;
    let sam = runs.iter().find(|run| run.starts_with("sam deploy"));
    let sam: Vec<&str> = sam
        .context("it deploys")?
        .split_whitespace()
        .skip(1)
        .collect();
    let account = Account::open().await?;
    let mut command = account.command("sam").await?;
    command
        .args(sam)
        .arg("--no-execute-changeset")
        .current_dir(&checkout);
    let said = Tools::run(&mut command).await?;
    assert!(said.contains("Changeset created successfully"), "{said}");
    for own in ["rappel-prod", given[0].1] {
        assert!(said.contains(own), "{own}: {said}");
    }

    // What is installed, built and checked is there, and the role may be created.
    for (part, file) in [
        ("pip install --no-deps -r ", "tests/deploy/requirements.txt"),
        ("cargo run -- check", "cli/src/check.rs"),
    ] {
        assert!(runs.iter().any(|run| run.contains(part)), "{runs:?}");
        assert!(workspace.join(file).is_file(), "{file}");
    }
    let stack = config["prod"]["global"]["parameters"]["stack_name"].as_str();
    let stack = stack.context("a stack")?;
    let checks = steps.last().context("a last step")?;
    assert_eq!(checks["env"]["STACK"], stack);
    let role = project.join("deployer.yaml");
    let lint = Tools::installed()
        .await?
        .command("cfn-lint")
        .arg(&role)
        .output()
        .await?;
    assert!(lint.status.success(), "{lint:?}");
    let role = fs::read_to_string(&role)?;
    assert!(role.contains(&format!("Default: {stack}\n")), "{stack}");

    // It may create whatever the template has.
    for kind in template.types().filter(|kind| kind.starts_with("AWS::")) {
        let service = kind.split("::").nth(1).context("a service")?.to_lowercase();
        let service = service.trim_end_matches("v2");
        let right = if service == "waf" { "wafv2" } else { service };
        assert!(role.contains(&format!("{right}:")), "{kind}");
    }
    // A failed first deploy is not in the way of the next one.
    let repository = read(&workspace.join("samconfig.toml")).await?;
    for environment in [
        &config["prod"],
        &repository["default"],
        &repository["dev"],
        &repository["prod"],
    ] {
        assert_eq!(environment["deploy"]["parameters"]["on_failure"], "DELETE");
    }

    variables_are_documented(workspace, &project)
}

fn variables_are_documented(workspace: &Path, project: &Path) -> Outcome {
    let mut documented = String::new();
    for page in ["docs/configuration.md", "docs/chat.md"] {
        documented += &fs::read_to_string(workspace.join(page))?;
    }
    let variables = fs::read_to_string(project.join(".env.example"))?;
    for line in variables.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split('=').next().unwrap_or_default();
        assert!(documented.contains(name), "{name}");
    }
    Ok(())
}
