//! The files of paths, folders and patterns.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, bail, ensure};
use document_store::{DocumentId, normalised};
use extract::Format;
use ignore::{WalkBuilder, overrides::OverrideBuilder};

/// A file that is imported.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
    /// The name of its folder.
    pub(super) folder: Arc<str>,
    /// Its path below that folder.
    pub(super) below: String,
    pub(super) id: String,
}

/// What is in a file.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// One document.
    Document(Format),
    /// A document a line, an element or a row.
    Records,
}

/// A symbolic link that leads nowhere, back, or to a folder that cannot be opened. What is behind it was not seen.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) folder: Arc<str>,
    /// Its path below the folder.
    pub(super) below: String,
    pub(super) reason: String,
}

/// Everything that was found.
#[derive(Debug, Default)]
pub(super) struct Finds {
    pub(super) files: Vec<Found>,
    /// The names of the folders that are imported as a whole.
    pub(super) folders: BTreeSet<Arc<str>>,
    /// Folders that cannot be listed, and why.
    pub(super) unreadable: Vec<(String, String)>,
    pub(super) links: Vec<Link>,
    /// Files of other formats, by extension.
    pub(super) skipped: BTreeMap<String, u64>,
}

/// Characters that make a path a pattern.
const PATTERN: [char; 3] = ['*', '?', '['];

impl Finds {
    /// Finds the files of `sources`. Their ids are the name of their folder and their path below it, the same on
    /// every machine. `name` replaces the folder's name.
    pub(super) fn look(sources: &[PathBuf], name: Option<&str>) -> anyhow::Result<Self> {
        let mut finds = Self::default();
        let mut roots: BTreeMap<Arc<str>, PathBuf> = BTreeMap::new();
        for source in sources {
            let text = source.to_string_lossy();
            let (root, pattern) = if source.exists() {
                (source.clone(), None)
            } else if text.contains(PATTERN) {
                let (root, pattern) = divided(source);
                (root, Some(pattern))
            } else {
                bail!("{text} does not exist");
            };
            let cannot = || format!("{} cannot be opened", root.display());
            let real = root.canonicalize().with_context(cannot)?;
            let is_folder = real.is_dir();
            let folder = if is_folder {
                real.as_path()
            } else {
                real.parent().unwrap_or(&real)
            };
            let name: Arc<str> = name.map_or_else(|| named(folder), Into::into);
            let other = roots
                .entry(Arc::clone(&name))
                .or_insert_with(|| folder.to_owned());
            ensure!(
                other.as_path() == folder,
                "{} and {} both have the name {name:?}, with which the ids of their documents begin: import them \
                 separately, each with its own --name",
                other.display(),
                folder.display(),
            );
            if !is_folder {
                finds.file(&root, folder, &real, &name)?;
                continue;
            }
            if pattern.is_none() {
                finds.folders.insert(Arc::clone(&name));
            }
            finds.walk(&root, pattern.as_deref(), &name)?;
        }
        finds.files.sort_by(|a, b| a.id.cmp(&b.id));
        finds.files.dedup_by(|a, b| a.path == b.path);
        Ok(finds)
    }

    /// A file that is a source itself is an error if its format is not known.
    fn file(
        &mut self,
        path: &Path,
        folder: &Path,
        real: &Path,
        name: &Arc<str>,
    ) -> anyhow::Result<()> {
        let kind = kind(path).with_context(|| {
            format!(
                "{} has an unknown format: the formats are Markdown, HTML, text, PDF, DOCX, JSON lines, JSON and CSV, \
                 by extension",
                path.display()
            )
        })?;
        let below = real.strip_prefix(folder).unwrap_or(real);
        self.add(path, kind, name, below);
        Ok(())
    }

    /// Finds the files of a folder, except hidden ones and what a .gitignore excludes.
    fn walk(&mut self, root: &Path, pattern: Option<&str>, name: &Arc<str>) -> anyhow::Result<()> {
        let mut walk = WalkBuilder::new(root);
        // Files outside the folder, and settings of this machine, are ignored: the same folder has the same files anywhere.
        walk.parents(false)
            .git_global(false)
            .git_exclude(false)
            .require_git(false)
            .follow_links(true);
        let mut only = OverrideBuilder::new(root);
        only.add(&format!("/{}", pattern.unwrap_or("**")))
            .with_context(|| format!("{} is not a pattern", pattern.unwrap_or_default()))?;
        // Not an override of the walk, which would take precedence over a .gitignore.
        let only = only.build()?;
        for entry in walk.build() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    let reason = error.to_string();
                    match link(&error) {
                        Some(path) => self.links.push(Link {
                            folder: Arc::clone(name),
                            below: text(path.strip_prefix(root).unwrap_or(path)),
                            reason,
                        }),
                        None => self.unreadable.push((name.to_string(), reason)),
                    }
                    continue;
                }
            };
            if !entry.file_type().is_some_and(|kind| kind.is_file()) {
                continue;
            }
            let path = entry.path();
            if !only.matched(path, false).is_whitelist() {
                continue;
            }
            let Some(kind) = kind(path) else {
                *self.skipped.entry(extension(path)).or_default() += 1;
                continue;
            };
            let below = path.strip_prefix(root).unwrap_or(path);
            self.add(path, kind, name, below);
        }
        Ok(())
    }

    fn add(&mut self, path: &Path, kind: Kind, folder: &Arc<str>, below: &Path) {
        let below = text(below);
        self.files.push(Found {
            path: path.to_owned(),
            kind,
            folder: Arc::clone(folder),
            id: id(folder, &below),
            below,
        });
    }
}

