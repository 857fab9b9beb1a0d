//! Images: what is built for a target, by a cargo of its own.

use crate::Failure;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A board that QEMU has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Board {
    /// The microbit: Cortex-M0, 16 KiB of RAM.
    Microbit,
    /// The lm3s6965evb: Cortex-M3, 64 KiB of RAM.
    Lm3s6965evb,
    /// The mps2-an386: Cortex-M4F, 20 MiB of RAM.
    Mps2An386,
}

impl Board {
    /// Every board, the smallest first.
    pub const ALL: [Self; 3] = [Self::Microbit, Self::Lm3s6965evb, Self::Mps2An386];

    /// Its name, as QEMU has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Microbit => "microbit",
            Self::Lm3s6965evb => "lm3s6965evb",
            Self::Mps2An386 => "mps2-an386",
        }
    }

    /// The board of a name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|board| board.name() == name)
    }

    /// What the compiler builds for it.
    pub const fn target(self) -> &'static str {
        match self {
            Self::Microbit => "thumbv6m-none-eabi",
            Self::Lm3s6965evb => "thumbv7m-none-eabi",
            Self::Mps2An386 => "thumbv7em-none-eabihf",
        }
    }
}

/// What would make the build of an image another one than that of the command line: settings of the outer build, and of
/// what measures its coverage.
const FOREIGN: [&str; 9] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "LLVM_PROFILE_FILE",
    "DEFMT_LOG",
];

/// The folder that the workspace lies in.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Builds a package for a target, unless it is built already, and answers the folder that holds what was built. The folder
/// is not that of the outer build, so that none waits for the other.
///
/// # Errors
///
/// What the compiler said.
pub fn build(package: &str, target: &str) -> Result<PathBuf, Failure> {
    let folder = root().join("target/boards");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo
        .args(["build", "--locked", "--quiet", "--profile", "firmware"])
        .args(["--package", package, "--target", target, "--target-dir"])
        .arg(&folder)
        .current_dir(root());
    for name in FOREIGN {
        cargo.env_remove(name);
    }
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PROFILE_") {
            cargo.env_remove(name);
        }
    }
    let output = cargo
        .output()
        .map_err(|error| Failure::new(format!("cargo did not start: {error}")))?;
    if output.status.success() {
        return Ok(folder.join(target).join("firmware"));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let mut sentence = format!("{package} was not built for {target}:\n{said}");
    if said.contains("can't find crate for `core`") || said.contains("can't find crate for `std`") {
        sentence = format!("{sentence}\nto install the target: rustup target add {target}");
    }
    Err(Failure::new(sentence))
}

/// Builds a program of `example-firmware` for a board, unless it is built already.
///
/// # Errors
///
/// What the compiler said.
pub fn firmware(board: Board, program: &str) -> Result<PathBuf, Failure> {
    Ok(build("example-firmware", board.target())?.join(program))
}
