//! Images: programs built for a target by a cargo of their own.

use crate::Failure;
use std::env;
use std::path::PathBuf;
use std::process::Command;

/// A board that QEMU emulates.
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

    /// Returns its name in QEMU.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Microbit => "microbit",
            Self::Lm3s6965evb => "lm3s6965evb",
            Self::Mps2An386 => "mps2-an386",
        }
    }

    /// Returns the board with a name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|board| board.name() == name)
    }

    /// Returns its compilation target.
    pub const fn target(self) -> &'static str {
        match self {
            Self::Microbit => "thumbv6m-none-eabi",
            Self::Lm3s6965evb => "thumbv7m-none-eabi",
            Self::Mps2An386 => "thumbv7em-none-eabihf",
        }
    }
}

/// Environment variables that would make the build of an image differ from one on the command line: settings of the
/// outer build and of coverage tools.
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

pub use synod_figures::root;

/// Returns the name and version of the compiler, without its date.
///
/// # Errors
///
/// Returns an error if the compiler cannot be run.
pub fn compiler() -> Result<String, Failure> {
    let rustc = env::var_os("RUSTC").unwrap_or("rustc".into());
    let output = Command::new(rustc).arg("--version").output();
    let output = output.map_err(|error| Failure::new(format!("rustc did not start: {error}")))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let name = said.split(" (").next().unwrap_or_default();
    Ok(name.trim().to_owned())
}

/// A build of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build<'a> {
    /// The package.
    pub package: &'a str,
    /// The compilation target.
    pub target: &'a str,
    /// The profile of the workspace.
    pub profile: &'a str,
    /// True if the image is to contain the stack size of each function. The compiler does this only with unstable
    /// features enabled; the code is the same, but may be in another order.
    pub has_stack_sizes: bool,
}

impl Build<'_> {
    /// Builds the package if necessary, and returns the folder of the images. It is not the target folder of the
    /// outer build, so that neither build waits for the other.
    ///
    /// # Errors
    ///
    /// Returns the output of the compiler.
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

/// Removes the environment variables that would change the build.
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

/// Builds a package for a target with the firmware profile, and returns the folder of the images.
///
/// # Errors
///
/// Returns the output of the compiler.
pub fn build(package: &str, target: &str) -> Result<PathBuf, Failure> {
    Build {
        package,
        target,
        profile: "firmware",
        has_stack_sizes: false,
    }
    .run()
}

/// Builds a program of `example-firmware` for a board if necessary, and returns its image.
///
/// # Errors
///
/// Returns the output of the compiler.
pub fn firmware(board: Board, program: &str) -> Result<PathBuf, Failure> {
    Ok(build("example-firmware", board.target())?.join(program))
}
