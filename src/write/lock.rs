//! One writer per folder: two programs that append to one file on NFS damage up to a quarter of its lines (DESIGN 6).
//!
//! `<server>/.auditfs.lock` is held with an fcntl record lock, which NFS carries from host to host and the kernel takes
//! back when its holder dies. What the file says (host, pid, start) is for people; only the lock counts.
//!
//! The traps: such a lock belongs to the *process*. A second open in the same process gets it too, and closing any
//! descriptor of the file gives it up. So locks held in this process are listed in [`HELD`], the list is asked before the
//! file is opened, and nobody else may open it. The lock does not pass through fork(2): take it in the process that writes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{AtFlags, FlockOperation, OFlags};
use rustix::io::Errno;
use serde_json::json;

use crate::event::{EventTime, ServerId};

use super::own_directory::OwnDirectory;
use super::storage::OwnStorage;

/// Name of the lock file in the server's folder. Readers pass over names that begin with a dot.
pub const LOCK_FILE_NAME: &str = ".auditfs.lock";

/// A lock file has one short line.
const MAX_HOLDER_BYTES: u64 = 4096;

/// (device, inode) of each lock file that this process holds, and who holds it.
static HELD: Mutex<Vec<((u64, u64), Holder)>> = Mutex::new(Vec::new());

/// Who holds a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Host name.
    pub host: String,
    /// Process id on that host.
    pub pid: u32,
    /// When it took the folder.
    pub start: EventTime,
}

/// A folder could not be taken, or is not ours any more.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another program writes there. Errno: EBUSY.
    #[error("{path}: another auditfs writes as this server: {}; stop it, use another server ID, or, if its host is gone for good, use --break-lock", named(.holder))]
    Held {
        /// The lock file.
        path: String,
        /// Who, if the file says so.
        holder: Option<Holder>,
    },
    /// The lock was broken or taken back (NFS fences a host that was away): stop writing at once. Errno: EIO.
    #[error("{path}: this lock is not ours any more; another auditfs may write as this server")]
    Lost {
        /// The lock file.
        path: String,
    },
    /// The disk said no. Errno: that of `source`.
    #[error("cannot lock {path}: {source}")]
    Io {
        /// The lock file.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A folder that this process holds until the value is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct FolderLock {
    /// `None` only while it is dropped.
    file: Option<File>,
    key: (u64, u64),
    path: String,
}

impl Holder {
    /// This process, from `start` on.
    pub fn this_process(start: EventTime) -> Holder {
        let host = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        Holder {
            host,
            pid: std::process::id(),
            start,
        }
    }

    fn to_line(&self) -> String {
        let line = json!({"host": self.host, "pid": self.pid, "start": self.start.to_rfc3339()});
        format!("{line}\n")
    }

    fn from_line(line: &str) -> Option<Holder> {
        let value: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(Holder {
            host: value
                .get("host")?
                .as_str()?
                .chars()
                .filter(|c| !c.is_control())
                .take(255)
                .collect(),
            pid: value.get("pid")?.as_u64()?.try_into().ok()?,
            start: EventTime::parse_rfc3339(value.get("start")?.as_str()?.as_bytes())?,
        })
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Holder { host, pid, start } = self;
        write!(f, "pid {pid} on host {host}, since {start}")
    }
}

fn named(holder: &Option<Holder>) -> String {
    match holder {
        Some(holder) => holder.to_string(),
        None => "its lock file does not say who".to_owned(),
    }
}

