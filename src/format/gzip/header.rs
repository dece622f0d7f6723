//! The fixed parts around a deflate stream: the member header with its optional fields, and the trailer (RFC 1952).

use super::MEMBER_HEADER;
use super::inflater::Inflater;

/// Flag bits that no version defines.
pub(super) const RESERVED_FLAGS: u8 = 0xe0;
const HEADER_CRC: u8 = 0x02;
const EXTRA: u8 = 0x04;
const NAME: u8 = 0x08;
const COMMENT: u8 = 0x10;

/// No name or comment is longer than this; without a bound a lost NUL would swallow the file.
const MAX_TEXT_BYTES: u32 = 64 << 10;

/// A member header that is being read, byte by byte as the file grows.
#[derive(Debug)]
pub(super) struct Header {
    /// Where it begins, in bytes of the packed file.
    pub(super) start: u64,
    fixed: [u8; 10],
    len: usize,
    part: Part,
}

/// What of the header comes next.
#[derive(Debug)]
enum Part {
    Fixed,
    ExtraLength { low: Option<u8> },
    Extra { left: u16 },
    Name { left: u32 },
    Comment { left: u32 },
    HeaderCrc { left: u8 },
    Done,
}

/// What a byte made of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderStep {
    /// More bytes are needed.
    More,
    /// The deflate stream begins with the next byte.
    Done,
    /// This is no member header.
    Bad,
}

impl Header {
    pub(super) fn new(start: u64) -> Header {
        Header {
            start,
            fixed: [0; 10],
            len: 0,
            part: Part::Fixed,
        }
    }

    /// The bytes taken so far of the ten that every header has.
    pub(super) fn fixed(&self) -> &[u8] {
        self.fixed.get(..self.len).unwrap_or_default()
    }

    /// Has reading stopped among the optional fields?
    pub(super) fn has_more_than_fixed(&self) -> bool {
        !matches!(self.part, Part::Fixed)
    }

    pub(super) fn push(&mut self, byte: u8) -> HeaderStep {
        match &mut self.part {
            Part::Fixed => return self.push_fixed(byte),
            Part::ExtraLength { low: low @ None } => *low = Some(byte),
            Part::ExtraLength { low: Some(low) } => match u16::from_le_bytes([*low, byte]) {
                0 => self.part = self.after(EXTRA),
                left => self.part = Part::Extra { left },
            },
            Part::Extra { left: 1 } => self.part = self.after(EXTRA),
            Part::Extra { left } => *left -= 1,
            Part::Name { .. } if byte == 0 => self.part = self.after(NAME),
            Part::Comment { .. } if byte == 0 => self.part = self.after(COMMENT),
            Part::Name { left: 0 } | Part::Comment { left: 0 } => return HeaderStep::Bad,
            Part::Name { left } | Part::Comment { left } => *left -= 1,
            Part::HeaderCrc { left: 1 } => self.part = Part::Done,
            Part::HeaderCrc { left } => *left -= 1,
            Part::Done => {}
        }
        self.step()
    }

    fn push_fixed(&mut self, byte: u8) -> HeaderStep {
        let Some(place) = self.fixed.get_mut(self.len) else {
            return HeaderStep::Bad;
        };
        *place = byte;
        let good = match self.len {
            0 => byte == 0x1f,
            1 => byte == 0x8b,
            2 => byte == 8,
            3 => byte & RESERVED_FLAGS == 0,
            _ => true,
        };
        self.len += 1;
        if !good {
            return HeaderStep::Bad;
        }
        if self.len < self.fixed.len() {
            return HeaderStep::More;
        }
        // A writer died inside its header and its successor's header follows: no real header ends like the beginning of one.
        if header_begins_in(&self.fixed, 1).is_some() {
            return HeaderStep::Bad;
        }
        self.part = self.after(0);
        self.step()
    }

    fn step(&self) -> HeaderStep {
        match self.part {
            Part::Done => HeaderStep::Done,
            _ => HeaderStep::More,
        }
    }

    /// The part that follows the one with this flag: the fields stand in the order of this function.
    fn after(&self, flag: u8) -> Part {
        let [_, _, _, flags, ..] = self.fixed;
        if flag < EXTRA && flags & EXTRA != 0 {
            Part::ExtraLength { low: None }
        } else if flag < NAME && flags & NAME != 0 {
            Part::Name {
                left: MAX_TEXT_BYTES,
            }
        } else if flag < COMMENT && flags & COMMENT != 0 {
            Part::Comment {
                left: MAX_TEXT_BYTES,
            }
        } else if flags & HEADER_CRC != 0 {
            Part::HeaderCrc { left: 2 }
        } else {
            Part::Done
        }
    }
}

/// Where, from `from` on, the last bytes of `bytes` are the first bytes of a [`MEMBER_HEADER`].
pub(super) fn header_begins_in(bytes: &[u8], from: usize) -> Option<usize> {
    let from = from.max(bytes.len().saturating_sub(MEMBER_HEADER.len() - 1));
    (from..bytes.len()).find(|&at| {
        bytes
            .get(at..)
            .is_some_and(|tail| MEMBER_HEADER.starts_with(tail))
    })
}

/// A trailer that is being read.
#[derive(Debug, Default)]
pub(super) struct Trailer {
    bytes: [u8; 8],
    len: usize,
}

impl Trailer {
    /// Takes a byte; true when this was the last one.
    pub(super) fn push(&mut self, byte: u8) -> bool {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
        self.len == self.bytes.len()
    }

    /// The bytes taken so far.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Does it say what was decoded?
    pub(super) fn fits(&self, inflater: &Inflater) -> bool {
        self.bytes == inflater.trailer()
    }
}
