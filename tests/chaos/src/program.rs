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

/// Builds the program, and returns its path.
///
/// # Errors
///
/// It cannot be built.
pub fn build() -> Result<PathBuf, Failure> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let words =
        "build --locked --quiet --release --features server --package synod-host --bin synod";
    let status = Command::new(cargo)
        .args(words.split(' '))
        .current_dir(repository())
        .status();
    match status {
        Ok(status) if status.success() => Ok(target().join("release/synod")),
        Ok(status) => Err(Failure::new(format!("cargo {words}: {status}"))),
        Err(error) => Err(Failure::new(format!("cargo {words}: {error}"))),
    }
}
