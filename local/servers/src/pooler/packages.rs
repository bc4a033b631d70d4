//! Runs programs from Debian packages, of this release or another one, without installing them.

use std::{
    collections::HashMap,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use assets::{Cache, run::run};

/// The keys of Debian's archive. apt verifies packages against them; pinned hashes would not work for a release
/// that still gets updates.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A package with all its libraries, the C library included: a program of a newer release does not start with
/// the machine's own.
#[derive(Clone, Debug)]
pub(crate) struct Unpacked {
    root: PathBuf,
    /// The dynamic loader, which starts programs with these libraries.
    loader: PathBuf,
}

impl Unpacked {
    /// A file of the packages, by its installed path.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Runs `executable`, one of the files.
    pub(crate) fn command(&self, executable: &Path) -> Command {
        let [first, second] = library_folders(&self.root);
        let mut command = Command::new(&self.loader);
        command
            .arg("--library-path")
            .arg(format!("{}:{}", first.display(), second.display()))
            .arg(executable);
        command
    }

    fn at(root: PathBuf) -> Result<Self> {
        let loader = library_folders(&root)
            .iter()
            .filter_map(|folder| fs::read_dir(folder).ok())
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.to_string_lossy().contains("/ld-linux"))
            .with_context(|| format!("no dynamic loader in {}", root.display()))?;
        Ok(Self { root, loader })
    }
}

/// The package `name` of Debian's `release`, unpacked into the cache once.
pub(crate) fn unpack(name: &str, release: &str) -> Result<Unpacked> {
    Unpacked::at(unpack_all(&[name], release, &[])?)
}

/// The folder of several packages, unpacked into the cache once, with the libraries that they need but those of
/// `without`. A program that starts itself again by `/proc/self/exe` must have the machine's own loader, and so its C
/// library.
pub(crate) fn unpack_all(names: &[&str], release: &str, without: &[&str]) -> Result<PathBuf> {
    let cache = Cache::from_env()?.root().to_owned();
    let root = cache.join(format!("{}-{release}", names[0]));
    if !root.is_dir() {
        fs::create_dir_all(&cache).with_context(|| format!("making {}", cache.display()))?;
        let work = tempfile::tempdir_in(&cache).context("making a folder in the cache")?;
        let unpacked = fetch(names, release, without, work.path())?;
        // Another process may have been faster.
        if !root.is_dir() {
            fs::rename(&unpacked, &root).with_context(|| format!("making {}", root.display()))?;
        }
    }
    Ok(root)
}

/// The folders of the unpacked libraries.
pub(crate) fn library_folders(root: &Path) -> [PathBuf; 2] {
    let triplet = format!("{}-linux-gnu", std::env::consts::ARCH);
    ["lib", "usr/lib"].map(|folder| root.join(folder).join(&triplet))
}

/// Downloads the packages with their libraries to `work`, and returns the folder of their files.
fn fetch(names: &[&str], release: &str, without: &[&str], work: &Path) -> Result<PathBuf> {
    let apt = Apt::of(release, work)?;
    run(&mut apt.command("apt-get", &["update"]))?;
    let mut packages = apt.with_libraries(names)?;
    packages.retain(|package| !without.contains(&package.as_str()));
    run(apt.command("apt-get", &["download"]).args(&packages))?;
    let root = work.join("root");
    for entry in fs::read_dir(work).context("reading the downloads")? {
        let package = entry.context("reading the downloads")?.path();
        if package
            .extension()
            .is_some_and(|extension| extension == "deb")
        {
            run(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&root))?;
        }
    }
    fs::set_permissions(&root, Permissions::from_mode(0o755)).context("opening the folder")?;
    Ok(root)
}

/// apt with private package lists, so that it knows a release other than the machine's.
struct Apt<'a> {
    work: &'a Path,
}

impl<'a> Apt<'a> {
    fn of(release: &str, work: &'a Path) -> Result<Self> {
        for folder in ["state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(work.join(folder)).context("making a folder for apt")?;
        }
        fs::write(work.join("installed"), "").context("writing that nothing is installed")?;
        let mirror = mirror()?;
        let source = format!("deb [signed-by={KEYS}] {mirror} {release} main\n");
        fs::write(work.join("sources.list"), source).context("writing the source of packages")?;
        Ok(Self { work })
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.work);
        for (option, file) in [
            ("Dir::Etc::sourcelist", "sources.list"),
            ("Dir::State", "state"),
            // The installed packages may be of another release or have updates.
            ("Dir::State::status", "installed"),
            ("Dir::Cache", "cache"),
        ] {
            let path = self.work.join(file);
            command
                .arg("-o")
                .arg(format!("{option}={}", path.display()));
        }
        // apt's own user may not enter our folder.
        command
            .args([
                "-o",
                "Dir::Etc::sourceparts=-",
                "-o",
                "APT::Sandbox::User=root",
            ])
            .args(arguments);
        command
    }

    /// The packages and all their libraries, under the release's names.
    fn with_libraries(&self, names: &[&str]) -> Result<Vec<String>> {
        let mut ask = self.command("apt-cache", &["depends", "--recurse", "--important"]);
        let depends = run(ask.args(names))?;
        // A package's own line, followed by those of its dependencies.
        let mut needs: HashMap<&str, Vec<&str>> = HashMap::new();
        let mut current = "";
        for line in depends.lines() {
            if !line.starts_with([' ', '|']) {
                current = line;
            } else if let Some(name) = line
                .trim_start_matches([' ', '|'])
                .strip_prefix("Depends: ")
                && (name.starts_with("lib") || name.starts_with("zlib"))
            {
                needs.entry(current).or_default().push(name);
            }
        }
        let mut packages = names.to_vec();
        let mut seen = 0;
        while let Some(name) = packages.get(seen) {
            seen += 1;
            for library in needs.get(name).into_iter().flatten() {
                if !packages.contains(library) {
                    packages.push(library);
                }
            }
        }
        Ok(packages.into_iter().map(str::to_owned).collect())
    }
}

/// The machine's mirror of Debian's packages.
fn mirror() -> Result<String> {
    let ask = || {
        run(Command::new("apt-get").args([
            "indextargets",
            "--format",
            "$(REPO_URI)",
            "Created-By: Packages",
            "Label: Debian",
            "Component: main",
        ]))
    };
    let mut known = ask()?;
    if known.is_empty() {
        // A fresh container has no package lists; only root may update them.
        run(Command::new("apt-get").arg("update"))?;
        known = ask()?;
    }
    let first = known.lines().next().map(str::to_owned);
    first.context("this machine has no apt source for Debian")
}
