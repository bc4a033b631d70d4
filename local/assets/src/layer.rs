//! The Lambda layer: ONNX Runtime and a model, in the layout that the functions expect below `/opt`.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    str::FromStr,
};

use anyhow::{Context as _, bail, ensure};

use crate::{Cache, Model, download::sha256};

/// Lambda's limit on a function with its layers, unpacked, in bytes:
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>. A tenth of it is kept for the
/// functions' binaries.
pub const LIMIT: u64 = 250 * 1024 * 1024 / 10 * 9;

/// The SHA-256 of every file of a layer with a built-in model.
const PINS: &str = include_str!("layer.sha256");

/// Used to verify a converted model; functions do not need it.
const REFERENCE: &str = "reference.json";

/// The processor architectures of Lambda.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// Intel and AMD.
    X86_64,
    /// Graviton.
    Arm64,
}

/// A file of the layer.
#[derive(Debug, PartialEq, Eq)]
pub struct LayerFile {
    /// The path below `/opt`, such as `lib/libonnxruntime.so`.
    pub path: String,
    /// In bytes.
    pub bytes: u64,
    /// In lower-case hexadecimal.
    pub sha256: String,
}

/// Copies ONNX Runtime and the model in the folder `model` into `folder`, as `lib/` and `model/`. Each file of
/// a `built_in` model must match its pin. Other files in the folder are kept.
///
/// # Errors
/// A file cannot be fetched or written, does not match its pin, or the layer exceeds [`LIMIT`].
pub fn lay(
    cache: &Cache,
    architecture: Architecture,
    model: &Path,
    built_in: Option<Model>,
    folder: &Path,
) -> anyhow::Result<Vec<LayerFile>> {
    let library = cache.onnxruntime_for("linux", architecture.in_rust())?;
    let pins = pins();
    let pinned = |name: String| {
        let pin = pins.get(name.as_str()).copied();
        pin.with_context(|| format!("layer.sha256 has no line for {name}"))
    };
    let pin = pinned(format!("{architecture}/libonnxruntime.so"))?;
    let mut entries = vec![copy(&library, folder, "lib/libonnxruntime.so", Some(pin))?];
    for name in files(model)? {
        let pin = match built_in {
            Some(model) => Some(pinned(format!("{model}/{name}"))?),
            None => None,
        };
        let path = format!("model/{name}");
        entries.push(copy(&model.join(&name), folder, &path, pin)?);
    }
    let bytes: u64 = entries.iter().map(|entry| entry.bytes).sum();
    ensure!(
        bytes <= LIMIT,
        "the layer has {bytes} bytes; the limit is {LIMIT}, which leaves space for a function"
    );
    Ok(entries)
}

/// The model files that a function reads, sorted by name.
pub(super) fn files(model: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(model).with_context(|| format!("reading {}", model.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != REFERENCE {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn copy(from: &Path, folder: &Path, path: &str, pin: Option<&str>) -> anyhow::Result<LayerFile> {
    let to = folder.join(path);
    let write = || {
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        let bytes = fs::copy(from, &to)?;
        // Lambda runs functions as another user.
        fs::set_permissions(&to, Permissions::from_mode(0o644))?;
        Ok::<_, std::io::Error>((bytes, sha256(&to)?))
    };
    let (bytes, sha256) = write().with_context(|| format!("cannot write {}", to.display()))?;
    if let Some(pin) = pin.filter(|pin| *pin != sha256) {
        bail!(
            "{} does not match its pin: its SHA-256 is {sha256}, layer.sha256 has {pin}",
            from.display()
        );
    }
    Ok(LayerFile {
        path: path.to_owned(),
        bytes,
        sha256,
    })
}

/// Hashes by file name, parsed from the format of `sha256sum`.
pub(super) fn pins() -> BTreeMap<&'static str, &'static str> {
    let lines = PINS.lines().filter_map(|line| line.split_once("  "));
    lines.map(|(hash, name)| (name, hash)).collect()
}

impl Architecture {
    fn in_rust(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }
}

/// Lambda's name.
impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        })
    }
}

impl FromStr for Architecture {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Self> {
        match name {
            "x86_64" => Ok(Self::X86_64),
            "arm64" => Ok(Self::Arm64),
            _ => bail!("unknown architecture `{name}`; Lambda has `x86_64` and `arm64`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn write(folder: &Path, name: &str, text: &str) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("it is in the folder"))
            .and_then(|()| fs::write(path, text))
            .expect("the temporary folder is writable");
    }

    /// A cache whose ONNX Runtime is a file of three bytes.
    fn cache(folder: &TempDir) -> Cache {
        let library = "cache/onnxruntime-1.32.0-linux-x86_64/libonnxruntime.so";
        write(folder.path(), library, "abc");
        Cache::at(folder.path().join("cache"))
    }

    #[test]
    fn a_library_that_does_not_match_its_pin_is_rejected() {
        let folder = TempDir::new().expect("temporary folder");
        write(folder.path(), "model/manifest.json", "{}");
        let error = lay(
            &cache(&folder),
            Architecture::X86_64,
            &folder.path().join("model"),
            None,
            &folder.path().join("layer"),
        )
        .expect_err("the hash is wrong");
        // FIPS 180-2 has the hash of `abc`.
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert!(error.to_string().contains(hash), "{error}");
    }

    #[test]
    fn a_layer_leaves_out_the_reference_embeddings() {
        let folder = TempDir::new().expect("temporary folder");
        for name in ["model.onnx", "manifest.json", "reference.json"] {
            write(folder.path(), name, "{}");
        }
        let names = files(folder.path()).expect("the folder is there");
        assert_eq!(names, ["manifest.json", "model.onnx"]);
    }

    #[test]
    fn every_pin_is_a_hash() {
        let pins = pins();
        assert!(pins.len() >= 10, "{pins:?}");
        for (name, hash) in pins {
            let digits = hash.bytes().all(|digit| digit.is_ascii_hexdigit());
            assert!(hash.len() == 64 && digits, "{name}: {hash}");
        }
    }
}
