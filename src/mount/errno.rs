//! One table from our errors to errno, each arm written out.

use std::io;

use fuser::Errno;

use crate::view::{DiskError, ViewError};
use crate::write::{RecordingError, RefusedLine, WriteError};

use super::writing::Refused;

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

/// What whoever wanted to change something sees (DESIGN 6).
pub fn refused_errno(refused: &Refused) -> Errno {
    match refused {
        Refused::Line { why, .. } => line_errno(why),
        Refused::Write(error) => write_errno(error),
        Refused::Recording(error) => recording_errno(error),
        Refused::View(error) => errno(error),
        Refused::Unfinished => Errno::EINVAL,
        Refused::NoAttributes => Errno::EOPNOTSUPP,
        Refused::NotAtEnd { .. } => Errno::EPERM,
        Refused::Resize { .. } => Errno::EPERM,
        Refused::NotToday(_) => Errno::EPERM,
        Refused::ReadOnly => Errno::EPERM,
        Refused::OnlyAdded => Errno::EPERM,
        Refused::BadName { .. } => Errno::EINVAL,
        Refused::Exists => Errno::EEXIST,
        Refused::Resent => Errno::EIO,
        Refused::UploadLost => Errno::EIO,
        Refused::Spool(source) => io_errno(source),
        Refused::FailedSince => Errno::EIO,
        Refused::NoRecorder(_) => Errno::ESTALE,
    }
}

fn line_errno(why: &RefusedLine) -> Errno {
    match why {
        RefusedLine::TooLong { .. } => Errno::EMSGSIZE,
        RefusedLine::Nul { .. } => Errno::EINVAL,
        RefusedLine::NotAnEvent(_) => Errno::EINVAL,
        RefusedLine::NoEvent => Errno::EINVAL,
        RefusedLine::Invalid(_) => Errno::EINVAL,
        RefusedLine::Print => Errno::EINVAL,
        RefusedLine::NoNewline { .. } => Errno::EINVAL,
    }
}

fn write_errno(error: &WriteError) -> Errno {
    match error {
        WriteError::Io { source, .. } => io_errno(source),
        WriteError::Refused(why) => line_errno(why),
        WriteError::NotOurs { .. } => Errno::ESTALE,
        WriteError::Closed => Errno::ESHUTDOWN,
        WriteError::SessionEnded { .. } => Errno::EPERM,
        WriteError::NoNumberLeft { .. } => Errno::EFBIG,
        WriteError::OldSlice { .. } => Errno::EINVAL,
        WriteError::BadSlice(_) => Errno::EINVAL,
        WriteError::BadChunk(_) => Errno::EINVAL,
    }
}

fn recording_errno(error: &RecordingError) -> Errno {
    match error {
        RecordingError::Tar(_) => Errno::EINVAL,
        RecordingError::ForeignName { .. } => Errno::EINVAL,
        RecordingError::Twice(_) => Errno::EINVAL,
        RecordingError::NoIndex(_) => Errno::EINVAL,
        RecordingError::BadIndex(_) => Errno::EINVAL,
        RecordingError::BadFile { .. } => Errno::EINVAL,
        RecordingError::BadEvent { .. } => Errno::EINVAL,
        RecordingError::TooLarge(_) => Errno::EFBIG,
        RecordingError::Exists(_) => Errno::EEXIST,
        RecordingError::Io { source, .. } => io_errno(source),
    }
}

/// ENOSPC, EDQUOT, EIO, ESTALE and the like reach the writer as they are.
fn io_errno(error: &io::Error) -> Errno {
    Errno::from_i32(error.raw_os_error().unwrap_or(libc::EIO))
}
