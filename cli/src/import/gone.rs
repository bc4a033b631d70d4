//! Documents of files that are gone.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    path::Path,
    sync::Arc,
};

use anyhow::{Context as _, ensure};
use database::{Database, Statement};
use document_store::DocumentId;
use serde_json::json;

use super::found::{Finds, id};

/// The folders whose documents are looked through, and the files that are there.
pub(super) struct Present {
    folders: BTreeMap<Arc<str>, HashSet<String>>,
    /// Whether all documents of a folder may be deleted.
    all: bool,
}

impl Present {
    /// What is there of whole folders: a file that cannot be read is there as well.
    pub(super) fn of(finds: &Finds, all: bool) -> anyhow::Result<Self> {
        ensure!(
            !finds.folders.is_empty(),
            "--delete needs a folder: it deletes the documents of files that the folder no longer has"
        );
        ensure!(
            finds.unreadable.is_empty(),
            "--delete needs to see all of the folder: {}",
            finds.unreadable[0].1
        );
        let mut folders: BTreeMap<Arc<str>, HashSet<String>> = BTreeMap::new();
        for folder in &finds.folders {
            folders.insert(Arc::clone(folder), HashSet::new());
        }
        for file in &finds.files {
            if let Some(ids) = folders.get_mut(&file.folder) {
                ids.insert(file.id.clone());
            }
        }
        Ok(Self { folders, all })
    }

    /// The names of the folders.
    pub(super) fn folders(&self) -> impl Iterator<Item = &str> {
        self.folders.keys().map(AsRef::as_ref)
    }

    /// The ids among the `stored` ones of a folder, each with the path in its metadata, whose files are gone. A
    /// document is the folder's only if that path makes its id.
    pub(super) fn gone(
        &self,
        folder: &str,
        stored: Vec<(String, String)>,
    ) -> anyhow::Result<Vec<String>> {
        let Some(present) = self.folders.get(folder) else {
            return Ok(Vec::new());
        };
        let own = stored
            .into_iter()
            .filter(|(stored, path)| *stored == id(folder, Path::new(path)));
        let (kept, gone): (BTreeSet<String>, BTreeSet<String>) =
            own.map(|(id, _)| id).partition(|id| present.contains(id));
        ensure!(
            self.all || gone.is_empty() || !kept.is_empty(),
            "none of the {} files whose documents are stored for the folder {folder:?} is there: it may be another \
             folder of that name, or not be mounted. Nothing was deleted; --delete-all deletes them",
            gone.len()
        );
        Ok(gone.into_iter().collect())
    }

    /// Deletes the documents of files that are gone, and answers how many.
    pub(super) async fn delete(&self, database: &Database) -> anyhow::Result<u64> {
        let mut deleted = 0;
        for folder in self.folders() {
            let statement = Statement::read(
                "SELECT d.id, d.metadata ->> 'path' FROM rappel.documents AS d
                 WHERE d.metadata @> $1::text::jsonb AND d.metadata ->> 'path' IS NOT NULL",
            )
            .bind(json!({ "folder": folder }).to_string());
            let stored: Vec<(String, String)> = database.fetch_all(statement).await?;
            for id in self.gone(folder, stored)? {
                let id = DocumentId::parse(&id, "id")
                    .ok()
                    .context("a stored id is valid")?;
                deleted += u64::from(document_store::delete(database, &id).await?);
            }
        }
        Ok(deleted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn present(ids: &[&str], all: bool) -> Present {
        let ids = ids.iter().map(|&id| id.to_owned()).collect();
        Present {
            folders: [("docs".into(), ids)].into(),
            all,
        }
    }

    fn stored(documents: &[(&str, &str)]) -> Vec<(String, String)> {
        let pair = |&(id, path): &(&str, &str)| (id.to_owned(), path.to_owned());
        documents.iter().map(pair).collect()
    }

    #[test]
    fn only_documents_of_the_folders_own_files_are_gone() {
        let stored = stored(&[
            ("docs/a.md", "a.md"),
            ("docs/b.md", "b.md"),
            ("another", "c.md"),
            ("docs/d.md", "elsewhere.md"),
        ]);
        let gone = present(&["docs/a.md"], false).gone("docs", stored);
        assert_eq!(gone.expect("one is there"), ["docs/b.md"]);
    }

    #[test]
    fn a_folder_that_has_none_of_its_files_is_taken_for_another() {
        let stored = stored(&[("docs/a.md", "a.md")]);
        let error = present(&[], false)
            .gone("docs", stored.clone())
            .expect_err("all are gone");
        assert!(error.to_string().contains("--delete-all"), "{error}");
        assert_eq!(
            present(&[], true).gone("docs", stored).expect("allowed"),
            ["docs/a.md"]
        );
        assert!(
            present(&[], false)
                .gone("docs", Vec::new())
                .expect("nothing stored")
                .is_empty()
        );
    }
}
