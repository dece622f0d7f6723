//! Unpacked bytes: a few in memory, many in an unnamed file on the local disk.
//!
//! An unnamed file is gone with the process, however it ends.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::format::SinkFull;

/// Unpacked bytes kept in memory; more go to the local disk.
const MEMORY_MAX: usize = 256 << 10;

/// Where unpacked files go, and how much of the local disk they may take.
#[derive(Debug)]
pub struct UnpackStore {
    dir: PathBuf,
    limit_bytes: u64,
    used_bytes: AtomicU64,
}

impl UnpackStore {
    /// Unnamed files in `dir`, `limit_bytes` in all.
    pub fn new(dir: PathBuf, limit_bytes: u64) -> Arc<Self> {
        Arc::new(UnpackStore {
            dir,
            limit_bytes,
            used_bytes: AtomicU64::new(0),
        })
    }

    fn take(&self, bytes: u64) -> Result<(), SinkFull> {
        let grown = self
            .used_bytes
            .fetch_add(bytes, Ordering::Relaxed)
            .saturating_add(bytes);
        if grown > self.limit_bytes {
            self.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(SinkFull);
        }
        Ok(())
    }
}

/// Unpacked bytes: the first in memory, or all in an unnamed local file once there are many.
#[derive(Debug)]
pub(super) struct Spill {
    owner: Arc<UnpackStore>,
    /// All bytes, or, once spilled, those not yet written.
    memory: Vec<u8>,
    file: Option<File>,
    spilled_bytes: u64,
}

impl Spill {
    pub fn new(owner: Arc<UnpackStore>) -> Self {
        Spill {
            owner,

            memory: Vec::new(),
            file: None,
            spilled_bytes: 0,
        }
    }

    pub fn len_bytes(&self) -> u64 {
        self.spilled_bytes + self.memory.len() as u64
    }

    /// How much of the local disk all of them may take.
    pub fn limit_bytes(&self) -> u64 {
        self.owner.limit_bytes
    }

    /// Memory held, bytes.
    pub fn memory_bytes(&self) -> usize {
        self.memory.capacity()
    }

    /// Local disk held, bytes.
    pub fn disk_bytes(&self) -> u64 {
        self.spilled_bytes
    }

    /// No more is expected.
    pub fn shrink(&mut self) {
        self.memory.shrink_to_fit();
    }

    pub fn push(&mut self, bytes: &[u8]) -> Result<(), SinkFull> {
        if self.file.is_none() {
            if self.memory.len() + bytes.len() <= MEMORY_MAX {
                self.memory.extend_from_slice(bytes);
                return Ok(());
            }
            let file = tempfile::tempfile_in(&self.owner.dir);
            self.file = Some(file.map_err(|error| self.no_room(&error))?);
            let memory = std::mem::take(&mut self.memory);
            self.write(&memory)?;
        }
        self.write(bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkFull> {
        self.owner.take(bytes.len() as u64)?;
        let written = self
            .file
            .as_ref()
            .map_or(Ok(()), |file| file.write_all_at(bytes, self.spilled_bytes));
        self.spilled_bytes += bytes.len() as u64;
        written.map_err(|error| self.no_room(&error))
    }

    fn no_room(&self, error: &std::io::Error) -> SinkFull {
        tracing::error!(dir = %self.owner.dir.display(), %error, "no room to unpack");
        SinkFull
    }

    pub fn read_at(&self, buf: &mut [u8], offset_bytes: u64) -> std::io::Result<usize> {
        let mut done = 0;
        if let Some(file) = self
            .file
            .as_ref()
            .filter(|_| offset_bytes < self.spilled_bytes)
        {
            let inside = usize::try_from(self.spilled_bytes - offset_bytes)
                .unwrap_or(usize::MAX)
                .min(buf.len());
            if let Some(part) = buf.get_mut(..inside) {
                file.read_exact_at(part, offset_bytes)?;
                done = inside;
            }
        }
        let at = (offset_bytes + done as u64).saturating_sub(self.spilled_bytes);
        let rest = usize::try_from(at)
            .ok()
            .and_then(|at| self.memory.get(at..))
            .unwrap_or(&[]);
        let count = rest.len().min(buf.len() - done);
        if let (Some(to), Some(from)) = (buf.get_mut(done..done + count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        Ok(done + count)
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        self.owner
            .used_bytes
            .fetch_sub(self.spilled_bytes, Ordering::Relaxed);
    }
}
