//! Data directory of a cluster: a manifest, a store for each node, and the client log.
//!
//! What the directory adds to its stores is memory about them. A store that is missing was either
//! never created, or lost with the votes of its node; the manifest knows which. A store with fewer
//! syncs than before is an older copy; the manifest counts. And a store of another node or from
//! another directory has another key, as that follows from the identity of the directory.
//!
//! A node whose store is lost for good is replaced: see [`DataDir::replace`]. Its number is never used again.
//!
//! The order of writes keeps it so: a store is created before the manifest names its node, and the
//! manifest names the node before the node votes.

mod replacement;

use super::error::{Problem, StoreError};
use super::manifest::{CLIENTS, Cluster, Manifest, Members};
use super::whole_file::{lock, sync_directory, write_whole};
use core::hash::BuildHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::hash::RandomState;
use std::io;
use std::path::{Path, PathBuf};
use synod::{Digest, NODES_MAX, NodeId, Sink};
use synod_store::FileLog;

/// Name of the manifest.
const MANIFEST: &str = "cluster.toml";
/// Capacity of the client log, in bytes of records. Enough for the entries between two trims of the
/// client log, and those of all clients twice.
const CLIENTS_ROOM: u32 = 1 << 17;
/// Name of the client log.
const CLIENT_LOG: &str = "clients.store";
/// Name of the lock file. It is apart from the manifest, which is replaced as a whole and would
/// lose the lock.
const LOCK: &str = "lock";

/// A directory with a store for each node of a cluster, and a manifest that identifies the cluster and the nodes that
/// have storage. The directory is locked for the lifetime of this value.
///
/// A node is given storage only once. If its store is lost, so are its votes, and it is never given a new one.
///
/// ```
/// use synod::NodeId;
/// use synod_host::store::{Cluster, DataDir};
///
/// # let path = std::env::temp_dir().join(format!("synod-dir-doc-{}", std::process::id()));
/// let cluster = Cluster {
///     number: 6,
///     nodes: 3,
///     machine: "kv".to_owned(),
///     capacities: [64, 16, 2],
///     room: 1 << 18,
/// };
/// let mut dir = DataDir::open_or_found(&path, &cluster)?;
/// assert!(!dir.is_provisioned(NodeId(0)));
/// drop(dir.storage(NodeId(0))?);
/// assert!(dir.is_provisioned(NodeId(0)), "from here on, a missing store is an error");
/// # std::fs::remove_dir_all(&path)?;
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DataDir {
    /// Path of the directory.
    path: PathBuf,
    /// Contents of the manifest as they are in the file.
    manifest: Manifest,
    /// Number of nodes that can have storage; at least that of those that have had some.
    nodes: u16,
    /// Locked as long as it is open.
    _lock: File,
}

impl DataDir {
    /// Opens the directory of a cluster, or founds one in a missing or empty directory.
    ///
    /// # Errors
    ///
    /// The directory contains something else, or another cluster than expected. Then nothing was changed, except that a
    /// directory that was opened may have an empty file `lock`.
    pub fn open_or_found(path: &Path, expected: &Cluster) -> Result<Self, StoreError> {
        if let Err(error) = fs::create_dir(path) {
            if error.kind() == io::ErrorKind::NotFound {
                return Err(Problem::NoParent.at(path));
            }
            if error.kind() != io::ErrorKind::AlreadyExists {
                return Err(Problem::of(error).at(path));
            }
            if !path.is_dir() {
                return Err(Problem::NotADirectory.at(path));
            }
        }
        let at = path.join(MANIFEST);
        let manifest = read(&at)?;
        // Not even a lock file is created in a directory that holds something else.
        // Without the lock, as that would create a file. The manifest is read again once the lock
        // is held.
        if manifest.is_none() {
            must_be_empty(path)?;
        }
        let lock = lock(path, LOCK)?;
        // The manifest is read again, as the previous holder of the lock may have founded a cluster.
        let manifest = match read(&at)? {
            Some(manifest) => manifest,
            None => found(path, &at, expected)?,
        };
        manifest
            .cluster
            .must_be(expected)
            .map_err(|problem| problem.at(&at))?;
        Ok(Self {
            path: path.to_path_buf(),
            nodes: manifest.nodes(),
            manifest,
            _lock: lock,
        })
    }

