//! A day in strict order of time, for people: the published bytes of the day, line by line in another order.
//!
//! A day file keeps the order of publication, so a late record stands at its end. Here it stands where it belongs, and so
//! the file changes in its middle as the day grows: it is not for shipping. Lines of one time keep their order of
//! publication; a line without a time stays behind its predecessor.

use std::sync::Arc;

use crate::disk::DiskError;
use crate::event::EventTime;
use crate::format::read_line;

use super::day::DayFile;

/// Bytes of the day read at a time.
const STEP_BYTES: u64 = 1 << 20;
/// Lines that are sorted at most; 24 bytes each while they are.
const LINES_MAX: usize = 8 << 20;

/// See the module text. A snapshot: the length of the day when it was made.
#[derive(Debug)]
pub struct DayByTime {
    day: Arc<DayFile>,
    /// Stretches of the day in order of time: where each begins here, and where in the day. Neighbours in both are one.
    stretches: Vec<Stretch>,
    len_bytes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Stretch {
    first: u64,
    day_offset: u64,
}

impl DayByTime {
    /// Sorts what is published of the day.
    ///
    /// # Errors
    /// Of the share; for a day of more than eight million lines.
    pub fn sort(day: Arc<DayFile>) -> Result<Self, DiskError> {
        let mut lines: Vec<(EventTime, u64, u32)> = Vec::new();
        let (mut offset, mut rest, mut block) = (0, Vec::new(), Vec::new());
        let mut time = EventTime::from_ns(i64::MIN);
        let mut line_offset = 0;
        loop {
            block.clear();
            day.read_at(offset, STEP_BYTES, &mut block)?;
            if block.is_empty() {
                break;
            }
            offset += block.len() as u64;
            rest.extend_from_slice(&block);
            let whole = memchr::memrchr(b'\n', &rest).map_or(0, |at| at + 1);
            for line in rest
                .get(..whole)
                .unwrap_or(&[])
                .split_inclusive(|byte| *byte == b'\n')
            {
                if lines.len() == LINES_MAX {
                    let many =
                        std::io::Error::other("too many lines to sort; read events/ instead");
                    return Err(DiskError::io(&format!("{}.jsonl by time", day.day()), many));
                }
                time = read_line(line.strip_suffix(b"\n").unwrap_or(line))
                    .time
                    .unwrap_or(time);
                lines.push((
                    time,
                    line_offset,
                    u32::try_from(line.len()).unwrap_or(u32::MAX),
                ));
                line_offset += line.len() as u64;
            }
            rest.drain(..whole);
        }
        // Stable, so lines of one time stay as they were published.
        lines.sort_by_key(|line| line.0);
        let (mut stretches, mut first, mut expected) = (Vec::new(), 0, None);
        for (_, day_offset, len) in lines {
            if expected != Some(day_offset) {
                stretches.push(Stretch { first, day_offset });
            }
            first += u64::from(len);
            expected = Some(day_offset + u64::from(len));
        }
        Ok(DayByTime {
            day,
            stretches,
            len_bytes: first,
        })
    }

    /// Bytes.
    pub fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    /// Appends up to `len` bytes from `offset` on to `out`; fewer mean the end.
    ///
    /// # Errors
    /// Of the share.
    pub fn read_at(&self, offset: u64, len: u64, out: &mut Vec<u8>) -> Result<(), DiskError> {
        let end = offset.saturating_add(len).min(self.len_bytes);
        let mut at = offset;
        let mut number = self
            .stretches
            .partition_point(|stretch| stretch.first <= offset)
            .saturating_sub(1);
        while at < end {
            let Some(stretch) = self.stretches.get(number) else {
                break;
            };
            let next = self
                .stretches
                .get(number + 1)
                .map_or(self.len_bytes, |next| next.first);
            let count = next.min(end) - at;
            self.day
                .read_at(stretch.day_offset + (at - stretch.first), count, out)?;
            at += count;
            number += 1;
        }
        Ok(())
    }
}
