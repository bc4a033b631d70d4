//! Parameters that are refused before anything is created, with a message that says what to set instead.

use anyhow::Context as _;
use serde_json::json;
use tests::{Tools, cloudformation::Template};

use crate::Outcome;

const URL: (&str, &str) = (
    "DatabaseUrlArn",
    "arn:aws:ssm:eu-west-3:123456789012:parameter/rappel/database-url",
);
const BARE: (&str, &str) = ("DatabaseUrl", "postgres://db.example.org:5432/rappel");
const RDS: (&str, &str) = (
    "DatabaseCredentialsArn",
    "arn:aws:secretsmanager:eu-west-3:123456789012:secret:rds!db-GhIjKl",
);
const AURORA: (&str, &str) = ("Database", "aurora");
const SUBNETS: [(&str, &str); 2] = [("SubnetIds", "subnet-1"), ("SecurityGroupIds", "sg-1")];
const MODEL: [(&str, &str); 2] = [("LlmBaseUrl", "https://llm.example"), ("LlmModel", "m")];
const TOKENS: [(&str, &str); 3] = [
    ("Authorization", "jwt"),
    ("JwtIssuer", "https://login.example.org/"),
    ("JwtAudience", "rappel"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_combination_is_accepted() -> Outcome {
    let template = Template::expanded().await?;
    let rest = ("ChatEndpoint", "rest");
    for parameters in [
        vec![URL],
        vec![BARE, RDS],
        [vec![URL], SUBNETS.to_vec(), MODEL.to_vec()].concat(),
        [
            vec![URL, rest, ("ChatRequestsPerDay", "100")],
            TOKENS.to_vec(),
        ]
        .concat(),
        vec![AURORA],
        [
            vec![AURORA, rest],
            SUBNETS.to_vec(),
            MODEL.to_vec(),
            TOKENS.to_vec(),
        ]
        .concat(),
        vec![URL, ("SearchRelease", "f00"), ("SearchProvisioned", "2")],
    ] {
        assert_eq!(template.refusals(&parameters)?, [""; 0], "{parameters:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn contradictory_parameters_are_refused_with_the_remedy() -> Outcome {
    let template = Template::expanded().await?;
    for (parameters, words) in [
        (vec![], "give DatabaseUrl or DatabaseUrlArn"),
        (vec![URL, BARE, RDS], "only one of"),
        (vec![BARE], "give DatabaseCredentialsArn with it"),
        (vec![AURORA, URL], "knows where its database is"),
        (
            [vec![AURORA], MODEL.to_vec()].concat(),
            "no route to a language model",
        ),
        (
            [vec![AURORA, ("ChatEndpoint", "rest")], TOKENS.to_vec()].concat(),
            "no route to JwtIssuer",
        ),
        (
            vec![URL, SUBNETS[0]],
            "SubnetIds and SecurityGroupIds together",
        ),
        (vec![URL, MODEL[0]], "LlmBaseUrl and LlmModel together"),
        (
            vec![URL, ("Authorization", "jwt")],
            "JwtIssuer and JwtAudience",
        ),
        (vec![URL, ("ChatRequestsPerDay", "5")], "ChatEndpoint=rest"),
        (vec![URL, ("SearchProvisioned", "1")], "need SearchRelease"),
    ] {
        let refusals = template.refusals(&parameters)?;
        let refused = refusals.iter().any(|refusal| refusal.contains(words));
        assert!(refused, "{parameters:?}: {refusals:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tuning_parameters_reach_the_functions_that_read_them() -> Outcome {
    let stack = Template::expanded().await?.stack(&[
        URL,
        MODEL[0],
        MODEL[1],
        ("LlmPreset", "mistral"),
        ("LlmContextTokens", "32000"),
        ("ChatInstructions", "Answer in rhymes."),
        ("ChatMinRelevance", "0.3"),
        ("SearchSemanticWeight", "0.5"),
        ("SearchRecall", "0.98"),
        ("SearchEffort", "400"),
        ("IndexBuildMemory", "2GB"),
    ])?;
    for (function, variable, value) in [
        ("Chat", "LLM_PRESET", "mistral"),
        ("Chat", "LLM_CONTEXT_TOKENS", "32000"),
        ("Chat", "CHAT_INSTRUCTIONS", "Answer in rhymes."),
        ("Chat", "CHAT_MIN_RELEVANCE", "0.3"),
        ("Chat", "SEARCH_SEMANTIC_WEIGHT", "0.5"),
        ("Search", "SEARCH_SEMANTIC_WEIGHT", "0.5"),
        ("Mcp", "SEARCH_EFFORT", "400"),
        ("Migrate", "SEARCH_RECALL", "0.98"),
        ("Migrate", "INDEX_BUILD_MEMORY", "2GB"),
    ] {
        let given = &stack[function]["Properties"]["Environment"]["Variables"][variable];
        assert_eq!(given, value, "{function}: {variable}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_accept_usable_values_and_refuse_passwords() -> Outcome {
    let template = Template::expanded().await?;
    let mut cases = Vec::new();
    for (parameter, value, fits) in [
        ("DatabaseUrl", "", true),
        (BARE.0, BARE.1, true),
        (
            "DatabaseUrl",
            "postgresql://ada@db.example.org/rappel?sslmode=verify-full",
            true,
        ),
        (
            "DatabaseUrl",
            "postgres://ada:s3cret@db.example.org/rappel",
            false,
        ),
        (
            "DatabaseUrl",
            "postgres://db.example.org/rappel?password=s3cret",
            false,
        ),
        ("DatabaseUrl", "mysql://db.example.org/rappel", false),
        (URL.0, URL.1, true),
        (
            "DatabaseUrlArn",
            "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:db-AbCdEf#url",
            true,
        ),
        ("DatabaseUrlArn", "postgres://db.example.org/rappel", false),
        ("LlmApiKeyArn", "sk-1234", false),
        ("RequestsPerSecond", "100", true),
        ("RequestsPerSecond", "0.5", false),
        ("RequestsPerSecond", "0", false),
        ("ReservedConcurrency", "0", true),
        ("ReservedConcurrency", "2.5", false),
        ("ImportConcurrency", "1", false),
        ("ImportConcurrency", "1000", true),
        ("ImportConcurrency", "1001", false),
        ("DatabaseWakeSeconds", "25", true),
        ("DatabaseWakeSeconds", "26", false),
        ("SearchProvisioned", "-1", false),
        ("SearchRecall", "", true),
        ("SearchRecall", "0.98", true),
        ("SearchRecall", "0.4", false),
        ("SearchEffort", "1000", true),
        ("SearchEffort", "1001", false),
        ("SearchSemanticWeight", "1.5", false),
        ("ChatMinRelevance", "0.25", true),
        ("ChatMinRelevance", "2", false),
        ("LlmContextTokens", "1024", true),
        ("LlmContextTokens", "1023", false),
        ("IndexBuildMemory", "2GB", true),
        ("IndexBuildMemory", "2 gigabytes", false),
        (
            "ChatWebAclArn",
            "arn:aws:wafv2:eu-west-3:123456789012:regional/webacl/mine/1a2b",
            true,
        ),
        (
            "PermissionsBoundaryArn",
            "arn:aws:iam::123456789012:policy/developers",
            true,
        ),
        ("PermissionsBoundaryArn", "developers", false),
    ] {
        let pattern = template.pattern(parameter);
        let pattern = pattern.with_context(|| format!("{parameter} has a pattern"))?;
        cases.push(json!([parameter, pattern, value, fits]));
    }
    // Of Java's and Python's patterns these take the same part.
    let check = "import json, re, sys\nfor name, pattern, value, fits in json.loads(sys.argv[1]):\n    \
                 assert bool(re.search(pattern, value)) == fits, (name, value)";
    let mut python = Tools::installed().await?.command("python");
    python.args(["-c", check, &json!(cases).to_string()]);
    Tools::run(&mut python).await?;
    Ok(())
}
