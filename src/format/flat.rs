//! Proves the common line of a daily log at several times the speed of the walk: one object, nothing nested, no white
//! space between its parts.
//!
//! Such a line is a regular expression, so that 64 bytes at a time are held against it with a few operations on bit masks
//! (the way of simdjson, Langdale and Lemire 2019, whose second stage is not needed here). What remains to be looked at
//! one by one are escapes, numbers and literals. A line that is not of this form is not refused: [`time_of_flat`] says that it
//! does not know, and the walk of `scan.rs` decides.
//!
//! What is proved, with `{` at the start as a comma and `}` at the end as what follows the last value:
//!
//! 1. Commas and colons outside strings take turns.
//! 2. Before each string stands one of them, and behind it too; behind each comma begins a string.
//! 3. Behind each colon stands something, and what is no string is one number or literal, right up to a comma or the end.
//!
//! By 2 and 1 what a comma begins is a key and a colon follows it, and what a colon begins is one value.

use super::block::{BLOCK_BYTES, Block};
use super::scalar::{escape_is_good, scalar_end};

/// The raw value of the last `time` member of `line`, empty where it has none, if `line` is a flat object: JSON as
/// [`super::scan_object`] understands it. `None`: that is not known.
#[inline]
pub(super) fn time_of_flat(line: &[u8]) -> Option<&[u8]> {
    let last = line.len().checked_sub(1)?;
    if last < BLOCK_BYTES || line.first() != Some(&b'{') || line.get(last) != Some(&b'}') {
        return None;
    }
    let mut proof = Proof {
        line,
        last,
        ..Proof::default()
    };
    let mut base = 0;
    for bytes in line.as_chunks::<BLOCK_BYTES>().0 {
        let before_end = if last < base + BLOCK_BYTES {
            !(1 << (last - base))
        } else {
            !0
        };
        proof.block(&Block::of(bytes), 0, base, before_end)?;
        base += BLOCK_BYTES;
    }
    if base < line.len() {
        // The last 64 bytes again, with those cut away that have been seen.
        let skip = BLOCK_BYTES - (line.len() - base);
        let bytes = line.last_chunk()?;
        proof.block(&Block::of(bytes), skip as u32, base, !(!0 << (last - base)))?;
    }
    if !proof.is_complete() || (proof.high && std::str::from_utf8(line).is_err()) {
        return None;
    }
    Some(match proof.time_at {
        Some(at) => raw_value(line, at)?,
        None => b"",
    })
}

/// The masks of the block before: what stood in its last places is looked back at.
#[derive(Default)]
struct Seen {
    quotes: u64,
    commas: u64,
    colons: u64,
    closings: u64,
    scalars: u64,
    keys: u64,
}

#[derive(Default)]
struct Proof<'a> {
    line: &'a [u8],
    /// Where the closing brace stands.
    last: usize,
    seen: Seen,
    /// All ones while a string goes on.
    in_string: u64,
    /// 1 if the block before ended with a backslash that escapes the first byte of this.
    escaped: u64,
    /// Any bit: something is wrong.
    wrong: u64,
    high: bool,
    /// Where the value of the last `time` begins.
    time_at: Option<usize>,
}

