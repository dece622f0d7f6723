//! The adapter: decode a FUSE request, ask the view, reply.
//!
//! Each request first tries the view without waiting; what would wait for the share goes to the pool.

use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, InitFlags,
    KernelConfig, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyDirectoryPlus,
    ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen, ReplyStatfs, Request,
};

use crate::view::{Attr, Node, NodeKind, OpenMode, Opened, Ttl, View, ViewError, Wait, part_of};

use super::errno::errno;
use super::pool::Pool;

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

/// The file system that fuser calls.
#[derive(Debug)]
pub struct AuditFs {
    shared: Arc<Shared>,
    pool: Pool,
}

#[derive(Debug)]
struct Shared {
    view: Arc<View>,
    owner: Ownership,
    /// Texts of files that are made at opening. Other files are read by inode number, so nothing is lost with a handle.
    texts: Mutex<HashMap<u64, Arc<str>>>,
    next_handle: AtomicU64,
}

thread_local! {
    /// Fresh memory for every read would cost more than the read.
    static READ_BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

const MAX_WRITE: u32 = 1 << 20;
const MAX_BACKGROUND: u16 = 64;
const READAHEAD_BYTES: u32 = 1 << 20;

impl AuditFs {
    /// The file system over `view`.
    pub fn new(view: Arc<View>, owner: Ownership, pool: Pool) -> Self {
        let shared = Shared {
            view,
            owner,
            texts: Mutex::default(),
            next_handle: AtomicU64::new(1),
        };
        AuditFs {
            shared: Arc::new(shared),
            pool,
        }
    }

    /// Answers `work` from memory if it can, else in the pool.
    fn answer<R: Send + 'static, T: 'static>(
        &self,
        reply: R,
        work: impl Fn(&Shared, Wait) -> Result<T, ViewError> + Send + 'static,
        send: impl FnOnce(R, Result<T, Errno>) + Send + 'static,
    ) {
        match work(&self.shared, Wait::Never) {
            Err(ViewError::WouldBlock) => {
                let shared = self.shared.clone();
                self.pool.run(move || {
                    send(
                        reply,
                        work(&shared, Wait::Share).map_err(|error| errno(&error)),
                    )
                });
            }
            other => send(reply, other.map_err(|error| errno(&error))),
        }
    }
}

impl Shared {
    fn attr(&self, ino: INodeNo, wait: Wait) -> Result<Attr, ViewError> {
        self.view.attr(&self.view.node(ino.0)?, wait, now_ns())
    }

    fn file_attr(&self, attr: &Attr) -> FileAttr {
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

    fn open(&self, ino: INodeNo, wait: Wait) -> Result<Opened, ViewError> {
        self.view.open(&self.view.node(ino.0)?, wait, now_ns())
    }

    fn keep_text(&self, text: Option<Arc<str>>) -> FileHandle {
        let Some(text) = text else {
            return FileHandle(0);
        };
        let handle = self.next_handle.fetch_add(1, Ordering::Relaxed);
        self.texts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(handle, text);
        FileHandle(handle)
    }

    fn text(&self, handle: FileHandle) -> Option<Arc<str>> {
        self.texts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&handle.0)
            .cloned()
    }

    /// `.`, `..` and the entries from place `offset` on. Places of entries are behind those two.
    fn list(
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
                let attr = self
                    .view
                    .attr(&entry.node, Wait::Never, now)
                    .unwrap_or_else(|_| unknown(ino, entry.kind));
                !add(entry.next + 2, &attr, &entry.name)
            })
    }
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

impl Filesystem for AuditFs {
    fn init(&mut self, _req: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        let wanted = InitFlags::FUSE_ASYNC_READ
            | InitFlags::FUSE_PARALLEL_DIROPS
            | InitFlags::FUSE_DO_READDIRPLUS
            | InitFlags::FUSE_AUTO_INVAL_DATA
            | InitFlags::FUSE_NO_OPENDIR_SUPPORT
            | InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP
            | InitFlags::FUSE_ASYNC_DIO;
        // What this kernel does not offer is done without.
        let offered = config.capabilities();
        let _ = config.add_capabilities(wanted & offered);
        let _ = config.set_max_write(MAX_WRITE);
        let _ = config.set_max_background(MAX_BACKGROUND);
        if let Err(most) = config.set_max_readahead(READAHEAD_BYTES) {
            let _ = config.set_max_readahead(most);
        }
        Ok(())
    }

