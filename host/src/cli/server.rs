//! Command lines of the server: `synod init`, `synod certify`, `synod node`, `synod cluster`, `synod judge`, `synod status`,
//! `synod members`, `synod backup`, `synod restore` and `synod bench`. A program built without the feature `server` explains
//! how to build one with it.

#[cfg(feature = "server")]
pub(super) use bench::{BenchArgs, LONG_ABOUT as BENCH_LONG_ABOUT};
#[cfg(feature = "server")]
pub(super) use nodes::{CertifyArgs, ClusterArgs, InitArgs, JudgeArgs, NodeArgs};
#[cfg(feature = "server")]
pub(super) use questions::{BackupArgs, MembersArgs, RestoreArgs, StatusArgs};
#[cfg(not(feature = "server"))]
pub(super) use without::{
    AnyArgs as BackupArgs, AnyArgs as BenchArgs, AnyArgs as CertifyArgs, AnyArgs as ClusterArgs,
    AnyArgs as InitArgs, AnyArgs as JudgeArgs, AnyArgs as MembersArgs, AnyArgs as NodeArgs,
    AnyArgs as RestoreArgs, AnyArgs as StatusArgs,
};

#[cfg(feature = "server")]
mod bench;
#[cfg(feature = "server")]
mod nodes;
#[cfg(feature = "server")]
mod questions;

#[cfg(not(feature = "server"))]
mod without {
    // Whatever is given is accepted, and answered by how to build a program with the server.
    #[derive(Debug, clap::Args)]
    pub(in crate::cli) struct AnyArgs {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
        _rest: Vec<std::ffi::OsString>,
    }
}
