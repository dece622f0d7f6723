//! The merged events of a session: a plan over its events files, and what the merge found.

use std::cell::RefCell;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::disk::{Contents, DiskError};
use crate::format::{LineForm, LineOrigin, read_line, read_session_line, shown_len};
use crate::merge::{EventLine, EventTrack, MergedEvents, Plan, merge_events, tracks_are_disjoint};

use super::event_scan::EventScan;
use super::lines::{LineEnd, each_line};
use super::planned::{PlanSource, read_runs, runs_of};

const FEED_LINES: usize = 2048;

/// One events file of a session.
#[derive(Clone, Debug)]
pub struct EventsFile {
    /// What a look through it found.
    pub scan: Arc<EventScan>,
    /// 0 for main events, another number for each kind of enhanced events.
    pub group: usize,
    /// Whose file it is.
    pub server: Arc<str>,
    /// Its name.
    pub file: Arc<str>,
}

/// See the module text.
#[derive(Debug)]
pub struct SessionEvents {
    merged: MergedEvents,
    sources: Vec<PlanSource>,
}

impl SessionEvents {
    /// Merges the files, which are in (server ID, file name) order. `growing`: the session may still grow, and what lies
    /// behind a missing number waits. A torn last line is no event: the summary reports it.
    ///
    /// # Errors
    /// Of the share.
    pub fn merge(files: &[EventsFile], growing: bool) -> Result<Self, DiskError> {
        let mut tracks: Vec<EventTrack> = Vec::new();
        let mut sources = Vec::new();
        for file in files {
            let contents = file.scan.contents();
            let mut add = |track: EventTrack, first: u64| {
                tracks.push(track);
                let (server, file) = (file.server.clone(), file.file.clone());
                sources.push(PlanSource {
                    contents: contents.clone(),
                    first,
                    server,
                    file,
                });
            };
            for found in file.scan.tracks() {
                add(found.track, found.first);
            }
        }
        let prints = files.iter().any(|file| file.scan.facts().prints > 0);
        let hold_back = growing && prints;
        let merged = match tracks_are_disjoint(&tracks)
            .filter(|order| !hold_back || follows_on(&tracks, order))
        {
            Some(order) => concatenate(&tracks, &order),
            None => merge_lines(&tracks, &sources, hold_back)?,
        };
        Ok(SessionEvents { merged, sources })
    }

    /// Bytes.
    pub fn len_bytes(&self) -> u64 {
        self.merged.plan.len_bytes()
    }

    /// What the merge found beside the order.
    pub fn merged(&self) -> &MergedEvents {
        &self.merged
    }

    /// What it holds in memory.
    pub fn cost_bytes(&self) -> usize {
        self.merged.plan.cost_bytes()
            + self.sources.len() * (size_of::<PlanSource>() + 64)
            + self.merged.gaps.len() * 16
    }

    /// Appends up to `len` bytes from `offset` on to `out`; fewer mean the end.
    ///
    /// # Errors
    /// Of the share.
    pub fn read_at(&self, offset: u64, len: u64, out: &mut Vec<u8>) -> Result<(), DiskError> {
        let len = len.min(self.len_bytes().saturating_sub(offset));
        read_runs(
            &runs_of(&self.merged.plan, offset, len),
            &self.sources,
            offset,
            len,
            out,
        )
    }
}

/// Whether the tracks, in this order, leave no number out.
fn follows_on(tracks: &[EventTrack], order: &[usize]) -> bool {
    let mut next = 0_i64;
    order.iter().filter_map(|n| tracks.get(*n)).all(|track| {
        let follows = track.contiguous && track.first.0 <= next;
        next = track.last.0.saturating_add(1);
        follows
    })
}

fn concatenate(tracks: &[EventTrack], order: &[usize]) -> MergedEvents {
    let mut merged = MergedEvents {
        plan: Plan::default(),
        ..MergedEvents::default()
    };
    let mut next = 0_i64;
    let mut whole = true;
    for number in order {
        let Some(track) = tracks.get(*number) else {
            continue;
        };
        merged.plan.copy(*number, track.len_bytes);
        if track.first.0 > next && track.first.0 != i64::from(i32::MAX) {
            merged.gaps.push(next..track.first.0);
        }
        whole &= track.contiguous;
        next = track.last.0.saturating_add(1);
    }
    if !whole {
        // A hole inside a file: recording was off, and print events took their numbers all the same (FORMAT 3).
        merged.gaps.retain(|gap| gap.start < gap.end);
    }
    merged
}

fn merge_lines(
    tracks: &[EventTrack],
    sources: &[PlanSource],
    hold_back: bool,
) -> Result<MergedEvents, DiskError> {
    let failure: RefCell<Option<DiskError>> = RefCell::new(None);
    let feeds = tracks
        .iter()
        .zip(sources)
        .map(|(track, source)| {
            let end = source.first + track.len_bytes;
            Box::new(Feed {
                source,
                at: source.first,
                end,
                batch: Vec::new().into_iter(),
                failure: &failure,
            }) as Box<dyn Iterator<Item = EventLine> + '_>
        })
        .collect();
    let merged = merge_events(tracks, feeds, hold_back);
    match failure.into_inner() {
        Some(error) => Err(error),
        None => Ok(merged),
    }
}

/// The lines of one track, a batch at a time.
struct Feed<'a> {
    source: &'a PlanSource,
    at: u64,
    end: u64,
    batch: std::vec::IntoIter<EventLine>,
    failure: &'a RefCell<Option<DiskError>>,
}

impl Iterator for Feed<'_> {
    type Item = EventLine;

    fn next(&mut self) -> Option<EventLine> {
        if let Some(line) = self.batch.next() {
            return Some(line);
        }
        if self.at >= self.end || self.failure.borrow().is_some() {
            return None;
        }
        let mut batch = Vec::with_capacity(FEED_LINES);
        let source = self.source;
        let contents: &Contents = &source.contents;
        let read = each_line(contents, self.at, self.end, |line| {
            batch.push(event_line(
                source,
                line.bytes,
                line.offset,
                line.len,
                line.end,
            ));
            batch.len() < FEED_LINES
        });
        if let Err(error) = read {
            *self.failure.borrow_mut() = Some(error);
        }
        self.at += batch.iter().map(|line| line.len_bytes).sum::<u64>();
        self.batch = batch.into_iter();
        self.batch.next()
    }
}

fn event_line(source: &PlanSource, bytes: &[u8], offset: u64, len: u64, end: LineEnd) -> EventLine {
    let read = read_session_line(bytes);
    let shown_len = (read.is_none() || end != LineEnd::Newline).then(|| {
        let form: LineForm = read_line(bytes).form;
        // The predecessor's time is not known here, and not needed: its place says when.
        let origin = LineOrigin {
            server: &source.server,
            file: &source.file,
            offset_bytes: offset,
            time: None,
        };
        shown_len(bytes, form, &origin) as u64
    });
    let name = read.as_ref().map_or(&b""[..], |line| line.event);
    EventLine {
        len_bytes: len,
        ei: read.as_ref().and_then(|line| line.ei),
        time: read.as_ref().and_then(|line| line.time),
        event_hash: xxh3_64(name),
        line_hash: xxh3_64(bytes),
        shown_len,
        print: read.is_some_and(|line| line.print.is_some()),
    }
}