impl Found {
    /// Its name in messages.
    pub(super) fn label(&self) -> Arc<str> {
        format!("{}/{}", self.folder, self.below).into()
    }
}

/// The id of a file's document: the folder's name and the path, or, if that cannot be an id, its hash.
pub(super) fn id(folder: &str, below: &str) -> String {
    DocumentId::of_path(&format!("{folder}/{below}"))
        .as_str()
        .to_owned()
}

/// A path as metadata has it: in Unicode's normal form C, and bytes that are not UTF-8 as `\xE9`. The id follows from it.
fn text(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\x{byte:02X}");
        }
    }
    normalised(&text).into_owned()
}

/// The kind of a file by its extension, before which there may be one of a compression.
pub(super) fn kind(path: &Path) -> Option<Kind> {
    if let Some(format) = Format::of_path(path) {
        return Some(Kind::Document(format));
    }
    records::is_named(path).then_some(Kind::Records)
}

fn extension(path: &Path) -> String {
    let extension = path.extension().unwrap_or_default();
    extension.to_string_lossy().to_ascii_lowercase()
}

/// The symbolic link that an error is about.
fn link(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, err } => {
            link(err).or_else(|| path.is_symlink().then_some(path.as_path()))
        }
        ignore::Error::WithDepth { err, .. } => link(err),
        ignore::Error::Loop { child, .. } => Some(child),
        _ => None,
    }
}

/// The folder before a pattern, and the pattern below it.
fn divided(source: &Path) -> (PathBuf, String) {
    let is_plain = |step: &Component<'_>| !step.as_os_str().to_string_lossy().contains(PATTERN);
    let root: PathBuf = source.components().take_while(is_plain).collect();
    let pattern: PathBuf = source.components().skip_while(is_plain).collect();
    let root = if root.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        root
    };
    (root, pattern.to_string_lossy().into_owned())
}

/// The name of a folder by its real path; `root` for the root.
fn named(folder: &Path) -> Arc<str> {
    folder
        .file_name()
        .map_or_else(|| "root".into(), |name| text(Path::new(name)).into())
}

/// Bytes of a file.
pub(super) fn size(path: &Path) -> std::io::Result<u64> {
    fs::metadata(path).map(|metadata| metadata.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_path_or_a_hash_where_that_cannot_be_one() {
        assert_eq!(id("docs", "a/été.md"), "docs/a/été.md");
        assert_eq!(id("docs", "e\u{301}.md"), "docs/é.md");
        let long = "x".repeat(300);
        for below in ["C#.md", "what?.md", "50%25.md", long.as_str()] {
            let id = id("docs", below);
            assert!(id.starts_with("file-") && id.len() == 69, "{id}");
        }
    }

    #[test]
    fn a_path_in_any_encoding_has_a_text_from_which_its_id_follows() {
        use std::ffi::OsStr;

        let path = |bytes: &'static [u8]| text(Path::new(OsStr::from_bytes(bytes)));
        assert_eq!(path(b"a/caf\xe9.md"), r"a/caf\xE9.md");
        assert_eq!(path("cafe\u{301}.md".as_bytes()), "café.md");
        assert_ne!(path(b"\xe9.md"), path(b"\xe8.md"));
    }

    #[test]
    fn extensions_decide_the_kind() {
        assert!(matches!(
            kind(Path::new("a.PDF")),
            Some(Kind::Document(Format::Pdf))
        ));
        for name in ["a.jsonl", "a.csv.gz", "a.JSON"] {
            assert!(
                matches!(kind(Path::new(name)), Some(Kind::Records)),
                "{name}"
            );
        }
        for name in ["a.png", "a.tar.gz", "README", "a.md.gz"] {
            assert!(kind(Path::new(name)).is_none(), "{name}");
        }
    }

    #[test]
    fn a_pattern_begins_after_the_plain_components() {
        let divided = |text: &str| divided(Path::new(text));
        assert_eq!(divided("a/b/**/*.md"), ("a/b".into(), "**/*.md".to_owned()));
        assert_eq!(divided("*.md"), (".".into(), "*.md".to_owned()));
        assert_eq!(divided("/a/*.md"), ("/a".into(), "*.md".to_owned()));
    }
}
