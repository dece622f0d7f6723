//! The generator's own random numbers, so that a seed gives the same bytes with every version of every crate.

/// SplitMix64: small, fast, good enough for made-up data; never for secrets.
pub(super) struct Random(u64);

impl Random {
    /// The numbers that belong to one `place` (a kind of thing, its number, ...) under one seed.
    pub(super) fn new(seed: u64, place: &[u64]) -> Random {
        let mut random = Random(seed);
        for &step in place {
            random.0 = random.next() ^ step.wrapping_mul(0xd6e8_feb8_6659_fd93);
        }
        random.next();
        random
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `count` - 1; 0 if `count` is 0.
    pub(super) fn below(&mut self, count: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(count)) >> 64) as u64
    }

    /// A number from `first` to `last`, both possible.
    pub(super) fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    /// True once in `count` times.
    pub(super) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    /// One of `items`, which are not empty.
    pub(super) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }

    /// Adds a random UUID (version 4).
    pub(super) fn push_uuid(&mut self, out: &mut Vec<u8>) {
        let high = self.next() & !0xf000 | 0x4000;
        let low = self.next() & !(0b11 << 62) | (0b10 << 62);
        push_uuid(out, high, low);
    }
}

/// Adds the text of the UUID whose bytes are those of `high` and `low`, the greatest first.
pub(super) fn push_uuid(out: &mut Vec<u8>, high: u64, low: u64) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for (half, dashes_before) in [(high, [8, 12]), (low, [0, 4])] {
        for digit in 0..16 {
            if dashes_before.contains(&digit) {
                out.push(b'-');
            }
            out.push(HEX[(half >> (60 - 4 * digit)) as usize & 15]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_have_numbers_of_their_own() {
        let first = |seed, place: &[u64]| Random::new(seed, place).next();
        assert_eq!(first(1, &[2, 3]), first(1, &[2, 3]));
        assert_ne!(first(1, &[2, 3]), first(1, &[3, 2]));
        assert_ne!(first(1, &[2, 3]), first(2, &[2, 3]));
    }

    #[test]
    fn a_uuid_has_the_canonical_form() {
        let mut text = Vec::new();
        push_uuid(&mut text, 0x74a5_fc02_4d00_11e8, 0xaee2_0242_ac0a_0002);
        assert_eq!(text, b"74a5fc02-4d00-11e8-aee2-0242ac0a0002");
        text.clear();
        Random::new(1, &[]).push_uuid(&mut text);
        assert_eq!((text.len(), text[14]), (36, b'4'));
    }

    #[test]
    fn below_stays_below() {
        let mut random = Random::new(7, &[]);
        assert!((0..1000).all(|_| random.below(3) < 3));
        assert_eq!(random.below(0), 0);
        assert!((0..1000).all(|_| (5..=6).contains(&random.between(5, 6))));
    }
}
