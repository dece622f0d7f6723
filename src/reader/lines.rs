//! Lines of a data file, read in blocks, with a bound on how long a line may be.

use crate::disk::{AlignedBuf, Contents, DiskError};
use crate::format::{DailyLine, MAX_LINE_BYTES, read_line, read_lines};

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
    let mut blocks = Blocks::new(first, next);
    while blocks.fill(contents)? {
        let mut used = 0;
        for newline in memchr::memchr_iter(b'\n', blocks.filled()) {
            let bytes = blocks.filled().get(used..newline).unwrap_or(&[]);
            if !each(blocks.line(bytes, used)) {
                return Ok(());
            }
            used = newline + 1;
        }
        if let Some(rest) = blocks.rest(used) {
            if !each(rest) {
                return Ok(());
            }
            used = blocks.filled;
        }
        blocks.use_up(used);
    }
    Ok(())
}

/// The same for a daily log, with what each line says: many at a time are faster than one by one.
///
/// # Errors
/// As [`each_line`].
pub fn each_daily_line(
    contents: &Contents,
    first: u64,
    next: u64,
    mut each: impl FnMut(Line<'_>, DailyLine) -> bool,
) -> Result<(), DiskError> {
    let mut blocks = Blocks::new(first, next);
    while blocks.fill(contents)? {
        let (mut used, mut go_on) = (0, true);
        read_lines(blocks.filled(), |bytes, read| {
            go_on = each(blocks.line(bytes, used), read);
            used += bytes.len() + 1;
            go_on
        });
        if let Some(rest) = blocks.rest(used).filter(|_| go_on) {
            go_on = each(rest, read_line(rest.bytes));
            used = blocks.filled;
        }
        if !go_on {
            return Ok(());
        }
        blocks.use_up(used);
    }
    Ok(())
}

/// A range of a file, block by block; what is left of one goes to the front of the next.
struct Blocks {
    buf: AlignedBuf,
    filled: usize,
    /// Where in the file the block begins.
    offset: u64,
    read_to: u64,
    next: u64,
    at_end: bool,
}

impl Blocks {
    fn new(first: u64, next: u64) -> Self {
        Blocks {
            buf: AlignedBuf::default(),
            filled: 0,
            offset: first,
            read_to: first,
            next,
            at_end: false,
        }
    }

    /// Reads on; `false` when the range has been read and its rest been given.
    fn fill(&mut self, contents: &Contents) -> Result<bool, DiskError> {
        if self.at_end {
            return Ok(false);
        }
        let left = usize::try_from(self.next.saturating_sub(self.read_to)).unwrap_or(usize::MAX);
        // Grow only while a line needs it: a block holds one line of the longest kind at most.
        let room = BLOCK_BYTES
            .max(self.filled + BLOCK_BYTES / 2)
            .min(MAX_LINE_BYTES + BLOCK_BYTES);
        self.buf.grow(room);
        let block = self.buf.get_mut();
        let wanted = (block.len() - self.filled).min(left);
        let got = block
            .get_mut(self.filled..self.filled + wanted)
            .map_or(Ok(0), |room| contents.read_at(room, self.read_to))?;
        self.filled += got;
        self.read_to += got as u64;
        self.at_end = got == 0;
        Ok(true)
    }

    fn filled(&self) -> &[u8] {
        self.buf.get().get(..self.filled).unwrap_or(&[])
    }

    /// The whole line that begins at `at` of the block.
    fn line<'a>(&self, bytes: &'a [u8], at: usize) -> Line<'a> {
        Line {
            bytes,
            offset: self.offset + at as u64,
            len: bytes.len() as u64 + 1,
            end: LineEnd::Newline,
        }
    }

    /// What is behind the whole lines, which end at `used`, if it is not to wait for more.
    fn rest(&self, used: usize) -> Option<Line<'_>> {
        let bytes = self.filled().get(used..).filter(|rest| !rest.is_empty())?;
        let end = if bytes.len() > MAX_LINE_BYTES {
            LineEnd::TooLong
        } else {
            LineEnd::Torn
        };
        (self.at_end || end == LineEnd::TooLong).then_some(Line {
            bytes,
            offset: self.offset + used as u64,
            len: bytes.len() as u64,
            end,
        })
    }

    fn use_up(&mut self, used: usize) {
        self.buf.get_mut().copy_within(used..self.filled, 0);
        self.filled -= used;
        self.offset += used as u64;
    }
}
