//! The real audit directory for writing: every path is opened below one descriptor, and no symlink is followed.
//!
//! The descriptor is taken before the mount, so that a mount over the audit directory itself does not come between.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{
    AtFlags, Dir, FallocateFlags, FileType, Gid, Mode, OFlags, RenameFlags, ResolveFlags, Uid,
};
use rustix::io::Errno;

use super::storage::{OpenAs, OwnFile, OwnStorage, WriteThrough};

/// Space is reserved up to the end of a block of this size, which the file system gives whole anyway.
const BLOCK_BYTES: u64 = 4096;
/// The most that is reserved beyond what is needed. Measured on ext4, 4 KiB a write: 6 us without, 22 us with a call each.
const MAX_AHEAD_BYTES: u64 = 60 << 10;

/// How new folders and files are made (the seed's AuditLogConfig: `DirMode`, `UID`, `GID`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Making {
    /// Mode of new folders, before the umask. Files get it without the x bits and without w for group and others.
    pub dir_mode: u32,
    /// Owner of what is made, (uid, gid); `None` leaves it to the system.
    pub owner: Option<(u32, u32)>,
}

impl Default for Making {
    /// As released versions: folders 0770, files 0640 (FORMAT 1).
    fn default() -> Self {
        Making {
            dir_mode: 0o770,
            owner: None,
        }
    }
}

/// See the module text.
#[derive(Debug)]
pub struct OwnDirectory {
    root: OwnedFd,
    making: Making,
}

