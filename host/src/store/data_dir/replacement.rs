//! Membership of a cluster in its directory: the numbers of its nodes, who is a member, and who took whose place.

use super::super::error::StoreError;
use super::super::manifest::{Manifest, Members};
use super::{DataDir, MANIFEST};
use crate::membership::span_of;
use std::path::Path;
use synod::{NODES_MAX, NodeId, NodeSet};

impl Manifest {
    /// Returns the number of nodes from 0 to the last one that ever had storage or was to have it.
    pub(in super::super) fn nodes(&self) -> u16 {
        let replacing = self.replaced.values();
        let named: NodeSet = self.provisioned.iter().chain(replacing).copied().collect();
        span_of(named).max(self.cluster.nodes)
    }
}

impl DataDir {
    /// True if a directory is that of a cluster.
    pub fn exists(path: &Path) -> bool {
        path.join(MANIFEST).exists()
    }

    /// Returns the number of nodes: those that founded the cluster, and those that came later. Some may be gone.
    pub const fn nodes(&self) -> u16 {
        self.nodes
    }

    /// Allows storage for at least this number of nodes.
    pub fn admit(&mut self, nodes: u16) {
        self.nodes = self.nodes.max(nodes);
    }

    /// Returns the node in the place of one whose storage was lost for good.
    pub fn replacement(&self, lost: NodeId) -> Option<NodeId> {
        self.manifest.replaced.get(&lost).copied()
    }

    /// Returns each node whose storage was lost for good, with the node in its place.
    pub fn replaced(&self) -> impl Iterator<Item = (NodeId, NodeId)> {
        self.manifest.replaced.iter().map(|(lost, by)| (*lost, *by))
    }

    /// True if there is a file where the store of a node belongs.
    pub fn has_store(&self, node: NodeId) -> bool {
        self.store(node).exists()
    }

    /// Has a new node take the place of each of some nodes. From here on the lost ones have no storage, whatever becomes
    /// of their files, which stay as they are. The new nodes have the next free numbers. Returns false, and changes
    /// nothing, if there are too few.
    ///
    /// # Errors
    ///
    /// The manifest cannot be written.
    pub fn replace(&mut self, lost: NodeSet) -> Result<bool, StoreError> {
        let mut manifest = self.manifest.clone();
        let mut nodes = self.nodes;
        for node in lost.iter() {
            if nodes >= NODES_MAX {
                return Ok(false);
            }
            manifest.replaced.insert(node, NodeId(nodes));
            nodes += 1;
        }
        self.update(manifest)?;
        self.nodes = nodes;
        Ok(true)
    }

    /// Returns the membership when the cluster last stopped.
    pub const fn members(&self) -> Members {
        self.manifest.members
    }

    /// Writes the membership to the manifest.
    ///
    /// # Errors
    ///
    /// The manifest cannot be written.
    pub fn remember_members(&mut self, members: Members) -> Result<(), StoreError> {
        let manifest = Manifest {
            members,
            ..self.manifest.clone()
        };
        self.update(manifest)
    }
}
