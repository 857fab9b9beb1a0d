//! `synod certify`: makes the certificate of a node, by the authority of its cluster.

use crate::exit::{Exit, print_error};
use core::fmt;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use synod::NodeId;
use synod_server::cluster_file::{Addresses, ClusterFile, TlsPaths};
use synod_server::tls::authority::{Authority, Pair, usual_end};
use synod_server::tls::{Files, Identity};

/// The certificate to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertifyCommand {
    /// The file of the cluster.
    pub file: PathBuf,
    /// The number of the node.
    pub node: NodeId,
    /// The names under which clients reach it.
    pub names: Vec<String>,
    /// The key of the authority; `None` for the file beside its certificate.
    pub ca_key: Option<PathBuf>,
}

/// Executes the command.
pub fn run(command: &CertifyCommand) -> Exit {
    match certify(command) {
        Ok(files) => {
            print_error(&format_args!(
                "wrote {} and {}: they go to the machine of node {}, with {}",
                files.certificate.display(),
                files.key.display(),
                command.node.0,
                files.ca.display(),
            ));
            Exit::Done
        }
        Err(error) => {
            print_error(&error);
            Exit::Usage
        }
    }
}

fn certify(command: &CertifyCommand) -> Result<Files, String> {
    let CertifyCommand {
        file, node, names, ..
    } = command;
    let text = fs::read_to_string(file).map_err(|error| at(file, &error))?;
    let cluster = ClusterFile::parse(&text).map_err(|error| at(file, &error))?;
    let Some(paths) = &cluster.tls else {
        let what = "has no [tls]: synod init --tls makes a cluster that has";
        return Err(format!("{} {what}", file.display()));
    };
    let Some(addresses) = cluster.nodes.get(node) else {
        return Err(format!(
            "{} has no addresses of {node}: add a [[node]] with id = {} first",
            file.display(),
            node.0
        ));
    };
    let files = paths.files(file, *node);
    let path = command.ca_key.clone();
    let path = path.unwrap_or_else(|| files.ca.with_extension("key"));
    let key = fs::read_to_string(&path).map_err(|error| at(&path, &error))?;
    let authority = Authority::with_key(cluster.cluster, &key, usual_end());
    let authority = authority.map_err(|error| at(&path, &error))?;
    write_node(&authority, &files, (*node, *addresses), names)?;
    if let Err(error) = Identity::load(&files, cluster.cluster, *node) {
        // Written a moment ago, and of no use.
        let _ = fs::remove_file(&files.certificate);
        let _ = fs::remove_file(&files.key);
        return Err(format!(
            "{} is not the key of {} ({error})",
            path.display(),
            files.ca.display()
        ));
    }
    Ok(files)
}

/// Creates an authority and the certificates of all nodes of a cluster. `file` is that of the cluster, whose directory
/// exists.
///
/// # Errors
///
/// A file cannot be written, or is there already.
pub(super) fn create(
    cluster: &ClusterFile,
    paths: &TlsPaths,
    file: &Path,
) -> Result<PathBuf, String> {
    let number = cluster.cluster;
    let (authority, pair) =
        Authority::create(number, usual_end()).map_err(|error| at(file, &error))?;
    let ca = paths.files(file, NodeId(0)).ca;
    let directory = ca.parent().unwrap_or(Path::new("")).to_owned();
    create_directory(&directory).map_err(|error| at(&directory, &error))?;
    write_pair(&pair, &ca, &ca.with_extension("key"))?;
    for (node, addresses) in &cluster.nodes {
        let files = paths.files(file, *node);
        write_node(&authority, &files, (*node, *addresses), &[])?;
    }
    Ok(directory)
}

fn write_node(
    authority: &Authority,
    files: &Files,
    (node, addresses): (NodeId, Addresses),
    names: &[String],
) -> Result<(), String> {
    let mut ips = vec![addresses.clients.ip()];
    if addresses.peers.ip() != addresses.clients.ip() {
        ips.push(addresses.peers.ip());
    }
    let pair = authority.certify(node, &ips, names);
    let pair = pair.map_err(|error| at(&files.certificate, &error))?;
    write_pair(&pair, &files.certificate, &files.key)
}

/// Writes a certificate that everybody may read, and its key.
fn write_pair(pair: &Pair, certificate: &Path, key: &Path) -> Result<(), String> {
    for (path, text, mode) in [
        (key, &pair.key, 0o600),
        (certificate, &pair.certificate, 0o644),
    ] {
        write_new(path, text, mode).map_err(|error| at(path, &error))?;
    }
    Ok(())
}

/// Writes a file that must not exist.
pub(super) fn write_new(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Creates a directory that only its owner can read, unless it exists.
pub(super) fn create_directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn at(path: &Path, error: &dyn fmt::Display) -> String {
    format!("{}: {error}", path.display())
}
