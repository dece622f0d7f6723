//! Files open for writing, and what is known of each besides its name.
//!
//! Little enough that a handle of an earlier worker can be taken up: what it writes is known by inode number and flags.
//! A worker that ends in order writes down the unfinished lines; after a kill they are lost, and the line that lacks its
//! beginning is refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fuser::{FileHandle, OpenFlags};
use serde_json::{Value, json};

use super::lines::Tail;
use super::target::Target;

/// A file open for writing.
#[derive(Debug)]
pub struct Handle {
    /// What it writes.
    pub target: Target,
    /// O_APPEND: the offset of a write says nothing.
    pub appends: bool,
    /// O_SYNC or O_DSYNC: no FSYNC comes (DESIGN 6), each write is to be durable.
    pub durable: bool,
    state: Mutex<HandleState>,
}

/// What changes.
#[derive(Debug, Default)]
pub struct HandleState {
    /// The unfinished line.
    pub tail: Tail,
    /// Where the file ended when it was opened.
    pub opened_end_bytes: Option<u64>,
    /// Where its own writing goes on.
    pub next_offset_bytes: Option<u64>,
    /// How many failures there had been before its first write that is not fsynced.
    pub failures_before: Option<u64>,
    /// A close has been told of the unfinished line.
    pub told: bool,
}

impl Handle {
    /// A handle with these open flags.
    pub fn new(target: Target, flags: OpenFlags) -> Self {
        Handle {
            target,
            appends: flags.0 & libc::O_APPEND != 0,
            durable: flags.0 & (libc::O_SYNC | libc::O_DSYNC) != 0,
            state: Mutex::default(),
        }
    }

    /// Its state, for as long as a write takes.
    pub fn state(&self) -> MutexGuard<'_, HandleState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All of them.
#[derive(Debug, Default)]
pub struct Handles {
    open: Mutex<HashMap<u64, Arc<Handle>>>,
    /// Unfinished lines of the worker before.
    inherited: Mutex<HashMap<u64, Tail>>,
}

impl Handles {
    /// With what the worker before wrote down.
    pub fn inherit(note: &[u8]) -> Self {
        let note: Value = serde_json::from_slice(note).unwrap_or_default();
        let tails = note.as_object().into_iter().flatten();
        let tails = tails.filter_map(|(fh, tail)| Some((fh.parse().ok()?, tail_of(tail)?)));
        Handles {
            open: Mutex::default(),
            inherited: Mutex::new(tails.collect()),
        }
    }

    /// For the next worker.
    pub fn note(&self) -> Vec<u8> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tails = serde_json::Map::new();
        let mut add = |fh: &u64, tail: &Tail| {
            if !tail.is_fresh() {
                let (bytes, refused) = tail.parts();
                let tail = json!({"bytes": STANDARD.encode(bytes), "refused": refused});
                tails.insert(fh.to_string(), tail);
            }
        };
        // What was inherited and not asked for since is still good.
        let inherited = self
            .inherited
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        inherited.iter().for_each(|(fh, tail)| add(fh, tail));
        for (fh, handle) in open.iter() {
            add(fh, &handle.state().tail);
        }
        Value::Object(tails).to_string().into_bytes()
    }

    /// Takes one in.
    pub fn put(&self, fh: FileHandle, handle: Handle) -> Arc<Handle> {
        let inherited = &mut self
            .inherited
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(tail) = inherited.remove(&fh.0) {
            handle.state().tail = tail;
        }
        let handle = Arc::new(handle);
        self.lock().insert(fh.0, handle.clone());
        handle
    }

    /// One that is open.
    pub fn get(&self, fh: FileHandle) -> Option<Arc<Handle>> {
        self.lock().get(&fh.0).cloned()
    }

    /// Whether the worker before left an unfinished line of it.
    pub fn is_inherited(&self, fh: FileHandle) -> bool {
        let inherited = self
            .inherited
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        inherited.contains_key(&fh.0)
    }

    /// It is closed.
    pub fn take(&self, fh: FileHandle) -> Option<Arc<Handle>> {
        self.lock().remove(&fh.0)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Handle>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tail_of(value: &Value) -> Option<Tail> {
    let bytes = STANDARD.decode(value.get("bytes")?.as_str()?).ok()?;
    Some(Tail::from_parts(bytes, value.get("refused")?.as_bool()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfinished_line_is_handed_to_the_next_worker() {
        let handles = Handles::default();
        let flags = OpenFlags(libc::O_WRONLY | libc::O_APPEND);
        let handle = handles.put(FileHandle(7), Handle::new(Target::Log, flags));
        handle.state().tail = Tail::from_parts(b"{\"ev\xff".to_vec(), true);
        handles.put(FileHandle(8), Handle::new(Target::Log, flags));
        let next = Handles::inherit(&handles.note());
        assert!(next.is_inherited(FileHandle(7)) && !next.is_inherited(FileHandle(8)));
        let handle = next.put(FileHandle(7), Handle::new(Target::Log, flags));
        assert_eq!(handle.state().tail.parts(), (b"{\"ev\xff".as_slice(), true));
    }

    #[test]
    fn a_note_of_nonsense_is_no_note() {
        for note in [&b""[..], b"[]", b"{\"x\":1}", b"{\"1\":{\"bytes\":1}}"] {
            assert!(Handles::inherit(note).inherited.lock().unwrap().is_empty());
        }
    }
}