    fn lookup(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let Some(name) = name.to_str().map(str::to_owned) else {
            return reply.error(Errno::ENOENT);
        };
        let shared = self.shared.clone();
        self.answer(
            reply,
            move |shared, wait| {
                let node = shared.view.lookup(&shared.view.node(parent.0)?, &name)?;
                shared.view.attr(&node, wait, now_ns())
            },
            move |reply, found| match found {
                Ok(attr) => reply.entry(&ttl(attr.ttl), &shared.file_attr(&attr), Generation(0)),
                Err(error) => reply.error(error),
            },
        );
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        let shared = self.shared.clone();
        self.answer(
            reply,
            move |shared, wait| shared.attr(ino, wait),
            move |reply, found| match found {
                Ok(attr) => reply.attr(&ttl(attr.ttl), &shared.file_attr(&attr)),
                Err(error) => reply.error(error),
            },
        );
    }

    fn readlink(&self, _req: &Request, ino: INodeNo, reply: ReplyData) {
        match self
            .shared
            .view
            .node(ino.0)
            .and_then(|node| self.shared.view.read_link(&node))
        {
            Ok(target) => reply.data(target.as_bytes()),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn open(&self, _req: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        if flags.acc_mode() != fuser::OpenAccMode::O_RDONLY {
            return reply.error(Errno::EROFS);
        }
        let shared = self.shared.clone();
        self.answer(
            reply,
            move |shared, wait| shared.open(ino, wait),
            move |reply, opened| match opened {
                Ok(opened) => {
                    let flags = match opened.mode {
                        OpenMode::Direct => FopenFlags::FOPEN_DIRECT_IO,
                        OpenMode::Cached => FopenFlags::FOPEN_KEEP_CACHE,
                    };
                    reply.opened(
                        shared.keep_text(opened.text),
                        flags | FopenFlags::FOPEN_NOFLUSH,
                    );
                }
                Err(error) => reply.error(error),
            },
        );
    }

    fn read(
        &self,
        _req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        if let Some(text) = self.shared.text(fh) {
            return reply.data(part_of(&text, offset, size.into()));
        }
        let shared = self.shared.clone();
        self.pool.run(move || {
            let mut bytes = READ_BUFFER.take();
            bytes.clear();
            let node = shared.view.node(ino.0);
            match node.and_then(|node| {
                shared
                    .view
                    .read(&node, offset, size.into(), now_ns(), &mut bytes)
            }) {
                Ok(()) => reply.data(&bytes),
                Err(error) => reply.error(errno(&error)),
            }
            READ_BUFFER.set(bytes);
        });
    }

    fn release(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.shared
            .texts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&fh.0);
        reply.ok();
    }

    fn opendir(&self, _req: &Request, _ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        // ENOSYS tells the kernel that directories have no open state: it then keeps listings as long as mtimes stay.
        reply.error(Errno::ENOSYS);
    }

    fn readdir(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let listed = self.shared.list(ino, offset, |next, attr, name| {
            reply.add(
                INodeNo(attr.ino),
                next,
                self.shared.file_attr(attr).kind,
                name,
            )
        });
        match listed {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn readdirplus(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        let listed = self.shared.list(ino, offset, |next, attr, name| {
            let (ino, file_attr) = (INodeNo(attr.ino), self.shared.file_attr(attr));
            reply.add(ino, next, name, &ttl(attr.ttl), &file_attr, Generation(0))
        });
        match listed {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn statfs(&self, _req: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        let shared = self.shared.clone();
        self.pool.run(move || match shared.view.space_bytes() {
            Ok((total, free, available)) => {
                let files = shared.view.dir().catalog().sessions_count() as u64;
                reply.statfs(
                    total / 4096,
                    free / 4096,
                    available / 4096,
                    files,
                    0,
                    4096,
                    255,
                    4096,
                );
            }
            Err(error) => reply.error(errno(&error)),
        });
    }

    fn lseek(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        let hole = match whence {
            libc::SEEK_DATA => false,
            libc::SEEK_HOLE => true,
            _ => return reply.error(Errno::EINVAL),
        };
        let Ok(from) = u64::try_from(offset) else {
            return reply.error(Errno::ENXIO);
        };
        let shared = self.shared.clone();
        self.pool.run(move || {
            let found = shared
                .view
                .node(ino.0)
                .and_then(|node: Node| shared.view.seek(&node, from, hole, now_ns()));
            match found {
                Ok(at) => reply.offset(i64::try_from(at).unwrap_or(i64::MAX)),
                Err(error) => reply.error(errno(&error)),
            }
        });
    }
}

/// How long the kernel may believe attributes (DESIGN 5).
fn ttl(ttl: Ttl) -> Duration {
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
