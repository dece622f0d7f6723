//! A disk that keeps what was fsynced and forgets as much of the rest as it likes, and can fail at any call.
//!
//! After a failed fsync the bytes stay in its cache, count as clean, and are gone after a power cut, as on Linux.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use super::super::backend::{Backend, SpoolFile};

/// What happens when the countdown of calls that change something is over.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// The process dies in the middle of the call.
    Die,
    /// The call and the ones behind it fail, so many in all; a failed write may have written a part.
    Fail(u32),
}

/// What a restart finds of that which was not fsynced.
#[derive(Clone, Copy, Debug)]
pub(super) enum Restart {
    /// All: only the process died.
    Process,
    /// The calls up to one, this one partly.
    PowerInOrder,
    /// Some calls, whichever the disk had got to.
    PowerAnyOrder,
}

#[derive(Clone, Debug, Default)]
pub(super) struct SimDisk(Arc<Mutex<Disk>>);

#[derive(Debug, Default)]
struct Disk {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    durable_names: Vec<BTreeMap<String, usize>>,
    fault: Option<(u64, Fault)>,
    is_dead: bool,
    random: u64,
}

#[derive(Clone, Debug, Default)]
struct Inode {
    cache: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    SetLen(usize),
}

#[derive(Debug)]
struct SimFile(SimDisk, usize);

impl SimDisk {
    pub(super) fn new(seed: u64) -> Self {
        let disk = SimDisk::default();
        disk.lock().random = seed | 1;
        disk.lock().durable_names = vec![BTreeMap::new()];
        disk
    }

    /// Plays a fault at the call number `calls` from now that changes something.
    pub(super) fn plan(&self, calls: u64, fault: Fault) {
        self.lock().fault = Some((calls, fault));
    }

    pub(super) fn no_fault(&self) {
        self.lock().fault = None;
    }

    /// The machine comes up again.
    pub(super) fn restart(&self, how: Restart) {
        let mut disk = self.lock();
        disk.is_dead = false;
        disk.fault = None;
        if matches!(how, Restart::Process) {
            return;
        }
        let choices = disk.durable_names.len() as u64;
        let kept = disk.below(choices) as usize;
        let names = disk.durable_names[kept].clone();
        disk.names = names.clone();
        disk.durable_names = vec![names];
        for number in 0..disk.inodes.len() {
            let mut inode = std::mem::take(&mut disk.inodes[number]);
            let pending = std::mem::take(&mut inode.pending);
            let in_order = disk.below(pending.len() as u64 + 1) as usize;
            for (place, change) in pending.into_iter().enumerate() {
                let keep = match how {
                    Restart::PowerAnyOrder => disk.below(2) == 0,
                    _ => place < in_order,
                };
                let torn = place + 1 == in_order || matches!(how, Restart::PowerAnyOrder);
                if keep {
                    let change = if torn { disk.torn(change) } else { change };
                    change.apply(&mut inode.durable);
                }
            }
            inode.cache = inode.durable.clone();
            disk.inodes[number] = inode;
        }
    }

    /// What a reader of the file finds now.
    pub(super) fn cached(&self, name: &str) -> Option<Vec<u8>> {
        let disk = self.lock();
        disk.names
            .get(name)
            .map(|number| disk.inodes[*number].cache.clone())
    }

    pub(super) fn is_dead(&self) -> bool {
        self.lock().is_dead
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap()
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::SetLen(len) => bytes.resize(*len, 0),
            Change::Write(offset, new) => {
                let end = offset + new.len();
                bytes.resize(bytes.len().max(end), 0);
                bytes[*offset..end].copy_from_slice(new);
            }
        }
    }
}

impl Disk {
    fn below(&mut self, limit: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % limit.max(1)
    }

