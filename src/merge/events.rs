//! Session events of several events files in one order: by `ei`, repetitions once, enhanced events by time.
//!
//! The main events of a session are numbered by their sender; 4.2 enhanced events (commands, disk, network) have
//! `ei` sequences of their own and come in time order among the main ones (DESIGN 3). A line without an `ei`
//! stays behind its predecessor.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use crate::event::{EventIndex, EventTime};

use super::{KWay, Plan};

/// Lines with one `ei` that are compared with each other; more than this are shown without a comparison.
const SAME_INDEX_MAX: usize = 256;
/// Holes in the `ei` sequence that are remembered by range; more are only counted.
const GAPS_MAX: usize = 1000;
/// The `ei` that `session.upload` carries (FORMAT 2): not part of the sequence.
const UPLOAD_INDEX: i64 = i32::MAX as i64;

/// What the merge needs to know of one line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EventLine {
    /// Source bytes, newline included.
    pub len_bytes: u64,
    /// The event's number, where it has one.
    pub ei: Option<EventIndex>,
    /// The event's time, where it is readable.
    pub time: Option<EventTime>,
    /// Hash of the event's name.
    pub event_hash: u64,
    /// Hash of the whole line.
    pub line_hash: u64,
    /// Length of the shown form, for a line that is not passed byte for byte.
    pub shown_len: Option<u64>,
    /// Whether this is a print event.
    pub print: bool,
}

/// A stretch of one events file in which `ei` does not go back, as a first look at the file found it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EventTrack {
    /// 0 for main events, another number for each kind of enhanced events.
    pub group: usize,
    /// Lowest `ei`.
    pub first: EventIndex,
    /// Highest `ei`.
    pub last: EventIndex,
    /// Source bytes.
    pub len_bytes: u64,
    /// Whether every line is passed as it is and has an `ei` of its own.
    pub plain: bool,
    /// Whether no number between first and last is missing.
    pub contiguous: bool,
}

/// Merged session events.
#[derive(Clone, Debug, Default)]
pub struct MergedEvents {
    /// Source n of the plan is track n.
    pub plan: Plan,
    /// Lines that repeat another line byte for byte and are shown once.
    pub duplicates: u64,
    /// Lines that repeat (sid, ei, event) with other content; the first is shown.
    pub conflicts: u64,
    /// Missing numbers of the main sequence, the first thousand ranges.
    pub gaps: Vec<Range<i64>>,
    /// Whether lines beyond a missing number were held back.
    pub held_back: bool,
}

/// The order of the tracks if no two of them share an `ei` and none needs a look at its lines: then the merge is
/// their concatenation.
pub fn tracks_are_disjoint(tracks: &[EventTrack]) -> Option<Vec<usize>> {
    if tracks.iter().any(|track| track.group != 0 || !track.plain) {
        return None;
    }
    let mut order: Vec<usize> = (0..tracks.len()).collect();
    order.sort_by_key(|n| tracks.get(*n).map(|track| track.first));
    let sorted = order.iter().filter_map(|n| tracks.get(*n));
    let apart = sorted
        .clone()
        .zip(sorted.skip(1))
        .all(|(a, b)| a.last < b.first);
    apart.then_some(order)
}

/// Merges the lines of all tracks. `feeds[n]` gives the lines of track n, in file order.
///
/// With `hold_back` (the session may still grow and records its terminal) the result ends where a number of the main
/// sequence is missing: another server's part is still to come.
pub fn merge_events(
    tracks: &[EventTrack],
    feeds: Vec<Box<dyn Iterator<Item = EventLine> + '_>>,
    hold_back: bool,
) -> MergedEvents {
    let mut merged = MergedEvents::default();
    let groups_count = tracks
        .iter()
        .map(|track| track.group + 1)
        .max()
        .unwrap_or(0);
    let mut groups: Vec<Group<'_>> = (0..groups_count).map(|_| Group::default()).collect();
    for (number, (track, feed)) in tracks.iter().zip(feeds).enumerate() {
        if let Some(group) = groups.get_mut(track.group) {
            group.add(number, feed);
        }
    }
    let mut heads = KWay::default();
    for (number, group) in groups.iter().enumerate() {
        if let Some(time) = group.next_time() {
            heads.offer(number, time);
        }
    }
    while let Some(number) = heads.next_source() {
        let Some(group) = groups.get_mut(number) else {
            continue;
        };
        if number == 0 && group.gap_ahead(&mut merged) && hold_back && group.printed {
            merged.held_back = true;
            break;
        }
        group.emit(&mut merged);
        if let Some(time) = group.next_time() {
            heads.offer(number, time);
        }
    }
    merged
}

