//! Builds the program whose nodes are struck.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use synod_figures::Failure;

/// Returns the folder of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the folder for what is built, in which failed campaigns are left as well.
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from)
}

/// How the program is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// As it is shipped.
    Optimized,
    /// As tests build it, which is quick where they have run.
    Debug,
}

/// Builds the program, and returns its path.
///
/// # Errors
///
/// It cannot be built.
pub fn build(build: Build) -> Result<PathBuf, Failure> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let (option, folder) = match build {
        Build::Optimized => (" --release", "release"),
        Build::Debug => ("", "debug"),
    };
    let words = format!(
        "build --locked --quiet{option} --features server --package synod-host --bin synod"
    );
    let status = Command::new(cargo)
        .args(words.split(' '))
        .current_dir(repository())
        .status();
    match status {
        Ok(status) if status.success() => Ok(target().join(folder).join("synod")),
        Ok(status) => Err(Failure::new(format!("cargo {words}: {status}"))),
        Err(error) => Err(Failure::new(format!("cargo {words}: {error}"))),
    }
}
