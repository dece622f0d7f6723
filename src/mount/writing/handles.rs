//! Files open for writing, and what is known of each besides its name.
//!
//! Little enough that a handle of an earlier worker can be taken up: what it writes is known by inode number and flags.
//! A worker that ends in order writes down the unfinished lines; after a kill they are lost, and the line that lacks its
//! beginning is refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fuser::{FileHandle, OpenFlags};
use serde_json::Value;

use super::desk::Asker;
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
    /// Who opened it.
    pub by: Asker,
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
}

impl Handle {
    /// A handle with these open flags.
    pub fn new(target: Target, flags: OpenFlags, by: Asker) -> Self {
        Handle {
            target,
            appends: flags.0 & libc::O_APPEND != 0,
            durable: flags.0 & (libc::O_SYNC | libc::O_DSYNC) != 0,
            by,
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
pub struct Handles(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    open: HashMap<u64, Arc<Handle>>,
    /// Unfinished lines of the worker before, whose handles have not been seen yet.
    inherited: HashMap<u64, Tail>,
}

impl Handles {
    /// With what the worker before wrote down.
    pub fn inherit(note: &[u8]) -> Self {
        let note: Value = serde_json::from_slice(note).unwrap_or_default();
        let tails = note.as_object().into_iter().flatten();
        let tails = tails.filter_map(|(fh, tail)| Some((fh.parse().ok()?, Tail::from_note(tail)?)));
        Handles(Mutex::new(Table {
            open: HashMap::new(),
            inherited: tails.collect(),
        }))
    }

    /// For the next worker.
    pub fn note(&self) -> Vec<u8> {
        let table = self.lock();
        let mut tails = serde_json::Map::new();
        let mut add = |fh: &u64, tail: &Tail| {
            if let Some(note) = tail.to_note() {
                tails.insert(fh.to_string(), note);
            }
        };
        // What was inherited and not asked for since is still good.
        table.inherited.iter().for_each(|(fh, tail)| add(fh, tail));
        for (fh, handle) in &table.open {
            add(fh, &handle.state().tail);
        }
        Value::Object(tails).to_string().into_bytes()
    }

    /// One that is open; if it is not known yet, `handle` is taken in, with what the worker before left of it. A FLUSH may
    /// come beside a write, so that both ask at once.
    pub fn get_or_put(&self, fh: FileHandle, handle: Handle) -> Arc<Handle> {
        let table = &mut *self.lock();
        let known = table.open.entry(fh.0).or_insert_with(|| {
            if let Some(tail) = table.inherited.remove(&fh.0) {
                handle.state().tail = tail;
            }
            Arc::new(handle)
        });
        known.clone()
    }

    /// One that is open.
    pub fn get(&self, fh: FileHandle) -> Option<Arc<Handle>> {
        self.lock().open.get(&fh.0).cloned()
    }

    /// Whether the worker before left an unfinished line of it.
    pub fn is_inherited(&self, fh: FileHandle) -> bool {
        self.lock().inherited.contains_key(&fh.0)
    }

    /// It is closed.
    pub fn take(&self, fh: FileHandle) -> Option<Arc<Handle>> {
        self.lock().open.remove(&fh.0)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfinished_line_is_handed_to_the_next_worker() {
        let handles = Handles::default();
        let flags = OpenFlags(libc::O_WRONLY | libc::O_APPEND);
        let handle = handles.get_or_put(
            FileHandle(7),
            Handle::new(Target::Log, flags, Asker::default()),
        );
        let mut tail = Tail::default();
        tail.refuse(b"x");
        handle.state().tail = tail.clone();
        handles.get_or_put(
            FileHandle(8),
            Handle::new(Target::Log, flags, Asker::default()),
        );
        let next = Handles::inherit(&handles.note());
        assert!(next.is_inherited(FileHandle(7)) && !next.is_inherited(FileHandle(8)));
        let handle = next.get_or_put(
            FileHandle(7),
            Handle::new(Target::Log, flags, Asker::default()),
        );
        assert_eq!(handle.state().tail, tail);
    }

    #[test]
    fn a_note_of_nonsense_is_no_note() {
        for note in [&b""[..], b"[]", b"{\"x\":1}", b"{\"1\":{\"bytes\":1}}"] {
            assert!(Handles::inherit(note).lock().inherited.is_empty());
        }
    }
}
