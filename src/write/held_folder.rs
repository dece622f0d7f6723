//! The folder this process writes into, for as long as it is its own.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use crate::event::{EventTime, ServerId};

use super::lock::{FolderLock, LockError};
use super::own_directory::OwnDirectory;
use super::write_error::WriteError;

/// Time between two questions whether the lock is still ours: each is a round trip on NFS.
const CHECK_NS: i64 = 2_000_000_000;

/// See the module text.
#[derive(Debug)]
pub(super) struct HeldFolder {
    held: Option<(Arc<OwnDirectory>, FolderLock)>,
    path: String,
    lost: AtomicBool,
    checked_ns: AtomicI64,
}

impl HeldFolder {
    /// Takes the folder of `server_id`.
    pub(super) fn take(
        directory: Arc<OwnDirectory>,
        server_id: &ServerId,
        now: EventTime,
    ) -> Result<Self, LockError> {
        let lock = FolderLock::take(&directory, server_id, now)?;
        Ok(HeldFolder {
            held: Some((directory, lock)),
            path: server_id.to_string(),
            lost: AtomicBool::new(false),
            checked_ns: AtomicI64::new(now.as_ns()),
        })
    }

    /// A folder that nobody else can write: storage of a test.
    #[cfg(test)]
    pub(super) fn unlocked() -> Self {
        HeldFolder {
            held: None,
            path: String::new(),
            lost: AtomicBool::new(false),
            checked_ns: AtomicI64::new(0),
        }
    }

    /// Asks for the lock again, if that was not done lately.
    pub(super) fn check(&self, now: EventTime) -> Result<(), WriteError> {
        let age_ns = now
            .as_ns()
            .saturating_sub(self.checked_ns.load(Ordering::Relaxed));
        if (0..CHECK_NS).contains(&age_ns) || self.is_lost() {
            return self.is_ours();
        }
        self.checked_ns.store(now.as_ns(), Ordering::Relaxed);
        let Some((directory, lock)) = &self.held else {
            return Ok(());
        };
        match lock.check(directory) {
            Ok(()) => Ok(()),
            Err(LockError::Io { path, source }) => Err(WriteError::Io { path, source }),
            Err(error) => {
                // It is not asked for again: whoever has it now may write for ever.
                self.lost.store(true, Ordering::Release);
                Err(WriteError::Io {
                    path: self.path.clone(),
                    source: io::Error::other(error),
                })
            }
        }
    }

    /// Whether it was taken away.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// [`WriteError::NotOurs`] once it was taken away.
    pub(super) fn is_ours(&self) -> Result<(), WriteError> {
        if self.is_lost() {
            return Err(WriteError::NotOurs {
                path: self.path.clone(),
            });
        }
        Ok(())
    }
}
