//! SearchEvents over merged days: by the time of each event, newest first.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::event::{Day, EventIndex, EventTime, TimeAndIndex};
use crate::format::scan_object;
use crate::reader::{DayFile, Days};

use super::merged_lines::each_merged_line;
use super::newest::{Newest, Place};
use super::query::{Matching, unescaped};
use super::request::{ANSWER_BYTES_MAX, Request};
use super::search_error::SearchError;

/// What a search found: the places of the records, which are read when asked for.
#[derive(Debug)]
pub struct Found {
    places: Vec<Place>,
    days: HashMap<Day, Arc<DayFile>>,
}

/// Looks for records. Those of any day are found whose own time is in the range, if it is at most a day away from the
/// date of their file: so far, and much less, clocks and late uploads go. Holds the places of at most `request.limit()`
/// records, and days are read only as far back as they can matter.
///
/// # Errors
/// [`SearchError::Disk`] if a day cannot be read: half an answer would be taken for the whole.
pub fn search_events(days: &Days, request: &Request) -> Result<Found, SearchError> {
    let mut newest = Newest::new(request.limit());
    let dates = dates_of(request);
    let mut list = days.list();
    list.retain(|day| dates.contains(&day.day()));
    for day in list.iter().rev() {
        // No record of this day, or of any before it, is as late as this.
        let beyond = day.day().next().next().start();
        if newest
            .full_from_ns()
            .is_some_and(|oldest_ns| oldest_ns >= beyond.as_ns())
        {
            break;
        }
        search_day(day, request, &mut newest)?;
    }
    let places = newest.into_places();
    let days = list.into_iter().map(|day| (day.day(), day)).collect();
    Ok(Found { places, days })
}

/// The dates of the days that may hold a record of the range. The earliest and the latest time stand for all beyond.
fn dates_of(request: &Request) -> RangeInclusive<Day> {
    let first = if request.from.is_zero() {
        Day::FIRST
    } else {
        Day::of(request.from).previous()
    };
    let last = if request.to == EventTime::LATEST {
        Day::LAST
    } else {
        Day::of(request.to).next()
    };
    first..=last
}

fn search_day(day: &DayFile, request: &Request, newest: &mut Newest) -> Result<(), SearchError> {
    let read = |offset: u64, len: u64, out: &mut Vec<u8>| day.read_at(offset, len, out);
    each_merged_line(read, |offset, line| {
        if !request.query.may_match(line) {
            return true;
        }
        let mut matching = Matching::new(&request.query);
        let mut record = Record::default();
        let is_object = scan_object(line, |name, value| {
            record.member(name, value);
            matching.member(name, value);
        });
        let time = record.time();
        if is_object && matching.all() && (request.from..=request.to).contains(&time) {
            let sid = record.sid();
            let event_index = record.event_index();
            let order = TimeAndIndex {
                time,
                sid: &sid,
                event_index,
            };
            newest.offer(order, day.day(), offset, line.len() as u64);
        }
        true
    })?;
    Ok(())
}

/// The members that decide a record's place, raw.
#[derive(Debug, Default)]
struct Record<'a> {
    time: &'a [u8],
    sid: &'a [u8],
    ei: &'a [u8],
}

impl<'a> Record<'a> {
    fn member(&mut self, name: &[u8], value: &'a [u8]) {
        match name {
            b"time" => self.time = value,
            b"sid" => self.sid = value,
            b"ei" => self.ei = value,
            _ => {}
        }
    }

    fn time(&self) -> EventTime {
        text(self.time)
            .and_then(EventTime::parse_rfc3339)
            .unwrap_or(EventTime::ZERO)
    }

    fn sid(&self) -> std::borrow::Cow<'a, str> {
        text(self.sid).and_then(unescaped).unwrap_or_default()
    }

    /// As [`crate::event::EventFields::get_event_index`] reads it.
    fn event_index(&self) -> EventIndex {
        let number = std::str::from_utf8(self.ei).unwrap_or_default();
        let float = || number.parse().ok().map(|float: f64| float as i64);
        EventIndex(number.parse().ok().or_else(float).unwrap_or_default())
    }
}

/// The text between the quotes of a raw JSON string.
fn text(raw: &[u8]) -> Option<&[u8]> {
    raw.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

impl Found {
    /// How many records.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Was nothing found?
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The records, newest first, one at a time: lines of the merged days without their newlines, byte for byte.
    pub fn lines(&self) -> impl Iterator<Item = Result<Vec<u8>, SearchError>> + '_ {
        self.places.iter().map(|place| self.line(place))
    }

    /// All of [`Found::lines`] at once.
    ///
    /// # Errors
    /// Theirs, and [`SearchError::AnswerTooLong`] beyond [`ANSWER_BYTES_MAX`].
    pub fn all_lines(&self) -> Result<Vec<Vec<u8>>, SearchError> {
        let total: u64 = self
            .places
            .iter()
            .map(|place| place.len_bytes)
            .fold(0, u64::saturating_add);
        if total > ANSWER_BYTES_MAX as u64 {
            return Err(SearchError::AnswerTooLong);
        }
        self.lines().collect()
    }

    fn line(&self, place: &Place) -> Result<Vec<u8>, SearchError> {
        let changed = SearchError::Changed { day: place.day };
        let Some(day) = self.days.get(&place.day) else {
            return Err(changed);
        };
        let mut line = Vec::new();
        day.read_at(place.offset_bytes, place.len_bytes + 1, &mut line)?;
        let whole = line.pop() == Some(b'\n')
            && line.len() as u64 == place.len_bytes
            && line.first() == Some(&b'{');
        if whole { Ok(line) } else { Err(changed) }
    }
}
