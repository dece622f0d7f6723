//! Chance that can be had again: a test says its seed, and `AUDITFS_SEED` gives it back.

use std::time::{SystemTime, UNIX_EPOCH};

/// Numbers by SplitMix64, which has no bad seeds.
#[derive(Clone, Debug)]
pub struct Seed(u64);

impl Seed {
    /// The one that `AUDITFS_SEED` names, or else a new one. It is printed.
    pub fn of_this_run() -> Seed {
        let seed = match std::env::var("AUDITFS_SEED") {
            Ok(text) => text.parse().expect("AUDITFS_SEED is a number"),
            Err(_) => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_nanos() as u64),
        };
        println!("AUDITFS_SEED={seed}");
        Seed(seed)
    }

    /// The same for the same number.
    pub fn of(number: u64) -> Seed {
        Seed(number)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number of a range, half-open.
    pub fn within(&mut self, range: std::ops::Range<u64>) -> u64 {
        range.start + self.number() % (range.end - range.start)
    }

    /// True once in so many times.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.number().is_multiple_of(times)
    }
}
