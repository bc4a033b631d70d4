//! Loads ONNX Runtime once per process.

use std::path::Path;

use once_cell::sync::OnceCell;
use ort::environment::Environment;

use super::EmbedderError;

/// Session setting: idle threads sleep. They would otherwise spin for some milliseconds, which on Lambda uses the same
/// quota as the work.
pub(crate) const NO_SPINNING: (&str, &str) = ("session.intra_op.allow_spinning", "0");

/// Loads the library and creates its environment on the first call; later calls share it.
pub(crate) fn environment(library: &Path) -> Result<Environment, EmbedderError> {
    static ENVIRONMENT: OnceCell<Environment> = OnceCell::new();
    let failed = |reason: String| EmbedderError::Library {
        path: library.to_owned(),
        reason,
    };
    ENVIRONMENT
        .get_or_try_init(|| {
            // Without `init_from`, `ort` panics on a missing library.
            ort::init_from(library)
                .map_err(|error| failed(error.to_string()))?
                .with_telemetry(false)
                .build()
                .map_err(|error| failed(error.to_string()))
        })
        .cloned()
}
