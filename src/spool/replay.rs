//! Reading a journal after a restart: every whole record up to the first that is not, and whether that one was last.

use std::io;

use super::backend::SpoolFile;
use super::history::Entry;
use super::journal::{HEADER_BYTES, JournalId};
use super::record::{HEAD_BYTES, Place, Record, decode_body, decode_head, first_of};
use super::wire::Wire;

/// How far behind a broken record is searched for good ones.
const SEARCH_BYTES: u64 = 64 << 20;

/// Bytes of the day that lie in the journal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Span {
    pub(super) data_offset: u64,
    pub(super) journal_offset: u64,
    pub(super) len: u64,
}

/// What a journal says.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    /// Batches whose bytes are in the data file for good.
    pub(super) points: Vec<Entry>,
    /// Batches behind them, whose bytes are in the journal.
    pub(super) batches: Vec<Entry>,
    /// Where these bytes are.
    pub(super) spans: Vec<Span>,
    /// Where the last batch begins in the journal. It alone may not have been confirmed.
    pub(super) last_batch: u64,
    /// One past the last record that counts.
    pub(super) len: u64,
    /// A record that had been confirmed is broken: good ones of later batches lie behind it.
    pub(super) is_damaged: bool,
}

impl Replayed {
    /// Published bytes.
    pub(super) fn next(&self) -> u64 {
        self.batches
            .last()
            .or(self.points.last())
            .map_or(0, |entry| entry.next)
    }
}

/// Reads the records of the journal `id`.
///
/// # Errors
/// Of the disk. A broken record is not an error.
pub(super) fn replay(file: &dyn SpoolFile, id: &JournalId) -> io::Result<Replayed> {
    let journal_len = file.len()?;
    let mut offset = HEADER_BYTES;
    let mut replayed = Replayed {
        last_batch: offset,
        len: offset,
        ..Replayed::default()
    };
    let journal = id.place(0).journal;
    let mut pieces: Vec<Span> = Vec::new();
    let mut body = Vec::new();
    while let Some(crc) = read_body(file, offset, journal_len, &mut body)? {
        let end = offset + (HEAD_BYTES + body.len()) as u64;
        let next = replayed.next();
        let pieces_len: u64 = pieces.iter().map(|piece| piece.len).sum();
        let span = |bytes: &[u8]| Span {
            data_offset: next + pieces_len,
            journal_offset: end - bytes.len() as u64,
            len: bytes.len() as u64,
        };
        match decode_body(Place { journal, offset }, crc, &body) {
            Some(Record::Piece { first, bytes }) if first == next => pieces.push(span(bytes)),
            Some(Record::Batch { entry, bytes })
                if entry.first == next && entry.len_bytes() == pieces_len + bytes.len() as u64 =>
            {
                replayed.spans.append(&mut pieces);
                replayed.spans.push(span(bytes));
                replayed.batches.push(entry);
                replayed.last_batch = replayed.len;
                replayed.len = end;
            }
            Some(Record::Point { entry })
                if entry.first == next && pieces.is_empty() && replayed.batches.is_empty() =>
            {
                replayed.points.push(entry);
                replayed.len = end;
            }
            _ => break,
        }
        offset = end;
    }
    replayed.is_damaged = has_later_record(file, journal, offset, journal_len, replayed.next())?;
    Ok(replayed)
}

/// Reads the body of the record at `offset` and gives its checksum; `None` if no whole record can be there.
fn read_body(
    file: &dyn SpoolFile,
    offset: u64,
    journal_len: u64,
    body: &mut Vec<u8>,
) -> io::Result<Option<u32>> {
    let left = journal_len.saturating_sub(offset);
    let Some(left) = left.checked_sub(HEAD_BYTES as u64) else {
        return Ok(None);
    };
    let mut head = [0; HEAD_BYTES];
    file.read_exact_at(&mut head, offset)?;
    let Some((len, crc)) = decode_head(Wire(&head)).filter(|(len, _)| *len as u64 <= left) else {
        return Ok(None);
    };
    body.resize(len, 0);
    file.read_exact_at(body, offset + HEAD_BYTES as u64)?;
    Ok(Some(crc))
}

/// Whether a batch behind the one that begins at byte `next` of the day has a good record behind `offset`. A crash
/// leaves records of one batch only, in any state; the batch before it had been confirmed.
fn has_later_record(
    file: &dyn SpoolFile,
    journal: u32,
    offset: u64,
    journal_len: u64,
    next: u64,
) -> io::Result<bool> {
    let len = journal_len.saturating_sub(offset).min(SEARCH_BYTES);
    let mut rest = vec![0; len as usize];
    file.read_exact_at(&mut rest, offset)?;
    let is_later = |at: usize| {
        let (head, rest) = rest.get(at..)?.split_at_checked(HEAD_BYTES)?;
        let (len, crc) = decode_head(Wire(head))?;
        let body = rest.get(..len)?;
        first_of(body).filter(|first| *first > next)?;
        let offset = offset + at as u64;
        decode_body(Place { journal, offset }, crc, body).map(|_| ())
    };
    Ok((0..rest.len()).any(|at| is_later(at).is_some()))
}
