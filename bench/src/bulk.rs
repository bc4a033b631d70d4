//! Bulk imports: passages per second, memory, index, compared with ONNX Runtime alone on the same texts.

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

/// Sampling interval of the import's memory.
const LOOK: Duration = Duration::from_millis(50);

/// Inputs of a bulk load measurement.
pub(crate) struct Bulk<'a> {
    /// The command `rappel`.
    pub(crate) rappel: &'a Path,
    /// The program `bench-probe`.
    pub(crate) probe: &'a Path,
    pub(crate) model: &'a ModelConfig,
    /// The model argument of the command: a name or a folder.
    pub(crate) model_name: &'a str,
    /// A folder for temporary files.
    pub(crate) folder: &'a Path,
}

/// One import.
#[derive(Clone, Debug, Serialize)]
pub struct Import {
    /// Documents in its file.
    pub documents: u64,
    /// Resulting passages.
    pub passages: u64,
    /// Seconds of loading, including the start of the models.
    pub loading_s: f64,
    /// Seconds of the index build.
    pub indexing_s: f64,
    /// Passages per second while loading.
    pub rate: f64,
    /// Peak memory of the command, in megabytes.
    pub memory_mb: f64,
    /// Size of the index in bytes.
    pub index_bytes: i64,
    /// Passages per second of ONNX Runtime alone: the same texts, already tokenized, with a one-thread session per
    /// core; `null` if it could not be measured.
    pub raw_rate: Option<f64>,
    /// Embedding threads.
    pub threads: usize,
}

/// The output of `rappel import --json`.
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

    /// Runs `rappel import`; returns its output and its peak memory in bytes.
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
        let process = command.spawn().context("cannot start rappel import")?;
        let id = process.id().context("rappel import exited at once")?;
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
            "rappel import failed: run it manually on {}",
            file.display()
        );
        let imported = serde_json::from_slice(&output.stdout)
            .context("the output of rappel import --json is not JSON")?;
        Ok((imported, memory))
    }

    /// Writes documents as JSON lines, chosen by the hash of their ids.
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

    /// Measured in a separate process, because a process has only one ONNX Runtime environment.
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
        let output = probe.output().await.context("cannot start bench-probe")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "bench-probe failed: {said}");
        Ok(Some(
            String::from_utf8_lossy(&output.stdout).trim().parse()?,
        ))
    }
}
