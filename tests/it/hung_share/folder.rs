//! A folder of plain files shown through a mount of its own, which can be made to hang: no call on it is answered then.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, SystemTime};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory,
    ReplyEntry, ReplyOpen, Request,
};

/// See the module text. Unmounted with this value, answering again.
pub struct HangingFolder {
    gate: Arc<Gate>,
    session: Option<BackgroundSession>,
}

#[derive(Default)]
struct Gate {
    hangs: Mutex<bool>,
    changed: Condvar,
}

impl HangingFolder {
    /// Shows the files of `from` at `to`.
    pub fn mount(from: &Path, to: &Path) -> Self {
        let gate = Arc::new(Gate::default());
        let files = Files {
            from: from.to_owned(),
            gate: gate.clone(),
        };
        let mut config = Config::default();
        config.mount_options = vec![MountOption::RO, MountOption::FSName("hanging".into())];
        let session = fuser::spawn_mount(files, to, &config).unwrap();
        HangingFolder {
            gate,
            session: Some(session),
        }
    }

    /// From now on no call is answered.
    pub fn hang(&self) {
        *self.gate.hangs.lock().unwrap() = true;
    }

    /// All that wait are answered, and what comes.
    pub fn answer(&self) {
        *self.gate.hangs.lock().unwrap() = false;
        self.gate.changed.notify_all();
    }
}

impl Drop for HangingFolder {
    fn drop(&mut self) {
        self.answer();
        if let Some(session) = self.session.take() {
            let _ = session.umount_and_join();
        }
    }
}

impl Gate {
    fn pass(&self) {
        let hangs = self.hangs.lock().unwrap();
        drop(self.changed.wait_while(hangs, |hangs| *hangs).unwrap());
    }
}

struct Files {
    from: PathBuf,
    gate: Arc<Gate>,
}

/// Nothing is remembered by the kernel.
const TTL: Duration = Duration::ZERO;
const ROOT: u64 = 1;

impl Files {
    /// The file or, for the root, the folder with this inode number.
    fn find(&self, ino: u64) -> Option<(PathBuf, FileAttr)> {
        if ino == ROOT {
            return Some((self.from.clone(), attr(&self.from, ROOT)?));
        }
        let mut paths = std::fs::read_dir(&self.from)
            .ok()?
            .flatten()
            .map(|entry| entry.path());
        let path =
            paths.find(|path| std::fs::metadata(path).is_ok_and(|meta| meta.ino() == ino))?;
        let attr = attr(&path, ino)?;
        Some((path, attr))
    }
}

fn attr(path: &Path, ino: u64) -> Option<FileAttr> {
    let meta = std::fs::metadata(path).ok()?;
    let mtime = meta.modified().ok()?;
    Some(FileAttr {
        ino: INodeNo(ino),
        size: meta.size(),
        blocks: meta.blocks(),
        atime: mtime,
        mtime,
        ctime: mtime,
        crtime: SystemTime::UNIX_EPOCH,
        kind: if meta.is_dir() {
            FileType::Directory
        } else {
            FileType::RegularFile
        },
        perm: 0o755,
        nlink: 1,
        uid: meta.uid(),
        gid: meta.gid(),
        rdev: 0,
        blksize: 4096,
        flags: 0,
    })
}

impl Filesystem for Files {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.gate.pass();
        let path = self.from.join(name);
        let ino = std::fs::metadata(&path).map(|meta| meta.ino());
        match ino.ok().and_then(|ino| attr(&path, ino)) {
            Some(attr) => reply.entry(&TTL, &attr, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.gate.pass();
        match self.find(ino.0) {
            Some((_, attr)) => reply.attr(&TTL, &attr),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn readdir(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        self.gate.pass();
        let entries = std::fs::read_dir(&self.from)
            .into_iter()
            .flatten()
            .flatten();
        for (number, entry) in (1_u64..)
            .zip(entries)
            .filter(|(number, _)| *number > offset)
        {
            let ino = INodeNo(entry.metadata().map_or(0, |meta| meta.ino()));
            if reply.add(ino, number, FileType::RegularFile, entry.file_name()) {
                break;
            }
        }
        reply.ok();
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        self.gate.pass();
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.gate.pass();
        let mut bytes = vec![0; size as usize];
        let file = self.find(ino.0).and_then(|(path, _)| File::open(path).ok());
        match file.and_then(|file| file.read_at(&mut bytes, offset).ok()) {
            Some(read) => reply.data(bytes.get(..read).unwrap_or_default()),
            None => reply.error(Errno::EIO),
        }
    }
}