    /// True if a node has been given storage here.
    pub fn is_provisioned(&self, node: NodeId) -> bool {
        self.manifest.provisioned.contains(&node)
    }

    /// Opens the store of a node, or creates it if the node has not been given one.
    ///
    /// # Errors
    ///
    /// [`Problem::Gone`] if the node's store is missing, or any error of [`FileLog::open_with_key`].
    pub fn storage(&mut self, node: NodeId) -> Result<FileLog, StoreError> {
        if node.0 >= self.nodes || self.manifest.replaced.contains_key(&node) {
            return Err(Problem::NoSuchNode(node).at(&self.path));
        }
        debug_assert!(
            node != CLIENTS,
            "a cluster has fewer nodes than that number"
        );
        let room = capacity(self.manifest.cluster.room);
        let (path, key) = (self.store(node), self.key(node));
        let is_provisioned = self.is_provisioned(node);
        // The file of a node without storage was created just before a loss of power, and nothing was ever written to it.
        let opened = if is_provisioned || path.exists() {
            FileLog::open_with_key(&path, room, key)
        } else {
            FileLog::create_with_key(&path, room, key)
        };
        let log = opened.map_err(|error| self.problem_of(node, error.problem).at(&path))?;
        if !is_provisioned {
            // The manifest is written before the node can act on its store, so that from here on its loss is detected.
            let mut manifest = self.manifest.clone();
            manifest.provisioned.insert(node);
            self.update(manifest)?;
        }
        Ok(log)
    }

    /// Opens the client log, or creates it if no node has been given storage yet.
    ///
    /// # Errors
    ///
    /// [`Problem::ClientLogGone`] if it is missing, or any error of [`FileLog::open_with_key`].
    pub fn clients(&mut self) -> Result<FileLog, StoreError> {
        let (path, key, room) = (self.client_log(), self.key(CLIENTS), capacity(CLIENTS_ROOM));
        let opened = if path.exists() {
            FileLog::open_with_key(&path, room, key)
        } else if self.manifest.provisioned.is_empty() {
            FileLog::create_with_key(&path, room, key)
        } else {
            return Err(Problem::ClientLogGone.at(&path));
        };
        opened.map_err(StoreError::of_client_log)
    }

    /// Returns the path of the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of the client log.
    pub fn client_log(&self) -> PathBuf {
        self.path.join(CLIENT_LOG)
    }

    /// True if any node has been given storage here.
    pub fn has_nodes(&self) -> bool {
        !self.manifest.provisioned.is_empty()
    }

    /// Checks that a store is not an older copy of the one seen by the last [`DataDir::remember`].
    ///
    /// # Errors
    ///
    /// [`Problem::Older`].
    pub fn must_be_newest(&self, storage: Seen) -> Result<(), StoreError> {
        let Seen { node, syncs: found } = storage;
        let known = self.manifest.syncs.get(&node).copied().unwrap_or(0);
        if found >= known {
            return Ok(());
        }
        let older = Problem::Older { found, known };
        Err(if node == CLIENTS {
            Problem::ClientLog(Box::new(older)).at(&self.client_log())
        } else {
            older.at(&self.store(node))
        })
    }

    /// Writes the numbers of syncs of the stores to the manifest. From then on an older copy of a store is detected,
    /// unless the manifest is an older copy, too.
    ///
    /// # Errors
    ///
    /// The manifest cannot be written.
    pub fn remember(&mut self, stores: impl IntoIterator<Item = Seen>) -> Result<(), StoreError> {
        let mut manifest = self.manifest.clone();
        let stores = stores.into_iter();
        manifest
            .syncs
            .extend(stores.map(|seen| (seen.node, seen.syncs)));
        self.update(manifest)
    }

    /// Returns the path of a node's store.
    fn store(&self, node: NodeId) -> PathBuf {
        self.path.join(format!("node-{}.store", node.0))
    }

    /// Replaces the manifest, unless it stays the same: each time is a chance to lose it.
    fn update(&mut self, manifest: Manifest) -> Result<(), StoreError> {
        if manifest != self.manifest {
            write(&self.path.join(MANIFEST), &manifest)?;
            self.manifest = manifest;
        }
        Ok(())
    }

