//! Bulk imports: passages a second, memory, the index, against ONNX Runtime alone on the same texts.

use std::{
    fs,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use database::{Database, Statement};
use embedder::ModelConfig;
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::process::Command;

use crate::{
    database::{Scratch, number},
    process::peak_memory,
};

/// How often the import's memory is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Documents that a bulk load is measured with.
pub(crate) struct Bulk<'a> {
    /// The command `rappel`.
    pub(crate) rappel: &'a Path,
    /// The program `bench-probe`.
    pub(crate) probe: &'a Path,
    pub(crate) model: &'a ModelConfig,
    /// The model as the command is told it: a name or a folder.
    pub(crate) model_name: &'a str,
    /// Where files may be written.
    pub(crate) folder: &'a Path,
}

/// One import.
#[derive(Clone, Debug, Serialize)]
pub struct Import {
    /// Documents of its file.
    pub documents: u64,
    /// Passages that they were split into.
    pub passages: u64,
    /// Seconds of loading, with the models' start.
    pub loading_s: f64,
    /// Seconds of building the index.
    pub indexing_s: f64,
    /// Passages a second while it loaded.
    pub rate: f64,
    /// Peak memory of the command in megabytes.
    pub memory_mb: f64,
    /// Bytes of the index.
    pub index_bytes: i64,
    /// Passages a second of ONNX Runtime alone: the same texts, tokenized before, a session of one
    /// thread on every core; `null` where that could not be measured.
    pub raw_rate: Option<f64>,
    /// Threads that embedded.
    pub threads: usize,
}

/// What `rappel import --json` prints.
#[derive(Deserialize)]
struct Imported {
    documents: u64,
    chunks: u64,
    loading_s: f64,
    indexing_s: f64,
}

impl Bulk<'_> {
    /// Imports `count` documents of `source` into an empty database on the server of `scratch`.
    pub(crate) async fn measure(
        &self,
        source: &Database,
        scratch: &Scratch,
        count: usize,
        progress: &ProgressBar,
    ) -> Result<Import> {
        let file = self.write(source, count).await?;
        let empty = Scratch::empty(&scratch.config, "rappel_bench_import").await?;
        let outcome = self.import(&empty, &file, progress).await;
        empty.drop().await?;
        outcome
    }

    async fn import(&self, empty: &Scratch, file: &Path, progress: &ProgressBar) -> Result<Import> {
        let (imported, memory) = self.run_command(empty, file).await?;
        progress.inc(1);
        let database = empty.open()?;
        let index = "SELECT pg_relation_size('rappel.chunks_embedding_hnsw')";
        let index_bytes = number(&database, index).await?;
        let passages = Statement::read(
            "SELECT d.title, c.content FROM rappel.chunks AS c JOIN rappel.documents AS d ON d.id = c.document_id",
        );
        let passages: Vec<(String, String)> = database.fetch_all(passages).await?;
        database.close().await;
        ensure!(
            passages.len() as u64 == imported.chunks,
            "the import lost passages"
        );
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let raw_rate = self.raw_rate(&passages, threads).await?;
        progress.inc(1);
        Ok(Import {
            documents: imported.documents,
            passages: imported.chunks,
            loading_s: imported.loading_s,
            indexing_s: imported.indexing_s,
            rate: imported.chunks as f64 / imported.loading_s,
            memory_mb: memory as f64 / 1e6,
            index_bytes,
            raw_rate,
            threads,
        })
    }

    /// Runs `rappel import`; its answer, and its peak memory in bytes.
    async fn run_command(&self, empty: &Scratch, file: &Path) -> Result<(Imported, u64)> {
        let mut command = Command::new(self.rappel);
        command
            .arg("import")
            .arg("--json")
            .arg(file)
            .args(["--model", self.model_name])
            .env("DATABASE_URL", &empty.config.url)
            .env("DATABASE_POOLER", "direct")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let process = command.spawn().context("rappel import cannot be started")?;
        let id = process.id().context("it has just started")?;
        let mut memory = 0;
        let mut output = std::pin::pin!(process.wait_with_output());
        let output = loop {
            tokio::select! {
                output = &mut output => break output?,
                () = tokio::time::sleep(LOOK) => memory = memory.max(peak_memory(id).unwrap_or_default()),
            }
        };
        ensure!(
            output.status.success(),
            "rappel import failed: run it by hand on {}",
            file.display()
        );
        let imported = serde_json::from_slice(&output.stdout)
            .context("rappel import --json printed no JSON")?;
        Ok((imported, memory))
    }

    /// Writes documents as JSON lines, those whose ids' hashes come first.
    async fn write(&self, source: &Database, count: usize) -> Result<PathBuf> {
        let statement = Statement::read(
            "SELECT id, title, content FROM rappel.documents ORDER BY md5(id) LIMIT $1",
        )
        .bind(i64::try_from(count)?);
        let documents: Vec<(String, String, String)> = source.fetch_all(statement).await?;
        let path = self.folder.join("import.jsonl");
        let mut file = BufWriter::new(fs::File::create(&path)?);
        for (id, title, content) in documents {
            writeln!(
                file,
                "{}",
                json!({ "id": id, "title": title, "content": content })
            )?;
        }
        file.flush()?;
        Ok(path)
    }

    /// Measured in a process of its own: one process has one environment of ONNX Runtime.
    async fn raw_rate(&self, passages: &[(String, String)], threads: usize) -> Result<Option<f64>> {
        if !self.model.folder.join("tokenizer.json").is_file() {
            return Ok(None);
        }
        let file = self.folder.join("passages.json");
        fs::write(&file, serde_json::to_vec(passages)?)?;
        let mut probe = Command::new(self.probe);
        probe
            .arg("rate")
            .args([&self.model.library, &self.model.folder, &file])
            .arg(threads.to_string())
            .env("ORT_DISABLE_TELEMETRY", "1")
            .kill_on_drop(true);
        let output = probe
            .output()
            .await
            .context("bench-probe cannot be started")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "bench-probe failed: {said}");
        Ok(Some(
            String::from_utf8_lossy(&output.stdout).trim().parse()?,
        ))
    }
}
