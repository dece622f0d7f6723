//! The real audit directory: every path is opened below one directory descriptor, and no symlink is followed.
//!
//! The descriptor is taken before the mount, so mounting over the audit directory itself works: the covered directory
//! stays reachable through it.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags, StatxFlags};

use super::storage::{EntryKind, FileStat, SourceFile, Storage};

const LIST_BUFFER_BYTES: usize = 256 << 10;

/// File systems whose calls cannot hang on a network or on another process (statfs(2) magic numbers): ext, xfs,
/// btrfs, tmpfs, overlay, zfs, f2fs, bcachefs, ramfs.
const LOCAL_MAGIC: [i64; 9] = [
    0xef53,
    0x5846_5342,
    0x9123_683e,
    0x0102_1994,
    0x794c_7630,
    0x2fc1_2fc1,
    0xf2f5_2010,
    0xca45_1a4e,
    0x8584_58f6,
];
const NFS_MAGIC: i64 = 0x6969;

/// An audit directory on disk.
#[derive(Debug)]
pub struct Share {
    root: OwnedFd,
    remote: bool,
    nfs: bool,
    mount_id: Option<u64>,
}

impl Share {
    /// Opens the audit directory.
    ///
    /// # Errors
    /// Those of open(2): missing, not a directory, no permission.
    pub fn open(path: &Path) -> io::Result<Self> {
        let root = rustix::fs::open(
            path,
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let magic = magic_of(&root)?;
        Ok(Share {
            mount_id: mount_id(&root, ""),
            root,
            remote: !LOCAL_MAGIC.contains(&magic),
            nfs: magic == NFS_MAGIC,
        })
    }

    fn open_at(&self, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
        let path = if path.is_empty() { "." } else { path };
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let mut flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        if !flags.contains(OFlags::PATH) {
            // A FIFO put there must not hang the open; with O_PATH nothing is opened and openat2 refuses the flag.
            flags |= OFlags::NONBLOCK;
        }
        Ok(rustix::fs::openat2(
            &self.root,
            path,
            flags,
            Mode::empty(),
            resolve,
        )?)
    }

    fn is_other_mount(&self, folder: &str) -> bool {
        mount_id(&self.root, folder).is_some_and(|id| Some(id) != self.mount_id)
    }

    fn is_nfs(&self, path: &str) -> bool {
        let folder = path.split('/').next().unwrap_or("");
        self.nfs
            || self.is_other_mount(folder)
                && self
                    .open_at(folder, OFlags::PATH)
                    .is_ok_and(|fd| magic_of(&fd) == Ok(NFS_MAGIC))
    }
}

impl Storage for Share {
    fn list(&self, dir: &str, each: &mut dyn FnMut(&[u8], EntryKind)) -> io::Result<()> {
        let fd = self.open_at(dir, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut buffer = vec![MaybeUninit::uninit(); LIST_BUFFER_BYTES];
        let mut entries = RawDir::new(fd, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                each(name, kind_of(entry.file_type()));
            }
        }
        Ok(())
    }

    fn stat(&self, path: &str) -> io::Result<FileStat> {
        // A path descriptor keeps the promise that no symlink is followed; statx on it asks the server afresh.
        let fd = self.open_at(path, OFlags::PATH)?;
        stat_fd(&fd)
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn SourceFile>> {
        let fd = if self.is_nfs(path) {
            // DESIGN 5: only O_DIRECT reads are fresh on NFS; EINVAL means the server or its version cannot.
            match self.open_at(path, OFlags::RDONLY | OFlags::DIRECT) {
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                    self.open_at(path, OFlags::RDONLY)?
                }
                other => other?,
            }
        } else {
            self.open_at(path, OFlags::RDONLY)?
        };
        if stat_fd(&fd)?.kind != EntryKind::File {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        Ok(Arc::new(ShareFile { fd }))
    }

    fn is_remote(&self, folder: &str) -> bool {
        // Another mount may be of any kind; asking it what kind could hang.
        self.remote || self.is_other_mount(folder)
    }

    fn space_bytes(&self) -> io::Result<(u64, u64, u64)> {
        let s = rustix::fs::fstatvfs(&self.root)?;
        let bytes = |blocks: u64| blocks.saturating_mul(s.f_frsize);
        Ok((bytes(s.f_blocks), bytes(s.f_bfree), bytes(s.f_bavail)))
    }
}

#[derive(Debug)]
struct ShareFile {
    fd: OwnedFd,
}

impl SourceFile for ShareFile {
    fn read_at(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match rustix::io::pread(&self.fd, rest, offset_bytes + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(done)
    }

    fn stat(&self) -> io::Result<FileStat> {
        stat_fd(&self.fd)
    }
}

fn magic_of(fd: &OwnedFd) -> rustix::io::Result<i64> {
    Ok(rustix::fs::fstatfs(fd)?.f_type as i64)
}

/// The mount that `path` is on. No file system is asked, so it cannot hang.
fn mount_id(root: &OwnedFd, path: &str) -> Option<u64> {
    let flags = AtFlags::EMPTY_PATH
        | AtFlags::SYMLINK_NOFOLLOW
        | AtFlags::NO_AUTOMOUNT
        | AtFlags::STATX_DONT_SYNC;
    let stat = rustix::fs::statx(root, path, flags, StatxFlags::MNT_ID).ok()?;
    (stat.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(stat.stx_mnt_id)
}

fn stat_fd(fd: &OwnedFd) -> io::Result<FileStat> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_FORCE_SYNC;
    let stat = rustix::fs::statx(fd, "", flags, StatxFlags::BASIC_STATS)?;
    let mtime = stat.stx_mtime;
    Ok(FileStat {
        size: stat.stx_size,
        mtime_ns: mtime
            .tv_sec
            .saturating_mul(1_000_000_000)
            .saturating_add(i64::from(mtime.tv_nsec)),
        identity: (
            (u64::from(stat.stx_dev_major) << 32) | u64::from(stat.stx_dev_minor),
            stat.stx_ino,
        ),
        kind: kind_of(FileType::from_raw_mode(stat.stx_mode.into())),
    })
}

fn kind_of(kind: FileType) -> EntryKind {
    match kind {
        FileType::RegularFile => EntryKind::File,
        FileType::Directory => EntryKind::Directory,
        FileType::Unknown => EntryKind::Unknown,
        _ => EntryKind::Other,
    }
}
