//! Proves the common lines of a daily log, many at a time, faster than the walk: objects with nothing nested in them and no
//! white space between their parts.
//!
//! A text of such lines is a regular expression, so that 64 bytes at a time are held against it with a few operations on
//! bit masks (the way of simdjson, Langdale and Lemire 2019, whose second stage is not needed here). What remains to be
//! looked at one by one are escapes, numbers and literals, and the ends of lines. A line that is not of this form is not
//! refused: the search stops before it, and the walk of `scan.rs` decides. (Walking only what is nested, and going on
//! behind it with masks, was tried and is slower.)
//!
//! What is proved, the brace that begins a line being taken for a comma:
//!
//! 1. Commas and colons outside strings take turns, and the last of a line is a colon.
//! 2. Before each string stands one of them; behind it too, or the end; behind each comma begins a string.
//! 3. Behind each colon stands something, and what is no string is one number or literal, right up to a comma or the end.
//! 4. A line begins with `{` and ends with `}`, both outside strings, and no other control character stands anywhere.
//!
//! By 2 and 1 what a comma begins is a key and a colon follows it, and what a colon begins is one value.

use super::block::{BLOCK_BYTES, Block};
use super::scalar::{byte, escape_is_good, scalar_end};

/// Calls `each(line, time)` for the lines of `text`, which begins with a line, until one comes that is not flat, or
/// `each` says stop; gives where that line begins (behind the one that `each` stopped at). `line` is without its newline
/// and one object as [`super::scan_object`] understands it; `time` is the raw value of its last `time` member, empty
/// where it has none.
///
/// A line is given only if something follows it in `text`, or the end does; the last few bytes of `text` are left.
#[inline]
pub(super) fn flat_lines<'a>(text: &'a [u8], each: impl FnMut(&'a [u8], &'a [u8]) -> bool) -> Flat {
    let mut proof = Proof::new(text);
    let mut each = each;
    let mut base = 0;
    while let Some(bytes) = text.get(base..).and_then(<[u8]>::first_chunk) {
        match proof.block(&Block::of(bytes), base, &mut each) {
            Some(true) => base += BLOCK_BYTES,
            Some(false) => return Flat::Stopped,
            None => break,
        }
    }
    Flat::Until(proof.line_at)
}

/// How a search for flat lines ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flat {
    /// The line that begins there is not known to be flat.
    Until(usize),
    /// The caller wanted no more.
    Stopped,
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
    newlines: u64,
}

struct Proof<'a> {
    text: &'a [u8],
    seen: Seen,
    /// All ones while a string goes on.
    in_string: u64,
    /// 1 if the block before ended with a backslash that escapes the first byte of this.
    escaped: u64,
    /// Where the line begins that is being read.
    line_at: usize,
    /// Whether that line has bytes beyond ASCII.
    high: bool,
    /// Where the value of its last `time` begins; 0 for none.
    time_at: usize,
}

impl<'a> Proof<'a> {
    fn new(text: &'a [u8]) -> Self {
        let seen = Seen {
            newlines: 1 << 63,
            ..Seen::default()
        };
        Proof {
            text,
            seen,
            in_string: 0,
            escaped: 0,
            line_at: 0,
            high: false,
            time_at: 0,
        }
    }

