//! The embedding model, tried in a process of its own: a library for another processor, or one that takes more memory
//! than there is, ends that process and not the one that has to answer the deploy.

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

/// The argument with which this program tries the model and ends.
pub(crate) const ARGUMENT: &str = "try-model";

/// A model loads in a second or two, on a processor that does nothing else.
const LONGEST_LOADING: Duration = Duration::from_mins(1);

/// Loads the model as the functions will: a layer that does not work on Lambda's machines must stop the deploy before
/// they have it.
///
/// # Errors
/// What the person who deploys reads; the cause is logged.
pub(crate) async fn model() -> Result<(), String> {
    let failed = |reason: &str, cause: &str| {
        tracing::error!(cause, "the embedding model does not load");
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
            Err(failed(&ended(output.status), said.trim()))
        }
        Ok(Err(error)) => Err(failed(UNLOADED, &error.to_string())),
        Err(_) => Err(failed(
            "The embedding model does not load within a minute",
            "time limit",
        )),
    }
}

/// What the process does that [`model`] starts.
pub(crate) fn run() -> ExitCode {
    // If there is not enough memory for both, the kernel must end this one. Elsewhere than on Linux there is no such file.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    let loaded = ModelConfig::from_env()
        .map_err(|error| error.to_string())
        .and_then(|config| Embedder::load(&config).map_err(|error| error.to_string()));
    match loaded {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell if nobody reads it.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

const UNLOADED: &str = "The embedding model cannot be loaded";

fn ended(status: ExitStatus) -> String {
    let hint = match status.signal() {
        None => return UNLOADED.to_owned(),
        Some(4) => "signal 4, an instruction that this processor does not have",
        Some(9) => "signal 9, most likely for want of memory",
        Some(11) => "signal 11, a segmentation fault",
        Some(other) => return format!("{UNLOADED}: its process was ended by signal {other}"),
    };
    format!("{UNLOADED}: its process was ended by {hint}")
}
