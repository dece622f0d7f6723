//! The day that writers write into: on a mount that writes it is there from its first moment on, empty or not.
//!
//! Elsewhere a day without a record does not exist (DESIGN 4.6). A writer needs a name to open; `events/current` must lead
//! to today's file and not to that of the last day that had an event.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::event::Day;

use super::tree::View;

/// See the module text.
#[derive(Debug)]
pub(super) struct Today {
    /// Days since 1970, as is `expected`.
    written: AtomicI64,
    expected: AtomicI64,
}

const NONE: i64 = i64::MIN;

impl Default for Today {
    fn default() -> Self {
        Today {
            written: AtomicI64::new(NONE),
            expected: AtomicI64::new(NONE),
        }
    }
}

impl View {
    /// From now on `day` is the one that is written.
    pub fn write_day(&self, day: Day) {
        self.expect_day(day);
        let days = i64::from(day.days());
        self.today.written.fetch_max(days, Ordering::AcqRel);
    }

    /// `day` will be written in a moment: it has a file from now on, so that watchers learn of it before writers come.
    /// Gives whether it had none until now.
    pub fn expect_day(&self, day: Day) -> bool {
        let days = i64::from(day.days());
        if self.today.expected.fetch_max(days, Ordering::AcqRel) >= days {
            return false;
        }
        self.days_changed(day.start().as_ns());
        self.days.get(day).is_none()
    }

    /// The day that is written, on a mount that writes.
    pub fn written_day(&self) -> Option<Day> {
        day_of(&self.today.written)
    }

    /// Whether there is a file of the day: it has a record, or is written.
    pub(super) fn has_day(&self, day: Day) -> bool {
        self.days.get(day).is_some()
            || self.written_day() == Some(day)
            || day_of(&self.today.expected) == Some(day)
    }

    /// All days that have a file, in order.
    pub(super) fn all_days(&self) -> Vec<Day> {
        let mut days: Vec<Day> = self.days.list().iter().map(|file| file.day()).collect();
        days.extend(self.written_day());
        days.extend(day_of(&self.today.expected));
        days.sort_unstable();
        days.dedup();
        days
    }

    /// The day that `events/current` leads to.
    pub(super) fn current_day(&self) -> Option<Day> {
        // A record may come with a date of tomorrow; what is written goes into today's file all the same.
        self.written_day()
            .or_else(|| Some(self.days.list().pop()?.day()))
    }
}

fn day_of(days: &AtomicI64) -> Option<Day> {
    let days = i32::try_from(days.load(Ordering::Acquire)).ok()?;
    Some(Day::from_days(days))
}
