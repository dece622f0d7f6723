//! The kernel's rules hold whatever is opened and closed, and wherever a worker dies.
#![allow(clippy::unwrap_used)]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// The kernel: its backing files, and what each inode is open through. A number is given once.
#[derive(Debug, Default)]
struct Played {
    backings: RefCell<BTreeMap<u32, FileId>>,
    made: RefCell<u32>,
    refuses: RefCell<bool>,
}

impl Kernel for Played {
    fn register(&self, file: &File) -> io::Result<u32> {
        if *self.refuses.borrow() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        *self.made.borrow_mut() += 1;
        let id = *self.made.borrow();
        self.backings.borrow_mut().insert(id, file_id(file)?);
        Ok(id)
    }

    fn close(&self, id: u32) {
        self.backings.borrow_mut().remove(&id);
    }
}

/// A connection, the worker that serves it, and what is open.
struct Mount {
    kernel: Played,
    notebook: File,
    files: OpenFiles,
    /// The file that has the bytes of each inode.
    local: Vec<File>,
    /// Handles the kernel has open: inode, and the backing file if it is one.
    open: BTreeMap<u64, (u64, Option<u32>)>,
    requests: u64,
}

impl Mount {
    fn new() -> Self {
        let (kernel, notebook) = (Played::default(), tempfile::tempfile().unwrap());
        let files = worker(&notebook, &kernel);
        let local = (0..3).map(|_| tempfile::tempfile().unwrap()).collect();
        Mount {
            kernel,
            notebook,
            files,
            local,
            open: BTreeMap::new(),
            requests: 0,
        }
    }

    fn restart(&mut self) {
        self.files = worker(&self.notebook, &self.kernel);
    }

    fn decide(&mut self, ino: u64, unique: u64, mode: OpenMode) -> (u64, Way) {
        self.requests += 1;
        let handle = self.requests;
        let asked = Asked {
            ino,
            unique,
            handle,
            mode,
            file: self.local.get(ino as usize),
        };
        (handle, self.files.open(&asked, &self.kernel))
    }

    /// Opens as the kernel does, which checks its rules.
    fn open(&mut self, ino: u64, mode: OpenMode) -> (u64, Way) {
        let unique = self.requests + 1000;
        let (handle, way) = self.decide(ino, unique, mode);
        self.take(ino, handle, way);
        (handle, way)
    }

    fn take(&mut self, ino: u64, handle: u64, way: Way) {
        let id = match way {
            Way::Served(_) => None,
            Way::Through(id) | Way::DirectBeside(id) => Some(id),
        };
        let mut others = self.open.values().filter(|(other, _)| *other == ino);
        assert!(
            others.all(|(_, other)| *other == id),
            "{way:?} beside {:?}",
            self.open
        );
        if let Way::Through(id) = way {
            let now = file_id(&self.local[ino as usize]).unwrap();
            assert_eq!(self.kernel.backings.borrow().get(&id), Some(&now));
        }
        assert!(id.is_none_or(|id| self.kernel.backings.borrow().contains_key(&id)));
        self.open.insert(handle, (ino, id));
    }

    fn close(&mut self, handle: u64) {
        self.open.remove(&handle);
        self.files.forget(handle);
    }

    fn tidy(&mut self, there: impl Fn(u64) -> bool) {
        let local = &self.local;
        let now = |ino| there(ino).then(|| file_id(&local[ino as usize]).unwrap());
        self.files.tidy(now, &self.kernel);
    }
}

fn worker(notebook: &File, kernel: &Played) -> OpenFiles {
    let (notebook, notes) = Notebook::open(notebook.try_clone().unwrap()).unwrap();
    OpenFiles::resumed(notebook, notes, kernel)
}

#[test]
fn the_next_worker_opens_through_the_same_backing_file() {
    let mut mount = Mount::new();
    mount.open(0, OpenMode::Local);
    mount.restart();
    assert_eq!(mount.open(0, OpenMode::Local).1, Way::Through(1));
}

#[test]
fn what_somebody_has_open_otherwise_is_direct_until_the_last_closes_it() {
    let mut mount = Mount::new();
    let (handle, _) = mount.open(0, OpenMode::Cached);
    mount.restart();
    let direct = Way::Served(OpenMode::Direct);
    assert_eq!(mount.open(0, OpenMode::Local).1, direct);
    mount.close(handle);
    let (handle, way) = mount.open(0, OpenMode::Local);
    assert_eq!(way, direct);
    let others: Vec<u64> = mount
        .open
        .keys()
        .copied()
        .filter(|h| *h != handle)
        .collect();
    others.into_iter().for_each(|other| mount.close(other));
    assert_eq!(mount.open(0, OpenMode::Local).1, direct);
    let all: Vec<u64> = mount.open.keys().copied().collect();
    all.into_iter().for_each(|handle| mount.close(handle));
    assert_eq!(mount.open(0, OpenMode::Local).1, Way::Through(1));
}

#[test]
fn a_day_that_came_back_as_another_file_is_read_from_us_while_the_old_one_is_open() {
    let mut mount = Mount::new();
    let (handle, _) = mount.open(0, OpenMode::Local);
    mount.local[0] = tempfile::tempfile().unwrap();
    assert_eq!(mount.open(0, OpenMode::Local).1, Way::DirectBeside(1));
    mount.close(handle + 1);
    mount.close(handle);
    assert_eq!(mount.open(0, OpenMode::Local).1, Way::Through(2));
    assert_eq!(mount.kernel.backings.borrow().len(), 1);
}

