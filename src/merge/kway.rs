//! The stable k-way merge on parsed time: which source's next line comes next.
//!
//! The order is that of `sort -m -s` on copies keyed by time (DESIGN 4): the smallest head wins, equal heads go in
//! source order, and a source's own lines never change places, even where the source itself is not sorted. A line
//! without a readable time is offered with the time of its predecessor, which keeps it directly behind it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::event::EventTime;

/// The heads of all sources that still have lines.
///
/// Offer one head per source; take a source with [`KWay::next_source`], and offer that source's next head (or nothing
/// when it has ended) before taking the next.
#[derive(Clone, Debug, Default)]
pub struct KWay {
    waiting: BinaryHeap<Reverse<(EventTime, usize)>>,
    /// The head offered last, kept out of the heap: runs of one source then cost one comparison a line.
    held: Option<(EventTime, usize)>,
}

impl KWay {
    /// The head of `source` has time `key`. Sources are numbered in (server ID, file name) order.
    pub fn offer(&mut self, source: usize, key: EventTime) {
        if let Some(earlier) = self.held.replace((key, source)) {
            self.waiting.push(Reverse(earlier));
        }
    }

    /// The source whose head comes next, or `None` when no heads are left.
    pub fn next_source(&mut self) -> Option<usize> {
        match (self.held.take(), self.waiting.peek()) {
            (Some(held), Some(Reverse(first))) if *first < held => {
                self.waiting.push(Reverse(held));
                self.waiting.pop().map(|Reverse((_, source))| source)
            }
            (Some((_, source)), _) => Some(source),
            (None, _) => self.waiting.pop().map(|Reverse((_, source))| source),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Merges with [`KWay`]; the answer is (source, position in it) pairs.
    fn merged(sources: &[Vec<i64>]) -> Vec<(usize, usize)> {
        let mut next = vec![0_usize; sources.len()];
        let mut heads = KWay::default();
        for (source, keys) in sources.iter().enumerate() {
            if let Some(key) = keys.first() {
                heads.offer(source, EventTime::from_ns(*key));
            }
        }
        let mut order = Vec::new();
        while let Some(source) = heads.next_source() {
            order.push((source, next[source]));
            next[source] += 1;
            if let Some(key) = sources[source].get(next[source]) {
                heads.offer(source, EventTime::from_ns(*key));
            }
        }
        order
    }

    /// The stupid twin: look at every head, take the first smallest.
    fn merged_naively(sources: &[Vec<i64>]) -> Vec<(usize, usize)> {
        let mut next = vec![0_usize; sources.len()];
        let mut order = Vec::new();
        while let Some((_, source)) = sources
            .iter()
            .enumerate()
            .filter_map(|(s, keys)| keys.get(next[s]).map(|k| (*k, s)))
            .min()
        {
            order.push((source, next[source]));
            next[source] += 1;
        }
        order
    }

    #[test]
    fn equal_times_go_in_source_order() {
        assert_eq!(
            merged(&[vec![5], vec![5], vec![4]]),
            [(2, 0), (0, 0), (1, 0)]
        );
    }

    #[test]
    fn a_source_that_is_not_sorted_keeps_its_own_order() {
        assert_eq!(merged(&[vec![9, 1], vec![5]]), [(1, 0), (0, 0), (0, 1)]);
    }

    proptest! {
        #[test]
        fn merges_as_the_naive_twin_does(sources in proptest::collection::vec(proptest::collection::vec(0_i64..20, 0..30), 0..6)) {
            prop_assert_eq!(merged(&sources), merged_naively(&sources));
        }
    }
}
