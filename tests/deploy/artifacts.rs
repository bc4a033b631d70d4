//! The output of `sam build` runs on Lambda with the files of the layer.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    ffi::OsString,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use anyhow::{Context, Result, ensure};
use assets::layer;
use serde_json::json;
use tempfile::TempDir;
use tests::{App, Built};

use crate::Outcome;

/// The functions, by their names in the template.
const FUNCTIONS: [&str; 14] = [
    "Authorizer",
    "Console",
    "Search",
    "Chat",
    "Ingest",
    "Documents",
    "Imports",
    "ImportWorker",
    "Keys",
    "Sources",
    "Sync",
    "Health",
    "Mcp",
    "Migrate",
];

/// The newest symbols of each library in Amazon Linux 2023, which Lambda's `provided.al2023` is: glibc
/// 2.34 and GCC 11.
/// <https://docs.aws.amazon.com/linux/al2023/ug/core-glibc.html>
/// <https://gcc.gnu.org/onlinedocs/libstdc++/manual/abi.html>
const NEWEST: [(&str, &str); 4] = [
    ("GLIBC", "2.34"),
    ("GLIBCXX", "3.4.29"),
    ("CXXABI", "1.3.13"),
    ("GCC", "7.0.0"),
];

/// The libraries of glibc, and the two of GCC that microdnf, the package manager of `provided.al2023`, is
/// linked with.
/// <https://github.com/aws/aws-lambda-base-images/issues/92>
/// <https://github.com/amazonlinux/container-images/issues/132>
const LIBRARIES: [&str; 8] = [
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libpthread.so.0",
    "librt.so.1",
    "libstdc++.so.6",
];

/// Lambda's limit on a function with its layers, unpacked.
const UNPACKED: u64 = 250 * 1024 * 1024;

fn readelf(option: &str, file: &Path) -> Result<String> {
    let output = Command::new("readelf")
        .arg("--wide")
        .arg(option)
        .arg(file)
        .output();
    let output = output.context("readelf, of binutils, says what a binary needs")?;
    ensure!(
        output.status.success(),
        "readelf {}: {output:?}",
        file.display()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What `readelf --version-info` says of the symbols that Lambda does not have.
fn too_new(version_info: &str) -> Vec<String> {
    let names = version_info
        .lines()
        .filter_map(|line| line.split_once("Name: ")?.1.split_whitespace().next());
    let is_too_new = |name: &&str| {
        let Some((library, version)) = name.split_once('_') else {
            return false;
        };
        let known = NEWEST.iter().find(|(known, _)| *known == library);
        known.is_some_and(|(_, newest)| numbers(version) > numbers(newest))
    };
    names.filter(is_too_new).map(str::to_owned).collect()
}

fn numbers(version: &str) -> Vec<u32> {
    version
        .split('.')
        .filter_map(|part| part.parse().ok())
        .collect()
}

/// What `readelf --dynamic` says of the libraries that Lambda does not have.
fn missing(dynamic: &str) -> Vec<String> {
    dynamic
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0))
        .filter(|library| !LIBRARIES.contains(library))
        .map(str::to_owned)
        .collect()
}

fn bytes(file: &Path) -> Result<u64> {
    let metadata = fs::metadata(file).with_context(|| format!("no {}", file.display()))?;
    Ok(metadata.len())
}

#[test]
fn two_functions_link_the_readers_of_files_and_the_others_none() -> Outcome {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["tree", "--offline", "--workspace", "--edges", "normal"])
        .args(["--prefix", "none", "--format", "{p}", "--invert", "extract"])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = command.output().context("cargo")?;
    ensure!(output.status.success(), "{output:?}");
    let tree = String::from_utf8(output.stdout)?;
    let linking: BTreeSet<&str> = tree
        .lines()
        .filter(|line| line.contains("/functions/"))
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(
        linking,
        BTreeSet::from(["import-worker", "ingest"]),
        "{tree}"
    );
    Ok(())
}

