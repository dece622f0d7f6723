//! Attributes of a node, and how long a kernel may believe them.

/// What a node is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NodeKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symlink.
    Symlink,
}

/// How long attributes hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ttl {
    /// Ask every time: they are not known yet, or may not be old by a moment.
    Unknown,
    /// It may change: a second.
    Live,
    /// It is not expected to change: hours, and a notice if it does.
    Sealed,
}

/// Attributes of a node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Attr {
    /// Inode number.
    pub ino: u64,
    /// What it is.
    pub kind: NodeKind,
    /// Bytes.
    pub size: u64,
    /// Newest source, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Links: 1 for a file, 2 and one for each subdirectory for a directory.
    pub nlink: u32,
    /// How long this holds.
    pub ttl: Ttl,
}

impl Attr {
    pub(super) fn file(ino: u64, size: u64, mtime_ns: i64, ttl: Ttl) -> Self {
        Attr {
            ino,
            kind: NodeKind::File,
            size,
            mtime_ns,
            nlink: 1,
            ttl,
        }
    }

    pub(super) fn directory(ino: u64, subdirs: usize, mtime_ns: i64, ttl: Ttl) -> Self {
        let nlink = u32::try_from(subdirs).unwrap_or(u32::MAX).saturating_add(2);
        Attr {
            ino,
            kind: NodeKind::Directory,
            size: 0,
            mtime_ns,
            nlink,
            ttl,
        }
    }
}