/// One `ei` sequence, and the tracks that hold parts of it.
#[derive(Default)]
struct Group<'a> {
    tracks: Vec<Track<'a>>,
    heap: BinaryHeap<Reverse<(i64, usize)>>,
    current: Option<i64>,
    seen_index: Option<i64>,
    seen: Vec<(u64, u64)>,
    time: Option<EventTime>,
    printed: bool,
}

struct Track<'a> {
    number: usize,
    feed: Box<dyn Iterator<Item = EventLine> + 'a>,
    head: Option<EventLine>,
    key: i64,
}

impl<'a> Group<'a> {
    fn add(&mut self, number: usize, feed: Box<dyn Iterator<Item = EventLine> + 'a>) {
        self.tracks.push(Track {
            number,
            feed,
            head: None,
            key: i64::MIN,
        });
        self.pull(self.tracks.len() - 1);
    }

    fn pull(&mut self, at: usize) {
        let Some(track) = self.tracks.get_mut(at) else {
            return;
        };
        track.head = track.feed.next();
        if let Some(head) = track.head {
            track.key = head.ei.map_or(track.key, |ei| ei.0);
            self.heap.push(Reverse((track.key, at)));
        }
    }

    fn next_head(&self) -> Option<(i64, &EventLine)> {
        let Reverse((key, at)) = self.heap.peek()?;
        self.tracks.get(*at)?.head.as_ref().map(|head| (*key, head))
    }

    fn next_time(&self) -> Option<EventTime> {
        let (_, head) = self.next_head()?;
        Some(
            head.time
                .or(self.time)
                .unwrap_or(EventTime::from_ns(i64::MIN)),
        )
    }

    /// Whether numbers are missing before the next head; remembers which.
    fn gap_ahead(&self, merged: &mut MergedEvents) -> bool {
        let Some((key, head)) = self.next_head() else {
            return false;
        };
        let first = self.current.map_or(0, |current| current.saturating_add(1));
        if head.ei.is_none() || key <= first || key == UPLOAD_INDEX {
            return false;
        }
        if merged.gaps.len() < GAPS_MAX {
            merged.gaps.push(first..key);
        }
        true
    }

