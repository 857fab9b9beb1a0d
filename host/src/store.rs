//! Storage of a cluster in a directory: a log for each node, one for the clients, and a manifest.
//!
//! [`DataDir`] is the directory. Each node has a [`FileLog`](synod_store::FileLog) in it, whose format and promises are
//! those of the package `synod-store`: it returns every record that was synced, or an error.
//!
//! # What a directory must never do
//!
//! A node that has lost its votes and votes again violates the safety of its cluster. A log alone cannot tell that it is an
//! older copy, or in the place of another one; the directory can:
//!
//! - **A missing file** is that of a node without storage, or lost. The manifest knows which nodes were given storage.
//! - **A file of another node or of another directory** has another key. The keys follow from the identity of the directory,
//!   which is drawn at random and stands in the manifest, and from the numbers of the nodes.
//! - **An older copy of a file** has fewer syncs than the manifest has counted when the cluster last started or stopped.
//!
//! # What is not noticed
//!
//! - Older copies of a file and of the manifest together, and a copy made after the manifest has counted. Nobody must
//!   restore such a copy. A run compares the files with each other as well, and refuses most of these.
//! - Decay of the last sync of a file, if the process was killed or power was lost after it: it looks like a write that was
//!   torn. A run that ends, in whatever way but these, marks its files, so that this sync is like all others. To mark each
//!   sync would take a second one, twice the time of a run, for a coincidence of two faults in one file; and what a client
//!   was answered is in the files of a majority of the nodes.

mod data_dir;
mod error;
mod manifest;
mod whole_file;

pub use data_dir::{DataDir, Seen};
pub use error::{Problem, StoreError};
pub use manifest::{Cluster, Members};
