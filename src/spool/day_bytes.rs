//! The published bytes of a day, for readers, who never wait for whoever publishes.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::backend::SpoolFile;

/// Stays valid for as long as anybody holds it, also when the day has been removed.
#[derive(Debug)]
pub struct DayBytes {
    file: Arc<dyn SpoolFile>,
    len_bytes: AtomicU64,
}

impl DayBytes {
    pub(super) fn new(file: Arc<dyn SpoolFile>, len_bytes: u64) -> Arc<Self> {
        Arc::new(DayBytes {
            file,
            len_bytes: AtomicU64::new(len_bytes),
        })
    }

    /// Published bytes. Always ends where a batch ends.
    pub fn len_bytes(&self) -> u64 {
        self.len_bytes.load(Ordering::Acquire)
    }

    /// Shows more. The bytes must be in the file.
    pub(super) fn show(&self, len_bytes: u64) {
        self.len_bytes.fetch_max(len_bytes, Ordering::Release);
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

    /// The data file, opened for reading only, for passthrough. It may be longer than [`DayBytes::len_bytes`] for a
    /// moment; what is in it is published for good all the same.
    pub fn file(&self) -> Option<&File> {
        self.file.as_file()
    }
}
