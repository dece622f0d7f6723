//! Why a day could not grow: the share did not give, or the spool did not take.

use thiserror::Error;

use crate::disk::DiskError;
use crate::spool::SpoolError;

/// See the module text. Nothing is lost by either: the lines wait.
#[derive(Debug, Error)]
pub enum PublishError {
    /// The share.
    #[error(transparent)]
    Share(#[from] DiskError),
    /// The state directory: full, broken, or not ours.
    #[error("nothing can be published: {0}")]
    Spool(#[from] SpoolError),
}
