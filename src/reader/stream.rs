//! The merged terminal stream of a session: an interval map over its chunks files, read as one file.

use std::ops::Range;
use std::sync::Arc;

use crate::disk::{Contents, DiskError};
use crate::merge::{Layout, Piece, lay_out};

/// Bytes of two copies compared at a time.
const COMPARE_BYTES: u64 = 256 << 10;
/// Conflicts that are named one by one.
const CONFLICTS_MAX: usize = 1000;

/// One chunks file of a session.
#[derive(Clone, Debug)]
pub struct ChunksFile {
    /// Its bytes.
    pub contents: Arc<Contents>,
    /// Byte offset of the stream at which it begins; each gzip member begins there again (FORMAT 3).
    pub offset: u64,
    /// Whose file it is.
    pub server: Arc<str>,
    /// Its name.
    pub file: Arc<str>,
    /// Ranges of the stream that print events of the same server cover; asked for only where copies overlap.
    pub covered: Vec<Range<u64>>,
}

/// Bytes of the stream of which two copies differ.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Conflict {
    /// The differing bytes.
    pub range: Range<u64>,
    /// Server and file of the bytes that are shown.
    pub shown: (Arc<str>, Arc<str>),
    /// Server and file of the bytes that are not.
    pub hidden: (Arc<str>, Arc<str>),
}

/// See the module text.
#[derive(Debug)]
pub struct Stream {
    files: Vec<ChunksFile>,
    layout: Layout,
    pieces: Vec<Piece>,
    len_bytes: u64,
}

impl Stream {
    /// Whether any two copies hold the same byte, so that it matters what print events cover.
    pub fn overlaps(files: &[ChunksFile]) -> bool {
        !lay_out(&pieces_of(files, false)).overlaps.is_empty()
    }

    /// Lays the files out, which are in (server ID, file name) order. The stream ends at its first hole: the session may
    /// still grow.
    pub fn lay_out(files: Vec<ChunksFile>) -> Self {
        let pieces = pieces_of(&files, files.iter().any(|file| !file.covered.is_empty()));
        let layout = lay_out(&pieces);
        let len_bytes = layout.first_gap();
        Stream {
            files,
            layout,
            pieces,
            len_bytes,
        }
    }

    /// The same stream with what lies beyond its holes: the session has ended.
    pub fn with_everything(mut self) -> Self {
        self.len_bytes = self.layout.end();
        self
    }

    /// Bytes that are shown.
    pub fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    /// Bytes that are missing, in ranges.
    pub fn gaps(&self) -> &[Range<u64>] {
        &self.layout.gaps
    }

    /// Bytes that are shown and no hole, in ranges.
    pub fn known_ranges(&self) -> Vec<Range<u64>> {
        let mut ranges = Vec::new();
        let mut at = 0;
        let end = self.len_bytes..self.len_bytes;
        for gap in self.layout.gaps.iter().chain([&end]) {
            let range = at..gap.start.min(self.len_bytes);
            if !range.is_empty() {
                ranges.push(range);
            }
            at = gap.end;
        }
        ranges
    }

    /// One past the last byte that any server has, shown or not.
    pub fn end(&self) -> u64 {
        self.layout.end()
    }

    /// Whether it is one plain stretch of one file, or of several.
    pub fn pieces_count(&self) -> usize {
        self.layout.extents.len()
    }

    /// Bytes that more than one copy has.
    pub fn doubled_bytes(&self) -> u64 {
        self.layout
            .overlaps
            .iter()
            .map(|overlap| overlap.range.end - overlap.range.start)
            .sum()
    }

    /// What it holds in memory.
    pub fn cost_bytes(&self) -> usize {
        self.files.len() * (size_of::<ChunksFile>() + 160)
            + self
                .files
                .iter()
                .map(|file| file.covered.len() * size_of::<Range<u64>>())
                .sum::<usize>()
            + self.pieces.len() * size_of::<Piece>()
            + self.layout.extents.len() * 32
            + (self.layout.gaps.len() + self.layout.overlaps.len() * 4) * 16
    }

    /// Appends up to `len` bytes from `offset` on to `out`; fewer mean the end. A hole reads as zeros.
    ///
    /// # Errors
    /// Of the share.
    pub fn read_at(&self, offset: u64, len: u64, out: &mut Vec<u8>) -> Result<(), DiskError> {
        self.read_known(offset, len.min(self.len_bytes.saturating_sub(offset)), out)
    }

    /// The same with what is held back behind a hole while the session may still grow: bytes up to [`Stream::end`].
    ///
    /// # Errors
    /// Of the share.
    pub fn read_known(&self, offset: u64, len: u64, out: &mut Vec<u8>) -> Result<(), DiskError> {
        let end = offset.saturating_add(len).min(self.end());
        let mut at = offset;
        for extent in self.layout.extents_from(offset) {
            if at >= end || extent.offset >= end {
                break;
            }
            if extent.offset > at {
                out.resize(out.len() + (extent.offset - at) as usize, 0);
                at = extent.offset;
            }
            let stop = extent.end().min(end);
            let Some(file) = self.files.get(extent.source) else {
                break;
            };
            let start = out.len();
            let wanted = (stop - at) as usize;
            out.resize(start + wanted, 0);
            let from = extent.source_offset + (at - extent.offset);
            let got = out
                .get_mut(start..)
                .map_or(Ok(0), |buf| file.contents.read_at(buf, from))?;
            if got < wanted {
                let gone = std::io::Error::new(
                    std::io::ErrorKind::UnexpectedEof,
                    "the file is shorter than it was",
                );
                return Err(DiskError::io(file.contents.path(), gone));
            }
            at = stop;
        }
        Ok(())
    }

