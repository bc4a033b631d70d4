//! The objects that imports read: S3 objects and local files.

use std::{
    fs::{File, Metadata},
    io::{self, Read as _, Seek as _, SeekFrom},
    ops::Range,
    path::{Component, Path, PathBuf},
    time::UNIX_EPOCH,
};

use aws::{
    AwsError,
    s3::{Head, S3},
};
use bytes::Bytes;
use document_store::nul;
use json::FieldError;

/// Maximum length of a source in characters: a bucket, a key, and a reserve.
const MAX_CHARACTERS: usize = 1_200;

/// The location of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ObjectSource {
    S3 { bucket: String, key: String },
    File(PathBuf),
}

/// Why an object cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("the object does not exist")]
    Missing,
    #[error("the object changed while it was imported")]
    Changed,
    /// Access denied.
    #[error("access to the object is denied: {0}")]
    Refused(String),
    /// The store is unavailable.
    #[error("the object store did not respond: {0}")]
    Away(String),
}

impl ObjectSource {
    /// Parses `s3://bucket/key`, or `file:///path` of a file below `root`, a folder without symbolic links.
    pub(super) fn parse(text: &str, root: Option<&Path>) -> Result<Self, FieldError> {
        let refused = |detail: &str| Err(FieldError::new("source", detail));
        if text.chars().count() > MAX_CHARACTERS {
            return refused("is longer than 1,200 characters");
        }
        if let Some(error) = nul(text, "source") {
            return Err(error);
        }
        if let Some(path) = text.strip_prefix("file://") {
            let path = Path::new(path);
            return match root {
                None => refused(
                    "is a file, and file imports are disabled: use s3://bucket/key, or a file in the folder given by \
                     `rappel up --import-root`",
                ),
                Some(_) if path.is_relative() => {
                    refused("is not an absolute path: file:///folder/documents.jsonl")
                }
                Some(root) if is_below(path, root) => Ok(Self::File(path.into())),
                Some(_) => refused("is a file outside the import folder"),
            };
        }
        let object = text
            .strip_prefix("s3://")
            .and_then(|rest| rest.split_once('/'));
        let Some((bucket, key)) = object.filter(|(_, key)| !key.is_empty()) else {
            return refused("must be the URL of an object: s3://bucket/key");
        };
        let is_bucket = (3..=63).contains(&bucket.len())
            && bucket.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte)
            });
        if !is_bucket {
            return refused("has an invalid bucket name");
        }
        // HTTP clients normalise such URLs, which would then name another object.
        if key.split('/').any(|step| step == "." || step == "..") {
            return refused("has a key with a segment . or .., which cannot be requested");
        }
        Ok(Self::S3 {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        })
    }

    /// The key of the object, or the path of the file below `root`.
    pub(super) fn key(&self, root: Option<&Path>) -> PathBuf {
        match self {
            Self::S3 { key, .. } => key.into(),
            Self::File(path) => {
                let below = root.and_then(|root| path.strip_prefix(root).ok());
                below.unwrap_or(path).to_owned()
            }
        }
    }

    /// The object's size and version.
    pub(super) async fn look(&self, s3: &S3) -> Result<Head, ReadError> {
        match self {
            Self::S3 { bucket, key } => s3.head(bucket, key).await.map_err(ReadError::of_s3),
            Self::File(path) => {
                let metadata =
                    std::fs::metadata(path).map_err(|error| ReadError::of_file(&error))?;
                if metadata.is_file() {
                    Ok(head(&metadata))
                } else {
                    Err(ReadError::Refused("not a regular file".to_owned()))
                }
            }
        }
    }

    /// Reads a range that is not empty, if the object still has this version.
    pub(super) async fn read(
        &self,
        s3: &S3,
        range: &Range<u64>,
        etag: Option<&str>,
    ) -> Result<Bytes, ReadError> {
        match self {
            Self::S3 { bucket, key } => s3
                .read(bucket, key, range, etag)
                .await
                .map_err(ReadError::of_s3),
            Self::File(path) => read_file(path, range, etag),
        }
    }
}

/// Whether a file is below `root` after following symbolic links. Does not reveal whether a file elsewhere exists.
fn is_below(path: &Path, root: &Path) -> bool {
    if let Ok(path) = path.canonicalize() {
        return path.starts_with(root);
    }
    let mut steps = path.components();
    path.starts_with(root) && !steps.any(|step| matches!(step, Component::ParentDir))
}

impl ReadError {
    fn of_s3(error: AwsError) -> Self {
        match error {
            AwsError::Refused { status: 404, .. } => Self::Missing,
            AwsError::Refused {
                status: 412 | 416, ..
            } => Self::Changed,
            AwsError::Refused { status, kind } if status < 500 && status != 429 => {
                Self::Refused(format!("status {status}, {kind}"))
            }
            error => Self::Away(error.to_string()),
        }
    }

    fn of_file(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::UnexpectedEof => Self::Changed,
            _ => Self::Refused(error.to_string()),
        }
    }
}

fn head(metadata: &Metadata) -> Head {
    let modified = metadata.modified().ok();
    let nanoseconds = modified
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .unwrap_or_default()
        .as_nanos();
    Head {
        bytes: metadata.len(),
        etag: format!("{nanoseconds}-{}", metadata.len()),
        content_type: None,
        modified,
    }
}

fn read_file(path: &Path, range: &Range<u64>, etag: Option<&str>) -> Result<Bytes, ReadError> {
    let read = || {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        if etag.is_some_and(|etag| etag != head(&metadata).etag) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.seek(SeekFrom::Start(range.start))?;
        let mut bytes = Vec::new();
        file.take(range.end - range.start).read_to_end(&mut bytes)?;
        Ok(Bytes::from(bytes))
    };
    read().map_err(|error| ReadError::of_file(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_objects_are_sources_and_files_of_one_folder() {
        let object = ObjectSource::parse("s3://my.bucket/a/été 1.jsonl", None).expect("an object");
        let expected = ObjectSource::S3 {
            bucket: "my.bucket".to_owned(),
            key: "a/été 1.jsonl".to_owned(),
        };
        assert_eq!(object, expected);
        let root = Path::new("/nowhere/root");
        assert_eq!(
            ObjectSource::parse("file:///nowhere/root/a/b", Some(root)),
            Ok(ObjectSource::File("/nowhere/root/a/b".into()))
        );
        for (text, root) in [
            ("", Some(root)),
            ("s3://bucket", Some(root)),
            ("s3://bucket/", Some(root)),
            ("s3:///key", Some(root)),
            ("s3://Bucket/key", Some(root)),
            ("s3://bucket/a/../b", Some(root)),
            ("https://bucket/key", Some(root)),
            ("file://relative", Some(root)),
            ("file:///etc/passwd", Some(root)),
            ("file:///nowhere/root/../a", Some(root)),
            ("file:///nowhere/rootbeer", Some(root)),
            ("file:///nowhere/root/a", None),
        ] {
            let error = ObjectSource::parse(text, root).expect_err(text);
            assert_eq!(error.field, "source");
        }
    }

    #[test]
    fn a_link_out_of_the_folder_leads_nowhere() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("it is there");
        let link = root.join("link");
        std::os::unix::fs::symlink("/etc/passwd", &link).expect("a link");
        ObjectSource::parse(&format!("file://{}", link.display()), Some(&root))
            .expect_err("a link");
    }
}