#[test]
fn a_backing_file_made_by_a_worker_that_died_before_it_noted_it_is_closed() {
    let mut mount = Mount::new();
    mount.open(0, OpenMode::Local);
    mount.kernel.register(&mount.local[1]).unwrap();
    mount.restart();
    assert_eq!(mount.open(1, OpenMode::Local).1, Way::Through(3));
    assert_eq!(
        mount
            .kernel
            .backings
            .borrow()
            .keys()
            .copied()
            .collect::<Vec<_>>(),
        [1, 3]
    );
}

#[test]
fn a_request_that_was_noted_and_not_answered_counts_once() {
    let mut mount = Mount::new();
    let (_, way) = mount.decide(0, 7, OpenMode::Cached);
    assert_eq!(way, Way::Served(OpenMode::Cached));
    mount.restart();
    let (handle, way) = mount.decide(0, 7, OpenMode::Local);
    mount.take(0, handle, way);
    assert_eq!(way, Way::Through(1));
}

#[test]
fn a_kernel_that_refuses_is_asked_again_and_reads_are_served() {
    let mut mount = Mount::new();
    *mount.kernel.refuses.borrow_mut() = true;
    let (handle, way) = mount.open(0, OpenMode::Local);
    assert_eq!(way, Way::Served(OpenMode::Direct));
    assert!(mount.files.refused().is_some());
    mount.close(handle);
    *mount.kernel.refuses.borrow_mut() = false;
    assert_eq!(mount.open(0, OpenMode::Local).1, Way::Through(1));
    assert_eq!(mount.files.refused(), None);
}

#[test]
fn the_backing_file_of_a_day_that_is_gone_is_closed_when_nobody_has_it_open() {
    let mut mount = Mount::new();
    let (handle, _) = mount.open(0, OpenMode::Local);
    mount.tidy(|_| false);
    assert_eq!(mount.kernel.backings.borrow().len(), 1);
    mount.close(handle);
    mount.tidy(|_| true);
    assert_eq!(mount.kernel.backings.borrow().len(), 1);
    mount.tidy(|_| false);
    assert!(mount.kernel.backings.borrow().is_empty());
}

#[derive(Clone, Debug)]
enum Step {
    Open(u64, OpenMode),
    /// A worker notes an open and dies; the request comes again, or its process was killed meanwhile.
    DieOpening(u64, OpenMode, bool),
    /// A worker makes a backing file and dies.
    DieMaking(u64),
    Close(usize),
    Restart,
    Replace(u64),
    Tidy(bool),
    Refuse(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let mode = prop_oneof![
        3 => Just(OpenMode::Local),
        1 => Just(OpenMode::Cached),
        1 => Just(OpenMode::Direct)
    ];
    let step = prop_oneof![
        4 => (0..2_u64, mode.clone()).prop_map(|(ino, mode)| Step::Open(ino, mode)),
        1 => (0..2_u64, mode, any::<bool>()).prop_map(|(ino, mode, again)| Step::DieOpening(ino, mode, again)),
        1 => (0..2_u64).prop_map(Step::DieMaking),
        4 => any::<usize>().prop_map(Step::Close),
        1 => Just(Step::Restart),
        1 => (0..2_u64).prop_map(Step::Replace),
        1 => any::<bool>().prop_map(Step::Tidy),
        1 => any::<bool>().prop_map(Step::Refuse),
    ];
    proptest::collection::vec(step, 0..60)
}

proptest! {
    /// [`Mount::take`] checks every answer against the kernel's rules.
    #[test]
    fn no_open_ever_fails_and_no_backing_file_is_lost(steps in steps()) {
        let mut mount = Mount::new();
        for step in steps {
            match step {
                Step::Open(ino, mode) => drop(mount.open(ino, mode)),
                Step::DieOpening(ino, mode, again) => {
                    let unique = mount.requests + 1000;
                    mount.decide(ino, unique, mode);
                    mount.restart();
                    if again {
                        let (handle, way) = mount.decide(ino, unique, mode);
                        mount.take(ino, handle, way);
                    }
                }
                Step::DieMaking(ino) => {
                    let _ = mount.kernel.register(&mount.local[ino as usize]);
                    mount.restart();
                }
                Step::Close(which) => {
                    let handles: Vec<u64> = mount.open.keys().copied().collect();
                    if !handles.is_empty() {
                        mount.close(handles[which % handles.len()]);
                    }
                }
                Step::Restart => mount.restart(),
                Step::Replace(ino) => mount.local[ino as usize] = tempfile::tempfile().unwrap(),
                Step::Tidy(there) => mount.tidy(|_| there),
                Step::Refuse(refuses) => *mount.kernel.refuses.borrow_mut() = refuses,
            }
        }
        // A worker that makes another backing file finds those that were lost.
        *mount.kernel.refuses.borrow_mut() = false;
        mount.open(2, OpenMode::Local);
        let used: BTreeSet<u32> = mount.files.inodes.values().filter_map(|inode| inode.backing).map(|b| b.id).collect();
        let there: BTreeSet<u32> = mount.kernel.backings.borrow().keys().copied().collect();
        prop_assert_eq!(used, there);
    }
}
