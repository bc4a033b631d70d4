//! What the sources of an import are: one file of documents, or folders and files that are a document each.

use std::{
    fs::File,
    io, mem,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::ensure;
use clap::Args;
use document_store::Prepared;
use extract::{Format, Limits, Sandbox};
use indicatif::ProgressBar;
use records::Lines;

use super::{files::Files, found::Finds, gone::Present, opened, place::Place, tally::Tally};

/// Options for folders, and files that are a document each.
#[derive(Args)]
pub(super) struct FolderArgs {
    /// The first part of the ids of files, and `folder` in their metadata; the folder's own name by default.
    #[arg(long)]
    name: Option<String>,
    /// Delete the documents of files that the folder no longer has: those with its name as `folder` in their metadata,
    /// and a `path` from which their id follows.
    #[arg(long)]
    delete: bool,
    /// Like --delete, also if the folder has none of the files whose documents are stored.
    #[arg(long)]
    delete_all: bool,
}

/// What is imported.
#[expect(clippy::large_enum_variant, reason = "an import has one")]
pub(super) enum Input {
    /// A file with a document on each line, stdin, or an object of S3.
    Records(PathBuf),
    /// Files in any format.
    Documents(Documents),
}

/// Files in any format, and the report of an import of them.
pub(super) struct Documents {
    pub(super) files: Files,
    pub(super) bar: ProgressBar,
    pub(super) tally: Arc<Tally>,
    /// The files that the folders have, if the documents of others are deleted.
    pub(super) present: Option<Present>,
}

impl Input {
    /// Finds the files of `sources`.
    pub(super) fn of(sources: &[PathBuf], args: &FolderArgs) -> anyhow::Result<Self> {
        let Some(file) = records(sources) else {
            return Documents::of(sources, args).map(Self::Documents);
        };
        ensure!(
            args.name.is_none() && !args.deletes(),
            "{} has a document on each line: --name, --delete and --delete-all are for folders",
            file.display()
        );
        Ok(Self::Records(file.to_owned()))
    }
}

impl Documents {
    fn of(sources: &[PathBuf], args: &FolderArgs) -> anyhow::Result<Self> {
        ensure!(
            !sources.contains(&PathBuf::from("-")),
            "- is imported alone: stdin has a document on each line"
        );
        let mut finds = Finds::look(sources, args.name.as_deref())?;
        let present = args
            .deletes()
            .then(|| Present::of(&finds, args.delete_all))
            .transpose()?;
        ensure!(
            !finds.files.is_empty() || args.delete_all,
            "no file to import was found: the formats are Markdown, HTML, text, PDF, DOCX, JSON lines, JSON and CSV, by \
             extension; hidden files and what a .gitignore excludes are left out"
        );
        let sandbox = Sandbox::of_this_program(Limits::default())?;
        let bar = opened::file_bar(finds.files.len());
        let tally = Arc::new(Tally::default());
        for (folder, reason) in mem::take(&mut finds.unreadable) {
            tally.bad(Place::file(folder.into()), reason, &bar);
        }
        for link in mem::take(&mut finds.links) {
            tally.bad(Place::file(link.folder), link.reason, &bar);
        }
        tally.skipped(mem::take(&mut finds.skipped));
        Ok(Self {
            files: Files::new(finds.files, sandbox, bar.clone()),
            bar,
            tally,
            present,
        })
    }
}

impl FolderArgs {
    fn deletes(&self) -> bool {
        self.delete || self.delete_all
    }
}

/// The one source that has a document on each line, or an extension of an unknown format.
fn records(sources: &[PathBuf]) -> Option<&Path> {
    let [source] = sources else {
        return None;
    };
    let is_object = source == Path::new("-") || source.starts_with("s3://");
    let has_format = match Format::of_path(source) {
        Some(Format::Text) => !begins_with_a_document(source),
        format => format.is_some(),
    };
    let is_file = source.exists() && !source.is_dir() && !has_format;
    (is_object || is_file).then_some(source)
}

/// Whether a text file has a document on each line, such as the rows of a spreadsheet: its first line is one.
fn begins_with_a_document(path: &Path) -> bool {
    let text = File::open(path).and_then(|file| records::open_text(file).map_err(io::Error::other));
    let first = text
        .ok()
        .and_then(|text| Lines::new(text).next()?.ok()?.text.ok());
    first.is_some_and(|line| Prepared::read(&line).is_ok())
}
