//! Sessions that were made (mkdir) and have nothing on the disk yet.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::event::{Namespace, SessionId};

/// More than anybody makes before writing; a loop of mkdir must not fill the memory.
const MAX_MADE: usize = 65_536;

/// Too many sessions were made that nothing was written into. Errno: ENOSPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{MAX_MADE} sessions were made and not written into")]
pub struct TooManySessions;

/// See the module text.
#[derive(Debug, Default)]
pub(super) struct MadeSessions(Mutex<BTreeSet<(Namespace, SessionId)>>);

impl MadeSessions {
    /// `false`: it was made before.
    pub(super) fn make(
        &self,
        namespace: &Namespace,
        sid: &SessionId,
    ) -> Result<bool, TooManySessions> {
        let mut made = self.lock();
        if made.len() >= MAX_MADE {
            return Err(TooManySessions);
        }
        Ok(made.insert((namespace.clone(), sid.clone())))
    }

    pub(super) fn has(&self, namespace: &Namespace, sid: &SessionId) -> bool {
        self.lock().contains(&(namespace.clone(), sid.clone()))
    }

    pub(super) fn forget(&self, namespace: &Namespace, sid: &SessionId) {
        self.lock().remove(&(namespace.clone(), sid.clone()));
    }

    /// Those of a namespace, by name.
    pub(super) fn list(&self, namespace: &Namespace) -> Vec<SessionId> {
        let made = self.lock();
        let of_namespace = made.iter().filter(|(ns, _)| ns == namespace);
        of_namespace.map(|(_, sid)| sid.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<(Namespace, SessionId)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