#[test]
fn a_symbol_that_is_too_new_is_found() {
    let info = "  0x0010:   Name: GLIBC_2.2.5  Flags: none  Version: 9\n  \
                0x0020:   Name: GLIBC_2.35  Flags: none  Version: 8\n  \
                0x0030:   Name: GLIBCXX_3.4.30  Flags: none  Version: 7";
    assert_eq!(too_new(info), ["GLIBC_2.35", "GLIBCXX_3.4.30"]);
    let dynamic =
        " 0x1 (NEEDED)  Shared library: [libssl.so.3]\n 0x1 (NEEDED)  Shared library: [libc.so.6]";
    assert_eq!(missing(dynamic), ["libssl.so.3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lambda_has_every_library_and_symbol_that_is_needed() -> Outcome {
    let built = Built::prepared().await?;
    let library = built.layer.join("lib/libonnxruntime.so");
    let mut files: Vec<PathBuf> = vec![library];
    files.extend(FUNCTIONS.map(|function| built.executable(function)));
    for file in &files {
        let symbols = too_new(&readelf("--version-info", file)?);
        assert!(symbols.is_empty(), "{} needs {symbols:?}", file.display());
        let libraries = missing(&readelf("--dynamic", file)?);
        assert!(
            libraries.is_empty(),
            "{} needs {libraries:?}",
            file.display()
        );
    }
    Ok(())
}

/// What `make` says of the layer for these processors, beside a function with this byte 18.
fn built(architecture: &str, machine: u8) -> Result<std::process::Output> {
    let folder = TempDir::new()?;
    let function = folder.path().join("Search");
    fs::create_dir(&function)?;
    let header = [b"\x7fELF".as_slice(), &[0; 14], &[machine, 0]].concat();
    fs::write(function.join("bootstrap"), header)?;
    let makefile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../layers/onnx/Makefile");
    let mut make = Command::new("make");
    make.arg("--file").arg(makefile).arg("build-Onnx");
    make.env("ARTIFACTS_DIR", folder.path().join("Onnx"))
        .env("ARCHITECTURE", architecture)
        .env("RAPPEL", "true");
    make.output().context("running make")
}

#[test]
fn a_layer_for_another_architecture_is_refused() -> Outcome {
    const INTEL: u8 = 0x3e;
    const ARM: u8 = 0xb7;
    for (architecture, machine) in [("x86_64", INTEL), ("arm64", ARM)] {
        let output = built(architecture, machine)?;
        assert!(output.status.success(), "{architecture}: {output:?}");
    }
    for (architecture, machine) in [("x86_64", ARM), ("arm64", INTEL)] {
        let output = built(architecture, machine)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{architecture}");
        assert!(said.contains("Search/bootstrap is not built for"), "{said}");
        assert!(said.contains("ARCHITECTURE=arm64 sam build"), "{said}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_and_its_layer_are_within_lambdas_limit() -> Outcome {
    let built = Built::prepared().await?;
    let mut layer = 0;
    for folder in ["lib", "model"] {
        for entry in fs::read_dir(built.layer.join(folder)).context("the layer has it")? {
            layer += bytes(&entry?.path())?;
        }
    }
    writeln!(io::stderr(), "layer: {layer} bytes of {}", layer::LIMIT)?;
    assert!(layer <= layer::LIMIT);
    for function in FUNCTIONS {
        let size = bytes(&built.executable(function))?;
        writeln!(
            io::stderr(),
            "{function}: {size} bytes, without link-time optimisation"
        )?;
        assert!(size + layer <= UNPACKED, "{function}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_built_functions_store_and_find_with_the_layers_model() -> Outcome {
    let app = App::built().await?;
    app.ingest_samples(&["sante-migraine", "library-late-returns"])
        .await?;
    let hits = app
        .hits(json!({ "query": "comment soulager une migraine ?" }))
        .await?;
    assert_eq!(hits[0]["document_id"], "sante-migraine");
    let health = app
        .get("/health", &[("deep", "true")])
        .await?
        .success(200)?;
    assert_eq!(health["status"], "ok", "{health}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_build_compiles_nothing() -> Outcome {
    let built = Built::prepared().await?;
    let folder = Built::compiled().await?;
    let first = times(&folder)?;
    let again = Built::build("sam-again").await?;
    assert_eq!(times(&folder)?, first);
    for function in FUNCTIONS {
        let same = fs::read(built.executable(function))? == fs::read(again.executable(function))?;
        assert!(same, "{function}");
    }
    Ok(())
}

/// When each file of a folder was written.
fn times(folder: &Path) -> Result<BTreeMap<OsString, SystemTime>> {
    let mut times = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))? {
        let entry = entry?;
        times.insert(entry.file_name(), entry.metadata()?.modified()?);
    }
    Ok(times)
}
