//! Documents of files that are gone.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    path::Path,
    sync::Arc,
};

use anyhow::ensure;
use database::Database;
use document_store::{Deletion, DocumentId, Expected, PageRequest, Visibility};
use serde_json::{Value, json, value::to_raw_value};

use super::found::{Finds, id};
use crate::deployment::all_pages;

/// The folders whose documents may be deleted, and the ids of the files that they have.
pub(super) struct Present {
    folders: BTreeMap<Arc<str>, HashSet<String>>,
    /// Folders, and paths below them, of links behind which files were not seen: the drive may not be mounted.
    unseen: Vec<(Arc<str>, String)>,
    /// Whether all documents of a folder may be deleted.
    all: bool,
}

/// A page of the documents that are stored for a folder.
pub(super) struct StoredPage {
    /// Ids, each with the `path` in its metadata.
    pub(super) documents: Vec<(String, String)>,
    /// The cursor of the next page.
    pub(super) next: Option<String>,
}

impl Present {
    /// The files of whole folders, also those that cannot be read.
    pub(super) fn of(finds: &Finds, all: bool) -> anyhow::Result<Self> {
        ensure!(
            !finds.folders.is_empty(),
            "--delete needs a folder as source: it deletes the documents of files that the folder no longer has"
        );
        ensure!(
            finds.unreadable.is_empty(),
            "--delete needs to list the whole folder: {}",
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
        let unseen = finds
            .links
            .iter()
            .map(|link| (Arc::clone(&link.folder), link.below.clone()))
            .collect();
        Ok(Self {
            folders,
            unseen,
            all,
        })
    }

    /// Of the `stored` ids of a folder, each with the `path` in its metadata, those whose files are gone. A document
    /// belongs to the folder only if its id follows from that path. One behind a link that cannot be followed stays.
    fn gone(&self, folder: &str, stored: Vec<(String, String)>) -> anyhow::Result<Vec<String>> {
        let Some(present) = self.folders.get(folder) else {
            return Ok(Vec::new());
        };
        let own = stored
            .into_iter()
            .filter(|(stored, path)| *stored == id(folder, path) && self.is_seen(folder, path));
        let (kept, gone): (BTreeSet<String>, BTreeSet<String>) =
            own.map(|(id, _)| id).partition(|id| present.contains(id));
        ensure!(
            self.all || gone.is_empty() || !kept.is_empty(),
            "the folder {folder:?} has none of the {} files whose documents are stored for it: it may be another folder \
             of that name, or not mounted. Nothing was deleted; --delete-all deletes them",
            gone.len()
        );
        Ok(gone.into_iter().collect())
    }

    fn is_seen(&self, folder: &str, path: &str) -> bool {
        !self
            .unseen
            .iter()
            .any(|(name, link)| &**name == folder && Path::new(path).starts_with(link))
    }

    /// The ids of the documents of files that are gone. `page` reads a page of the documents of a folder, from a cursor on.
    /// It is called before anything is stored: afterwards, a new file would show a folder to be the one that it is not.
    pub(super) async fn gone_from(
        &self,
        page: impl AsyncFn(&str, Option<String>) -> anyhow::Result<StoredPage>,
    ) -> anyhow::Result<Vec<String>> {
        let mut gone = Vec::new();
        for folder in self.folders.keys() {
            let stored = async |cursor: Option<String>| {
                let page = page(folder, cursor).await?;
                anyhow::Ok((page.documents, page.next))
            };
            gone.extend(self.gone(folder, all_pages(stored).await?)?);
        }
        Ok(gone)
    }
}

impl StoredPage {
    /// Reads a page from a database.
    pub(super) async fn read(
        database: &Database,
        visibility: &Visibility,
        folder: &str,
        cursor: Option<String>,
    ) -> anyhow::Result<Self> {
        let request = PageRequest {
            cursor,
            limit: Some(100),
            filter: Some(to_raw_value(&json!({ "folder": folder }))?),
            count: Some("none".to_owned()),
            metadata_fields: Some(vec!["path".to_owned()]),
            ..PageRequest::default()
        };
        let page = request.parse()?.read(database, visibility).await?;
        let mut documents = Vec::new();
        for document in page.documents {
            let metadata: Value = serde_json::from_str(document.metadata.get())?;
            if let Some(path) = metadata["path"].as_str() {
                documents.push((document.id, path.to_owned()));
            }
        }
        Ok(Self {
            documents,
            next: page.next_cursor,
        })
    }
}

/// Deletes the documents, and returns how many of them were there.
pub(super) async fn delete(
    database: &Database,
    visibility: &Visibility,
    ids: &[String],
) -> anyhow::Result<u64> {
    let mut deleted = 0;
    for id in ids {
        let id = DocumentId::parse(id, "id")?;
        let deletion =
            document_store::delete(database, visibility, &id, &Expected::Anything).await?;
        deleted += u64::from(deletion == Deletion::Deleted);
    }
    Ok(deleted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn present(ids: &[&str], all: bool) -> Present {
        let ids = ids.iter().map(|&id| id.to_owned()).collect();
        Present {
            folders: [("docs".into(), ids)].into(),
            unseen: vec![
                ("docs".into(), "nas".to_owned()),
                ("other".into(), "b.md".to_owned()),
            ],
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
            ("docs/nas/e.md", "nas/e.md"),
            ("docs/nas", "nas"),
            ("docs/nas.md", "nas.md"),
        ]);
        let gone = present(&["docs/a.md"], false).gone("docs", stored);
        assert_eq!(gone.expect("one is there"), ["docs/b.md", "docs/nas.md"]);
    }

    #[test]
    fn a_folder_without_any_of_its_files_may_be_another_one() {
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