    /// The block that begins at `base`. `None`: the line at `line_at` is not known to be flat. Else what `each` said.
    #[inline(always)]
    fn block(
        &mut self,
        block: &Block,
        base: usize,
        each: &mut impl FnMut(&'a [u8], &'a [u8]) -> bool,
    ) -> Option<bool> {
        let (mut newlines, mut high) = (0, 0);
        if block.has_specials() {
            newlines = block.places_of(b'\n');
            high = block.highs();
            if block.controls() != newlines {
                return None;
            }
        }
        let mut quotes = block.places_of(b'"');
        if block.has(b'\\') || self.escaped != 0 {
            quotes &= !self.escapes(block.places_of(b'\\'), base)?;
        }
        // Ones from each opening quote up to before its closing one.
        let strings = prefix_xor(quotes) ^ self.in_string;
        self.in_string = (strings.cast_signed() >> 63).cast_unsigned();
        let openings = quotes & strings;
        let closings = quotes & !strings;
        let inside = strings | closings;

        // Where a line ends, its closing brace and its newline; where one begins, its opening brace, as a comma.
        let next_is_newline = self.text.get(base + BLOCK_BYTES) == Some(&b'\n');
        let line_ends = newlines | newlines >> 1 | u64::from(next_is_newline) << 63;
        let commas = block.places_of(b',') & !inside | behind(newlines, self.seen.newlines);
        let colons = block.places_of(b':') & !inside;
        let parts = commas | colons | line_ends;
        let scalars = !(inside | parts);

        // Ones from each comma up to before its colon. However it was computed: if the edges of this mask are exactly the
        // commas and the colons, then these take turns, since the edges of any mask do.
        let going_on = self.seen.keys >> 63;
        let keys = colons.wrapping_sub(commas).wrapping_sub(going_on);
        let edges = keys ^ (keys << 1 | going_on);

        let behind_comma = behind(commas, self.seen.commas);
        let behind_colon = behind(colons, self.seen.colons);
        let behind_string = behind(closings, self.seen.closings);
        let firsts = scalars & !behind(scalars, self.seen.scalars);
        let wrong = (edges ^ (commas | colons))
            | (edges & keys ^ commas)
            | (line_ends & (keys | inside))
            | (openings & !(behind_comma | behind_colon))
            | (behind_comma & !openings)
            | (behind_string & !parts)
            | (behind_colon & parts)
            | (firsts & !behind_colon);
        if wrong != 0 {
            return None;
        }
        self.scalars(firsts, base)?;

        // Colons behind keys of four bytes.
        let quote_before = behind(quotes, self.seen.quotes);
        let mut four = colons & quote_before & (quotes << 6 | self.seen.quotes >> 58);
        self.seen = Seen {
            quotes,
            commas,
            colons,
            closings,
            scalars,
            keys,
            newlines,
        };
        while newlines != 0 {
            let up_to = newlines ^ (newlines - 1);
            self.find_time(four & up_to, base);
            self.high |= high & up_to != 0;
            four &= !up_to;
            high &= !up_to;
            let newline = base + newlines.trailing_zeros() as usize;
            newlines &= newlines - 1;
            if !self.line(newline, each)? {
                return Some(false);
            }
        }
        self.find_time(four, base);
        self.high |= high != 0;
        Some(true)
    }

    /// The line that ends with the newline at `newline`.
    #[inline(always)]
    fn line(
        &mut self,
        newline: usize,
        each: &mut impl FnMut(&'a [u8], &'a [u8]) -> bool,
    ) -> Option<bool> {
        let line = self.text.get(self.line_at..newline)?;
        let framed = line.first() == Some(&b'{') && line.last() == Some(&b'}');
        if !framed || (self.high && std::str::from_utf8(line).is_err()) {
            return None;
        }
        let time = match self.time_at {
            0 => b"",
            at => string_at(self.text.get(..newline)?, at),
        };
        self.line_at = newline + 1;
        self.time_at = 0;
        self.high = false;
        Some(each(line, time))
    }

    /// Takes note of the last of the colons that stands behind the key `time`.
    #[inline(always)]
    fn find_time(&mut self, mut colons: u64, base: usize) {
        while colons != 0 {
            let colon = base + colons.trailing_zeros() as usize;
            if self.text.get(colon.wrapping_sub(6)..colon) == Some(b"\"time\"") {
                self.time_at = colon + 1;
            }
            colons &= colons - 1;
        }
    }

    /// Which places are escaped by a backslash before them.
    #[inline(always)]
    fn escapes(&mut self, backslashes: u64, base: usize) -> Option<u64> {
        let mut escaped = self.escaped;
        let mut rest = backslashes & !escaped;
        self.escaped = 0;
        while rest != 0 {
            let place = rest.trailing_zeros();
            if !escape_is_good(self.text, base + place as usize + 1) {
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
            let end = scalar_end(self.text, at)?;
            match byte(self.text, end) {
                b',' => (),
                b'}' if byte(self.text, end + 1) == b'\n' => (),
                _ => return None,
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

/// The string that begins at `at`, up to its first quote; empty for what is no string, or longer than any time. Behind a
/// first quote that is escaped a string goes on; but then it is no time either way.
#[inline(always)]
fn string_at(text: &[u8], at: usize) -> &[u8] {
    let value = text.get(at..).unwrap_or_default();
    let Some((b'"', rest)) = value.split_first() else {
        return b"";
    };
    let len = match rest.first_chunk() {
        Some(bytes) => Block::of(bytes).places_of(b'"').trailing_zeros() as usize,
        None => memchr::memchr(b'"', rest).unwrap_or(rest.len()),
    };
    value.get(..len + 2).unwrap_or_default()
}

#[cfg(test)]
mod tests;