    /// The first offset at or behind `offset` that is data; `None` behind the last.
    pub fn seek_data(&self, offset: u64) -> Option<u64> {
        let extent = self.layout.extents_from(offset).first()?;
        Some(extent.offset.max(offset)).filter(|at| *at < self.len_bytes)
    }

    /// The first offset at or behind `offset` that is in a hole; the end counts as one. `None` behind the end.
    pub fn seek_hole(&self, offset: u64) -> Option<u64> {
        if offset >= self.len_bytes {
            return None;
        }
        let gap = self.layout.gaps.iter().find(|gap| gap.end > offset);
        Some(
            gap.map_or(self.len_bytes, |gap| gap.start.max(offset))
                .min(self.len_bytes),
        )
    }

    /// Compares all copies of the same bytes; gives where they differ, and how many places there are in all.
    ///
    /// # Errors
    /// Of the share.
    pub fn conflicts(&self) -> Result<(Vec<Conflict>, u64), DiskError> {
        let (mut found, mut count) = (Vec::new(), 0_u64);
        for overlap in &self.layout.overlaps {
            let pieces: Vec<&Piece> = overlap
                .pieces
                .iter()
                .filter_map(|n| self.pieces.get(*n))
                .collect();
            let Some((shown, hidden)) = pieces.split_first() else {
                continue;
            };
            for other in hidden {
                let Some(range) = self.first_difference(shown, other, &overlap.range)? else {
                    continue;
                };
                count += 1;
                if found.len() < CONFLICTS_MAX {
                    let name = |piece: &Piece| {
                        let file = self.files.get(piece.source);
                        file.map_or_else(
                            || ("".into(), "".into()),
                            |f| (f.server.clone(), f.file.clone()),
                        )
                    };
                    found.push(Conflict {
                        range,
                        shown: name(shown),
                        hidden: name(other),
                    });
                }
            }
        }
        Ok((found, count))
    }

    /// From the first differing byte to the last, if the pieces differ in this range.
    fn first_difference(
        &self,
        a: &Piece,
        b: &Piece,
        range: &Range<u64>,
    ) -> Result<Option<Range<u64>>, DiskError> {
        let mut differs: Option<Range<u64>> = None;
        let mut at = range.start;
        while at < range.end {
            let len = (range.end - at).min(COMPARE_BYTES) as usize;
            let (left, right) = (self.piece_bytes(a, at, len)?, self.piece_bytes(b, at, len)?);
            if left != right {
                let unequal = |n: &usize| left.get(*n) != right.get(*n);
                let first = (0..len).find(unequal).unwrap_or(0) as u64;
                let last = (0..len).rev().find(unequal).unwrap_or(0) as u64;
                let start = differs.map_or(at + first, |before| before.start);
                differs = Some(start..at + last + 1);
            }
            at += len as u64;
        }
        Ok(differs)
    }

    fn piece_bytes(&self, piece: &Piece, at: u64, len: usize) -> Result<Vec<u8>, DiskError> {
        let mut bytes = vec![0; len];
        if let Some(file) = self.files.get(piece.source) {
            let got = file
                .contents
                .read_at(&mut bytes, piece.source_offset + (at - piece.offset))?;
            bytes.truncate(got);
        }
        Ok(bytes)
    }
}

/// Every member of every file as a piece; where it matters, cut at the borders of what print events cover.
fn pieces_of(files: &[ChunksFile], ranked: bool) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (source, file) in files.iter().enumerate() {
        let len = file.contents.len_bytes();
        let members = file.contents.members();
        let ends = members
            .iter()
            .skip(1)
            .map(|member| member.offset)
            .chain([len]);
        for (member, end) in members.iter().zip(ends) {
            let whole = Piece {
                source,
                source_offset: member.offset,
                offset: file.offset,
                len: end.saturating_sub(member.offset),
                rank: 1,
            };
            if ranked {
                cut_at_cover(whole, &file.covered, &mut pieces)
            } else {
                pieces.push(whole)
            }
        }
    }
    if ranked {
        pieces.retain(|piece| !was_left_behind(piece, files));
    }
    pieces
}

/// A server died before the print event of its last bytes, and another went on where its print events end. The bytes were
/// never acknowledged; what the other has there is the stream.
fn was_left_behind(piece: &Piece, files: &[ChunksFile]) -> bool {
    let Some(own) = files.get(piece.source).filter(|_| piece.rank == 1) else {
        return false;
    };
    let went_on = |other: &ChunksFile| {
        let covers = |range: &Range<u64>| range.contains(&piece.offset);
        other.server != own.server
            && other.offset == piece.offset
            && other.covered.iter().any(covers)
    };
    // Of a copy whose print events are gone altogether every byte counts.
    !own.covered.is_empty() && files.iter().any(went_on)
}

fn cut_at_cover(piece: Piece, covered: &[Range<u64>], pieces: &mut Vec<Piece>) {
    let mut at = piece.offset;
    let mut push = |from: u64, to: u64, rank: u8| {
        if from < to {
            let source_offset = piece.source_offset + (from - piece.offset);
            pieces.push(Piece {
                source_offset,
                offset: from,
                len: to - from,
                rank,
                ..piece
            });
        }
    };
    for range in covered
        .iter()
        .filter(|range| range.end > piece.offset && range.start < piece.end())
    {
        let (from, to) = (range.start.max(at), range.end.min(piece.end()));
        push(at, from, 1);
        push(from, to, 0);
        at = to.max(at);
    }
    push(at, piece.end(), 1);
}
