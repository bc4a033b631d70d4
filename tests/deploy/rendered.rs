//! A stack's functions as processes: each is started with the environment and the memory of its own resource alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, Permissions},
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use servers::skip::skipped;
use tempfile::TempDir;
use tests::{
    App, Assets, Imports,
    cloudformation::{Stack, Template},
    document_path,
};

use crate::Outcome;

/// The product as a stack has it, on an empty database without schema.
pub(crate) struct Rendered {
    pub(crate) app: App,
    pub(crate) imports: Imports,
    pub(crate) stack: Stack,
    /// By binary. They outlive the processes.
    limits: BTreeMap<String, Limit>,
    _programs: TempDir,
}

/// What Lambda sets, and what directs requests to moto instead of AWS. Everything else is in the resource.
const OF_LAMBDA: [&str; 16] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_SQS",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_FORMAT",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "LAMBDA_TASK_ROOT",
    "PATH",
];

/// Of a stack with these no function is missing.
const ALL: [(&str, &str); 2] = [("ChatEndpoint", "rest"), ("Authorization", "jwt")];

impl Rendered {
    /// Starts the functions of a stack with these parameters. `variables` take the place of values that only AWS has: an
    /// ARN, a name that is not chosen yet, a file of the layer.
    pub(crate) async fn start(
        parameters: &[(&str, &str)],
        variables: Vec<(String, String)>,
    ) -> Result<Self> {
        let template = Template::expanded().await?;
        let (stack, all) = (template.stack(parameters)?, template.stack(&ALL)?);
        let binaries = &Assets::prepared().await?.binaries;
        let programs = TempDir::new()?;
        let mut limits = BTreeMap::new();
        for (id, resource) in &all {
            let Some(binary) = binary(resource) else {
                continue;
            };
            let program = match stack.get(id) {
                Some(resource) => {
                    let limit = Limit::of(binary, megabytes(resource)?)?;
                    let program = program(&resource["Properties"], &limit, &binaries.join(binary));
                    limits.insert(binary.to_owned(), limit);
                    program?
                }
                None => "echo this stack does not have it >&2; exit 1".to_owned(),
            };
            let file = programs.path().join(binary);
            fs::write(&file, format!("#!/bin/sh\n{program}\n"))?;
            fs::set_permissions(&file, Permissions::from_mode(0o755))?;
        }
        let (app, imports) = App::with_programs(programs.path(), variables).await?;
        Ok(Self {
            app,
            imports,
            stack,
            limits,
            _programs: programs,
        })
    }

    /// Has each function do what it is for, and fails if one was not started.
    pub(crate) async fn works(&self) -> Outcome {
        let app = &self.app;
        app.ingest_samples(&["sante-migraine", "library-late-returns"])
            .await?;
        let hits = app
            .hits(json!({ "query": "soulager une migraine" }))
            .await?;
        assert_eq!(hits[0]["document_id"], "sante-migraine");
        for (path, query) in [
            ("/", &[][..]),
            ("/keys", &[]),
            ("/sources", &[]),
            (&document_path("sante-migraine"), &[]),
            ("/health", &[("deep", "true")]),
        ] {
            let answer = app.get(path, query).await?;
            assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        }
        let line = json!({ "id": "a", "content": "Le port dort." }).to_string();
        let import = app
            .import(&self.imports.put("a.jsonl", line).await?)
            .await?;
        let import = app.finished(&import).await?;
        assert_eq!(import["documents"]["done"], 1, "{import}");
        app.invoke("sync", json!({})).await?;

        let idle: BTreeSet<&String> = self
            .limits
            .keys()
            .filter(|binary| app.sandboxes(binary).is_empty())
            .collect();
        assert!(idle.is_empty(), "not started: {idle:?}");
        for (binary, limit) in &self.limits {
            limit.tell(binary);
        }
        Ok(())
    }
}

/// The binary of a function whose code is of this repository.
fn binary(resource: &Value) -> Option<&str> {
    // SAM copies the metadata to a function's URL and its like.
    let is_function = resource["Type"] == "AWS::Lambda::Function";
    let binary = resource["Metadata"]["BuildProperties"]["Binary"].as_str();
    binary.filter(|_| is_function)
}

fn megabytes(resource: &Value) -> Result<u64> {
    let memory = &resource["Properties"]["MemorySize"];
    memory.as_u64().context("a function has a memory size")
}