    /// Counts a call that changes something, and lets it fail if it is its turn.
    fn step(&mut self) -> io::Result<()> {
        if self.is_dead {
            return Err(io::Error::other("dead"));
        }
        match &mut self.fault {
            Some((0, Fault::Die)) => {
                self.is_dead = true;
                Err(io::Error::other("died"))
            }
            Some((0, Fault::Fail(times))) => {
                *times -= 1;
                if *times == 0 {
                    self.fault = None;
                }
                Err(io::ErrorKind::StorageFull.into())
            }
            Some((calls, _)) => {
                *calls -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn torn(&mut self, change: Change) -> Change {
        match change {
            Change::Write(offset, mut bytes) => {
                let len = self.below(bytes.len() as u64 + 1) as usize;
                bytes.truncate(len);
                Change::Write(offset, bytes)
            }
            whole => whole,
        }
    }

    fn change(&mut self, number: usize, change: Change) -> io::Result<()> {
        let was_dead = self.is_dead;
        let result = self.step();
        let change = match (&result, change) {
            (Ok(()), change) => change,
            (Err(_), Change::Write(..)) if was_dead => return result,
            (Err(_), change @ Change::Write(..)) => self.torn(change),
            (Err(_), Change::SetLen(_)) => return result,
        };
        let inode = &mut self.inodes[number];
        change.apply(&mut inode.cache);
        inode.pending.push(change);
        result
    }

    fn name(&mut self, change: impl FnOnce(&mut BTreeMap<String, usize>)) -> io::Result<()> {
        self.step()?;
        change(&mut self.names);
        self.durable_names.push(self.names.clone());
        Ok(())
    }
}

impl Backend for SimDisk {
    fn open(&self, name: &str) -> io::Result<Arc<dyn SpoolFile>> {
        let mut disk = self.lock();
        if disk.is_dead {
            return Err(io::Error::other("dead"));
        }
        let number = match disk.names.get(name) {
            Some(number) => *number,
            None => {
                let number = disk.inodes.len();
                disk.name(|names| {
                    names.insert(name.to_owned(), number);
                })?;
                disk.inodes.push(Inode::default());
                number
            }
        };
        Ok(Arc::new(SimFile(self.clone(), number)))
    }

    fn open_to_read(&self, name: &str) -> io::Result<Arc<dyn SpoolFile>> {
        self.open(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.lock().name(|names| {
            let number = names.remove(from).unwrap();
            names.insert(to.to_owned(), number);
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.lock().name(|names| {
            names.remove(name);
        })
    }

    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let disk = self.lock();
        let len = |number: &usize| disk.inodes[*number].cache.len() as u64;
        Ok(disk
            .names
            .iter()
            .map(|(name, number)| (name.clone(), len(number)))
            .collect())
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.lock();
        disk.step()?;
        disk.durable_names = vec![disk.names.clone()];
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        name.into()
    }
}

impl SpoolFile for SimFile {
    fn read_at(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<usize> {
        let disk = self.0.lock();
        let bytes = &disk.inodes[self.1].cache;
        let rest = bytes.get(offset_bytes as usize..).unwrap_or_default();
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn write_at(&self, bytes: &[u8], offset_bytes: u64) -> io::Result<()> {
        let write = Change::Write(offset_bytes as usize, bytes.to_vec());
        self.0.lock().change(self.1, write)
    }

    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        let set_len = Change::SetLen(len_bytes as usize);
        self.0.lock().change(self.1, set_len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().inodes[self.1].cache.len() as u64)
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.0.lock();
        let was_dead = disk.is_dead;
        let result = disk.step();
        if was_dead {
            return result;
        }
        if disk.is_dead {
            return result; // died while syncing: whatever of it is done, the restart decides
        }
        let pending = std::mem::take(&mut disk.inodes[self.1].pending);
        for change in pending {
            // A failed fsync has written some, and the rest counts as clean.
            if result.is_ok() || disk.below(2) == 0 {
                change.apply(&mut disk.inodes[self.1].durable);
            }
        }
        result
    }

    fn as_file(&self) -> Option<&File> {
        None
    }
}
