//! Finds the bytes of a line that can end or spoil a JSON string, 64 at a time, so that strings are never walked.
//!
//! One bit a byte, and the next block is looked at before it is needed: the walk over the grammar then waits neither for
//! memory nor for a mispredicted loop.

use super::block::{BLOCK_BYTES, Block};

/// The stops of one line from left to right: quotes, backslashes and control characters, wherever they stand.
pub(super) struct Stops<'a> {
    line: &'a [u8],
    /// Where the block of `here` begins; `next` is the block behind it.
    base: usize,
    here: u64,
    next: u64,
    high: bool,
}

impl<'a> Stops<'a> {
    #[inline(always)]
    pub(super) fn new(line: &'a [u8]) -> Self {
        let mut stops = Stops {
            line,
            base: 0,
            here: 0,
            next: 0,
            high: false,
        };
        stops.here = stops.block(0);
        stops.next = stops.block(BLOCK_BYTES);
        stops
    }

    /// The offset of the next stop; `None` behind the last one.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Option<usize> {
        while self.here == 0 {
            self.base += BLOCK_BYTES;
            if self.base >= self.line.len() {
                return None;
            }
            self.here = self.next;
            self.next = self.block(self.base + BLOCK_BYTES);
        }
        let at = self.base + self.here.trailing_zeros() as usize;
        self.here &= self.here - 1;
        Some(at)
    }

    /// Goes to `at`: what `next` returns then is the first stop there or behind. Two blocks are looked at anew.
    #[cold]
    pub(super) fn seek(&mut self, at: usize) {
        self.base = at / BLOCK_BYTES * BLOCK_BYTES;
        self.here = self.block(self.base) & (!0 << (at % BLOCK_BYTES));
        self.next = self.block(self.base + BLOCK_BYTES);
    }

    /// True if no byte beyond ASCII has been seen, which includes every byte up to the last stop returned.
    #[inline(always)]
    pub(super) fn all_ascii(&self) -> bool {
        !self.high
    }

    #[inline(always)]
    fn block(&mut self, at: usize) -> u64 {
        match self.line.get(at..).and_then(<[u8]>::first_chunk) {
            Some(bytes) => self.mask(bytes),
            None => self.last_block(at),
        }
    }

    /// A block that the line does not fill; no stops behind the end.
    #[inline(never)]
    fn last_block(&mut self, at: usize) -> u64 {
        let rest = self.line.get(at..).unwrap_or_default();
        if rest.is_empty() {
            return 0;
        }
        if let Some(bytes) = self.line.last_chunk::<BLOCK_BYTES>() {
            return self.mask(bytes) >> (BLOCK_BYTES - rest.len());
        }
        let mut bytes = [b' '; BLOCK_BYTES];
        bytes
            .iter_mut()
            .zip(rest)
            .for_each(|(to, from)| *to = *from);
        self.mask(&bytes)
    }

    #[inline(always)]
    fn mask(&mut self, bytes: &[u8; BLOCK_BYTES]) -> u64 {
        let block = Block::of(bytes);
        self.high |= block.has_high();
        block.stops()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(line: &[u8], from: usize) -> Vec<usize> {
        let stop = |at: &usize| {
            line.get(*at)
                .is_some_and(|&byte| byte == b'"' || byte == b'\\' || byte < b' ')
        };
        (from..line.len()).filter(stop).collect()
    }

    fn check(line: &[u8], from: usize) {
        let mut stops = Stops::new(line);
        if from > 0 {
            stops.seek(from);
        }
        let found: Vec<_> = std::iter::from_fn(|| stops.next()).collect();
        assert_eq!(found, naive(line, from), "{line:?} from {from}");
        assert!(from > 0 || stops.all_ascii() == line.is_ascii());
    }

    #[test]
    fn every_byte_value_is_judged_right_in_every_place() {
        for byte in 0..=255 {
            for place in 0..BLOCK_BYTES {
                let mut line = [b'a'; BLOCK_BYTES];
                line[place] = byte;
                check(&line, 0);
            }
        }
    }

    #[test]
    fn every_length_ends_where_it_ends() {
        for len in 0..3 * BLOCK_BYTES {
            check(&vec![b'"'; len], 0);
        }
    }

    proptest! {
        #[test]
        fn stops_are_those_of_the_naive_twin(line in prop::collection::vec(prop_oneof![Just(b'"'), Just(b'\\'), any::<u8>(), b'a'..=b'z'], 0..300), from in 0usize..300) {
            check(&line, 0);
            check(&line, from.min(line.len()));
        }
    }
}