    /// Returns the key of a store in this directory. It is as random as the identity, from which it follows.
    fn key(&self, node: NodeId) -> u64 {
        let mut digest = Digest::new();
        digest.put_u64(self.manifest.identity);
        digest.put_u64(node.0.into());
        digest.value()
    }

    /// Returns the problem with the store of a node.
    fn problem_of(&self, node: NodeId, problem: synod_store::Problem) -> Problem {
        let key = match problem {
            synod_store::Problem::Missing => return Problem::Gone(node),
            synod_store::Problem::OtherKey(key) => key,
            problem => return problem.into(),
        };
        let mut owners = (0..NODES_MAX).map(NodeId).chain([CLIENTS]);
        match owners.find(|owner| self.key(*owner) == key) {
            None => Problem::OtherDirectory,
            Some(CLIENTS) => synod_store::Problem::Foreign.into(),
            Some(owner) => Problem::Other {
                what: "node",
                found: owner.to_string(),
                expected: node.to_string(),
            },
        }
    }
}

/// Returns a capacity in bytes as a log takes it.
fn capacity(room: u32) -> usize {
    usize::try_from(room).unwrap_or(usize::MAX)
}

/// Number of syncs of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seen {
    /// Node of the store.
    node: NodeId,
    /// Number of syncs so far.
    syncs: u64,
}

impl Seen {
    /// Returns the number of syncs of a node's store.
    pub fn of(node: NodeId, storage: &FileLog) -> Self {
        let syncs = storage.syncs();
        Self { node, syncs }
    }

    /// Returns the node of the store; of the client log, a number that no node has.
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// Returns the number of syncs of the client log.
    pub fn of_client_log(storage: &FileLog) -> Self {
        Self::of(CLIENTS, storage)
    }
}

/// Draws the identity of a directory from the operating system's randomness.
///
/// Two directories with one identity would take each other's stores for their own, so that it must
/// not follow from a seed.
fn draw() -> u64 {
    RandomState::new().hash_one(())
}

/// Founds a cluster: writes the first manifest, and makes the name of the directory durable as well.
fn found(path: &Path, at: &Path, expected: &Cluster) -> Result<Manifest, StoreError> {
    must_be_empty(path)?;
    let manifest = Manifest {
        cluster: expected.clone(),
        provisioned: BTreeSet::new(),
        identity: draw(),
        members: Members::founding(expected.nodes),
        syncs: BTreeMap::new(),
        replaced: BTreeMap::new(),
    };
    write(at, &manifest)?;
    sync_directory(path.parent()).map_err(|error| Problem::of(error).at(path))?;
    Ok(manifest)
}

/// Checks that a directory is empty, except for leftovers of an interrupted founding.
fn must_be_empty(path: &Path) -> Result<(), StoreError> {
    let wrong = |error: io::Error| Problem::of(error).at(path);
    for entry in fs::read_dir(path).map_err(wrong)? {
        let name = entry.map_err(wrong)?.file_name();
        let name = name.to_string_lossy();
        if name == LOCK || name == format!("{MANIFEST}.new") {
            continue;
        }
        let is_store = name.starts_with("node-") && name.ends_with(".store") || name == CLIENT_LOG;
        return Err(if is_store {
            Problem::ManifestGone.at(&path.join(MANIFEST))
        } else {
            Problem::NotEmpty(name.into_owned()).at(path)
        });
    }
    Ok(())
}

/// Reads a manifest; `None` if there is no file.
fn read(at: &Path) -> Result<Option<Manifest>, StoreError> {
    match fs::read_to_string(at) {
        Ok(text) => Manifest::parse(&text).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(Problem::ManifestDamaged("it is no text".to_owned()))
        }
        Err(error) => Err(Problem::of(error)),
    }
    .map_err(|problem| problem.at(at))
}

/// Replaces a manifest as a whole, so that after a loss of power either the old or the new one is
/// there.
fn write(at: &Path, manifest: &Manifest) -> Result<(), StoreError> {
    let write = || write_whole(at, manifest.print()?.as_bytes()).map_err(Problem::of);
    write().map_err(|problem| problem.at(at))
}
