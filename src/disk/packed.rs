//! The contents of a data file, gzip or plain, read as if it were plain.
//!
//! Which it is the first two bytes tell, not the name. A gzip file is unpacked once: small ones into memory, larger
//! ones into an unnamed file on the local disk, which is gone with the process however it ends. A file that
//! grows is unpacked further from where it was; whatever of it cannot be decoded is damage beside the good bytes.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, Weak};

use crate::format::{Damage, Unpacker, Wound, is_gzip};

use super::cache::Cost;
use super::disk_error::DiskError;
use super::lanes::{Disk, OpenFile};
use super::spill::{Spill, UnpackStore};
use super::storage::FileStat;
use super::unpack_sink::Sink;

/// What a spilled file is charged with at least.
const SPILLED_MIN_BYTES: u64 = 4 << 20;
/// What a decoder holds while more may come.
const DECODER_BYTES: usize = 200 << 10;
/// Bytes read from the share at a time while unpacking.
const READ_BYTES: usize = 256 << 10;

/// A gzip member, or the whole of a plain file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Member {
    /// Where its unpacked bytes begin.
    pub offset: u64,
}

/// The unpacked contents of one file of the share.
#[derive(Debug)]
pub struct Contents {
    disk: Arc<Disk>,
    path: String,
    state: RwLock<State>,
}

#[derive(Debug)]
struct State {
    stat: FileStat,
    len_bytes: u64,
    members: Vec<Member>,
    damage: Vec<Damage>,
    bytes: Bytes,
    /// Open for as long as the disk layer or somebody else keeps it so: cached contents must not use up descriptors.
    open: Weak<OpenFile>,
    pinned: Option<Arc<OpenFile>>,
}

#[derive(Debug)]
enum Bytes {
    Plain,
    Unpacked {
        store: Spill,
        /// None once it has settled: its state is worth 50 KiB.
        unpacker: Option<Box<Unpacker>>,
    },
}

impl Bytes {
    /// Whether the decoder has given out what it held back: should the file grow after all, it is unpacked anew.
    fn is_settled(&self) -> bool {
        matches!(self, Bytes::Unpacked { unpacker: None, .. })
    }
}

impl Contents {
    /// Reads the file at `path`, which has attributes `stat` now.
    ///
    /// # Errors
    /// Of the share, and [`DiskError::TooLarge`].
    pub fn load(
        disk: &Arc<Disk>,
        unpack: &Arc<UnpackStore>,
        path: &str,
        stat: FileStat,
    ) -> Result<Self, DiskError> {
        Ok(Contents {
            disk: disk.clone(),
            path: path.to_owned(),
            state: RwLock::new(State::load(disk, unpack, path, stat)?),
        })
    }

    /// Takes in what has been added to the file since. Gives false where it is another file now, or one that must be
    /// read anew: load it then. What was read before stays readable in any case.
    ///
    /// # Errors
    /// Of the share, and [`DiskError::TooLarge`].
    pub fn update(&self, stat: FileStat) -> Result<bool, DiskError> {
        if self.read().stat == stat {
            return Ok(true);
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let grown = state.stat.identity == stat.identity && stat.size >= state.stat.size;
        // A decoder that met damage at the end of a growing file may have met bytes that are still to come.
        let sound = state.damage.iter().all(|damage| damage.wound.is_normal());
        if !grown || !sound || state.bytes.is_settled() || state.stat.size == 0 {
            return Ok(false);
        }
        match &state.bytes {
            Bytes::Plain => {
                state.len_bytes = stat.size;
                state.stat = stat;
            }
            Bytes::Unpacked { .. } => {
                let file = state.file(&self.disk, &self.path)?;
                state.feed_from(&file, stat, &self.path)?;
            }
        }
        Ok(true)
    }

    /// The file is not expected to grow: gives out what the decoder held back to see how it goes on.
    ///
    /// # Errors
    /// [`DiskError::TooLarge`].
    pub fn settle(&self) -> Result<(), DiskError> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let State {
            members,
            damage,
            bytes,
            len_bytes,
            ..
        } = &mut *state;
        let Bytes::Unpacked {
            store, unpacker, ..
        } = bytes
        else {
            return Ok(());
        };
        let Some(mut decoder) = unpacker.take() else {
            return Ok(());
        };
        let limit_bytes = store.limit_bytes();
        let settled = decoder.settle(&mut Sink {
            store,
            members,
            damage,
        });
        settled.map_err(|_| DiskError::TooLarge {
            path: self.path.clone(),
            limit_bytes,
        })?;
        damage.extend(decoder.end_damage());
        store.shrink();
        *len_bytes = store.len_bytes();
        Ok(())
    }

