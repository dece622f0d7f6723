//! Lines of a data file, read in blocks, with a bound on how long a line may be.

use crate::disk::{AlignedBuf, Contents, DiskError};
use crate::format::MAX_LINE_BYTES;

/// Fits the second-level cache together with what the scan of its lines touches.
const BLOCK_BYTES: usize = 128 << 10;

/// One line of a data file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Line<'a> {
    /// Its bytes, without the newline.
    pub bytes: &'a [u8],
    /// Where it begins in the file.
    pub offset: u64,
    /// Bytes it takes in the file, the newline included where it has one.
    pub len: u64,
    /// How it ends.
    pub end: LineEnd,
}

/// How a line ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LineEnd {
    /// With a newline.
    Newline,
    /// With the range that was read: torn, or still being written.
    Torn,
    /// It is longer than any record: this is a part of it.
    TooLong,
}

/// Calls `each` for the lines of `contents` between the byte offsets `first` and `next`, until it says stop.
///
/// # Errors
/// Of the share. Lines before the failure have been given.
pub fn each_line(
    contents: &Contents,
    first: u64,
    next: u64,
    mut each: impl FnMut(Line<'_>) -> bool,
) -> Result<(), DiskError> {
    let mut buf = AlignedBuf::default();
    let mut filled = 0_usize;
    let mut offset = first;
    let mut read_to = first;
    loop {
        let left = usize::try_from(next.saturating_sub(read_to)).unwrap_or(usize::MAX);
        // Grow only while a line needs it: a block holds one line of the longest kind at most.
        let room = BLOCK_BYTES
            .max(filled + BLOCK_BYTES / 2)
            .min(MAX_LINE_BYTES + BLOCK_BYTES);
        buf.grow(room);
        let block = buf.get_mut();
        let wanted = (block.len() - filled).min(left);
        let got = block
            .get_mut(filled..filled + wanted)
            .map_or(Ok(0), |room| contents.read_at(room, read_to))?;
        filled += got;
        read_to += got as u64;
        let at_end = got == 0;
        let mut used = 0_usize;
        for newline in memchr::memchr_iter(b'\n', block.get(..filled).unwrap_or(&[])) {
            let bytes = block.get(used..newline).unwrap_or(&[]);
            let len = bytes.len() as u64 + 1;
            if !each(Line {
                bytes,
                offset,
                len,
                end: LineEnd::Newline,
            }) {
                return Ok(());
            }
            offset += len;
            used = newline + 1;
        }
        let rest = filled - used;
        let end = if rest > MAX_LINE_BYTES {
            LineEnd::TooLong
        } else {
            LineEnd::Torn
        };
        if rest > 0 && (at_end || end == LineEnd::TooLong) {
            let bytes = block.get(used..filled).unwrap_or(&[]);
            if !each(Line {
                bytes,
                offset,
                len: rest as u64,
                end,
            }) {
                return Ok(());
            }
            offset += rest as u64;
            used = filled;
        }
        block.copy_within(used..filled, 0);
        filled -= used;
        if at_end {
            return Ok(());
        }
    }
}
