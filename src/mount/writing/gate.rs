//! The door that closes when a worker is told to end: what has passed is finished and answered, what comes later stays
//! unanswered and goes to the next worker, which does it.
//!
//! Requests that a *killed* worker had are sent again too, and may have been done; they are answered with EIO. A worker
//! that ends in order leaves a note in the state directory, so that the next one can tell the two apart.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};

const NOTE: &str = "handed-over";

/// See the module text.
#[derive(Debug)]
pub struct Gate {
    note: PathBuf,
    after_orderly_end: bool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    inside: usize,
    closed: bool,
}

/// What may be done with a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Passage {
    /// Do it, and call [`Gate::leave`] when it is answered.
    Enter,
    /// Leave it unanswered.
    Park,
    /// Answer EIO: an earlier worker may have done it.
    Doubtful,
}

impl Gate {
    /// The gate of a worker that has the state directory to itself, and the note of the one before, taken away: empty if
    /// there is none.
    pub fn open(state_dir: &Path) -> (Self, Vec<u8>) {
        let path = state_dir.join(NOTE);
        let note = std::fs::read(&path);
        // One that cannot be removed would speak for the next worker too.
        let after_orderly_end = note.is_ok() && std::fs::remove_file(&path).is_ok();
        let gate = Gate {
            note: path,
            after_orderly_end,
            state: Mutex::default(),
            changed: Condvar::new(),
        };
        (gate, note.unwrap_or_default())
    }

    /// Asks for a request, which `is_resent` from a worker before or is new.
    pub fn enter(&self, is_resent: bool) -> Passage {
        if is_resent && !self.after_orderly_end {
            return Passage::Doubtful;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Passage::Park;
        }
        state.inside += 1;
        Passage::Enter
    }

    /// A request that entered has been answered.
    pub fn leave(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.inside = state.inside.saturating_sub(1);
        self.changed.notify_all();
    }

    /// Lets nobody in any more, and waits until all who are inside have left.
    pub fn close(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.closed = true;
        let waited = self.changed.wait_while(state, |state| state.inside > 0);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Everything that entered is answered and closed: the next worker may do what is sent again.
    /// `note` is for it.
    pub fn leave_note(&self, note: &[u8]) {
        if let Err(error) = std::fs::write(&self.note, note) {
            tracing::warn!(path = %self.note.display(), %error, "writes that wait will be answered with EIO");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_again_is_done_only_after_an_orderly_end() {
        let dir = tempfile::tempdir().unwrap();
        let (first, _) = Gate::open(dir.path());
        assert_eq!(first.enter(true), Passage::Doubtful);
        assert_eq!(first.enter(false), Passage::Enter);
        first.leave();
        first.close();
        assert_eq!(first.enter(false), Passage::Park);
        first.leave_note(b"x");
        let (second, note) = Gate::open(dir.path());
        assert_eq!(note, b"x");
        assert_eq!(second.enter(true), Passage::Enter);
        // Killed: it leaves no note, and the old one is gone.
        assert_eq!(Gate::open(dir.path()).0.enter(true), Passage::Doubtful);
    }
}
