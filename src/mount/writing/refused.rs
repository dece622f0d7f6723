//! Why a request that would change something was refused; `errno.rs` says with which errno.

use crate::event::Day;
use crate::view::ViewError;
use crate::write::{RecordingError, RefusedLine, WriteError};

/// See the module text.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// A line of what was written is no event.
    #[error("line {line}: {why}")]
    Line {
        /// From 1, in this write(2).
        line: usize,
        /// What is wrong with it.
        why: RefusedLine,
    },
    /// The disk, or the session.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The recording.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// The name leads nowhere, or the share could not be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// A descriptor is closed and the last line has no newline; another may be open and bring it. Errno: EINVAL.
    #[error("the last line has no newline yet")]
    Unfinished,
    /// Extended attributes of an upload, which `cp -p` tries. Errno: EOPNOTSUPP.
    #[error("there are no extended attributes here")]
    NoAttributes,
    /// A write that is not at the end. Errno: EPERM.
    #[error("a write at byte {offset_bytes}: bytes are only added at the end")]
    NotAtEnd {
        /// Where.
        offset_bytes: u64,
    },
    /// A file that shall be cut or stretched. Errno: EPERM.
    #[error("the size cannot be set to {size_bytes}: nothing is cut off or stretched")]
    Resize {
        /// What was asked for.
        size_bytes: u64,
    },
    /// The file of another day. Errno: EPERM.
    #[error("{0} is not today: events go to the file of today, events/current")]
    NotToday(Day),
    /// A file or directory that only reads. Errno: EPERM.
    #[error("nothing can be written here")]
    ReadOnly,
    /// Removing, renaming, linking, modes, owners, times. Errno: EPERM.
    #[error("an audit log is only added to")]
    OnlyAdded,
    /// Something that is not made here. Errno: EINVAL.
    #[error("{name:?} is no {what}")]
    BadName {
        /// The name.
        name: String,
        /// What a name here is.
        what: &'static str,
    },
    /// It is there already. Errno: EEXIST.
    #[error("it is there already")]
    Exists,
    /// A dead worker had this request; it may have done what was asked. Errno: EIO.
    #[error("an earlier worker may have done this before it died")]
    Resent,
    /// An upload that a worker before this one had. Errno: EIO.
    #[error("the upload was begun before the worker was replaced; begin it anew")]
    UploadLost,
    /// The temporary file of an upload. Errno: that of the source.
    #[error("the upload: {0}")]
    Spool(#[source] std::io::Error),
    /// What was acknowledged since the last fsync(2) may not be durable. Errno: EIO.
    #[error("what was written before may be lost: the disk failed meanwhile")]
    FailedSince,
    /// The server's folder is not ours now. Errno: ESTALE.
    #[error("this mount cannot write now: {0}")]
    NoRecorder(String),
}