impl OwnDirectory {
    /// Opens the audit directory, which must exist.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn open(path: &Path, making: Making) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(OwnDirectory { root, making })
    }

    /// Opens `path` below the directory; a new file gets the mode and owner of [`Making`].
    pub(super) fn open_at(&self, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
        let path = if path.is_empty() { "." } else { path };
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        // A FIFO put there must not hang the open.
        let common = OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let open =
            |flags, mode| rustix::fs::openat2(&self.root, path, flags | common, mode, resolve);
        if !flags.contains(OFlags::CREATE) {
            return Ok(open(flags, Mode::empty())?);
        }
        // Whether the file is new must be known, because only then it gets an owner.
        let mode = Mode::from_raw_mode(self.making.dir_mode & 0o640);
        match open(flags | OFlags::EXCL, mode) {
            Ok(fd) => {
                if let Some((uid, gid)) = self.making.owner {
                    rustix::fs::fchown(&fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
                }
                Ok(fd)
            }
            Err(Errno::EXIST) if !flags.contains(OFlags::EXCL) => {
                Ok(open(flags.difference(OFlags::CREATE), Mode::empty())?)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The folder that holds `path`, and the name in it.
    pub(super) fn parent<'a>(&self, path: &'a str) -> io::Result<(OwnedFd, &'a str)> {
        let (folder, name) = split(path);
        Ok((
            self.open_at(folder, OFlags::RDONLY | OFlags::DIRECTORY)?,
            name,
        ))
    }

    fn rename_with(&self, from: &str, to: &str, flags: RenameFlags) -> io::Result<()> {
        let (from_folder, from) = self.parent(from)?;
        let (to_folder, to) = self.parent(to)?;
        Ok(rustix::fs::renameat_with(
            &from_folder,
            from,
            &to_folder,
            to,
            flags,
        )?)
    }
}

/// Folder and name of a path.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

impl OwnStorage for OwnDirectory {
    fn make_folder(&self, path: &str) -> io::Result<()> {
        match self.open_at(path, OFlags::RDONLY | OFlags::DIRECTORY) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            found => return found.map(drop),
        }
        let (above, name) = split(path);
        if !above.is_empty() {
            self.make_folder(above)?;
        }
        let (above, _) = self.parent(path)?;
        match rustix::fs::mkdirat(&above, name, Mode::from_raw_mode(self.making.dir_mode)) {
            Ok(()) => {
                if let Some((uid, gid)) = self.making.owner {
                    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
                    rustix::fs::chownat(
                        &above,
                        name,
                        Some(uid),
                        Some(gid),
                        AtFlags::SYMLINK_NOFOLLOW,
                    )?;
                }
                Ok(rustix::fs::fsync(&above)?)
            }
            Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn open(&self, path: &str, how: OpenAs, through: WriteThrough) -> io::Result<Box<dyn OwnFile>> {
        // Readable too, for the look at the last byte. On NFS that costs nothing: only O_DIRECT handles may not write.
        let mut flags = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE;
        if how == OpenAs::New {
            flags |= OFlags::EXCL;
        }
        if through == WriteThrough::Yes {
            flags |= OFlags::DSYNC;
        }
        let fd = self.open_at(path, flags)?;
        let stat = rustix::fs::fstat(&fd)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Errno::INVAL.into());
        }
        let len_bytes = stat.st_size as u64;
        Ok(Box::new(AppendedFile {
            fd,
            end_bytes: len_bytes,
            reserved_bytes: len_bytes.next_multiple_of(BLOCK_BYTES),
            can_reserve: true,
        }))
    }

    fn read(&self, path: &str) -> io::Result<Box<dyn Read>> {
        let fd = self.open_at(path, OFlags::RDONLY)?;
        let stat = rustix::fs::fstat(&fd)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Errno::INVAL.into());
        }
        Ok(Box::new(File::from(fd)))
    }

    fn mark(&self, path: &str) -> io::Result<u64> {
        // Opened, not only asked for: on NFS that is what makes the attributes fresh.
        let stat = rustix::fs::fstat(self.open_at(path, OFlags::RDONLY)?)?;
        let time_ns = (stat.st_mtime as u64)
            .wrapping_mul(1_000_000_000)
            .wrapping_add(stat.st_mtime_nsec as u64);
        Ok(time_ns
            .wrapping_add(stat.st_size as u64)
            .wrapping_add(stat.st_ino.rotate_left(32)))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let fd = self.open_at(folder, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut names = Vec::new();
        for entry in Dir::new(fd)? {
            // What is no text is not ours.
            if let Ok(name) = entry?.file_name().to_str()
                && name != "."
                && name != ".."
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.rename_with(from, to, RenameFlags::empty())
    }

    fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        match self.rename_with(from, to, RenameFlags::NOREPLACE) {
            // NFS has no such rename; link(2) refuses a taken name there.
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                let (from_folder, from_name) = self.parent(from)?;
                let (to_folder, to_name) = self.parent(to)?;
                rustix::fs::linkat(
                    &from_folder,
                    from_name,
                    &to_folder,
                    to_name,
                    AtFlags::empty(),
                )?;
                Ok(rustix::fs::unlinkat(
                    &from_folder,
                    from_name,
                    AtFlags::empty(),
                )?)
            }
            done => done,
        }
    }

    fn point_link(&self, path: &str, target: &str) -> io::Result<()> {
        let (folder, name) = self.parent(path)?;
        match rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink => {
                return Err(Errno::EXIST.into());
            }
            Ok(_) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        // The name ends in this process's number: another server may renew the same link now.
        let fresh = format!(".auditfs-link-{name}-{}", std::process::id());
        match rustix::fs::unlinkat(&folder, &*fresh, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        rustix::fs::symlinkat(target, &folder, &*fresh)?;
        Ok(rustix::fs::renameat(&folder, &*fresh, &folder, name)?)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let (folder, name) = self.parent(path)?;
        Ok(rustix::fs::unlinkat(&folder, name, AtFlags::empty())?)
    }

    fn remove_folder(&self, path: &str) -> io::Result<()> {
        let (folder, name) = self.parent(path)?;
        Ok(rustix::fs::unlinkat(&folder, name, AtFlags::REMOVEDIR)?)
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        let fd = self.open_at(folder, OFlags::RDONLY | OFlags::DIRECTORY)?;
        Ok(rustix::fs::fsync(&fd)?)
    }

    fn sync_all(&self, folder: &str) -> io::Result<()> {
        match self.open_at(folder, OFlags::RDONLY | OFlags::DIRECTORY) {
            // The whole file system: that is one call, and there is none for less.
            Ok(fd) => Ok(rustix::fs::syncfs(&fd)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[derive(Debug)]
struct AppendedFile {
    fd: OwnedFd,
    /// Where the next byte goes: nobody else writes here.
    end_bytes: u64,
    reserved_bytes: u64,
    can_reserve: bool,
}

impl OwnFile for AppendedFile {
    fn len_bytes(&self) -> io::Result<u64> {
        Ok(rustix::fs::fstat(&self.fd)?.st_size as u64)
    }

    fn last_byte(&self) -> io::Result<Option<u8>> {
        let len_bytes = self.len_bytes()?;
        let Some(last) = len_bytes.checked_sub(1) else {
            return Ok(None);
        };
        let mut byte = [0];
        let read = rustix::io::pread(&self.fd, &mut byte, last)?;
        Ok((read == 1).then_some(byte[0]))
    }

    fn reserve(&mut self, bytes: u64) -> io::Result<()> {
        let end_bytes = self.end_bytes.saturating_add(bytes);
        if !self.can_reserve || end_bytes <= self.reserved_bytes {
            return Ok(());
        }
        // A file of small records takes no block before its time; one of large ones asks once for sixteen.
        let ahead_bytes = bytes.saturating_mul(15).min(MAX_AHEAD_BYTES);
        for ahead_bytes in [ahead_bytes, 0] {
            let wanted = end_bytes
                .saturating_add(ahead_bytes)
                .next_multiple_of(BLOCK_BYTES);
            let (from, len) = (self.reserved_bytes, wanted - self.reserved_bytes);
            match rustix::fs::fallocate(&self.fd, FallocateFlags::KEEP_SIZE, from, len) {
                Ok(()) => {
                    self.reserved_bytes = wanted;
                    return Ok(());
                }
                // There may be room for what is needed now.
                Err(Errno::NOSPC | Errno::DQUOT) if ahead_bytes > 0 => {}
                Err(
                    error @ (Errno::NOSPC | Errno::DQUOT | Errno::IO | Errno::FBIG | Errno::STALE),
                ) => {
                    return Err(error.into());
                }
                // NFS and some others cannot: then the write itself tells.
                Err(_) => {
                    self.can_reserve = false;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = rustix::io::write(&self.fd, bytes)?;
        self.end_bytes += written as u64;
        Ok(written)
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(rustix::fs::fdatasync(&self.fd)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> (tempfile::TempDir, OwnDirectory) {
        let dir = tempfile::tempdir().unwrap();
        let own = OwnDirectory::open(dir.path(), Making::default()).unwrap();
        (dir, own)
    }

    #[test]
    fn a_new_file_is_refused_where_there_is_one() {
        let (dir, own) = directory();
        own.make_folder("a1/sessions/default").unwrap();
        own.make_folder("a1/sessions/default").unwrap();
        let mut file = own.open("a1/x", OpenAs::New, WriteThrough::Yes).unwrap();
        file.reserve(5).unwrap();
        assert_eq!(file.append(b"hello").unwrap(), 5);
        assert_eq!(std::fs::read(dir.path().join("a1/x")).unwrap(), b"hello");
        let again = own.open("a1/x", OpenAs::New, WriteThrough::No);
        assert_eq!(again.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        let mut file = own
            .open("a1/x", OpenAs::Continued, WriteThrough::No)
            .unwrap();
        assert_eq!(
            (file.len_bytes().unwrap(), file.last_byte().unwrap()),
            (5, Some(b'o'))
        );
        file.append(b"\n").unwrap();
        assert_eq!(std::fs::read(dir.path().join("a1/x")).unwrap(), b"hello\n");
    }

    #[test]
    fn symlinks_lead_nowhere() {
        let (dir, own) = directory();
        std::os::unix::fs::symlink("/tmp", dir.path().join("out")).unwrap();
        std::os::unix::fs::symlink("/tmp/auditfs-no-such", dir.path().join("file")).unwrap();
        assert!(own.open("out/x", OpenAs::New, WriteThrough::No).is_err());
        assert!(
            own.open("file", OpenAs::Continued, WriteThrough::No)
                .is_err()
        );
        assert!(own.make_folder("out/x").is_err());
        assert!(own.open("../x", OpenAs::New, WriteThrough::No).is_err());
    }

    #[test]
    fn a_link_is_renewed_but_a_file_is_not_replaced() {
        let (dir, own) = directory();
        let link = || std::fs::read_link(dir.path().join("events.log")).unwrap();
        own.point_link("events.log", "a1/one").unwrap();
        own.point_link("events.log", "a1/two").unwrap();
        assert_eq!(link(), Path::new("a1/two"));
        own.open("file", OpenAs::New, WriteThrough::No).unwrap();
        assert!(own.point_link("file", "a1/two").is_err());
        assert!(own.rename_new("file", "events.log").is_err());
        assert_eq!(own.list("").unwrap().len(), 2);
    }
}
