//! The newest of many records, in the memory of a few: a heap of their places, never of their bytes.
//!
//! The order is the seed's `ByTimeAndIndex`: by time, and within one session at one time by event index. Of events of one
//! time that order leaves open, those of one session stand together and the later in the day is the newer one, so that
//! what an answer holds does not depend on how it was found (see `event::sort_by_time_and_index` for why the seed's order
//! alone cannot be compared by).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::event::{Day, TimeAndIndex};

/// A sid longer than any session ID's is none; see `SessionId`.
const SID_BYTES_MAX: usize = 200;

/// Where a record is and when it was. Greater is newer.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Place {
    /// Nanoseconds since 1970.
    pub time_ns: i64,
    /// Its session, empty for none.
    pub sid: Box<str>,
    /// Its `ei`.
    pub event_index: i64,
    /// The merged day that holds it.
    pub day: Day,
    /// Where its line begins there.
    pub offset_bytes: u64,
    /// Length of its line, without the newline.
    pub len_bytes: u64,
}

/// See the module text.
#[derive(Debug)]
pub(super) struct Newest {
    limit: usize,
    oldest_first: BinaryHeap<Reverse<Place>>,
}

impl Newest {
    /// Keeps at most `limit` records.
    pub(super) fn new(limit: usize) -> Self {
        Newest {
            limit,
            oldest_first: BinaryHeap::new(),
        }
    }

    /// Takes in one record.
    pub(super) fn offer(
        &mut self,
        order: TimeAndIndex<'_>,
        day: Day,
        offset_bytes: u64,
        len_bytes: u64,
    ) {
        let time_ns = order.time.as_ns();
        if self
            .full_from_ns()
            .is_some_and(|oldest_ns| time_ns < oldest_ns)
        {
            return;
        }
        let sid = if order.sid.len() > SID_BYTES_MAX {
            ""
        } else {
            order.sid
        };
        let event_index = order.event_index.0;
        let place = Place {
            time_ns,
            sid: sid.into(),
            event_index,
            day,
            offset_bytes,
            len_bytes,
        };
        if self.oldest_first.len() < self.limit {
            self.oldest_first.push(Reverse(place));
        } else if let Some(mut oldest) = self
            .oldest_first
            .peek_mut()
            .filter(|oldest| oldest.0 < place)
        {
            *oldest = Reverse(place);
        }
    }

    /// The time of the oldest record kept, nanoseconds, if no more can be kept: an older one changes nothing.
    pub(super) fn full_from_ns(&self) -> Option<i64> {
        let oldest = self.oldest_first.peek()?;
        (self.oldest_first.len() >= self.limit).then_some(oldest.0.time_ns)
    }

    /// The places kept, newest first.
    pub(super) fn into_places(self) -> Vec<Place> {
        self.oldest_first
            .into_sorted_vec()
            .into_iter()
            .map(|Reverse(place)| place)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::event::{EventIndex, EventTime};

    use super::*;

    proptest! {
        #[test]
        fn sorting_everything_and_cutting_it_is_the_same(
            records in prop::collection::vec((0..4_i64, "[st]?", 0..4_i64), 0..40),
            limit in 1..12_usize,
        ) {
            let mut newest = Newest::new(limit);
            for (at, (time, sid, ei)) in records.iter().enumerate() {
                let order = TimeAndIndex { time: EventTime::from_ns(*time), sid, event_index: EventIndex(*ei) };
                newest.offer(order, Day::from_days(0), at as u64, 1);
            }
            let found: Vec<u64> = newest.into_places().iter().map(|place| place.offset_bytes).collect();
            let mut naive: Vec<_> = records.iter().enumerate().collect();
            naive.sort_by_key(|(at, record)| Reverse(((*record).clone(), *at)));
            let naive: Vec<u64> = naive.iter().take(limit).map(|(at, _)| *at as u64).collect();
            prop_assert_eq!(found, naive);
        }
    }
}
