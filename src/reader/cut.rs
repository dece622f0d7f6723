//! Which dates the bytes of a daily log belong to.
//!
//! Up to Teleport 3.1.5 a daily log is named by rounding to the nearest midnight, so the file of a date begins at noon
//! of the day before (FORMAT 2). Such a file is known by its first record, which lies before the name's date; it is cut
//! at midnight, found by bisection on time, and its halves go to their dates (DESIGN 4.4).

use crate::disk::{Contents, DailyFile, DiskError};
use crate::event::{Day, EventTime};
use crate::format::{MAX_LINE_BYTES, read_line};

use super::lines::{LineEnd, each_line};

/// Below this the bisection ends and the lines are read one by one.
const WINDOW_BYTES: u64 = 64 << 10;
/// How far a line with a readable time is looked for.
const SEARCH_BYTES: u64 = MAX_LINE_BYTES as u64 * 2;

/// The whole lines of a daily log, and where midnight cuts them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Cut {
    /// Bytes that belong to the day before the name's date.
    pub midnight: u64,
    /// Bytes in whole lines.
    pub whole: u64,
}

impl Cut {
    /// The byte ranges of a file named for `day`, with the dates they belong to.
    pub fn parts(&self, day: Day) -> [(Day, u64, u64); 2] {
        [
            (day.previous(), 0, self.midnight),
            (day, self.midnight, self.whole),
        ]
    }
}

/// The bytes of a daily log that belong to `day`.
///
/// # Errors
/// Of the share.
pub fn own_range(contents: &Contents, file: &DailyFile, day: Day) -> Result<(u64, u64), DiskError> {
    let parts = cut(contents, file.named_day)?.parts(file.named_day);
    let own = parts.into_iter().find(|(of, ..)| *of == day);
    Ok(own.map_or((0, 0), |(_, first, next)| (first, next)))
}

/// Where the file's last whole line ends.
///
/// # Errors
/// Of the share.
pub fn whole_lines(contents: &Contents) -> Result<u64, DiskError> {
    let mut end = contents.len_bytes();
    let mut block = vec![0_u8; 64 << 10];
    while end > 0 {
        let first = end.saturating_sub(block.len() as u64);
        let wanted = (end - first) as usize;
        let got = block
            .get_mut(..wanted)
            .map_or(Ok(0), |buf| contents.read_at(buf, first))?;
        if let Some(newline) = block
            .get(..got)
            .and_then(|bytes| memchr::memrchr(b'\n', bytes))
        {
            return Ok(first + newline as u64 + 1);
        }
        end = first;
    }
    Ok(0)
}

/// Cuts a daily log that is named for `day`.
///
/// # Errors
/// Of the share.
pub fn cut(contents: &Contents, day: Day) -> Result<Cut, DiskError> {
    let whole = whole_lines(contents)?;
    let midnight = day.start();
    let early = first_time(contents, 0, whole)?.is_some_and(|(time, _)| time < midnight);
    let midnight = if early {
        first_from(contents, midnight, whole)?
    } else {
        0
    };
    Ok(Cut { midnight, whole })
}

/// The first line at or behind `from` (which begins a line) that has a time: the time, and where the line begins.
fn first_time(
    contents: &Contents,
    from: u64,
    whole: u64,
) -> Result<Option<(EventTime, u64)>, DiskError> {
    let mut found = None;
    each_line(
        contents,
        from,
        whole.min(from.saturating_add(SEARCH_BYTES)),
        |line| {
            found = read_line(line.bytes).time.map(|time| (time, line.offset));
            found.is_none() && line.end == LineEnd::Newline
        },
    )?;
    Ok(found)
}

/// Where the first line that is not before `midnight` begins; `whole` where there is none.
fn first_from(contents: &Contents, midnight: EventTime, whole: u64) -> Result<u64, DiskError> {
    let (mut before, mut after) = (0_u64, whole);
    while after - before > WINDOW_BYTES {
        let middle = before + (after - before) / 2;
        let Some(start) = line_start(contents, middle, after)? else {
            break;
        };
        match first_time(contents, start, after)? {
            Some((time, at)) if time < midnight => before = at.max(before + 1),
            Some(_) => after = middle,
            None => after = middle,
        }
    }
    // Lines are out of order by seconds, so the answer may lie a little before or behind where the bisection ended.
    let from = match before.checked_sub(WINDOW_BYTES) {
        Some(back) => line_start(contents, back, whole)?.unwrap_or(whole),
        None => 0,
    };
    let mut found = whole;
    each_line(contents, from, whole, |line| {
        if read_line(line.bytes)
            .time
            .is_some_and(|time| time >= midnight)
        {
            found = line.offset;
        }
        found == whole
    })?;
    Ok(found)
}

/// The start of the first line behind `at`.
fn line_start(contents: &Contents, at: u64, end: u64) -> Result<Option<u64>, DiskError> {
    let mut start = None;
    each_line(contents, at, end, |line| {
        start = (line.end == LineEnd::Newline).then_some(line.offset + line.len);
        false
    })?;
    Ok(start.filter(|start| *start < end))
}