    fn emit(&mut self, merged: &mut MergedEvents) {
        let Some(Reverse((key, at))) = self.heap.pop() else {
            return;
        };
        let Some((number, head)) = self
            .tracks
            .get(at)
            .and_then(|t| t.head.map(|head| (t.number, head)))
        else {
            return;
        };
        if head.ei.is_some() && self.seen_index != Some(key) {
            self.seen_index = Some(key);
            self.seen.clear();
        }
        if head.ei.is_some() && key != UPLOAD_INDEX {
            self.current = Some(key);
        }
        self.printed |= head.print;
        let same = |seen: &&(u64, u64)| seen.0 == head.event_hash;
        let repeats = if head.ei.is_some() {
            self.seen.iter().find(same).copied()
        } else {
            None
        };
        match repeats {
            Some((_, line_hash)) => {
                let counter = if line_hash == head.line_hash {
                    &mut merged.duplicates
                } else {
                    &mut merged.conflicts
                };
                *counter += 1;
                merged.plan.skip(number, head.len_bytes);
            }
            None => {
                if head.ei.is_some() && self.seen.len() < SAME_INDEX_MAX {
                    self.seen.push((head.event_hash, head.line_hash));
                }
                match head.shown_len {
                    Some(shown) => merged.plan.show(number, head.len_bytes, shown, None),
                    None => merged.plan.copy(number, head.len_bytes),
                }
                self.time = head.time.or(self.time);
            }
        }
        self.pull(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(ei: i64, time: i64, content: u64) -> EventLine {
        EventLine {
            len_bytes: 10,
            ei: Some(EventIndex(ei)),
            time: Some(EventTime::from_ns(time)),
            event_hash: content / 100,
            line_hash: content,
            shown_len: None,
            print: true,
        }
    }

    /// Merges tracks given as (group, lines); the answer is (track, line number in it) of every line shown.
    fn check(
        tracks: &[(usize, Vec<EventLine>)],
        hold_back: bool,
    ) -> (Vec<(usize, u64)>, MergedEvents) {
        let heads: Vec<EventTrack> = tracks
            .iter()
            .map(|(group, lines)| EventTrack {
                group: *group,
                first: lines.iter().find_map(|l| l.ei).unwrap_or(EventIndex(0)),
                last: lines
                    .iter()
                    .rev()
                    .find_map(|l| l.ei)
                    .unwrap_or(EventIndex(0)),
                len_bytes: lines.len() as u64 * 10,
                plain: true,
                contiguous: true,
            })
            .collect();
        let feeds = tracks
            .iter()
            .map(|(_, lines)| Box::new(lines.iter().copied()) as Box<dyn Iterator<Item = _>>)
            .collect();
        let merged = merge_events(&heads, feeds, hold_back);
        let mut shown = Vec::new();
        for run in merged.plan.runs(0).filter(|run| run.out_len() > 0) {
            shown
                .extend((0..run.source_len / 10).map(|n| (run.source, run.source_offset / 10 + n)));
        }
        (shown, merged)
    }

    #[test]
    fn a_slice_taken_by_two_servers_is_shown_once() {
        let (shown, merged) = check(
            &[
                (0, vec![line(0, 1, 0), line(1, 2, 1)]),
                (0, vec![line(1, 2, 1), line(2, 3, 2)]),
            ],
            false,
        );
        assert_eq!(shown, [(0, 0), (0, 1), (1, 1)]);
        assert_eq!((merged.duplicates, merged.conflicts), (1, 0));
    }

    #[test]
    fn differing_repeats_are_a_conflict_and_the_first_is_shown() {
        let (shown, merged) = check(&[(0, vec![line(0, 1, 7)]), (0, vec![line(0, 1, 8)])], false);
        assert_eq!((shown, merged.conflicts), (vec![(0, 0)], 1));
    }

    #[test]
    fn other_events_of_one_number_are_both_shown() {
        let (shown, _) = check(
            &[(0, vec![line(0, 1, 100)]), (0, vec![line(0, 1, 200)])],
            false,
        );
        assert_eq!(shown, [(0, 0), (1, 0)]);
    }

    #[test]
    fn enhanced_events_come_in_time_order_among_the_others() {
        let (shown, merged) = check(
            &[
                (0, vec![line(0, 10, 0), line(1, 30, 1)]),
                (1, vec![line(0, 20, 2), line(1, 30, 3)]),
            ],
            false,
        );
        assert_eq!(shown, [(0, 0), (1, 0), (0, 1), (1, 1)]);
        assert!(merged.gaps.is_empty());
    }

    #[test]
    fn a_growing_session_waits_at_a_missing_number() {
        let tracks = [
            (0, vec![line(0, 1, 0), line(1, 2, 1)]),
            (0, vec![line(4, 3, 2)]),
        ];
        let (shown, merged) = check(&tracks, true);
        assert_eq!(
            (shown.len(), merged.held_back, merged.gaps.first().cloned()),
            (2, true, Some(2..4))
        );
        let (shown, merged) = check(&tracks, false);
        assert_eq!(
            (shown.len(), merged.held_back, merged.gaps.first().cloned()),
            (3, false, Some(2..4))
        );
    }

    #[test]
    fn a_line_without_a_number_stays_behind_its_predecessor() {
        let lost = EventLine {
            ei: None,
            time: None,
            ..line(0, 0, 9)
        };
        let (shown, _) = check(
            &[
                (0, vec![line(0, 1, 0), lost, line(3, 4, 1)]),
                (0, vec![line(1, 2, 2), line(2, 3, 3)]),
            ],
            false,
        );
        assert_eq!(shown, [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2)]);
    }
}
