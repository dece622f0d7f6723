//! The published bytes of a day, for readers, who never wait for whoever publishes.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, TryLockError};

use super::backend::SpoolFile;

/// Stays valid for as long as anybody holds it, also when the day has been removed.
#[derive(Debug)]
pub struct DayBytes {
    file: Arc<dyn SpoolFile>,
    len_bytes: AtomicU64,
    /// One past what the journal holds. The data file may have any part of what lies between.
    promised_bytes: AtomicU64,
    /// Held for writing while a batch goes into the data file.
    growing: RwLock<()>,
}

impl DayBytes {
    pub(super) fn new(file: Arc<dyn SpoolFile>, len_bytes: u64, promised_bytes: u64) -> Arc<Self> {
        Arc::new(DayBytes {
            file,
            len_bytes: AtomicU64::new(len_bytes),
            promised_bytes: AtomicU64::new(promised_bytes),
            growing: RwLock::default(),
        })
    }

    /// Published bytes that are in the data file. Always ends where a batch ends.
    pub fn len_bytes(&self) -> u64 {
        self.len_bytes.load(Ordering::Acquire)
    }

    /// The size to tell: never less than anybody has read, also by passthrough, which does not stop at
    /// [`DayBytes::len_bytes`]. A follower that finds the file shorter than what it has read takes it for truncated
    /// and sends all of it again. Waits while a batch goes into the data file.
    pub fn size_bytes(&self) -> u64 {
        let _still = self.growing.read().unwrap_or_else(PoisonError::into_inner);
        self.promised_bytes.load(Ordering::Acquire)
    }

    /// [`DayBytes::size_bytes`], unless that would wait.
    pub fn try_size_bytes(&self) -> Option<u64> {
        let _still = match self.growing.try_read() {
            Err(TryLockError::WouldBlock) => return None,
            Ok(still) => still,
            Err(TryLockError::Poisoned(still)) => still.into_inner(),
        };
        Some(self.promised_bytes.load(Ordering::Acquire))
    }

    /// Shows more. The bytes must be in the file.
    pub(super) fn show(&self, len_bytes: u64) {
        self.promised_bytes.fetch_max(len_bytes, Ordering::Release);
        self.len_bytes.fetch_max(len_bytes, Ordering::Release);
    }

    /// Shows more once `write` has put into the file what the journal holds already.
    pub(super) fn grow(
        &self,
        len_bytes: u64,
        write: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let _growing = self.growing.write().unwrap_or_else(PoisonError::into_inner);
        self.promised_bytes.fetch_max(len_bytes, Ordering::Release);
        write()?;
        self.show(len_bytes);
        Ok(())
    }

    /// Appends up to `len` published bytes from `offset` on to `out`; fewer mean the end.
    ///
    /// # Errors
    /// Of the local disk.
    pub fn read_at(&self, offset: u64, len: u64, out: &mut Vec<u8>) -> io::Result<()> {
        let len = len.min(self.len_bytes().saturating_sub(offset));
        let start = out.len();
        let Ok(len) = usize::try_from(len) else {
            return Err(io::ErrorKind::OutOfMemory.into());
        };
        out.resize(start + len, 0);
        let result = self
            .file
            .read_exact_at(out.get_mut(start..).unwrap_or_default(), offset);
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    /// Reads into `buf` from `offset` on if that needs no waiting for the disk, and gives how many bytes; fewer than `buf` has
    /// room for mean the end.
    pub fn read_cached(&self, offset: u64, buf: &mut [u8]) -> Option<usize> {
        let left = self.len_bytes().saturating_sub(offset);
        let len = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        let is_read = self.file.read_cached_at(buf.get_mut(..len)?, offset);
        is_read.then_some(len)
    }

    /// The data file, opened for reading only, for passthrough. It may be longer than [`DayBytes::len_bytes`] for a
    /// moment; what is in it is published for good all the same.
    pub fn file(&self) -> Option<&File> {
        self.file.as_file()
    }
}