    /// Keeps the file open from now on, so that it stays readable when its name goes.
    ///
    /// # Errors
    /// Of the share.
    pub fn pin(&self) -> Result<(), DiskError> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.pinned = Some(state.file(&self.disk, &self.path)?);
        Ok(())
    }

    /// Path inside the audit directory.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Attributes of the file when it was last read.
    pub fn stat(&self) -> FileStat {
        self.read().stat
    }

    /// Unpacked length.
    pub fn len_bytes(&self) -> u64 {
        self.read().len_bytes
    }

    /// The gzip members; one for a plain file, none for an empty one.
    pub fn members(&self) -> Vec<Member> {
        self.read().members.clone()
    }

    /// Whether the file is plain.
    pub fn is_plain(&self) -> bool {
        matches!(self.read().bytes, Bytes::Plain)
    }

    /// What could not be trusted, the missing gzip end included.
    pub fn damage(&self) -> Vec<Damage> {
        let state = self.read();
        let mut damage = state.damage.clone();
        if let Bytes::Unpacked { unpacker, .. } = &state.bytes {
            damage.extend(unpacker.as_ref().and_then(|decoder| decoder.end_damage()));
        }
        // A plain file is made before anything is written to it, and may stay so when its writer dies; a packed one has at
        // least the header, without which Teleport reads nothing of the session (FORMAT 5).
        if state.stat.size == 0 && self.path.ends_with(".gz") {
            damage.push(Damage {
                wound: Wound::EmptyFile,
                offset_bytes: 0,
            });
        }
        damage
    }

    /// Reads unpacked bytes; fewer than asked mean the end.
    ///
    /// # Errors
    /// Of the share or the local disk.
    pub fn read_at(&self, buf: &mut [u8], offset_bytes: u64) -> Result<usize, DiskError> {
        let state = self.read();
        let left =
            usize::try_from(state.len_bytes.saturating_sub(offset_bytes)).unwrap_or(usize::MAX);
        let wanted = buf.len().min(left);
        let Some(buf) = buf.get_mut(..wanted) else {
            return Ok(0);
        };
        match &state.bytes {
            Bytes::Plain => {
                let file = state.file(&self.disk, &self.path)?;
                drop(state);
                file.read_at(buf, offset_bytes)
            }
            Bytes::Unpacked { store, .. } => store
                .read_at(buf, offset_bytes)
                .map_err(|e| DiskError::io(&self.path, e)),
        }
    }

    /// What it holds in memory and on the local disk.
    pub fn cost(&self) -> Cost {
        let state = self.read();
        let own = size_of::<Self>()
            + self.path.capacity()
            + state.members.capacity() * size_of::<Member>();
        match &state.bytes {
            Bytes::Plain => Cost {
                memory_bytes: own,
                disk_bytes: 0,
            },
            Bytes::Unpacked {
                store, unpacker, ..
            } => {
                let decoder = if unpacker.is_some() { DECODER_BYTES } else { 0 };
                Cost {
                    memory_bytes: own + decoder + store.memory_bytes(),
                    // A descriptor each: the bound on bytes bounds their number too.
                    disk_bytes: match store.disk_bytes() {
                        0 => 0,
                        bytes => bytes.max(SPILLED_MIN_BYTES),
                    },
                }
            }
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn load(
        disk: &Disk,
        unpack: &Arc<UnpackStore>,
        path: &str,
        stat: FileStat,
    ) -> Result<Self, DiskError> {
        let file = disk.open(path, &stat)?;
        let mut head = [0_u8; 2];
        let got = file.read_at(&mut head, 0)?;
        let members = Vec::new();
        if !is_gzip(head.get(..got).unwrap_or(&[])) {
            let members = if stat.size > 0 {
                vec![Member { offset: 0 }]
            } else {
                members
            };
            return Ok(State {
                stat,
                len_bytes: stat.size,
                members,
                damage: Vec::new(),
                bytes: Bytes::Plain,
                open: Arc::downgrade(&file),
                pinned: None,
            });
        }
        let store = Spill::new(unpack.clone());
        let bytes = Bytes::Unpacked {
            store,
            unpacker: Some(Box::new(Unpacker::new())),
        };
        let mut state = State {
            stat: FileStat { size: 0, ..stat },
            len_bytes: 0,
            members,
            damage: Vec::new(),
            bytes,
            open: Arc::downgrade(&file),
            pinned: None,
        };
        state.feed_from(&file, stat, path)?;
        Ok(state)
    }

    /// The open file; opened again if need be, and only if it is still the same.
    fn file(&self, disk: &Disk, path: &str) -> Result<Arc<OpenFile>, DiskError> {
        if let Some(file) = self.pinned.clone().or_else(|| self.open.upgrade()) {
            return Ok(file);
        }
        let file = disk.open(path, &self.stat)?;
        if file.opened.identity == self.stat.identity {
            return Ok(file);
        }
        let replaced = std::io::Error::other("the file was replaced by another one");
        Err(DiskError::io(path, replaced))
    }

    /// Unpacks from where the decoder stands up to the size in `stat`.
    fn feed_from(
        &mut self,
        file: &Arc<OpenFile>,
        stat: FileStat,
        path: &str,
    ) -> Result<(), DiskError> {
        let Bytes::Unpacked {
            store,
            unpacker: Some(unpacker),
            ..
        } = &mut self.bytes
        else {
            return Ok(());
        };

        let mut packed = vec![
            0_u8;
            READ_BYTES
                .min(usize::try_from(stat.size).unwrap_or(READ_BYTES))
                .max(1)
        ];
        let mut sink = Sink {
            store,
            members: &mut self.members,
            damage: &mut self.damage,
        };
        loop {
            let at = unpacker.packed_bytes();
            let left = usize::try_from(stat.size.saturating_sub(at)).unwrap_or(usize::MAX);
            let wanted = packed.len().min(left);
            let got = packed
                .get_mut(..wanted)
                .map_or(Ok(0), |buf| file.read_at(buf, at))?;
            if got == 0 {
                break;
            }
            let fed = unpacker.feed(packed.get(..got).unwrap_or(&[]), &mut sink);
            if fed.is_err() {
                return Err(DiskError::TooLarge {
                    path: path.to_owned(),
                    limit_bytes: sink.store.limit_bytes(),
                });
            }
        }
        self.len_bytes = store.len_bytes();
        self.stat = stat;
        Ok(())
    }
}
