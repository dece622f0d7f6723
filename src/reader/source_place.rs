//! How far a source is published: the mark that the spool keeps, and whether a file still agrees with it.

use crate::disk::{Contents, DiskError};
use crate::event::EventTime;
use crate::format::read_line;
use crate::spool::{DaySpool, SourceMark, TailHash};

use super::day_range::DayRange;
use super::intake::Advance;
use super::lines::each_line;

/// How far back the last line with a time is looked for.
const TIME_BYTES: u64 = 256 << 10;

/// The mark of a source that is published up to `next`.
///
/// # Errors
/// Of the share.
pub fn mark(
    range: &DayRange,
    contents: &Contents,
    generation: u32,
    first: u64,
    next: u64,
    time: Option<EventTime>,
) -> Result<SourceMark, DiskError> {
    Ok(SourceMark {
        origin: range.file.origin.as_str().to_owned(),
        file: range.file.name.clone(),
        generation,
        first,
        next,
        tail: tail_hash(contents, next)?,
        identity: range.stat.identity,
        time,
    })
}

/// Whether the file still holds what was published of it, as far as the hash tells.
///
/// # Errors
/// Of the share.
pub fn still_fits(contents: &Contents, mark: &SourceMark) -> Result<bool, DiskError> {
    Ok(contents.len_bytes() >= mark.next && tail_hash(contents, mark.next)? == mark.tail)
}

/// The hash of what lies before `next`.
///
/// # Errors
/// Of the share.
pub fn tail_hash(contents: &Contents, next: u64) -> Result<TailHash, DiskError> {
    let first = next.saturating_sub(TailHash::MAX_BYTES as u64);
    let mut bytes = vec![0; usize::try_from(next - first).unwrap_or(0)];
    let got = contents.read_at(&mut bytes, first)?;
    bytes.truncate(got);
    Ok(TailHash::of(&bytes))
}

/// Time of the last line before `next` that has one.
///
/// # Errors
/// Of the share.
pub fn last_time(
    contents: &Contents,
    first: u64,
    next: u64,
) -> Result<Option<EventTime>, DiskError> {
    let mut time = None;
    each_line(
        contents,
        first.max(next.saturating_sub(TIME_BYTES)),
        next,
        |line| {
            time = read_line(line.bytes).time.or(time);
            true
        },
    )?;
    Ok(time)
}

/// The marks behind a batch that takes its sources this far.
///
/// # Errors
/// Of the share.
pub fn marks_of(advances: Vec<Advance>, spool: &DaySpool) -> Result<Vec<SourceMark>, DiskError> {
    let mut marks = Vec::new();
    for advance in advances {
        let contents = &advance.source.contents;
        let (origin, file) = (&*advance.source.server, &*advance.source.file);
        let known = spool
            .mark(origin, file)
            .filter(|mark| mark.generation == advance.generation);
        marks.push(SourceMark {
            origin: origin.to_owned(),
            file: file.to_owned(),
            generation: advance.generation,
            first: known.map_or(advance.source.first, |mark| mark.first),
            next: advance.next,
            tail: tail_hash(contents, advance.next)?,
            identity: contents.stat().identity,
            time: advance.time,
        });
    }
    Ok(marks)
}
