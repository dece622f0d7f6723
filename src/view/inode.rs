//! Inode numbers: 64-bit hashes of the path, the same after every remount, and back again to the node.
//!
//! The number of a node is all that a mount keeps of it, so a request that names a number nobody handed out in this
//! process (the daemon was restarted under a living mount) is answered as well: numbers are found again from
//! the names (DESIGN 4.8).

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::node::Node;

/// The root's number (FUSE wants 1).
pub const ROOT: u64 = 1;

/// Numbers of the nodes that are no sessions.
#[derive(Debug)]
pub struct Inodes {
    seed: u64,
    nodes: RwLock<HashMap<u64, Node>>,
}

impl Inodes {
    /// Numbers hashed with `seed`, the spool id.
    pub fn new(seed: u64) -> Self {
        Inodes {
            seed,
            nodes: RwLock::default(),
        }
    }

    /// The number of a node that is no session.
    pub fn number(&self, node: &Node) -> u64 {
        let Some(path) = node.fixed_path().filter(|path| !path.is_empty()) else {
            return ROOT;
        };
        let mut number = xxh3_64_with_seed(path.as_bytes(), self.seed) & !0xf;
        if self.read(number).as_ref() == Some(node) {
            return number;
        }
        let mut nodes = self.nodes.write().unwrap_or_else(PoisonError::into_inner);
        // Two paths with one hash: the later takes the next free number, and says so, for it may differ after a remount.
        while number < 0x1000 || nodes.get(&number).is_some_and(|other| other != node) {
            tracing::warn!(path, number, "inode number is taken; using the next one");
            number = number.wrapping_add(0x10);
        }
        nodes.insert(number, node.clone());
        number
    }

    /// The node that has this number, if it has been handed out in this process.
    pub fn node(&self, number: u64) -> Option<Node> {
        if number == ROOT {
            Some(Node::Root)
        } else {
            self.read(number)
        }
    }

    fn read(&self, number: u64) -> Option<Node> {
        self.nodes
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&number)
            .cloned()
    }
}
