//! The interval map of a stream: which chunks file gives each byte, where bytes are missing, where copies overlap.
//!
//! Every chunks file (every gzip member of one) is a [`Piece`] at a byte offset of the stream. Where several pieces
//! hold the same byte, the lowest rank wins, then the lowest number: ranks say whether print events cover the
//! piece, numbers follow (server ID, file name) (DESIGN 3).

use std::collections::BTreeSet;
use std::ops::Range;

/// Contenders remembered for one overlap; more copies of one byte than this are not compared with each other.
const CONTENDERS_MAX: usize = 8;

/// A contiguous part of the stream that one source holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Piece {
    /// Number of the source, in (server ID, file name) order.
    pub source: usize,
    /// First byte in the source.
    pub source_offset: u64,
    /// First byte in the stream.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
    /// Lower wins: 0 for bytes that print events cover, 1 for others.
    pub rank: u8,
}

impl Piece {
    /// One past the last byte in the stream.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.len)
    }
}

/// A stretch of the stream and the piece that gives it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Extent {
    /// First byte in the stream.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
    /// Number of the source.
    pub source: usize,
    /// First byte in the source.
    pub source_offset: u64,
}

impl Extent {
    /// One past the last byte in the stream.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.len)
    }
}

/// A stretch that several pieces hold: numbers into the pieces given, the shown one first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Overlap {
    /// Bytes of the stream.
    pub range: Range<u64>,
    /// Numbers of the pieces.
    pub pieces: Vec<usize>,
}

/// A stream laid out.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Layout {
    /// In stream order, not touching each other twice; holes lie between.
    pub extents: Vec<Extent>,
    /// Missing ranges, the one before the first byte included.
    pub gaps: Vec<Range<u64>>,
    /// Ranges that more than one piece holds.
    pub overlaps: Vec<Overlap>,
}

impl Layout {
    /// One past the last byte that any piece gives.
    pub fn end(&self) -> u64 {
        self.extents.last().map_or(0, Extent::end)
    }

    /// Where the first hole begins; the end where there is none.
    pub fn first_gap(&self) -> u64 {
        self.gaps.first().map_or(self.end(), |gap| gap.start)
    }

    /// The extents from the first that ends behind `offset` on.
    pub fn extents_from(&self, offset: u64) -> &[Extent] {
        let first = self
            .extents
            .partition_point(|extent| extent.end() <= offset);
        self.extents.get(first..).unwrap_or(&[])
    }
}

/// Lays the pieces out. Costs n log n; empty pieces are left out.
pub fn lay_out(pieces: &[Piece]) -> Layout {
    let mut edges: Vec<(u64, bool, usize)> = Vec::with_capacity(pieces.len() * 2);
    for (number, piece) in pieces.iter().enumerate().filter(|(_, piece)| piece.len > 0) {
        edges.push((piece.offset, true, number));
        edges.push((piece.end(), false, number));
    }
    edges.sort_unstable();
    let mut layout = Layout::default();
    let mut open: BTreeSet<(u8, usize, usize)> = BTreeSet::new();
    let mut at = 0_u64;
    let mut edges = edges.into_iter().peekable();
    while let Some(&(offset, ..)) = edges.peek() {
        layout.stretch(at..offset, &open, pieces);
        at = offset;
        while let Some((_, begins, number)) = edges.next_if(|edge| edge.0 == offset) {
            let Some(piece) = pieces.get(number) else {
                continue;
            };
            let key = (piece.rank, piece.source, number);
            if begins {
                open.insert(key);
            } else {
                open.remove(&key);
            }
        }
    }
    layout
}