impl Proof<'_> {
    /// The block that begins at `base`, its first `skip` bytes having been seen; `inner` are the places before the closing
    /// brace.
    #[inline(always)]
    fn block(&mut self, block: &Block, skip: u32, base: usize, inner: u64) -> Option<()> {
        if block.has_controls() {
            return None;
        }
        self.high |= block.has_high();
        let mut quotes = block.places_of(b'"') >> skip;
        let backslashes = block.places_of(b'\\') >> skip;
        if backslashes | self.escaped != 0 {
            quotes &= !self.escapes(backslashes, base)?;
        }
        // Ones from each opening quote up to before its closing one.
        let strings = prefix_xor(quotes) ^ self.in_string;
        self.in_string = (strings.cast_signed() >> 63).cast_unsigned();
        let openings = quotes & strings;
        let closings = quotes & !strings;
        let outside = !(strings | closings);
        let end = !inner & outside;
        let mut commas = block.places_of(b',') >> skip & outside;
        let colons = block.places_of(b':') >> skip & outside;
        if base == 0 {
            commas |= 1;
        }
        let parts = commas | colons | end;
        let scalars = outside & !parts;

        // Ones from each comma up to before its colon. However it was computed: if the edges of this mask are exactly the
        // commas and the colons, then these take turns, since the edges of any mask do.
        let going_on = self.seen.keys >> 63;
        let keys = colons.wrapping_sub(commas).wrapping_sub(going_on);
        let shifted = keys << 1 | going_on;
        let turns = (keys & !shifted ^ commas) | (!keys & shifted ^ colons);

        let behind_comma = behind(commas, self.seen.commas);
        let behind_colon = behind(colons, self.seen.colons);
        let behind_string = behind(closings, self.seen.closings);
        let firsts = scalars & !behind(scalars, self.seen.scalars);
        self.wrong |= turns
            | (openings & !(behind_comma | behind_colon))
            | (behind_comma & !openings)
            | (behind_string & !parts)
            | (behind_colon & parts)
            | (firsts & !behind_colon);
        if self.wrong != 0 {
            return None;
        }
        self.scalars(firsts, base)?;

        // A colon behind a key of four bytes: `"time":` from the quote on.
        let quote_before = behind(quotes, self.seen.quotes);
        let mut four = colons & quote_before & (quotes << 6 | self.seen.quotes >> 58);
        while four != 0 {
            let colon = base + four.trailing_zeros() as usize;
            if self.line.get(colon.wrapping_sub(6)..colon) == Some(b"\"time\"") {
                self.time_at = Some(colon + 1);
            }
            four &= four - 1;
        }
        self.seen = Seen {
            quotes,
            commas,
            colons,
            closings,
            scalars,
            keys,
        };
        Some(())
    }

    /// Whether the closing brace ends a member outside a string.
    #[inline(always)]
    fn is_complete(&self) -> bool {
        // Behind the closing brace nothing is known to be wrong; before it, the last part was a colon.
        self.in_string == 0 && self.escaped == 0 && self.seen.keys >> 63 == 0
    }

    /// Which places are escaped by a backslash before them.
    #[inline(always)]
    fn escapes(&mut self, backslashes: u64, base: usize) -> Option<u64> {
        let mut escaped = self.escaped;
        let mut rest = backslashes & !escaped;
        self.escaped = 0;
        while rest != 0 {
            let place = rest.trailing_zeros();
            if !escape_is_good(self.line, base + place as usize + 1) {
                return None;
            }
            let next = 2_u64 << place;
            escaped |= next;
            self.escaped = u64::from(next == 0);
            rest &= (rest - 1) & !next;
        }
        Some(escaped)
    }

    /// The numbers and literals that begin at `firsts`.
    #[inline(always)]
    fn scalars(&self, mut firsts: u64, base: usize) -> Option<()> {
        while firsts != 0 {
            let at = base + firsts.trailing_zeros() as usize;
            let end = scalar_end(self.line, at)?;
            if end != self.last && self.line.get(end) != Some(&b',') {
                return None;
            }
            firsts &= firsts - 1;
        }
        Some(())
    }
}

/// The places behind those of `mask`, the mask of the block before being `before`.
#[inline(always)]
fn behind(mask: u64, before: u64) -> u64 {
    mask << 1 | before >> 63
}

/// Bit N is the parity of the bits up to N.
#[inline(always)]
fn prefix_xor(mut mask: u64) -> u64 {
    for by in [1, 2, 4, 8, 16, 32] {
        mask ^= mask << by;
    }
    mask
}

/// The raw value that begins at `at` of a line that has been proved: a string up to its first quote, or something that is
/// no string. Behind a first quote that is escaped a string goes on; but then it is no time either way.
#[inline(always)]
fn raw_value(line: &[u8], at: usize) -> Option<&[u8]> {
    let value = line.get(at..)?;
    match value.split_first()? {
        (b'"', rest) => value.get(..memchr::memchr(b'"', rest)? + 2),
        _ => Some(b""),
    }
}

#[cfg(test)]
mod tests;
