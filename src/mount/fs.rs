//! The adapter: decode a FUSE request, ask the view, reply.
//!
//! Each request first tries the view without waiting; what would wait for the share goes to the pool.

use std::cell::Cell;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use std::time::SystemTime;

use fuser::{
    BsdFileFlags, Errno, FileHandle, Filesystem, Generation, INodeNo, InitFlags, KernelConfig,
    LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyDirectoryPlus,
    ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen, ReplyStatfs, Request, TimeOrNow,
};

use crate::view::{Node, View, ViewError, Wait};

use super::answers::{Ownership, Shared, now_ns, ttl};
use super::errno::errno;
use super::passthrough::Passthrough;
use super::pool::Pool;
use super::touch::Toucher;

/// The file system that fuser calls.
#[derive(Debug)]
pub struct AuditFs {
    shared: Arc<Shared>,
    pool: Pool,
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
    pub fn new(
        view: Arc<View>,
        owner: Ownership,
        pool: Pool,
        toucher: Arc<Toucher>,
        passthrough: Arc<Passthrough>,
    ) -> Self {
        AuditFs {
            shared: Arc::new(Shared::new(view, owner, toucher, passthrough)),
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
        self.shared.passthrough.negotiate(config);
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
                if !shared.is_shown(&node) {
                    return Err(ViewError::NotFound);
                }
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

    /// Only the touch helper changes anything, and only so: mtime is now.
    fn setattr(
        &self,
        req: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let nothing_else =
            (mode, uid, gid, size, atime.is_some()) == (None, None, None, None, false);
        if !(nothing_else && mtime == Some(TimeOrNow::Now) && self.shared.is_wake(req)) {
            return reply.error(Errno::EROFS);
        }
        self.getattr(req, ino, fh, reply);
    }

    /// The touch helper announces a day: it is there already, and from now on everybody sees it.
    fn mkdir(&self, _: &Request, _: INodeNo, _: &OsStr, _: u32, _: u32, reply: ReplyEntry) {
        reply.error(Errno::EROFS);
    }

    fn unlink(&self, _: &Request, _: INodeNo, _: &OsStr, reply: ReplyEmpty) {
        reply.error(Errno::EROFS);
    }

    fn rmdir(&self, _: &Request, _: INodeNo, _: &OsStr, reply: ReplyEmpty) {
        reply.error(Errno::EROFS);
    }

    fn symlink(&self, _: &Request, _: INodeNo, _: &OsStr, _: &Path, reply: ReplyEntry) {
        reply.error(Errno::EROFS);
    }

    fn rename(
        &self,
        _: &Request,
        _: INodeNo,
        _: &OsStr,
        _: INodeNo,
        _: &OsStr,
        _: RenameFlags,
        reply: ReplyEmpty,
    ) {
        reply.error(Errno::EROFS);
    }

    fn link(&self, _: &Request, _: INodeNo, _: INodeNo, _: &OsStr, reply: ReplyEntry) {
        reply.error(Errno::EROFS);
    }

    fn mknod(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _rdev: u32,
        reply: ReplyEntry,
    ) {
        if !self.shared.is_wake(req) {
            return reply.error(Errno::EROFS);
        }
        let view = &self.shared.view;
        let found = name.to_str().ok_or(ViewError::NotFound);
        let found = found.and_then(|name| view.lookup(&view.node(parent.0)?, name));
        match found {
            Ok(Node::Day(day)) => self.shared.announced.show(day),
            Ok(_) => return reply.error(Errno::EEXIST),
            Err(error) => return reply.error(errno(&error)),
        }
        self.lookup(req, parent, name, reply);
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

    fn open(&self, req: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        if flags.acc_mode() != fuser::OpenAccMode::O_RDONLY {
            return reply.error(Errno::EROFS);
        }
        let (shared, unique) = (self.shared.clone(), req.unique().0);
        self.answer(
            reply,
            move |shared, wait| shared.open(ino, wait),
            move |reply, opened| match opened {
                Ok(opened) => shared.answer_open((ino, unique), opened, reply),
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
        let Some(reply) = self.shared.read_cached(ino, offset, size, reply) else {
            return;
        };
        let shared = self.shared.clone();
        self.pool.run(move || {
            let mut bytes = READ_BUFFER.take();
            bytes.clear();
            let read = match shared.made(fh) {
                Some(made) => made.read(offset, size.into(), &mut bytes),
                None => shared.view.node(ino.0).and_then(|node| {
                    shared
                        .view
                        .read(&node, offset, size.into(), now_ns(), &mut bytes)
                }),
            };
            match read {
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
        self.shared.forget(fh);
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
