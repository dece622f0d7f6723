//! The adapter: decode a FUSE request, ask the view, reply.
//!
//! Each request first tries the view without waiting; what would wait for the share goes to the pool.

use std::ffi::OsStr;
use std::path::Path;
use std::time::SystemTime;

use fuser::{
    BsdFileFlags, Errno, FileHandle, Filesystem, Generation, INodeNo, InitFlags, KernelConfig,
    LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen, ReplyStatfs, ReplyWrite,
    Request, TimeOrNow, WriteFlags,
};

use super::answers::ttl;
use super::errno::errno;
use super::requests::AuditFs;
use super::writing::{Asker, Desk};

const MAX_WRITE: u32 = 1 << 20;
const MAX_BACKGROUND: u16 = 64;
const READAHEAD_BYTES: u32 = 1 << 20;

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
        match name.to_str() {
            Some(name) => self.look_up(parent, name.to_owned(), reply),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        let shared = self.shared.clone();
        if let Some(attr) = self.upload_attr(ino) {
            return reply.attr(&ttl(attr.ttl), &shared.file_attr(&attr));
        }
        self.answer(
            reply,
            move |shared, wait| shared.attr(ino, wait),
            move |reply, found| match found {
                Ok(attr) => reply.attr(&ttl(attr.ttl), &shared.file_attr(&attr)),
                Err(error) => reply.error(error),
            },
        );
    }

    /// The touch helper wakes watchers: mtime is now, and nothing else.
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
        let wakes = nothing_else && mtime == Some(TimeOrNow::Now);
        if self.is_touch(req, wakes) {
            return self.getattr(req, ino, fh, reply);
        }
        if wakes && self.desk.is_some() {
            // Most likely the helper of the worker before: not worth a line in the log.
            return reply.error(Errno::EPERM);
        }
        self.set_attributes(req, ino, size, reply);
    }

    fn mkdir(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        self.make_directory(req, parent, name, reply);
    }

    fn create(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        self.create_file(req, parent, name, reply);
    }

    fn unlink(&self, req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        reply.error(self.refuse(req, parent, Some(name)));
    }

    fn rmdir(&self, req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        reply.error(self.refuse(req, parent, Some(name)));
    }

    fn symlink(&self, req: &Request, parent: INodeNo, name: &OsStr, _: &Path, reply: ReplyEntry) {
        reply.error(self.refuse(req, parent, Some(name)));
    }

    fn rename(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        _: INodeNo,
        _: &OsStr,
        _: RenameFlags,
        reply: ReplyEmpty,
    ) {
        reply.error(self.refuse(req, parent, Some(name)));
    }

    fn link(&self, req: &Request, ino: INodeNo, _: INodeNo, _: &OsStr, reply: ReplyEntry) {
        reply.error(self.refuse(req, ino, None));
    }

    fn setxattr(
        &self,
        req: &Request,
        ino: INodeNo,
        _: &OsStr,
        _: &[u8],
        _: i32,
        _: u32,
        reply: ReplyEmpty,
    ) {
        reply.error(self.refuse(req, ino, None));
    }

    fn fallocate(
        &self,
        req: &Request,
        ino: INodeNo,
        _: FileHandle,
        _: u64,
        _: u64,
        _: i32,
        reply: ReplyEmpty,
    ) {
        reply.error(self.refuse(req, ino, None));
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
            return reply.error(self.refuse(req, parent, Some(name)));
        }
        if let Err(error) = self.announce(parent, name.to_str()) {
            return reply.error(error);
        }
        self.lookup(req, parent, name, reply);
    }

    fn readlink(&self, _req: &Request, ino: INodeNo, reply: ReplyData) {
        if let Some(desk) = &self.desk {
            desk.keep_today();
        }
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
        let (shared, unique) = (self.shared.clone(), req.unique().0);
        if flags.acc_mode() != fuser::OpenAccMode::O_RDONLY {
            let by = Asker::from(req);
            return self.repeatable(
                req,
                ino,
                reply,
                move |desk| desk.open(ino, flags, by),
                move |reply, opened| match opened {
                    Ok(fh) => shared.answer_writer((ino, unique), fh, reply),
                    Err(error) => reply.error(error),
                },
            );
        }
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
        if let Some(reply) = self.shared.read_cached(ino, offset, size, reply) {
            self.read_file(ino, fh, offset, size, reply);
        }
    }

    fn write(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let data = data.to_vec();
        self.change(
            req,
            ino,
            reply,
            move |desk| desk.write(ino, fh, flags, offset, &data),
            |reply, taken| match taken {
                Ok(bytes) => reply.written(bytes),
                Err(error) => reply.error(error),
            },
        );
    }

    fn flush(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _lock_owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        self.repeatable(req, ino, reply, move |desk| desk.flush(ino, fh), send_empty);
    }

    fn fsync(&self, req: &Request, ino: INodeNo, fh: FileHandle, _: bool, reply: ReplyEmpty) {
        if self.desk.is_none() {
            return reply.ok();
        }
        self.repeatable(req, ino, reply, move |desk| desk.fsync(ino, fh), send_empty);
    }

    fn release(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.shared.forget(fh);
        if flags.acc_mode() == fuser::OpenAccMode::O_RDONLY || self.desk.is_none() {
            return reply.ok();
        }
        // Nobody waits for the answer; what is refused here is told by the log only.
        let work = move |desk: &Desk| desk.release(ino, fh);
        self.repeatable(req, ino, reply, work, |reply: ReplyEmpty, _| reply.ok());
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
        self.tell_space(reply);
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
        self.seek(ino, offset, whence, reply);
    }
}

fn send_empty(reply: ReplyEmpty, done: Result<(), Errno>) {
    match done {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}
