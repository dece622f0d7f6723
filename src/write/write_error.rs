//! Why something was not written.

use std::io;

use crate::event::{ChunkError, SessionId};

use super::event_line::RefusedLine;

/// A record was not written, or is perhaps not durable. What was acknowledged before is not touched by it.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The disk said no: ENOSPC, EDQUOT, EIO, ESTALE and the like. Errno: that of `source`.
    #[error("cannot write {path}: {source}")]
    Io {
        /// Path inside the audit directory.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The server's folder was taken away: another program may write there. Errno: ESTALE.
    #[error("{path}: this folder is not ours any more; another auditfs may write as this server")]
    NotOurs {
        /// The folder.
        path: String,
    },
    /// The writer has been closed. Errno: ESHUTDOWN.
    #[error("writing has ended")]
    Closed,
    /// The line is no event that this server may write. Errno: see [`RefusedLine`].
    #[error(transparent)]
    Refused(#[from] RefusedLine),
    /// The session is finished; nothing is added to it any more. Errno: EPERM.
    #[error("session {sid} has ended: nothing can be added to it")]
    SessionEnded {
        /// The session.
        sid: SessionId,
    },
    /// No `ei`, `ci` or offset is left: another server's files hold the greatest number there is. Errno: EFBIG.
    #[error("session {sid} cannot be continued: its numbers have come to their end")]
    NoNumberLeft {
        /// The session.
        sid: SessionId,
    },
    /// A slice of version 1, in the words of Teleport 2.7 `auditlog.go`. Errno: EINVAL.
    #[error("audit log rejected {version} log entry, upgrade your components.")]
    OldSlice {
        /// The slice's version.
        version: i64,
    },
    /// A slice lacks something. Errno: EINVAL.
    #[error("session slice: {0}")]
    BadSlice(String),
    /// A chunk of a slice holds no event. Errno: EINVAL.
    #[error("session slice: {0}")]
    BadChunk(#[from] ChunkError),
}

impl WriteError {
    /// An error of the disk at `path`.
    pub(super) fn at(path: &str) -> impl FnOnce(io::Error) -> WriteError {
        let path = path.to_owned();
        move |source| WriteError::Io { path, source }
    }
}
