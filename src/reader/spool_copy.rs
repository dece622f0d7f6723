//! Whole days into the spool, and whole days out of it.

use std::collections::HashSet;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::disk::DiskError;
use crate::spool::{BatchFacts, DayBytes, DaySpool, SourceMark};

use super::planned_day::PlannedDay;
use super::publish_error::PublishError;

/// Bytes copied at a time.
const STEP_BYTES: u64 = 1 << 20;

/// Hashes of all published lines, newlines included: what a changed source repeats is not published again.
///
/// # Errors
/// Of the local disk.
pub fn published_lines(day: &DayBytes) -> Result<Arc<HashSet<u64>>, DiskError> {
    let mut lines = HashSet::new();
    let (mut offset, mut block, mut rest) = (0, Vec::new(), Vec::new());
    loop {
        block.clear();
        let read = day.read_at(offset, STEP_BYTES, &mut block);
        read.map_err(|error| DiskError::io("the spool", error))?;
        if block.is_empty() {
            return Ok(Arc::new(lines));
        }
        offset += block.len() as u64;
        rest.extend_from_slice(&block);
        let whole = memchr::memrchr(b'\n', &rest).map_or(0, |at| at + 1);
        lines.extend(
            rest.get(..whole)
                .unwrap_or(&[])
                .split_inclusive(|b| *b == b'\n')
                .map(xxh3_64),
        );
        rest.drain(..whole);
    }
}

/// Copies what is visible of a planned day as one batch.
///
/// # Errors
/// Of the share or the spool.
pub fn copy_planned(
    planned: &Arc<PlannedDay>,
    day: &mut DaySpool,
    marks: &[SourceMark],
    facts: BatchFacts,
) -> Result<(), PublishError> {
    let mut batch = day.batch()?;
    let (mut offset, len) = (0, planned.len_bytes()?);
    while offset < len {
        let mut bytes = Vec::new();
        planned.read_at(offset, STEP_BYTES.min(len - offset), &mut bytes)?;
        if bytes.is_empty() {
            let short = std::io::Error::new(
                std::io::ErrorKind::UnexpectedEof,
                "a daily log is shorter than it was",
            );
            return Err(DiskError::io("the day", short).into());
        }
        batch.write(&bytes)?;
        offset += bytes.len() as u64;
    }
    Ok(batch.publish(marks, facts)?)
}
