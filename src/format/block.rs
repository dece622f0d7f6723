//! 64 bytes of a line at a time: where in them a byte stands, as one bit a byte.
//!
//! Vectors of 16 bytes, which every x86-64 and every 64-bit ARM processor has: nothing is asked at run time.

use wide::u8x16;

/// Bytes of a block; bit N of a mask is byte N.
pub(super) const BLOCK_BYTES: usize = 64;

/// See the module text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block([u8x16; 4]);

impl Block {
    #[inline(always)]
    pub fn of(bytes: &[u8; BLOCK_BYTES]) -> Self {
        let (lanes, _) = bytes.as_chunks::<16>();
        Block([0, 1, 2, 3].map(|n| lanes.get(n).map_or(u8x16::ZERO, |lane| u8x16::new(*lane))))
    }

    /// Where `byte` stands.
    #[inline(always)]
    pub fn places_of(&self, byte: u8) -> u64 {
        let byte = u8x16::splat(byte);
        mask(self.0.map(|lane| lane.simd_eq(byte)))
    }

    /// Where quotes, backslashes and control characters stand.
    #[inline(always)]
    pub fn stops(&self) -> u64 {
        let (quote, backslash) = (u8x16::splat(b'"'), u8x16::splat(b'\\'));
        mask(
            self.0
                .map(|lane| lane.simd_eq(quote) | lane.simd_eq(backslash) | controls(lane)),
        )
    }

    /// Whether `byte` stands anywhere.
    #[inline(always)]
    pub fn has(&self, byte: u8) -> bool {
        let byte = u8x16::splat(byte);
        let [a, b, c, d] = self.0.map(|lane| lane.simd_eq(byte));
        (a | b | c | d).to_bitmask() != 0
    }

    /// Where control characters stand.
    #[inline(always)]
    pub fn controls(&self) -> u64 {
        mask(self.0.map(controls))
    }

    /// Where bytes beyond ASCII stand.
    #[inline(always)]
    pub fn highs(&self) -> u64 {
        mask(self.0)
    }

    /// Whether there is any byte beyond ASCII.
    #[inline(always)]
    pub fn has_high(&self) -> bool {
        let [a, b, c, d] = self.0;
        (a | b | c | d).to_bitmask() != 0
    }

    /// Whether there is any control character or byte beyond ASCII.
    #[inline(always)]
    pub fn has_specials(&self) -> bool {
        let [a, b, c, d] = self.0;
        (controls(a.min(b).min(c.min(d))) | a | b | c | d).to_bitmask() != 0
    }
}

#[inline(always)]
fn controls(lane: u8x16) -> u8x16 {
    lane.min(u8x16::splat(b' ' - 1)).simd_eq(lane)
}

#[inline(always)]
fn mask(lanes: [u8x16; 4]) -> u64 {
    let [a, b, c, d] = lanes.map(|lane| u64::from(lane.to_bitmask()));
    a | b << 16 | c << 32 | d << 48
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive(bytes: &[u8; BLOCK_BYTES], wanted: impl Fn(u8) -> bool) -> u64 {
        let places = bytes.iter().enumerate().filter(|(_, byte)| wanted(**byte));
        places.fold(0, |mask, (place, _)| mask | (1 << place))
    }

    /// Holds what the vectors say against a walk.
    fn check(bytes: &[u8; BLOCK_BYTES]) {
        let stops = naive(bytes, |byte| byte < b' ' || byte == b'"' || byte == b'\\');
        let controls = naive(bytes, |byte| byte < b' ');
        let highs = naive(bytes, |byte| !byte.is_ascii());
        let block = Block::of(bytes);
        assert_eq!(
            (block.stops(), block.controls(), block.highs()),
            (stops, controls, highs),
            "{bytes:?}"
        );
        assert_eq!(
            (block.has_high(), block.has_specials()),
            (highs != 0, (controls | highs) != 0),
            "{bytes:?}"
        );
        for byte in *b"\",:\\" {
            let places = naive(bytes, |b| b == byte);
            assert_eq!(block.places_of(byte), places, "{bytes:?}");
            assert_eq!(block.has(byte), places != 0, "{bytes:?}");
        }
    }

    #[test]
    fn every_byte_in_every_place_is_told_as_by_walking() {
        for byte in 0..=255 {
            for around in [b'a', b'"', 0x80] {
                for place in 0..BLOCK_BYTES {
                    let mut bytes = [around; BLOCK_BYTES];
                    bytes[place] = byte;
                    check(&bytes);
                }
            }
        }
    }
}
