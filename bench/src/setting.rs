//! The setting of a run, without which its figures are meaningless.

use std::{fs, path::Path, process::Command, thread};

use crate::{Bench, results::Setting};

/// The machine, the build and the model.
pub(crate) fn of(bench: &Bench) -> Setting {
    Setting {
        commit: commit(&bench.workspace),
        profile: if cfg!(debug_assertions) {
            "debug"
        } else {
            "release"
        }
        .to_owned(),
        processor: processor(),
        cores: thread::available_parallelism().map_or(1, usize::from),
        load: load().unwrap_or_default(),
        model: bench.manifest.name.clone(),
        corpus: bench.corpus.clone(),
        cold_runs: bench.plan.cold_runs,
        ..Setting::default()
    }
}

fn commit(workspace: &Path) -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .current_dir(workspace)
            .args(arguments)
            .output()
            .ok()?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(said)
    };
    let Some(commit) = git(&["rev-parse", "--short=10", "HEAD"]) else {
        return "unknown".to_owned();
    };
    match git(&["status", "--porcelain", "--untracked-files=no"]) {
        Some(changes) if changes.is_empty() => commit,
        _ => commit + "+",
    }
}

fn processor() -> String {
    let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = information
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let name = line.map(|line| line.trim_start_matches([' ', '\t', ':']).to_owned());
    let name = name.unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    match byte_products() {
        Some(instructions) => format!("{name} with {instructions}"),
        None => name,
    }
}

/// The best instructions for products of bytes that the processor has. ONNX Runtime chooses its kernels by them.
#[cfg(target_arch = "x86_64")]
fn byte_products() -> Option<&'static str> {
    use std::arch::is_x86_feature_detected as has;

    if has!("avx512vnni") {
        Some("AVX-512 VNNI")
    } else if has!("avxvnni") {
        Some("AVX-VNNI")
    } else if has!("avx512bw") {
        Some("AVX-512 without VNNI")
    } else if has!("avx2") {
        Some("AVX2 without VNNI")
    } else {
        None
    }
}

#[cfg(target_arch = "aarch64")]
fn byte_products() -> Option<&'static str> {
    use std::arch::is_aarch64_feature_detected as has;

    if has!("i8mm") {
        Some("I8MM")
    } else if has!("dotprod") {
        Some("DotProd")
    } else {
        None
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn byte_products() -> Option<&'static str> {
    None
}

fn load() -> Option<f64> {
    let load = fs::read_to_string("/proc/loadavg").ok()?;
    load.split(' ').next()?.parse().ok()
}
