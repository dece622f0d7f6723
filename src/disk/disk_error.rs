//! Why the audit directory could not be read, with the path in it.

use std::io;

use thiserror::Error;

/// A failure of the share. Never proof that a file is gone: only a complete fresh listing is (DESIGN 5).
#[derive(Debug, Error)]
pub enum DiskError {
    /// The server did not answer within the deadline.
    #[error("{path}: no answer within {waited_ms} ms; the server or the network hangs")]
    TimedOut {
        /// Path inside the audit directory.
        path: String,
        /// How long was waited.
        waited_ms: u64,
    },
    /// The operating system's answer.
    #[error("{path}: {source}")]
    Io {
        /// Path inside the audit directory.
        path: String,
        /// The error of the call.
        source: io::Error,
    },
    /// Unpacking would exceed the bound of the local cache.
    #[error(
        "{path}: unpacked it needs more room than --unpack-size ({limit_bytes} bytes) or the disk of the state directory has"
    )]
    TooLarge {
        /// Path inside the audit directory.
        path: String,
        /// The bound.
        limit_bytes: u64,
    },
}

impl DiskError {
    /// An error of the operating system on `path`.
    pub fn io(path: &str, source: io::Error) -> Self {
        let path = if path.is_empty() {
            "the audit directory"
        } else {
            path
        };
        DiskError::Io {
            path: path.to_owned(),
            source,
        }
    }

    /// Whether the server said that the name does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, DiskError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// A word for counting errors by kind.
    pub fn kind(&self) -> &'static str {
        match self {
            DiskError::TimedOut { .. } => "timed out",
            DiskError::TooLarge { .. } => "too large",
            DiskError::Io { source, .. } => match source.raw_os_error() {
                Some(libc::EIO) => "EIO",
                Some(libc::ESTALE) => "ESTALE",
                Some(libc::EACCES) => "EACCES",
                Some(libc::ENOENT) => "ENOENT",
                Some(libc::ELOOP) => "ELOOP",
                _ => "other",
            },
        }
    }
}
