//! The file system as a value: paths to nodes to bytes, without FUSE.
//!
//! [`View`] answers what a mount is asked (look up, attributes, list, open, read) from the readers below it. It can be
//! told never to wait for the share, so that a thread that must stay quick can try first and hand over what would
//! block. The command line shows the same tree through it, on hosts without FUSE.

mod attr;
mod inode;
mod listing;
mod node;
mod open;
mod resolve;
mod session_files;
mod status;
mod texts;
mod today;
mod tree;
mod view_error;
mod written;

pub use attr::{Attr, NodeKind, Ttl};
pub use listing::Entry;
pub use node::{Node, SessionPart};
pub use open::{Made, OpenMode, Opened};
pub use status::PassthroughUse;
pub use tree::{Changes, View, Wait};
pub use view_error::ViewError;
pub use written::Recorded;

// Words of the layers below that the mount needs, so that it knows the view only.
pub use crate::disk::DiskError;
pub use crate::reader::BatchTime;
pub use crate::spool::DayBytes;
