//! One live day: what of it is published, and how more is.

use std::io;
use std::sync::Arc;

use crate::event::{Day, EventTime};

use super::backend::{Backend, SpoolFile};
use super::batch::Batch;
use super::day_bytes::DayBytes;
use super::history::{BatchFacts, History};
use super::journal::{DayNames, Journal};
use super::recovery::{copy_span, good_entries, rewrite};
use super::replay::Span;
use super::source_mark::SourceMark;
use super::spool_error::SpoolError;

/// A journal that has grown by so much is written anew, without the bytes in it.
const COMPACT_BYTES: u64 = if cfg!(test) { 32 << 10 } else { 16 << 20 };

/// See the module text. Dropping it loses nothing.
#[derive(Debug)]
pub struct DaySpool {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) names: DayNames,
    pub(super) journal: Journal,
    pub(super) data: Arc<dyn SpoolFile>,
    pub(super) history: History,
    /// Bytes of the journal that may not be durable in the data file yet.
    pub(super) unsynced: Vec<Span>,
    /// After a restart: where the batch begins in the journal whose fsync may have failed before.
    pub(super) unconfirmed_from: Option<u64>,
    pub(super) bytes: Arc<DayBytes>,
    /// The error after which the descriptors are not trusted.
    pub(super) poisoned: Option<String>,
    /// An abandoned batch has left bytes behind the end of a file.
    pub(super) stray: bool,
    pub(super) compact_at: u64,
}

impl DaySpool {
    /// A day over open files.
    pub(super) fn new(
        backend: Arc<dyn Backend>,
        names: DayNames,
        journal: Journal,
        history: History,
        unsynced: Vec<Span>,
        shown_bytes: u64,
    ) -> io::Result<Self> {
        let data = backend.open(&names.data)?;
        let promised_bytes = history.now.next;
        let read_only = backend.open_to_read(&names.data)?;
        let bytes = DayBytes::new(read_only, shown_bytes, promised_bytes);
        let compact_at = journal.len + COMPACT_BYTES;
        Ok(DaySpool {
            backend,
            names,
            journal,
            data,
            history,
            unsynced,
            unconfirmed_from: None,
            bytes,
            poisoned: None,
            stray: false,
            compact_at,
        })
    }

    /// Its date.
    pub fn day(&self) -> Day {
        self.journal.id.day
    }

    /// A random number that stays the same for as long as offsets in the day mean the same bytes. It belongs into the
    /// inode number, so that a day that was lost or damaged is sent anew and never resumed wrongly (DESIGN 4.2).
    pub fn id(&self) -> u64 {
        self.journal.id.day_id
    }

    /// Published bytes.
    pub fn len_bytes(&self) -> u64 {
        self.bytes.len_bytes()
    }

    /// When it last grew, nanoseconds since 1970.
    pub fn mtime_ns(&self) -> i64 {
        self.history.now.facts.mtime_ns
    }

    /// Time of the newest published record.
    pub fn newest(&self) -> Option<EventTime> {
        self.history.now.facts.newest
    }

    /// Records that were published behind newer ones.
    pub fn late(&self) -> u64 {
        self.history.now.facts.late
    }

    /// How far each source is published, all generations, in (origin, file, generation) order.
    pub fn marks(&self) -> impl Iterator<Item = &SourceMark> {
        self.history.now.marks.values()
    }

    /// The newest generation of a source.
    pub fn mark(&self, origin: &str, file: &str) -> Option<&SourceMark> {
        let key = |generation| (origin.to_owned(), file.to_owned(), generation);
        let mut generations = self.history.now.marks.range(key(0)..=key(u32::MAX));
        generations.next_back().map(|(_, mark)| mark)
    }

    /// For readers.
    pub fn bytes(&self) -> Arc<DayBytes> {
        self.bytes.clone()
    }

    /// Publishes a batch that is in memory. See [`Batch::publish`].
    ///
    /// # Errors
    /// Those of [`Batch::publish`].
    pub fn publish(
        &mut self,
        bytes: &[u8],
        marks: &[SourceMark],
        facts: BatchFacts,
    ) -> Result<(), SpoolError> {
        let mut batch = self.batch()?;
        batch.write(bytes)?;
        batch.publish(marks, facts)
    }

