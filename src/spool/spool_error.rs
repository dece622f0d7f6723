//! Why the spool could not do something, with the path and with what to do.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::holder::Holder;

/// A failure of the state directory. What has been published stays readable.
#[derive(Debug, Error)]
pub enum SpoolError {
    /// Another daemon uses the state directory.
    #[error("{path}: in use by {holder}; stop it or give another --state-dir")]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// Who holds it, as it says of itself.
        holder: Holder,
    },
    /// A newer auditfs wrote the state directory.
    #[error(
        "{path}: format {found} is newer than {known}, the newest this auditfs knows; use the newer one, or another --state-dir"
    )]
    NewerVersion {
        /// The version file.
        path: PathBuf,
        /// What it says.
        found: u32,
        /// What this program writes.
        known: u32,
    },
    /// The operating system's answer.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the call.
        source: io::Error,
    },
    /// An earlier write or fsync of this day failed, so its descriptors can no longer be trusted.
    #[error(
        "{path}: stopped after a failed write ({reason}); what is published stays, `reopen` goes on"
    )]
    Poisoned {
        /// The data file of the day.
        path: PathBuf,
        /// The error that stopped it.
        reason: String,
    },
    /// A file of the state directory is not what was written.
    #[error("{path}: damaged: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The day is already in the spool.
    #[error("{path}: the day is in the spool already")]
    Exists {
        /// The journal of the day.
        path: PathBuf,
    },
}

impl SpoolError {
    /// An error of the operating system on `path`.
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        SpoolError::Io {
            path: path.to_owned(),
            source,
        }
    }
}
