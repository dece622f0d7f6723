//! Which bytes of which daily log belong to which date, and which dates still live.

use std::collections::{BTreeMap, HashMap};

use crate::disk::{DailyFile, FileStat};
use crate::event::Day;

use super::cut::Cut;
use super::intake::BatchTime;

/// A day is expected to grow until this long after its end, nanoseconds: servers' clocks differ, writers flush late.
const LIVE_AFTER_NS: i64 = 3600 * 1_000_000_000;
/// A torn last line is shown once its day has been over for this long, nanoseconds.
const TORN_AFTER_NS: i64 = 24 * LIVE_AFTER_NS;

/// The part of a daily log that belongs to a day.
#[derive(Clone, Debug)]
pub struct DayRange {
    /// The daily log.
    pub file: DailyFile,
    /// Its attributes when it was measured.
    pub stat: FileStat,
    /// First byte, and one past the last whole line; `None` for a packed log that nobody has looked at yet.
    pub range: Option<(u64, u64)>,
}

/// What was learnt of a daily log.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Its attributes then.
    pub stat: FileStat,
    /// How it is cut; `None` for a packed log that nobody has looked at yet.
    pub cut: Option<Cut>,
}

impl DayRange {
    /// Server ID and file name.
    pub fn source(&self) -> (String, String) {
        (self.file.origin.as_str().to_owned(), self.file.name.clone())
    }

    /// As much of it as was shown before; nothing if it was not there then.
    pub fn cut_to(&self, shown: &HashMap<(String, String), (u64, u64)>) -> Option<DayRange> {
        let Some((first, next)) = self.range else {
            // A packed log that nobody has looked at: as it is.
            return Some(self.clone());
        };
        let (_, was) = shown.get(&self.source())?;
        Some(DayRange {
            range: Some((first, next.min(*was))),
            ..self.clone()
        })
    }

    /// Where a follower goes on: behind what the first sight of the day took in.
    pub fn followed_from(&self, torn_too: bool) -> u64 {
        if torn_too { self.stat.size } else { end(self) }
    }
}

/// One past the last byte of the day.
pub fn end(range: &DayRange) -> u64 {
    range.range.map_or(0, |(_, next)| next)
}

/// The newest modification of any source, nanoseconds since 1970.
pub fn newest(ranges: &[DayRange]) -> i64 {
    ranges
        .iter()
        .map(|range| range.stat.mtime_ns)
        .max()
        .unwrap_or(0)
}

/// Whether nothing more is expected of the day, not even the rest of a torn line.
pub fn is_long_over(day: Day, at: BatchTime) -> bool {
    day.next().start().as_ns().saturating_add(TORN_AFTER_NS) < at.now_ns
}

/// Whether the day is expected to grow.
pub fn is_live(day: Day, at: BatchTime) -> bool {
    day.next().start().as_ns().saturating_add(LIVE_AFTER_NS) > at.now_ns
}

/// The dates that a file's bytes belong to. An empty stretch makes no day.
pub fn add_ranges(
    ranges: &mut BTreeMap<Day, Vec<DayRange>>,
    file: &DailyFile,
    measured: Measured,
    is_published: impl Fn(Day) -> bool,
) {
    let mut add = |day: Day, range: Option<(u64, u64)>| {
        ranges.entry(day).or_default().push(DayRange {
            file: file.clone(),
            stat: measured.stat,
            range,
        });
    };
    match measured.cut {
        None => add(file.named_day, None),
        Some(cut) => {
            for (day, first, next) in cut.parts(file.named_day) {
                // A log that was emptied after its publication must not pass for one that never was.
                if first < next || (cut.whole == 0 && day == file.named_day && is_published(day)) {
                    add(day, Some((first, next)));
                }
            }
        }
    }
}

/// While a tool packs a log, the log and its packed copy lie side by side: the log counts.
pub fn without_doubles(files: Vec<DailyFile>) -> Vec<DailyFile> {
    let plain: std::collections::HashSet<String> = files
        .iter()
        .filter(|f| !f.gz)
        .map(|f| f.path.clone())
        .collect();
    let doubled = |file: &DailyFile| {
        file.gz
            && file
                .path
                .strip_suffix(".gz")
                .is_some_and(|path| plain.contains(path))
    };
    files.into_iter().filter(|file| !doubled(file)).collect()
}
