//! A directory with a store for each node of a cluster.

use super::error::{Problem, StoreError};
use super::file::{FileStorage, sync_directory, write_whole};
use super::inspection;
use super::manifest::{Cluster, Manifest};
use super::superblock::{CLIENTS, Label};
use core::hash::BuildHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::hash::RandomState;
use std::io;
use std::path::{Path, PathBuf};
use synod::NodeId;

/// The name of the manifest.
const MANIFEST: &str = "cluster.toml";
/// How many bytes of notes of the clients there is room for.
const CLIENTS_ROOM: u32 = 1 << 17;
/// The name of the store of the clients' notes.
const NOTES: &str = "clients.store";
/// The name of the file whose lock is that of the directory.
const LOCK: &str = "lock";

/// A directory with a store for each node of a cluster, and a manifest that says which cluster that is and which nodes have
/// been given storage. It is locked as long as this lives.
///
/// A node is given storage once. Where that is gone, so is what the node voted, and it is not given new one.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    manifest: Manifest,
    _lock: File,
}

impl DataDir {
    /// Opens the directory of a cluster; or makes it one where there is nothing, or nothing in it.
    ///
    /// # Errors
    ///
    /// What is there instead, or what of the cluster in it is not as expected. Then nothing was changed but for an empty
    /// file with the name `lock` in a directory that was opened.
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
        if manifest.is_none() {
            must_be_empty(path)?;
        }
        let lock = lock(path)?;
        // Once more, as whoever had the lock may have made the directory a cluster's.
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
            manifest,
            _lock: lock,
        })
    }

    /// Whether a node has been given storage here.
    pub fn is_provisioned(&self, node: NodeId) -> bool {
        self.manifest.provisioned.contains(&node)
    }

    /// Opens the store of a node; makes it, where the node has not been given one.
    ///
    /// # Errors
    ///
    /// [`Problem::Gone`] where it has been given one that is not there, and anything that [`FileStorage::open`] says.
    pub fn storage(&mut self, node: NodeId) -> Result<FileStorage, StoreError> {
        let Cluster { nodes, room, .. } = self.manifest.cluster;
        if node.0 >= nodes {
            return Err(Problem::NoSuchNode(node).at(&self.path));
        }
        let label = self.label(node, room);
        let path = self.store(node);
        if self.is_provisioned(node) {
            return FileStorage::open(&path, label).map_err(of_this_directory);
        }
        // A file that is there was made just before the power went, and nothing was ever written to it.
        let storage = if path.exists() {
            FileStorage::open(&path, label).map_err(of_this_directory)?
        } else {
            FileStorage::create(&path, label)?
        };
        // Before the node can act on it: from here on its loss is noticed.
        let mut manifest = self.manifest.clone();
        manifest.provisioned.insert(node);
        write(&self.path.join(MANIFEST), &manifest)?;
        self.manifest = manifest;
        Ok(storage)
    }

    /// Opens the store of the clients' notes; makes it, where no node has been given storage yet.
    ///
    /// # Errors
    ///
    /// [`Problem::NotesGone`] where it is not there and should be, and anything that [`FileStorage::open`] says.
    pub fn clients(&mut self) -> Result<FileStorage, StoreError> {
        let label = self.label(CLIENTS, CLIENTS_ROOM);
        let path = self.notes();
        let opened = if path.exists() {
            FileStorage::open(&path, label)
        } else if self.manifest.provisioned.is_empty() {
            FileStorage::create(&path, label)
        } else {
            Err(Problem::NotesGone.at(&path))
        };
        opened.map_err(|StoreError { path, problem }| Problem::Notes(Box::new(problem)).at(&path))
    }

    /// Where the store of the clients' notes is.
    pub fn notes(&self) -> PathBuf {
        self.path.join(NOTES)
    }

    /// Whether any node has been given storage here.
    pub fn has_nodes(&self) -> bool {
        !self.manifest.provisioned.is_empty()
    }

    /// Checks that a store is not an older copy of what was here when [`DataDir::remember`] was last called.
    ///
    /// # Errors
    ///
    /// [`Problem::Older`].
    pub fn must_be_newest(&self, storage: Seen) -> Result<(), StoreError> {
        let Seen { node, records } = storage;
        let known = self.manifest.records.get(&node).copied().unwrap_or(0);
        if records >= known {
            return Ok(());
        }
        let older = Problem::Older {
            found: records,
            known,
        };
        Err(if node == CLIENTS {
            Problem::Notes(Box::new(older)).at(&self.notes())
        } else {
            older.at(&self.store(node))
        })
    }

    /// Writes down how many records there are in the stores: from now on an older copy of one of them is noticed, as long as
    /// the manifest is not one, too.
    ///
    /// # Errors
    ///
    /// Why it could not be written.
    pub fn remember(&mut self, stores: impl IntoIterator<Item = Seen>) -> Result<(), StoreError> {
        let mut manifest = self.manifest.clone();
        let stores = stores.into_iter();
        manifest
            .records
            .extend(stores.map(|seen| (seen.node, seen.records)));
        if manifest != self.manifest {
            write(&self.path.join(MANIFEST), &manifest)?;
            self.manifest = manifest;
        }
        Ok(())
    }

    fn store(&self, node: NodeId) -> PathBuf {
        self.path.join(format!("node-{}.store", node.0))
    }

    /// What a store here says of itself.
    pub(super) fn label(&self, node: NodeId, capacity: u32) -> Label {
        let Manifest {
            ref cluster,
            identity,
            ..
        } = self.manifest;
        Label {
            cluster: identity.unwrap_or(cluster.number),
            node,
            capacity,
        }
    }
}

