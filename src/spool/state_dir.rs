//! The state directory: one daemon at a time, a format version, and the id of the spool in it.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::event::EventTime;

use super::backend::{Backend, DiskFolder};
use super::holder::Holder;
use super::journal::VERSION;
use super::spool_error::SpoolError;

/// Which spool it is, 16 hex digits, never 0. A lost spool gets another one, and with it other inode numbers: readers
/// get everything anew and never resume in bytes that they have not seen (DESIGN 4.2).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SpoolId(u64);

impl SpoolId {
    /// The number.
    pub fn as_u64(self) -> u64 {
        self.0
    }

    /// Reads 16 hex digits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let id = u64::from_str_radix(text, 16).ok()?;
        (text.len() == 16 && id != 0).then_some(SpoolId(id))
    }
}

impl fmt::Display for SpoolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A locked state directory. The lock goes with this value, however the process ends.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    spool_id: SpoolId,
    is_new: bool,
    _lock: File,
}

impl StateDir {
    /// Creates what is missing and takes the lock. `now` is what the lock file says of its beginning.
    ///
    /// # Errors
    /// [`SpoolError::Locked`], [`SpoolError::NewerVersion`], [`SpoolError::Damaged`] for a version file that says
    /// nothing, and those of the disk.
    pub fn open(path: &Path, now: EventTime) -> Result<Self, SpoolError> {
        let days = path.join("spool");
        let io = |error| SpoolError::io(path, error);
        create_dir(path).map_err(io)?;
        let lock = lock(&path.join("lock"), now)?;
        check_version(path)?;
        let known = fs::read_to_string(path.join("spool-id"));
        let known = match known {
            Ok(text) => SpoolId::parse(text.trim_end()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => None,
            Err(error) => return Err(io(error)),
        };
        let known = known.filter(|_| days.is_dir());
        create_dir(&days).map_err(io)?;
        let spool_id = match known {
            Some(id) => id,
            None => {
                let id = SpoolId(random_id().map_err(io)?);
                write_whole(path, "spool-id", &format!("{id}\n")).map_err(io)?;
                id
            }
        };
        Ok(StateDir {
            path: path.to_owned(),
            spool_id,
            is_new: known.is_none(),
            _lock: lock,
        })
    }

    /// The id of the spool in the directory at `path`, as far as can be told without the lock.
    pub fn peek_spool_id(path: &Path) -> Option<SpoolId> {
        let text = fs::read_to_string(path.join("spool-id")).ok()?;
        SpoolId::parse(text.trim_end())
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The id of the spool in it.
    pub fn spool_id(&self) -> SpoolId {
        self.spool_id
    }

    /// Whether the spool was begun by this opening.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    pub(super) fn backend(&self) -> Arc<dyn Backend> {
        Arc::new(DiskFolder::new(self.path.join("spool")))
    }
}

/// A random number, never 0.
pub(super) fn random_id() -> io::Result<u64> {
    let mut bytes = [0; 8];
    while u64::from_le_bytes(bytes) == 0 {
        // Eight bytes come whole or not at all (getrandom(2)).
        rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    }
    Ok(u64::from_le_bytes(bytes))
}

/// What it will hold is what the audit log holds: nobody else may read it.
fn create_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn lock(path: &Path, now: EventTime) -> Result<File, SpoolError> {
    let io = |error| SpoolError::io(path, error);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = options
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
        .map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = Vec::new();
            (&mut file).take(4096).read_to_end(&mut text).map_err(io)?;
            return Err(SpoolError::Locked {
                path: path.to_owned(),
                holder: Holder::parse(&String::from_utf8_lossy(&text)),
            });
        }
        Err(TryLockError::Error(error)) => return Err(io(error)),
    }
    let text = Holder::me(now).to_text();
    // A full disk must not stop a daemon that can still serve: who holds the lock is a courtesy.
    let said = file
        .set_len(0)
        .and_then(|()| file.write_all_at(text.as_bytes(), 0));
    if let Err(error) = said {
        tracing::warn!(path = %path.display(), %error, "the lock file could not be written");
    }
    Ok(file)
}

fn check_version(dir: &Path) -> Result<(), SpoolError> {
    let path = dir.join("version");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return write_whole(dir, "version", &format!("{VERSION}\n"))
                .map_err(|error| SpoolError::io(&path, error));
        }
        Err(error) => return Err(SpoolError::io(&path, error)),
    };
    match text.trim_end().parse::<u32>() {
        Ok(found) if found > VERSION => Err(SpoolError::NewerVersion {
            path,
            found,
            known: VERSION,
        }),
        Ok(1..) => Ok(()),
        _ => Err(SpoolError::Damaged {
            path,
            what: "it holds no format version".into(),
        }),
    }
}

/// Writes a small file so that a restart finds either the old one or the new one.
fn write_whole(dir: &Path, name: &str, text: &str) -> io::Result<()> {
    let new = dir.join(format!("{name}.new"));
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, dir.join(name))?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> Result<StateDir, SpoolError> {
        StateDir::open(path, EventTime::from_ns(0))
    }

    #[test]
    fn the_id_stays_until_the_spool_is_lost() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("state");
        let id = |is_new| {
            let state = open(&path).unwrap();
            assert_eq!(state.is_new(), is_new);
            state.spool_id()
        };
        let first = id(true);
        assert_eq!(id(false), first);
        fs::remove_dir_all(path.join("spool")).unwrap();
        let second = id(true);
        fs::write(path.join("spool-id"), "0000000000000000\n").unwrap();
        let third = id(true);
        assert!(first != second && second != third);
        assert_eq!(id(false), third);
    }

    #[test]
    fn a_second_daemon_is_told_who_is_there() {
        let place = tempfile::tempdir().unwrap();
        let first = open(place.path()).unwrap();
        let error = open(place.path()).unwrap_err();
        let SpoolError::Locked { holder, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(*holder, Holder::me(EventTime::from_ns(0)));
        drop(first);
        open(place.path()).unwrap();
    }

    #[test]
    fn a_newer_format_is_refused_and_untouched() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("version"), "2\n").unwrap();
        let error = open(place.path()).unwrap_err();
        assert!(
            matches!(error, SpoolError::NewerVersion { found: 2, .. }),
            "{error}"
        );
        assert!(!place.path().join("spool-id").exists());
        fs::write(place.path().join("version"), "").unwrap();
        let error = open(place.path()).unwrap_err();
        assert!(matches!(error, SpoolError::Damaged { .. }), "{error}");
    }
}