impl FolderLock {
    /// Takes the folder of `server_id`, and makes it where it is not there.
    ///
    /// # Errors
    /// [`LockError::Held`] names the other holder. A file system without fcntl locks says ENOLCK or EOPNOTSUPP.
    pub fn take(
        directory: &OwnDirectory,
        server_id: &ServerId,
        start: EventTime,
    ) -> Result<FolderLock, LockError> {
        let path = path_of(server_id);
        let failed = |source| LockError::Io {
            path: path.clone(),
            source,
        };
        directory.make_folder(server_id.as_str()).map_err(failed)?;
        loop {
            let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(holder) = held_here(&held, directory, &path) {
                return Err(LockError::Held {
                    path,
                    holder: Some(holder),
                });
            }
            let mut file = open(directory, &path, OFlags::CREATE).map_err(failed)?;
            match rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::AGAIN | Errno::ACCESS) => {
                    let holder = read_holder(&mut file);
                    return Err(LockError::Held { path, holder });
                }
                Err(error) => return Err(failed(error.into())),
            }
            // Broken between open and lock: the file with that name is another one now.
            let Some(key) = key_of_file(&file).filter(|key| key_at(directory, &path) == Some(*key))
            else {
                continue;
            };
            let holder = Holder::this_process(start);
            let write = |file: &mut File| {
                file.set_len(0)?;
                file.seek(SeekFrom::Start(0))?;
                file.write_all(holder.to_line().as_bytes())?;
                file.sync_all()
            };
            write(&mut file).map_err(failed)?;
            held.push((key, holder));
            return Ok(FolderLock {
                file: Some(file),
                key,
                path,
            });
        }
    }

    /// Asks whether the folder is still ours; call it every few seconds, and stop writing when it is not.
    ///
    /// # Errors
    /// [`LockError::Lost`] if the lock was broken with [`break_lock`], or the NFS server gave it to another host.
    pub fn check(&self, directory: &OwnDirectory) -> Result<(), LockError> {
        let lost = || LockError::Lost {
            path: self.path.clone(),
        };
        // To take a lock one has is a no-op; where NFS has fenced this host it says EIO.
        let file = self.file.as_ref().ok_or_else(lost)?;
        match rustix::fs::fcntl_lock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::AGAIN | Errno::ACCESS | Errno::IO | Errno::STALE | Errno::BADF) => {
                return Err(lost());
            }
            Err(error) => {
                return Err(LockError::Io {
                    path: self.path.clone(),
                    source: error.into(),
                });
            }
        }
        if key_at(directory, &self.path) == Some(self.key) {
            Ok(())
        } else {
            Err(lost())
        }
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Closed while the list is locked: a close after another thread took the lock would give up that lock.
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|(key, _)| *key != self.key);
        drop(self.file.take());
    }
}

/// Takes the lock from a holder that cannot give it back (`--break-lock`): a host that is gone for good under NFSv3.
/// Gives the holder that was broken; `None` if nobody held it. A holder that still lives sees [`LockError::Lost`].
///
/// # Errors
/// [`LockError::Held`] if this very process holds it; [`LockError::Io`].
pub fn break_lock(
    directory: &OwnDirectory,
    server_id: &ServerId,
) -> Result<Option<Holder>, LockError> {
    let path = path_of(server_id);
    let failed = |source| LockError::Io {
        path: path.clone(),
        source,
    };
    let held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(holder) = held_here(&held, directory, &path) {
        return Err(LockError::Held {
            path,
            holder: Some(holder),
        });
    }
    let mut file = match open(directory, &path, OFlags::empty()) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    match rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => return Ok(None),
        Err(Errno::AGAIN | Errno::ACCESS) => {}
        Err(error) => return Err(failed(error.into())),
    }
    let holder = read_holder(&mut file);
    // Of two who break at once, the second must not take away the fresh file of the first.
    if key_of_file(&file) == key_at(directory, &path) {
        directory.remove(&path).map_err(failed)?;
    }
    Ok(Some(holder.unwrap_or(Holder {
        host: "unknown".to_owned(),
        pid: 0,
        start: EventTime::ZERO,
    })))
}

fn path_of(server_id: &ServerId) -> String {
    format!("{server_id}/{LOCK_FILE_NAME}")
}

fn open(directory: &OwnDirectory, path: &str, create: OFlags) -> io::Result<File> {
    Ok(File::from(directory.open_at(path, OFlags::RDWR | create)?))
}

fn read_holder(file: &mut File) -> Option<Holder> {
    let mut line = String::new();
    file.take(MAX_HOLDER_BYTES).read_to_string(&mut line).ok()?;
    Holder::from_line(&line)
}

/// Who in this process holds the lock. Does not open the file: see the module text.
fn held_here(
    held: &[((u64, u64), Holder)],
    directory: &OwnDirectory,
    path: &str,
) -> Option<Holder> {
    let key = key_at(directory, path)?;
    held.iter()
        .find(|(other, _)| *other == key)
        .map(|(_, holder)| holder.clone())
}

fn key_at(directory: &OwnDirectory, path: &str) -> Option<(u64, u64)> {
    let (folder, name) = directory.parent(path).ok()?;
    let stat = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    Some((stat.st_dev, stat.st_ino))
}

fn key_of_file(file: &File) -> Option<(u64, u64)> {
    let stat = rustix::fs::fstat(file).ok()?;
    Some((stat.st_dev, stat.st_ino))
}

#[cfg(test)]
#[path = "lock_tests.rs"]
mod tests;
