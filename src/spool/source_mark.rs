//! How far one source has been published: where a restart goes on, and how it knows that it may.

use xxhash_rust::xxh3::xxh3_64;

use crate::event::EventTime;

use super::wire::{PutWire, Wire};

/// One daily log of one server, as far as a day has taken it in. All offsets are in the unpacked file, so that a log
/// that was packed after its publication still matches.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SourceMark {
    /// Whose file: a server ID, or what stands for the other places (`""` the root).
    pub origin: String,
    /// Its name.
    pub file: String,
    /// Which content under this name: one more each time it was found shrunk, replaced or rewritten.
    pub generation: u32,
    /// First byte that belongs to the day (a file of a rounded name is cut at midnight, DESIGN 4.4).
    pub first: u64,
    /// One past the last published byte: the next line begins here.
    pub next: u64,
    /// Hash of what lies before `next`: if the file has it still, it may be read on from `next`.
    pub tail: TailHash,
    /// Device and inode number when it was last read. A hint: inode numbers are used again (DESIGN 5).
    pub identity: (u64, u64),
    /// Time of the last published line that has one, for the order and the wrapping of the lines behind it.
    pub time: Option<EventTime>,
}

/// xxh3 over the last [`TailHash::MAX_BYTES`] bytes before an offset, or over all if there are fewer. Finds what logs
/// suffer; it is no signature, and says nothing of the bytes before.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TailHash(pub u64);

impl TailHash {
    /// Bytes that count.
    pub const MAX_BYTES: usize = 64 << 10;

    /// The hash for the end of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let first = bytes.len().saturating_sub(Self::MAX_BYTES);
        TailHash(xxh3_64(bytes.get(first..).unwrap_or_default()))
    }
}

impl SourceMark {
    pub(super) fn key(&self) -> (String, String, u32) {
        (self.origin.clone(), self.file.clone(), self.generation)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.put_text(&self.origin);
        out.put_text(&self.file);
        out.put_u32(self.generation);
        out.put_u64(self.first);
        out.put_u64(self.next);
        out.put_u64(self.tail.0);
        out.put_u64(self.identity.0);
        out.put_u64(self.identity.1);
        encode_time(self.time, out);
    }

    pub(super) fn decode(wire: &mut Wire<'_>) -> Option<Self> {
        Some(SourceMark {
            origin: wire.text()?.to_owned(),
            file: wire.text()?.to_owned(),
            generation: wire.u32()?,
            first: wire.u64()?,
            next: wire.u64()?,
            tail: TailHash(wire.u64()?),
            identity: (wire.u64()?, wire.u64()?),
            time: decode_time(wire)?,
        })
    }
}

/// A flag byte, then nanoseconds since 1970 (0 where there is no time).
pub(super) fn encode_time(time: Option<EventTime>, out: &mut Vec<u8>) {
    out.push(u8::from(time.is_some()));
    out.put_i64(time.map_or(0, EventTime::as_ns));
}

pub(super) fn decode_time(wire: &mut Wire<'_>) -> Option<Option<EventTime>> {
    let (flag, ns) = (wire.u8()?, wire.i64()?);
    Some((flag != 0).then(|| EventTime::from_ns(ns)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_64_kib_count() {
        let long = vec![7_u8; TailHash::MAX_BYTES + 9];
        assert_eq!(
            TailHash::of(&long),
            TailHash::of(&long[9..]),
            "the same tail"
        );
        assert_ne!(TailHash::of(&long[10..]), TailHash::of(&long[9..]));
    }
}
