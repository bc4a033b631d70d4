//! Loads the embedding model in a child process: a library for another processor, or a lack of memory, kills that
//! process and not the one that must answer the deploy.

use std::{
    env, fs,
    io::{self, Write as _},
    os::unix::process::ExitStatusExt as _,
    process::{ExitCode, ExitStatus, Stdio},
    time::Duration,
};

use embedder::{Embedder, ModelConfig};
use lambda_runtime::tracing;
use tokio::{process::Command, time::timeout};

/// The argument that makes this program load the model and exit.
pub(crate) const ARGUMENT: &str = "try-model";

/// Loading takes one or two seconds on an idle processor.
const LONGEST_LOADING: Duration = Duration::from_mins(1);

/// Loads the model as the functions will: a layer that does not work on Lambda must fail the deploy before any
/// function uses it.
///
/// # Errors
/// A text for the deployer; the cause is logged.
pub(crate) async fn model() -> Result<(), String> {
    let failed = |reason: &str, cause: &str| {
        tracing::error!(cause, "cannot load the embedding model");
        reason.to_owned()
    };
    let program = env::current_exe().map_err(|error| failed(UNLOADED, &error.to_string()))?;
    let child = Command::new(program)
        .arg(ARGUMENT)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    match timeout(LONGEST_LOADING, child).await {
        Ok(Ok(output)) if output.status.success() => Ok(()),
        Ok(Ok(output)) => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(failed(&exit_reason(output.status), said.trim()))
        }
        Ok(Err(error)) => Err(failed(UNLOADED, &error.to_string())),
        Err(_) => Err(failed(
            "Loading the embedding model took longer than a minute",
            "time limit",
        )),
    }
}

/// The child process of [`model`].
pub(crate) fn run() -> ExitCode {
    // If memory runs out, the kernel must kill this process. Only Linux has this file.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    let loaded = ModelConfig::from_env()
        .map_err(|error| error.to_string())
        .and_then(|config| Embedder::load(&config).map_err(|error| error.to_string()));
    match loaded {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody reads it: nothing else to do.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

const UNLOADED: &str = "The embedding model cannot be loaded";

fn exit_reason(status: ExitStatus) -> String {
    let hint = match status.signal() {
        None => return UNLOADED.to_owned(),
        Some(4) => "signal 4 (SIGILL), an instruction that this processor does not support",
        Some(9) => "signal 9 (SIGKILL), most likely out of memory",
        Some(11) => "signal 11 (SIGSEGV), a segmentation fault",
        Some(other) => return format!("{UNLOADED}: its process was killed by signal {other}"),
    };
    format!("{UNLOADED}: its process was killed by {hint}")
}
