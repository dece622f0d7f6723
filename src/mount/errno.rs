//! One table from our errors to errno, each arm written out.

use fuser::Errno;

use crate::view::{DiskError, ViewError};

/// What the caller of a system call sees.
pub fn errno(error: &ViewError) -> Errno {
    match error {
        ViewError::NotFound => Errno::ENOENT,
        ViewError::NotDirectory => Errno::ENOTDIR,
        ViewError::IsDirectory => Errno::EISDIR,
        ViewError::NotSymlink => Errno::EINVAL,
        ViewError::NoSuchOffset => Errno::ENXIO,
        ViewError::Exists => Errno::EEXIST,
        ViewError::Full => Errno::ENOSPC,
        ViewError::WouldBlock => Errno::EAGAIN,
        ViewError::Disk(DiskError::TimedOut { .. }) => Errno::ETIMEDOUT,
        ViewError::Disk(DiskError::TooLarge { .. }) => Errno::EFBIG,
        ViewError::Disk(DiskError::Io { .. }) => Errno::EIO,
    }
}
