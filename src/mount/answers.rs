//! Answers of the view in the terms of FUSE: attributes, listings, open texts.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{FileAttr, FileHandle, FileType, FopenFlags, INodeNo, ReplyData, ReplyOpen, Request};

use crate::event::{Day, EventTime};

use super::keeper::is_resent;
use super::passthrough::Passthrough;
use super::touch::{Announced, Toucher};
use crate::view::{Attr, Made, Node, NodeKind, OpenMode, Opened, Ttl, View, ViewError, Wait};

/// The kernel reads no more at once.
const MOST_READ: usize = 1 << 20;

thread_local! {
    static BLOCK: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Owner and modes of what the mount shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ownership {
    /// User ID.
    pub uid: u32,
    /// Group ID.
    pub gid: u32,
    /// Mode of files.
    pub file_mode: u16,
    /// Mode of directories.
    pub dir_mode: u16,
}

/// So long before midnight the file of the next day is there.
const ANNOUNCED_AHEAD_NS: i64 = 10_000_000_000;

#[derive(Debug)]
pub(super) struct Shared {
    pub view: Arc<View>,
    pub owner: Ownership,
    /// What was made at opening. Other files are read by inode number, so nothing is lost with a handle.
    made: Mutex<HashMap<u64, Made>>,
    next_handle: AtomicU64,
    pub toucher: Arc<Toucher>,
    pub announced: Announced,
    pub passthrough: Arc<Passthrough>,
}

impl Shared {
    /// Answers from `view`.
    pub fn new(
        view: Arc<View>,
        owner: Ownership,
        toucher: Arc<Toucher>,
        passthrough: Arc<Passthrough>,
    ) -> Self {
        let first_handle = now_ns().unsigned_abs().max(passthrough.free_handle());
        let announced = Announced::new(view.days().list().iter().map(|day| day.day()));
        Shared {
            view,
            owner,
            made: Mutex::default(),
            // Files opened under an earlier worker are still open: its handles must not come again.
            next_handle: AtomicU64::new(first_handle),
            toucher,
            announced,
            passthrough,
        }
    }

    /// Whether `node` may be seen: a new day not before the helper has announced it.
    pub fn is_shown(&self, node: &Node) -> bool {
        match node {
            Node::Day(day) => self.announced.is_shown(*day, now_ns()),
            _ => true,
        }
    }

    /// On a mount that writes: today has a file, and shortly before midnight tomorrow has one, announced to watchers.
    pub fn keep_today(&self, now: EventTime) {
        let today = Day::of(now);
        if self.view.written_day() != Some(today) {
            self.view.write_day(today);
            self.announced.show(today);
        }
        let soon = Day::of(EventTime::from_ns(
            now.as_ns().saturating_add(ANNOUNCED_AHEAD_NS),
        ));
        if soon != today && self.view.expect_day(soon) {
            self.toucher.create(&day_path(soon));
        }
    }

    /// Whether this is a request of the touch helper that no worker before had: everybody else may change nothing.
    pub fn is_wake(&self, request: &Request) -> bool {
        self.toucher.is_helper(request.pid()) && !is_resent(request)
    }

    /// The file that has this handle is closed.
    pub fn forget(&self, handle: FileHandle) {
        self.made
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&handle.0);
        self.passthrough.forget(handle);
    }

    pub fn attr(&self, ino: INodeNo, wait: Wait) -> Result<Attr, ViewError> {
        self.view.attr(&self.view.node(ino.0)?, wait, now_ns())
    }

    pub fn file_attr(&self, attr: &Attr) -> FileAttr {
        let time = time_of(attr.mtime_ns);
        let (kind, perm) = match attr.kind {
            NodeKind::Directory => (FileType::Directory, self.owner.dir_mode),
            NodeKind::File => (FileType::RegularFile, self.owner.file_mode),
            NodeKind::Symlink => (FileType::Symlink, 0o777),
        };
        FileAttr {
            ino: INodeNo(attr.ino),
            size: attr.size,
            blocks: attr.size.div_ceil(512),
            atime: time,
            mtime: time,
            ctime: time,
            crtime: time,
            kind,
            perm,
            nlink: attr.nlink,
            uid: self.owner.uid,
            gid: self.owner.gid,
            rdev: 0,
            blksize: 128 << 10,
            flags: 0,
        }
    }

    pub fn open(&self, ino: INodeNo, wait: Wait) -> Result<Opened, ViewError> {
        self.view.open(&self.view.node(ino.0)?, wait, now_ns())
    }

    /// Answers an open of an inode by a request of this number.
    pub fn answer_open(&self, request: (INodeNo, u64), opened: Opened, reply: ReplyOpen) {
        let handle = self.new_handle();
        if let Some(made) = &opened.made {
            let mut kept = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            kept.insert(handle.0, made.clone());
        }
        let handle = (handle, FopenFlags::FOPEN_NOFLUSH);
        self.passthrough
            .answer(&self.view, request, &opened, handle, reply);
    }

    /// Answers an open for writing; what is written always comes to us.
    pub fn answer_writer(&self, request: (INodeNo, u64), handle: FileHandle, reply: ReplyOpen) {
        let (opened, handle) = (
            Opened::by_node(OpenMode::Direct),
            (handle, FopenFlags::empty()),
        );
        self.passthrough
            .answer(&self.view, request, &opened, handle, reply);
    }

    /// A handle that no file has or had.
    pub fn new_handle(&self) -> FileHandle {
        FileHandle(self.next_handle.fetch_add(1, Ordering::Relaxed))
    }

    pub fn made(&self, handle: FileHandle) -> Option<Made> {
        self.made
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&handle.0)
            .cloned()
    }

    /// Answers a read that needs no waiting; gives the reply back if it does. To hand it over and wake a thread of the pool for it
    /// costs more than to copy the bytes.
    pub fn read_cached(
        &self,
        ino: INodeNo,
        offset: u64,
        size: u32,
        reply: ReplyData,
    ) -> Option<ReplyData> {
        let size = usize::try_from(size).ok().filter(|size| *size <= MOST_READ);
        let (Some(size), Ok(node)) = (size, self.view.node(ino.0)) else {
            return Some(reply);
        };
        BLOCK.with_borrow_mut(|block| {
            // Only ever made longer: to clear it for every read would cost as much again.
            if block.len() < size {
                block.resize(size, 0);
            }
            let room = block.get_mut(..size).unwrap_or_default();
            let read = self.view.read_cached(&node, offset, room);
            match read.and_then(|read| room.get(..read)) {
                Some(bytes) => {
                    reply.data(bytes);
                    None
                }
                None => Some(reply),
            }
        })
    }

    /// `.`, `..` and the entries from place `offset` on. Places of entries are behind those two.
    pub fn list(
        &self,
        ino: INodeNo,
        offset: u64,
        mut add: impl FnMut(u64, &Attr, &str) -> bool,
    ) -> Result<(), ViewError> {
        let node = self.view.node(ino.0)?;
        let now = now_ns();
        for (place, name) in [(0, "."), (1, "..")] {
            let attr = Attr {
                ino: ino.0,
                ttl: Ttl::Unknown,
                ..unknown(ino.0, NodeKind::Directory)
            };
            if place >= offset && add(place + 1, &attr, name) {
                return Ok(());
            }
        }
        self.view
            .list(&node, offset.saturating_sub(2), now, |entry| {
                let Ok(ino) = self.view.ino(&entry.node) else {
                    return true;
                };
                if !self.is_shown(&entry.node) {
                    return true;
                }
                let attr = self
                    .view
                    .attr(&entry.node, Wait::Never, now)
                    .unwrap_or_else(|_| unknown(ino, entry.kind));
                !add(entry.next + 2, &attr, &entry.name)
            })
    }
}

/// Where a day is below the mount.
pub(super) fn day_path(day: Day) -> String {
    format!("events/{day}.jsonl")
}

/// Attributes of a name that nobody has looked at: the kernel asks again before it believes them.
fn unknown(ino: u64, kind: NodeKind) -> Attr {
    Attr {
        ino,
        kind,
        size: 0,
        mtime_ns: 0,
        nlink: 1,
        ttl: Ttl::Unknown,
    }
}

/// How long the kernel may believe attributes (DESIGN 5).
pub(super) fn ttl(ttl: Ttl) -> Duration {
    match ttl {
        Ttl::Unknown => Duration::ZERO,
        Ttl::Live => Duration::from_secs(1),
        Ttl::Sealed => Duration::from_secs(3600),
    }
}

fn time_of(ns: i64) -> SystemTime {
    let offset = Duration::from_nanos(ns.unsigned_abs());
    if ns < 0 {
        UNIX_EPOCH - offset
    } else {
        UNIX_EPOCH + offset
    }
}

/// Now, nanoseconds since 1970.
pub fn now_ns() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