/// How many records there have been in a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seen {
    /// Whose it is.
    node: NodeId,
    /// How many are synced.
    records: u64,
}

impl Seen {
    /// What there is in the store of a node.
    pub fn of(node: NodeId, storage: &FileStorage) -> Self {
        let records = storage.synced();
        Self { node, records }
    }

    /// What there is in the store of the clients' notes.
    pub fn of_notes(storage: &FileStorage) -> Self {
        Self::of(CLIENTS, storage)
    }
}

/// A store with another number in its label is another directory's.
fn of_this_directory(error: StoreError) -> StoreError {
    match error.problem {
        Problem::Other {
            what: "cluster", ..
        } => Problem::OtherDirectory.at(&error.path),
        _ => error,
    }
}

/// A number that no other directory has: it is drawn from the operating system's chance.
fn draw() -> u64 {
    RandomState::new().hash_one(())
}

fn found(path: &Path, at: &Path, expected: &Cluster) -> Result<Manifest, StoreError> {
    must_be_empty(path)?;
    let manifest = Manifest {
        cluster: expected.clone(),
        provisioned: BTreeSet::new(),
        identity: Some(draw()),
        records: BTreeMap::new(),
    };
    write(at, &manifest)?;
    sync_directory(path.parent()).map_err(|error| Problem::of(error).at(path))?;
    Ok(manifest)
}

/// A directory that is to become a cluster's must have nothing in it, besides what an attempt has left that was cut off.
fn must_be_empty(path: &Path) -> Result<(), StoreError> {
    let wrong = |error: io::Error| Problem::of(error).at(path);
    for entry in fs::read_dir(path).map_err(wrong)? {
        let name = entry.map_err(wrong)?.file_name();
        let name = name.to_string_lossy();
        if name == LOCK || name == format!("{MANIFEST}.new") {
            continue;
        }
        let is_store = name.starts_with("node-") && name.ends_with(".store") || name == NOTES;
        return Err(if is_store {
            Problem::ManifestGone.at(&path.join(MANIFEST))
        } else {
            Problem::NotEmpty(name.into_owned()).at(path)
        });
    }
    Ok(())
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let at = path.join(LOCK);
    let open = || inspection::locked(File::create(&at).map_err(Problem::of)?);
    open().map_err(|problem| match problem {
        Problem::InUse => Problem::InUse.at(path),
        problem => problem.at(&at),
    })
}

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

fn write(at: &Path, manifest: &Manifest) -> Result<(), StoreError> {
    let write = || write_whole(at, manifest.print()?.as_bytes()).map_err(Problem::of);
    write().map_err(|problem| problem.at(at))
}
