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

/// The name and number of the compiler, without its date.
///
/// # Errors
///
/// It does not say.
pub fn compiler() -> Result<String, Failure> {
    let rustc = env::var_os("RUSTC").unwrap_or("rustc".into());
    let output = Command::new(rustc).arg("--version").output();
    let output = output.map_err(|error| Failure::new(format!("rustc did not start: {error}")))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let name = said.split(" (").next().unwrap_or_default();
    Ok(name.trim().to_owned())
}

/// What is built, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build<'a> {
    /// The package.
    pub package: &'a str,
    /// The compiler's name of the target.
    pub target: &'a str,
    /// The profile of the workspace.
    pub profile: &'a str,
    /// Whether the image is to say how much stack each of its functions takes. The compiler does that only where it is
    /// told that it is not stable; the code is the same, though it may lie in another order.
    pub has_stack_sizes: bool,
}

impl Build<'_> {
    /// Builds it, unless it is built already, and answers the folder that holds what was built. The folder is not that of
    /// the outer build, so that none waits for the other.
    ///
    /// # Errors
    ///
    /// What the compiler said.
    pub fn run(self) -> Result<PathBuf, Failure> {
        let Self {
            package,
            target,
            profile,
            has_stack_sizes,
        } = self;
        let folder = root().join(if has_stack_sizes {
            "target/stacks"
        } else {
            "target/boards"
        });
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo
            .args(["build", "--locked", "--quiet", "--profile", profile])
            .args(["--package", package, "--target", target, "--target-dir"])
            .arg(&folder)
            .current_dir(root());
        clean(&mut cargo);
        if has_stack_sizes {
            cargo.env("RUSTC_BOOTSTRAP", "1");
            cargo.env("RUSTFLAGS", "-Z emit-stack-sizes");
        }
        let output = cargo
            .output()
            .map_err(|error| Failure::new(format!("cargo did not start: {error}")))?;
        if output.status.success() {
            return Ok(folder.join(target).join(profile));
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let mut sentence = format!("{package} was not built for {target}:\n{said}");
        if said.contains("can't find crate for `core`")
            || said.contains("can't find crate for `std`")
        {
            sentence = format!("{sentence}\nto install the target: rustup target add {target}");
        }
        Err(Failure::new(sentence))
    }
}

/// Takes from the environment what would change the build.
fn clean(cargo: &mut Command) {
    for name in FOREIGN {
        cargo.env_remove(name);
    }
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PROFILE_") {
            cargo.env_remove(name);
        }
    }
}

/// Builds a package for a target as firmware, and answers the folder that holds what was built.
///
/// # Errors
///
/// What the compiler said.
pub fn build(package: &str, target: &str) -> Result<PathBuf, Failure> {
    Build {
        package,
        target,
        profile: "firmware",
        has_stack_sizes: false,
    }
    .run()
}

/// Builds a program of `example-firmware` for a board, unless it is built already.
///
/// # Errors
///
/// What the compiler said.
pub fn firmware(board: Board, program: &str) -> Result<PathBuf, Failure> {
    Ok(build("example-firmware", board.target())?.join(program))
}
