//! One record of a journal: length, checksum, body. Writing and reading stand together.
//!
//! The checksum also covers which journal it is and where in it the record lies, so that old blocks of the disk that
//! come to light after a power cut are not taken for records.

use crc32fast::Hasher;

use super::history::{BatchFacts, Entry};
use super::source_mark::{SourceMark, decode_time, encode_time};
use super::wire::{PutWire, Wire};

/// Bytes before the body: its length and the checksum.
pub(super) const HEAD_BYTES: usize = 8;
/// No body is longer: what claims to be is damage.
pub(super) const MAX_BODY_BYTES: usize = 256 << 20;
const PIECE: u8 = 1;
const BATCH: u8 = 2;
const POINT: u8 = 3;

/// Where a record lies: the part of its checksum that is not in its bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Place {
    /// The journal's checksum, of its header.
    pub(super) journal: u32,
    /// Where the record begins in it.
    pub(super) offset: u64,
}

/// What a journal says.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Record<'a> {
    /// Some bytes of a batch that is still being written. Nothing is published by it.
    Piece { first: u64, bytes: &'a [u8] },
    /// A batch is published; the bytes that its pieces do not hold.
    Batch { entry: Entry, bytes: &'a [u8] },
    /// A batch, or several folded into one, whose bytes are in the data file for good.
    Point { entry: Entry },
}

impl Record<'_> {
    /// Appends the record.
    pub(super) fn encode(&self, place: Place, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; HEAD_BYTES]);
        match self {
            Record::Piece { first, bytes } => {
                out.push(PIECE);
                out.put_u64(*first);
                out.extend_from_slice(bytes);
            }
            Record::Batch { entry, bytes } => {
                out.push(BATCH);
                encode_entry(entry, out);
                out.extend_from_slice(bytes);
            }
            Record::Point { entry } => {
                out.push(POINT);
                encode_entry(entry, out);
            }
        }
        let Some((head, body)) = out
            .get_mut(start..)
            .and_then(|record| record.split_first_chunk_mut::<HEAD_BYTES>())
        else {
            return;
        };
        let len = (body.len() as u32).to_le_bytes();
        let crc = checksum(place, body).to_le_bytes();
        for (slot, byte) in head.iter_mut().zip(len.into_iter().chain(crc)) {
            *slot = byte;
        }
    }
}

/// Length and checksum at the beginning of a record, if the length can be one.
pub(super) fn decode_head(mut head: Wire<'_>) -> Option<(usize, u32)> {
    let (len, crc) = (head.u32()? as usize, head.u32()?);
    (1..=MAX_BODY_BYTES).contains(&len).then_some((len, crc))
}

/// The record with this body, if the checksum is right.
pub(super) fn decode_body(place: Place, crc: u32, body: &[u8]) -> Option<Record<'_>> {
    if checksum(place, body) != crc {
        return None;
    }
    let mut wire = Wire(body);
    let record = match wire.u8()? {
        PIECE => Record::Piece {
            first: wire.u64()?,
            bytes: wire.0,
        },
        BATCH => Record::Batch {
            entry: decode_entry(&mut wire)?,
            bytes: wire.0,
        },
        POINT => {
            let entry = decode_entry(&mut wire)?;
            if !wire.0.is_empty() {
                return None;
            }
            Record::Point { entry }
        }
        _ => return None,
    };
    Some(record)
}

/// Cheap look before the checksum: which byte of the day a body of a known kind would begin at.
pub(super) fn first_of(body: &[u8]) -> Option<u64> {
    let mut wire = Wire(body);
    (PIECE..=POINT)
        .contains(&wire.u8()?)
        .then(|| wire.u64())
        .flatten()
}

fn checksum(place: Place, body: &[u8]) -> u32 {
    let mut crc = Hasher::new();
    crc.update(&place.journal.to_le_bytes());
    crc.update(&place.offset.to_le_bytes());
    crc.update(&(body.len() as u32).to_le_bytes());
    crc.update(body);
    crc.finalize()
}

fn encode_entry(entry: &Entry, out: &mut Vec<u8>) {
    out.put_u64(entry.first);
    out.put_u64(entry.next);
    out.put_u32(entry.crc);
    out.put_i64(entry.facts.mtime_ns);
    encode_time(entry.facts.newest, out);
    out.put_u64(entry.facts.late);
    out.put_u32(entry.marks.len() as u32);
    for mark in &entry.marks {
        mark.encode(out);
    }
}

fn decode_entry(wire: &mut Wire<'_>) -> Option<Entry> {
    let (first, next, crc) = (wire.u64()?, wire.u64()?, wire.u32()?);
    let facts = BatchFacts {
        mtime_ns: wire.i64()?,
        newest: decode_time(wire)?,
        late: wire.u64()?,
    };
    let count = wire.u32()?;
    let marks = (0..count)
        .map(|_| SourceMark::decode(wire))
        .collect::<Option<Vec<_>>>()?;
    (first <= next).then_some(Entry {
        first,
        next,
        crc,
        facts,
        marks,
    })
}

#[cfg(test)]
mod tests {
    use super::super::source_mark::TailHash;
    use super::*;
    use crate::event::EventTime;

    const PLACE: Place = Place {
        journal: 7,
        offset: 48,
    };

    fn example() -> Entry {
        let mark = SourceMark {
            origin: "one".into(),
            file: "2018-05-01.00:00:00.log".into(),
            generation: 1,
            first: 10,
            next: 30,
            tail: TailHash(5),
            identity: (6, 7),
            time: Some(EventTime::ZERO),
        };
        Entry {
            first: 3,
            next: 8,
            crc: 9,
            facts: BatchFacts {
                mtime_ns: -1,
                newest: None,
                late: 4,
            },
            marks: vec![mark],
        }
    }

    #[track_caller]
    fn check(record: Record<'_>) {
        let mut bytes = Vec::new();
        record.encode(PLACE, &mut bytes);
        let read = |bytes: &[u8], place| {
            let (len, crc) = decode_head(Wire(bytes))?;
            let body = bytes.get(HEAD_BYTES..).filter(|body| body.len() == len)?;
            decode_body(place, crc, body).map(|read| format!("{read:?}"))
        };
        assert_eq!(read(&bytes, PLACE), Some(format!("{record:?}")));
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 0x10;
            assert_eq!(read(&broken, PLACE), None, "byte {at} changed");
            assert_eq!(read(&bytes[..at], PLACE), None, "cut at {at}");
        }
        let (journal, offset) = (PLACE.journal, PLACE.offset);
        for place in [
            Place {
                journal: 8,
                ..PLACE
            },
            Place {
                journal,
                offset: offset + 1,
            },
        ] {
            assert_eq!(read(&bytes, place), None, "of another place");
        }
    }

    #[test]
    fn each_kind_is_read_back_and_only_whole_and_in_its_place() {
        check(Record::Piece {
            first: 5,
            bytes: b"abc",
        });
        check(Record::Batch {
            entry: example(),
            bytes: b"abcde",
        });
        check(Record::Point { entry: example() });
    }
}
