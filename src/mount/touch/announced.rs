//! Which days the mount shows: a new one stays hidden until the helper has created it, because the kernel raises
//! IN_CREATE only for a name that was not there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use crate::event::Day;

/// A day that the helper does not announce within this time is shown all the same.
const PATIENCE_NS: i64 = 2_000_000_000;

/// See the module text.
#[derive(Debug, Default)]
pub struct Announced(Mutex<Days>);

#[derive(Debug, Default)]
struct Days {
    shown: BTreeSet<Day>,
    /// When each hidden day was first heard of, nanoseconds since 1970.
    hidden: BTreeMap<Day, i64>,
}

impl Announced {
    /// The days that are there at the start need no announcing.
    pub fn new(days: impl IntoIterator<Item = Day>) -> Self {
        let shown = days.into_iter().collect();
        Announced(Mutex::new(Days {
            shown,
            hidden: BTreeMap::new(),
        }))
    }

    /// Whether anybody may see `day` at `now_ns`.
    pub fn is_shown(&self, day: Day, now_ns: i64) -> bool {
        let mut days = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if days.shown.contains(&day) {
            return true;
        }
        let since_ns = *days.hidden.entry(day).or_insert(now_ns);
        let shown = now_ns.saturating_sub(since_ns) >= PATIENCE_NS;
        if shown {
            days.show(day);
        }
        shown
    }

    /// Whether everybody sees `day` already.
    pub fn has(&self, day: Day) -> bool {
        let days = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        days.shown.contains(&day)
    }

    /// From now on everybody may see `day`.
    pub fn show(&self, day: Day) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .show(day);
    }
}

impl Days {
    fn show(&mut self, day: Day) {
        self.hidden.remove(&day);
        self.shown.insert(day);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_day_is_hidden_until_it_is_announced() {
        let days = Announced::new([Day::from_days(1)]);
        assert!(days.is_shown(Day::from_days(1), 0));
        assert!(!days.is_shown(Day::from_days(2), 0));
        days.show(Day::from_days(2));
        assert!(days.is_shown(Day::from_days(2), 0));
    }

    #[test]
    fn a_day_that_nobody_announces_is_shown_in_the_end() {
        let days = Announced::new([]);
        assert!(!days.is_shown(Day::from_days(2), 10));
        assert!(!days.is_shown(Day::from_days(2), 10 + PATIENCE_NS - 1));
        assert!(days.is_shown(Day::from_days(2), 10 + PATIENCE_NS));
    }
}
