//! The seam between auditfs and the share: list, stat, open, read. Tests put faults here.

use std::fmt::Debug;
use std::io;
use std::sync::Arc;

/// What a directory entry is, as far as the listing says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symlink, socket, device or the like: never opened.
    Other,
    /// The file system did not say (most NFS entries): stat tells.
    Unknown,
}

/// The attributes that matter of a file or directory of the share.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FileStat {
    /// Bytes.
    pub size: u64,
    /// Last modification, nanoseconds since 1970 by the clock of the file server.
    pub mtime_ns: i64,
    /// Device and inode number: tells one open file from another, but is used again after deletion.
    pub identity: (u64, u64),
    /// What it is.
    pub kind: EntryKind,
}

/// An open file of the share.
pub trait SourceFile: Debug + Send + Sync {
    /// Reads at `offset_bytes`; fewer bytes than asked mean the end of the file.
    ///
    /// # Errors
    /// Those of pread(2).
    fn read_at(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<usize>;

    /// Fresh attributes.
    ///
    /// # Errors
    /// Those of statx(2).
    fn stat(&self) -> io::Result<FileStat>;
}

/// The audit directory. All paths are relative to it, with `/` between names; `""` is the directory itself.
pub trait Storage: Debug + Send + Sync {
    /// Calls `each` for every entry of a directory, freshly listed, in no order, without `.` and `..`.
    ///
    /// # Errors
    /// Those of open(2) and getdents(2). After an error the listing is incomplete.
    fn list(&self, dir: &str, each: &mut dyn FnMut(&[u8], EntryKind)) -> io::Result<()>;

    /// Attributes, fresh from the file server; symlinks are not followed.
    ///
    /// # Errors
    /// Those of statx(2).
    fn stat(&self, path: &str) -> io::Result<FileStat>;

    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// Those of openat2(2); `ELOOP` for a path with a symlink in it, `EINVAL` for what is not a regular file.
    fn open(&self, path: &str) -> io::Result<Arc<dyn SourceFile>>;

    /// Whether calls on this folder below the root may hang on a network or another process, so that it needs a lane; `""`
    /// is the root. Asked before every call: a folder may be mounted later.
    fn is_remote(&self, folder: &str) -> bool;

    /// Total, free and available bytes of the file system.
    ///
    /// # Errors
    /// Those of statvfs(3).
    fn space_bytes(&self) -> io::Result<(u64, u64, u64)>;
}
