//! A batch on its way: gathered in pieces that never fill the memory, then published in one step or not at all.

use crc32fast::Hasher;

use super::day_spool::DaySpool;
use super::history::{BatchFacts, Entry};
use super::journal::Journal;
use super::record::Record;
use super::recovery::copy_span;
use super::replay::Span;
use super::source_mark::SourceMark;
use super::spool_error::SpoolError;

/// Bytes held in memory; a longer batch is written out in pieces of this size.
const PIECE_BYTES: usize = if cfg!(test) { 4 << 10 } else { 1 << 20 };

/// See the module text. Holds the whole lines of one batch in the order of publication.
#[derive(Debug)]
pub struct Batch<'a> {
    day: &'a mut DaySpool,
    held: Vec<u8>,
    crc: Hasher,
    way: Way,
    /// Bytes written out, in pieces.
    written: u64,
}

/// Where the pieces of a long batch go.
#[derive(Debug)]
enum Way {
    /// It has had only what is held.
    Held,
    /// Into the journal, which ends here now.
    Journal { next: u64, spans: Vec<Span> },
    /// Straight into the data file: the day is empty, so nobody has it open.
    Data,
}

impl<'a> Batch<'a> {
    pub(super) fn new(day: &'a mut DaySpool) -> Self {
        Batch {
            day,
            held: Vec::new(),
            crc: Hasher::new(),
            way: Way::Held,
            written: 0,
        }
    }

    /// Adds bytes, cut anywhere.
    ///
    /// # Errors
    /// Of the disk; the day is poisoned then and the batch lost.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), SpoolError> {
        self.crc.update(bytes);
        while self.held.len() + bytes.len() > PIECE_BYTES {
            let (head, rest) = bytes.split_at(PIECE_BYTES - self.held.len());
            self.held.extend_from_slice(head);
            bytes = rest;
            self.write_piece()?;
        }
        self.held.extend_from_slice(bytes);
        Ok(())
    }

    /// Bytes so far.
    pub fn len_bytes(&self) -> u64 {
        self.written + self.held.len() as u64
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len_bytes() == 0
    }

    /// Publishes the batch, together with the marks that changed by it.
    ///
    /// After `Ok` the batch is published for good and the marks are those of the day. It is also shown, unless the
    /// disk failed between the two; then the day is poisoned and [`DaySpool::reopen`] shows it.
    /// After an error nothing of the batch is published; it may be merged anew after [`DaySpool::reopen`].
    ///
    /// # Errors
    /// [`SpoolError::Io`] of a write or fsync, [`SpoolError::Poisoned`] if a piece had failed before.
    pub fn publish(mut self, marks: &[SourceMark], facts: BatchFacts) -> Result<(), SpoolError> {
        self.day.check_usable()?;
        let first = self.day.history.now.next;
        let entry = Entry {
            first,
            next: first + self.len_bytes(),
            crc: self.crc.clone().finalize(),
            facts,
            marks: marks.to_vec(),
        };
        match std::mem::replace(&mut self.way, Way::Held) {
            Way::Data => self.publish_in_data(entry),
            Way::Held => self.publish_in_journal(entry, self.day.journal.len, Vec::new()),
            Way::Journal { next, spans } => self.publish_in_journal(entry, next, spans),
        }
    }

    fn publish_in_journal(
        &mut self,
        entry: Entry,
        offset: u64,
        mut spans: Vec<Span>,
    ) -> Result<(), SpoolError> {
        let bytes = std::mem::take(&mut self.held);
        let next = entry.next;
        let day = &mut *self.day;
        let record = Record::Batch {
            entry: entry.clone(),
            bytes: &bytes,
        };
        let appended = day.journal.append(offset, &record);
        let end = day.or_poison(appended)?;
        let synced = day.journal.file.sync();
        day.or_poison(synced)?;
        // From here on it is published.
        let data_offset = next - bytes.len() as u64;
        spans.push(Span {
            data_offset,
            journal_offset: end - bytes.len() as u64,
            len: bytes.len() as u64,
        });
        day.journal.len = end;
        day.history.push(entry);
        day.stray = false;
        let (last, pieces) = spans.split_last().unzip();
        let copied = day.bytes.grow(next, || {
            let mut pieces = pieces.unwrap_or_default().iter();
            pieces.try_for_each(|span| copy_span(&*day.journal.file, &*day.data, *span))?;
            match last {
                Some(last) => day.data.write_at(&bytes, last.data_offset),
                None => Ok(()),
            }
        });
        day.unsynced.extend(spans);
        if day.or_poison(copied).is_ok()
            && day.journal.len > day.compact_at
            && let Err(error) = day.compact()
        {
            tracing::warn!(%error, "a journal of the spool could not be written anew");
        }
        Ok(())
    }

    fn publish_in_data(&mut self, entry: Entry) -> Result<(), SpoolError> {
        let bytes = std::mem::take(&mut self.held);
        let day = &mut *self.day;
        let written = day.data.write_at(&bytes, self.written);
        let written = written.and_then(|()| day.data.sync());
        day.or_poison(written)?;
        let mut history = day.history.clone();
        let next = entry.next;
        history.push(entry);
        day.journal.id.number += 1;
        let journal = Journal::write_beside(&*day.backend, &day.names, day.journal.id, &history)
            .and_then(|journal| journal.install(&*day.backend, &day.names).map(|()| journal));
        let journal = day.or_poison(journal)?;
        day.history = history;
        day.begin_journal(journal);
        day.stray = false;
        day.bytes.show(next);
        Ok(())
    }

    /// Writes out what is held.
    fn write_piece(&mut self) -> Result<(), SpoolError> {
        let day = &mut *self.day;
        day.check_usable()?;
        let first = day.history.now.next;
        if matches!(self.way, Way::Held) {
            self.way = if day.history.entries().next().is_none() {
                Way::Data
            } else {
                let next = day.journal.len;
                Way::Journal {
                    next,
                    spans: Vec::new(),
                }
            };
        }
        day.stray = true;
        match &mut self.way {
            Way::Held => {}
            Way::Data => {
                let written = day.data.write_at(&self.held, self.written);
                day.or_poison(written)?;
            }
            Way::Journal { next, spans } => {
                let bytes = &self.held;
                let appended = day.journal.append(*next, &Record::Piece { first, bytes });
                let end = day.or_poison(appended)?;
                spans.push(Span {
                    data_offset: first + self.written,
                    journal_offset: end - bytes.len() as u64,
                    len: bytes.len() as u64,
                });
                *next = end;
            }
        }
        self.written += self.held.len() as u64;
        self.held.clear();
        Ok(())
    }
}
