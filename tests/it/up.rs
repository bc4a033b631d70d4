//! `rappel up`: it serves until Ctrl-C, and keeps what it has.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::command::{open_folder, rappel, write_lines};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout},
    time::timeout,
};

use crate::{Outcome, command::corpus, imports_command::import_file};

/// Nothing here takes a tenth of it.
const HANG: Duration = Duration::from_mins(5);

/// A running `rappel up`.
pub(crate) struct Up {
    process: Option<Child>,
    /// What it printed until it served.
    pub(crate) printed: String,
    /// Where it serves.
    pub(crate) url: String,
    /// The rest of its output: with nobody to read it, the last words would fail.
    _lines: Lines<BufReader<ChildStdout>>,
}

impl Up {
    /// Starts it on any free port and waits until it serves.
    pub(crate) async fn start(database_url: Option<&str>, options: &[&str]) -> Result<Self> {
        let arguments = [&["up", "--port", "0"], options].concat();
        let mut process = rappel(database_url, &arguments)
            .await?
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting rappel up")?;
        let mut lines = BufReader::new(process.stdout.take().context("its stdout")?).lines();
        let serving = async {
            let (mut printed, mut url) = (String::new(), None);
            while let Some(line) = lines.next_line().await? {
                printed.push_str(&line);
                printed.push('\n');
                if let Some(rest) = line.strip_prefix("Serving on ") {
                    url = rest.split(' ').next().map(str::to_owned);
                }
                if line.contains("/health?deep=true") {
                    return anyhow::Ok((printed, url.context("it says where")?));
                }
            }
            anyhow::bail!("rappel up ended: {printed}")
        };
        let (printed, url) = timeout(HANG, serving)
            .await
            .context("rappel up does not serve")??;
        Ok(Self {
            process: Some(process),
            printed,
            url,
            _lines: lines,
        })
    }

    /// Ends it with Ctrl-C, and answers what it said meanwhile.
    pub(crate) async fn stop(&mut self) -> Result<String> {
        let process = self.process.take().context("it runs")?;
        let pid = process.id().context("it runs")?.to_string();
        let status = Command::new("kill").args(["-INT", &pid]).status()?;
        ensure!(status.success(), "kill -INT {pid}: {status}");
        let output = timeout(HANG, process.wait_with_output())
            .await
            .context("rappel up does not stop")??;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{said}");
        Ok(said)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn up_serves_until_ctrl_c_and_the_next_one_keeps_the_documents() -> Outcome {
    let folder = open_folder()?;
    let data = folder.path().join("data").display().to_string();
    let file = write_lines(folder.path(), "two.jsonl", &corpus(2))?;
    let root = folder.path().display().to_string();
    for (run, samples) in [("first", true), ("second", false)] {
        let options = ["--data", &data, "--import-root", &root];
        let mut up = Up::start(None, &options).await?;
        let (printed, url) = (up.printed.clone(), up.url.clone());
        assert!(
            printed.starts_with("\nQue faire") && printed.contains("\n1. "),
            "the {run} run prints a search, and no log: {printed}"
        );
        let page: serde_json::Value = reqwest::get(format!("{url}/documents?limit=100"))
            .await?
            .json()
            .await?;
        let count = page["documents"].as_array().map(Vec::len);
        assert_eq!(count, Some(if samples { 60 } else { 62 }), "the {run} run");
        let done = timeout(HANG, import_file(&url, &file))
            .await
            .context("rappel up serves no imports")??;
        assert_eq!(
            (&done["state"], &done["documents"]["done"]),
            (&json!("done"), &json!(2)),
            "the {run} run: {done}"
        );

        let said = up.stop().await?;
        assert_eq!(
            said.contains("imported 60 sample documents"),
            samples,
            "the {run} run: {said}"
        );
        assert!(
            std::net::TcpStream::connect(url.replace("http://", "")).is_err(),
            "the port is free again"
        );
        ensure!(
            no_process_mentions(&data)?,
            "a process of the {run} run is left"
        );
    }
    Ok(())
}

/// Whether no process has `text` in its command line.
fn no_process_mentions(text: &str) -> Result<bool> {
    let found = Command::new("ps")
        .args(["-eo", "args"])
        .output()
        .context("running ps")?;
    Ok(!String::from_utf8_lossy(&found.stdout).contains(text))
}