    /// Begins a batch that is written piece by piece. Dropping it publishes nothing.
    ///
    /// # Errors
    /// [`SpoolError::Poisoned`] after a failed write; of the disk.
    pub fn batch(&mut self) -> Result<Batch<'_>, SpoolError> {
        self.check_usable()?;
        if self.stray {
            let cut = self.cut_stray_bytes();
            self.or_poison(cut)?;
            self.stray = false;
        }
        Ok(Batch::new(self))
    }

    /// Durably as far as the data file goes: bytes in it that no record knows are how a restart notices damage.
    fn cut_stray_bytes(&self) -> io::Result<()> {
        self.journal.file.set_len(self.journal.len)?;
        if self.data.len()? > self.history.now.next {
            self.data.set_len(self.history.now.next)?;
            self.data.sync()?;
        }
        Ok(())
    }

    /// Whether a write has failed, so that nothing can be published before [`DaySpool::reopen`].
    pub fn is_poisoned(&self) -> bool {
        self.poisoned.is_some()
    }

    /// Tries to go on after a failed write: everything that may not be durable is written again to new descriptors
    /// (a second fsync of the old ones would lie), checked and fsynced, and a new journal begun. A batch whose
    /// publication failed is not in it; one that was taken is shown now at the latest.
    ///
    /// # Errors
    /// Of the disk; the day stays poisoned and readable. [`SpoolError::Damaged`] if published bytes are not what
    /// they were: then only a restart finds what is left.
    pub fn reopen(&mut self) -> Result<(), SpoolError> {
        let io = |error| SpoolError::io(&self.backend.path(&self.names.data), error);
        if let Some(first) = self.unconfirmed_from {
            rewrite(&*self.journal.file, first, self.journal.len).map_err(io)?;
        }
        let data = self.backend.open(&self.names.data).map_err(io)?;
        for span in &self.unsynced {
            copy_span(&*self.journal.file, &*data, *span).map_err(io)?;
        }
        data.sync().map_err(io)?;
        let entries: Vec<_> = self.history.entries().collect();
        if good_entries(&*data, &entries).map_err(io)? < entries.len() {
            return Err(SpoolError::Damaged {
                path: self.backend.path(&self.names.data),
                what: "published bytes have changed".into(),
            });
        }
        self.data = data;
        self.journal.id.number += 1;
        let (backend, id) = (&*self.backend, self.journal.id);
        let replaced =
            Journal::write_beside(backend, &self.names, id, &self.history).and_then(|journal| {
                journal.install(backend, &self.names)?;
                // Not before the new journal is there: bytes behind the end are how a restart notices damage. And always:
                // a cut whose fsync has failed is done as far as this process can see.
                self.data.set_len(self.history.now.next)?;
                self.data.sync()?;
                Ok(journal)
            });
        let journal = replaced
            .map_err(|error| SpoolError::io(&self.backend.path(&self.names.journal), error))?;
        self.begin_journal(journal);
        self.bytes.show(self.history.now.next);
        self.poisoned = None;
        self.stray = false;
        Ok(())
    }

    /// Makes the data file durable and writes the journal anew without the bytes in it. Happens by itself while a day
    /// grows; worth calling once when the day is over.
    ///
    /// # Errors
    /// Of the disk. Everything published stays, and publishing goes on unless [`DaySpool::is_poisoned`].
    pub fn compact(&mut self) -> Result<(), SpoolError> {
        self.check_usable()?;
        let synced = self.data.sync();
        self.or_poison(synced)?;
        self.journal.id.number += 1;
        let id = self.journal.id;
        let journal = match Journal::write_beside(&*self.backend, &self.names, id, &self.history) {
            Ok(journal) => journal,
            Err(error) => {
                // The journal in use goes on; to be tried again when it has grown by as much again.
                self.journal.id.number -= 1;
                self.compact_at = self.journal.len + COMPACT_BYTES;
                drop(self.backend.remove(&self.names.journal_new));
                return Err(SpoolError::io(
                    &self.backend.path(&self.names.journal_new),
                    error,
                ));
            }
        };
        let installed = journal.install(&*self.backend, &self.names);
        self.or_poison(installed)?;
        self.begin_journal(journal);
        Ok(())
    }

    /// Reads all published bytes and compares them with their checksum. Takes as long as reading the day.
    ///
    /// # Errors
    /// Of the disk.
    pub fn verify(&self) -> Result<bool, SpoolError> {
        let now = &self.history.now;
        let crc = super::recovery::crc_of(&*self.data, 0, self.len_bytes());
        let crc =
            crc.map_err(|error| SpoolError::io(&self.backend.path(&self.names.data), error))?;
        Ok(self.len_bytes() == now.next && crc == Some(now.crc))
    }

    /// The journal takes the place of the old one; what was not durable is.
    pub(super) fn begin_journal(&mut self, journal: Journal) {
        self.compact_at = journal.len + COMPACT_BYTES;
        self.journal = journal;
        self.unsynced.clear();
        self.unconfirmed_from = None;
    }

    pub(super) fn check_usable(&self) -> Result<(), SpoolError> {
        match &self.poisoned {
            None => Ok(()),
            Some(reason) => Err(SpoolError::Poisoned {
                path: self.backend.path(&self.names.data),
                reason: reason.clone(),
            }),
        }
    }

    /// After a failed write or fsync nothing is known of the file: no other call on it is tried.
    pub(super) fn or_poison<T>(&mut self, result: io::Result<T>) -> Result<T, SpoolError> {
        self.check_usable()?;
        result.map_err(|error| {
            self.poisoned = Some(error.to_string());
            SpoolError::io(&self.backend.path(&self.names.data), error)
        })
    }
}