/// The script that starts `binary` as Lambda starts the function.
fn program(properties: &Value, limit: &Limit, binary: &Path) -> Result<String> {
    let inherited = OF_LAMBDA.map(|name| format!("{name}=\"${name}\""));
    let mut words: Vec<String> = inherited.into();
    words.push(format!(
        "_HANDLER={}",
        quoted(properties["Handler"].as_str().context("a handler")?)
    ));
    let variables = properties["Environment"]["Variables"].as_object();
    for (name, value) in variables.into_iter().flatten() {
        let value = value.as_str().context("a variable is a text")?;
        let only_on_aws =
            value.contains("${") || value.starts_with("arn:") || value.starts_with("/opt/");
        words.push(if only_on_aws {
            format!("{name}=\"${{{name}:-https://on-aws.example.org/}}\"")
        } else {
            format!("{name}={}", quoted(value))
        });
    }
    let (enter, launch) = limit.shell();
    Ok(format!(
        "{enter}exec {launch}env -i {} {}",
        words.join(" "),
        quoted(&binary.display().to_string())
    ))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A limit on the memory of a function, as Lambda's: a control group, or else a limit on the data of each process, which
/// counts what is allocated rather than what is used.
enum Limit {
    Group(PathBuf),
    Data(u64),
    None,
}

impl Limit {
    fn of(name: &str, megabytes: u64) -> Result<Self> {
        let bytes = megabytes * 1024 * 1024;
        let cause = match group(name, bytes) {
            Ok(folder) => return Ok(Self::Group(folder)),
            Err(cause) => cause,
        };
        let mut prlimit = Command::new("prlimit");
        prlimit.arg(format!("--data={bytes}")).arg("true");
        if prlimit.status().is_ok_and(|status| status.success()) {
            return Ok(Self::Data(bytes));
        }
        skipped(&format!(
            "the limit on memory: {cause:#}, and there is no prlimit"
        ))?;
        Ok(Self::None)
    }

    /// What a shell runs first, and what comes before the program.
    fn shell(&self) -> (String, String) {
        match self {
            Self::Group(folder) => {
                let processes = quoted(&folder.join("cgroup.procs").display().to_string());
                (format!("echo $$ > {processes} || exit 1; "), String::new())
            }
            Self::Data(bytes) => (String::new(), format!("prlimit --data={bytes} -- ")),
            Self::None => (String::new(), String::new()),
        }
    }

    /// Prints the most that was used.
    fn tell(&self, binary: &str) {
        let Self::Group(folder) = self else {
            return;
        };
        let peaks = ["memory.peak", "memory.max_usage_in_bytes"];
        let peak = peaks
            .iter()
            .find_map(|file| fs::read_to_string(folder.join(file)).ok());
        let peak = peak.and_then(|bytes| bytes.trim().parse::<u64>().ok());
        // A closed stderr is not an error.
        let _ = writeln!(
            io::stderr(),
            "{binary}: at most {} MB, without files that others have read before",
            peak.unwrap_or_default() / 1024 / 1024
        );
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        if let Self::Group(folder) = self {
            // It is empty: its processes have ended before.
            let _ = fs::remove_dir(folder);
        }
    }
}

/// A control group for this many bytes.
fn group(name: &str, bytes: u64) -> Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("rappel-{}-{number}-{name}", process::id());
    let root = Path::new("/sys/fs/cgroup");
    // Version 2 has `cgroup.controllers` at its root; version 1 a folder per controller.
    let (folder, file) = if root.join("cgroup.controllers").exists() {
        (root.join(name), "memory.max")
    } else {
        (root.join("memory").join(name), "memory.limit_in_bytes")
    };
    fs::create_dir(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let limited = fs::write(folder.join(file), bytes.to_string());
    if limited.is_err() {
        let _ = fs::remove_dir(&folder);
    }
    limited.with_context(|| format!("cannot limit the memory of {}", folder.display()))?;
    Ok(folder)
}

#[test]
fn a_program_beyond_its_memory_fails() -> Outcome {
    let limit = Limit::of("check", 128)?;
    if matches!(limit, Limit::None) {
        return Ok(());
    }
    let (enter, launch) = limit.shell();
    let run = |megabytes: u32| -> Result<bool> {
        let python = format!("{enter}exec {launch}python3 -c 'b\"x\" * ({megabytes} << 20)'");
        let output = Command::new("sh").arg("-c").arg(python).output()?;
        Ok(output.status.success())
    };
    ensure!(run(16)?, "a small program runs");
    ensure!(!run(512)?, "a large one ran");
    Ok(())
}
