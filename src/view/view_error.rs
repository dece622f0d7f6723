//! Why the view could not answer.

use thiserror::Error;

use crate::disk::DiskError;

/// See the module text.
#[derive(Debug, Error)]
pub enum ViewError {
    /// No such name, or it is gone.
    #[error("no such file or directory")]
    NotFound,
    /// A file where a directory is needed.
    #[error("not a directory")]
    NotDirectory,
    /// A directory where a file is needed.
    #[error("is a directory")]
    IsDirectory,
    /// Not a symlink.
    #[error("not a symlink")]
    NotSymlink,
    /// An offset that is not in the file (SEEK_DATA and SEEK_HOLE behind the end).
    #[error("no such offset")]
    NoSuchOffset,
    /// A name that is to be made is there.
    #[error("file exists")]
    Exists,
    /// More namespaces or sessions than can be numbered.
    #[error("no room for another name")]
    Full,
    /// The answer needs the share, and the caller said not to wait for it.
    #[error("would wait for the share")]
    WouldBlock,
    /// The share failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}