impl Layout {
    /// Adds the stretch `range`, over which the set of open pieces does not change.
    fn stretch(
        &mut self,
        range: Range<u64>,
        open: &BTreeSet<(u8, usize, usize)>,
        pieces: &[Piece],
    ) {
        if range.is_empty() {
            return;
        }
        let Some(piece) = open.first().and_then(|(.., number)| pieces.get(*number)) else {
            self.gaps.push(range);
            return;
        };
        if open.len() > 1 {
            let contenders: Vec<usize> = open
                .iter()
                .take(CONTENDERS_MAX)
                .map(|(.., number)| *number)
                .collect();
            match self.overlaps.last_mut() {
                Some(last) if last.range.end == range.start && last.pieces == contenders => {
                    last.range.end = range.end
                }
                _ => self.overlaps.push(Overlap {
                    range: range.clone(),
                    pieces: contenders,
                }),
            }
        }
        let source_offset = piece.source_offset + (range.start - piece.offset);
        let len = range.end - range.start;
        match self.extents.last_mut() {
            Some(last)
                if last.end() == range.start
                    && last.source == piece.source
                    && last.source_offset + last.len == source_offset =>
            {
                last.len += len;
            }
            _ => self.extents.push(Extent {
                offset: range.start,
                len,
                source: piece.source,
                source_offset,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn piece(source: usize, offset: u64, len: u64, rank: u8) -> Piece {
        Piece {
            source,
            source_offset: 0,
            offset,
            len,
            rank,
        }
    }

    /// Which (source, source offset) each byte of the stream comes from, by looking at every piece for every byte.
    fn bytes_naively(pieces: &[Piece]) -> Vec<Option<(usize, u64)>> {
        let end = pieces
            .iter()
            .filter(|p| p.len > 0)
            .map(Piece::end)
            .max()
            .unwrap_or(0);
        (0..end)
            .map(|at| {
                let holds = |p: &&Piece| p.offset <= at && at < p.end();
                let best = pieces
                    .iter()
                    .enumerate()
                    .filter(|(_, p)| holds(p))
                    .min_by_key(|(n, p)| (p.rank, p.source, *n));
                best.map(|(_, p)| (p.source, p.source_offset + at - p.offset))
            })
            .collect()
    }

    fn bytes(layout: &Layout) -> Vec<Option<(usize, u64)>> {
        let mut all = vec![None; usize::try_from(layout.end()).unwrap_or(0)];
        for extent in &layout.extents {
            for step in 0..extent.len {
                all[(extent.offset + step) as usize] =
                    Some((extent.source, extent.source_offset + step));
            }
        }
        all
    }

    proptest! {
        #[test]
        fn every_byte_comes_from_where_the_naive_twin_says(
            raw in proptest::collection::vec((0_usize..4, 0_u64..60, 0_u64..20, 0_u8..2), 0..12)
        ) {
            let pieces: Vec<Piece> = raw.into_iter().map(|(s, o, l, r)| piece(s, o, l, r)).collect();
            let layout = lay_out(&pieces);
            let expected = bytes_naively(&pieces);
            prop_assert_eq!(bytes(&layout), expected.clone());
            let missing: u64 = layout.gaps.iter().map(|gap| gap.end - gap.start).sum();
            prop_assert_eq!(missing as usize, expected.iter().filter(|b| b.is_none()).count());
        }
    }

    #[test]
    fn a_hole_is_a_gap_and_the_stream_goes_on_behind_it() {
        let layout = lay_out(&[piece(0, 0, 4, 0), piece(1, 6, 2, 0)]);
        assert_eq!(
            (
                layout.first_gap(),
                layout.end(),
                layout.gaps.first().cloned()
            ),
            (4, 8, Some(4..6))
        );
    }

    #[test]
    fn covered_bytes_win_over_uncovered_ones() {
        let layout = lay_out(&[piece(0, 0, 4, 1), piece(1, 0, 4, 0)]);
        assert_eq!(
            layout.extents.iter().map(|e| e.source).collect::<Vec<_>>(),
            [1]
        );
        assert_eq!(
            layout.overlaps,
            [Overlap {
                range: 0..4,
                pieces: vec![1, 0]
            }]
        );
    }
}
