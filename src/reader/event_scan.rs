//! What a look through one events file tells: its tracks of rising `ei`, what its print events cover, who and when.
//!
//! A scan goes on where it ended when the file has grown, so following a running session costs only what is new.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Contents, Cost, DiskError};
use crate::event::{EventIndex, EventTime};
use crate::format::{Damage, Wound, read_session_line};
use crate::merge::EventTrack;

use super::lines::{LineEnd, each_line};

/// Tracks remembered per file; lines behind the last count to it in whatever order they are.
const TRACKS_MAX: usize = 4096;
/// Ranges that print events cover; more are merged into the last.
const COVERED_MAX: usize = 100_000;
/// Wounds and names remembered per file.
const REMEMBERED_MAX: usize = 200;
/// A session.start line longer than this is not remembered for the summary.
const START_LINE_MAX: usize = 64 << 10;

/// Who, when and what of a session, as one or several events files tell.
#[derive(Clone, Debug, Default)]
pub struct SessionFacts {
    /// The `session.start` line.
    pub start_line: Option<Vec<u8>>,
    /// Time of `session.end`.
    pub ended: Option<EventTime>,
    /// Whether a `session.end` was seen, with or without a time.
    pub has_end: bool,
    /// First and last time of any event.
    pub first_time: Option<EventTime>,
    /// See `first_time`.
    pub last_time: Option<EventTime>,
    /// Users named by start and join events.
    pub users: BTreeSet<String>,
    /// Lines.
    pub lines: u64,
    /// Print events among them.
    pub prints: u64,
    /// `ms` of the last print event.
    pub last_ms: Option<i64>,
}

impl SessionFacts {
    /// Adds what another file of the session tells.
    pub fn add(&mut self, other: &SessionFacts) {
        self.start_line = self.start_line.take().or_else(|| other.start_line.clone());
        self.ended = self.ended.max(other.ended);
        self.has_end |= other.has_end;
        self.first_time = [self.first_time, other.first_time]
            .into_iter()
            .flatten()
            .min();
        self.last_time = self.last_time.max(other.last_time);
        self.users
            .extend(other.users.iter().take(REMEMBERED_MAX).cloned());
        self.lines += other.lines;
        self.prints += other.prints;
        self.last_ms = self.last_ms.max(other.last_ms);
    }
}

/// A track and where it lies in its file.
#[derive(Clone, Copy, Debug)]
pub struct FoundTrack {
    /// As the merge needs it.
    pub track: EventTrack,
    /// First byte.
    pub first: u64,
}

/// The scan of one events file.
#[derive(Debug)]
pub struct EventScan {
    contents: Arc<Contents>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    scanned: u64,
    tracks: Vec<FoundTrack>,
    covered: Vec<Range<u64>>,
    facts: SessionFacts,
    damage: Vec<Damage>,
    bad_lines: u64,
}

impl EventScan {
    /// Nothing is scanned yet.
    pub fn new(contents: Arc<Contents>) -> Self {
        EventScan {
            contents,
            state: Mutex::default(),
        }
    }

    /// The file.
    pub fn contents(&self) -> &Arc<Contents> {
        &self.contents
    }

    /// Scans what has been added. `group` is 0 for main events.
    ///
    /// # Errors
    /// Of the share.
    pub fn advance(&self, group: usize) -> Result<(), DiskError> {
        let mut state = self.lock();
        let end = self.contents.len_bytes();
        if state.scanned >= end {
            return Ok(());
        }
        let members = self.contents.members();
        let from = state.scanned;
        each_line(&self.contents, from, end, |line| {
            if line.end == LineEnd::Torn {
                return false;
            }
            let starts_member = members
                .binary_search_by_key(&line.offset, |member| member.offset)
                .is_ok();
            state.line(line.bytes, line.offset, line.len, group, starts_member);
            true
        })
    }

    /// Bytes in whole lines; what lies behind is a torn line.
    pub fn whole(&self) -> u64 {
        self.lock().scanned
    }

    /// The tracks, in file order.
    pub fn tracks(&self) -> Vec<FoundTrack> {
        self.lock().tracks.clone()
    }

    /// What print events of this file cover of the stream, sorted and apart.
    pub fn covered(&self) -> Vec<Range<u64>> {
        let mut ranges = self.lock().covered.clone();
        ranges.sort_by_key(|range| range.start);
        let mut apart: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match apart.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => apart.push(range),
            }
        }
        apart
    }

    /// Who, when and what.
    pub fn facts(&self) -> SessionFacts {
        self.lock().facts.clone()
    }

    /// Lines that are no JSON object: the first of them, and how many.
    pub fn damage(&self) -> (Vec<Damage>, u64) {
        let state = self.lock();
        (state.damage.clone(), state.bad_lines)
    }

    /// What it holds in memory.
    pub fn cost(&self) -> Cost {
        let state = self.lock();
        let memory_bytes = state.tracks.capacity() * size_of::<FoundTrack>()
            + state.covered.capacity() * size_of::<Range<u64>>()
            + state.facts.start_line.as_ref().map_or(0, Vec::capacity)
            + state.facts.users.len() * 64
            + state.damage.capacity() * size_of::<Damage>()
            + size_of::<Self>();
        Cost {
            memory_bytes,
            disk_bytes: 0,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn line(&mut self, bytes: &[u8], offset: u64, len: u64, group: usize, starts_member: bool) {
        self.scanned = offset + len;
        self.facts.lines += 1;
        let read = read_session_line(bytes);
        let ei = read.as_ref().and_then(|line| line.ei);
        self.extend_track(ei, offset, len, group, starts_member, read.is_some());
        let Some(line) = read else {
            self.bad_lines += 1;
            if self.damage.len() < REMEMBERED_MAX {
                self.damage.push(Damage {
                    wound: Wound::NotJson,
                    offset_bytes: offset,
                });
            }
            return;
        };
        if let Some(time) = line.time.filter(|time| !time.is_zero()) {
            let first = self.facts.first_time.get_or_insert(time);
            *first = time.min(*first);
            self.facts.last_time = self.facts.last_time.max(Some(time));
        }
        if let Some(print) = line.print {
            self.facts.prints += 1;
            self.facts.last_ms = print.ms.or(self.facts.last_ms);
            if let Some((at, count)) = print.offset.zip(print.bytes) {
                self.cover(at.0..at.0.saturating_add(count));
            }
        }
        match line.event {
            b"session.start" => {
                if self.facts.start_line.is_none() && bytes.len() <= START_LINE_MAX {
                    self.facts.start_line = Some(bytes.to_vec());
                }
                self.add_user(bytes);
            }
            b"session.join" => self.add_user(bytes),
            b"session.end" => {
                self.facts.has_end = true;
                self.facts.ended = self.facts.ended.max(line.time);
            }
            _ => {}
        }
    }

    fn extend_track(
        &mut self,
        ei: Option<EventIndex>,
        offset: u64,
        len: u64,
        group: usize,
        starts_member: bool,
        json: bool,
    ) {
        let full = self.tracks.len() >= TRACKS_MAX;
        if let Some(FoundTrack { track, .. }) = self.tracks.last_mut() {
            let rises = ei.is_none_or(|ei| ei > track.last);
            if full || (rises && !starts_member) {
                track.plain &= json && ei.is_some() && rises;
                track.contiguous &= ei.is_some_and(|ei| ei.0 == track.last.0.saturating_add(1));
                track.last = ei.map_or(track.last, |ei| ei.max(track.last));
                track.len_bytes += len;
                return;
            }
        }
        let first = ei.unwrap_or(EventIndex(i64::MIN));
        let plain = json && ei.is_some();
        let track = EventTrack {
            group,
            first,
            last: first,
            len_bytes: len,
            plain,
            contiguous: plain,
        };
        self.tracks.push(FoundTrack {
            track,
            first: offset,
        });
    }

    fn cover(&mut self, range: Range<u64>) {
        let full = self.covered.len() >= COVERED_MAX;
        match self.covered.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            Some(_) if full => {}
            _ => self.covered.push(range),
        }
    }

    fn add_user(&mut self, line: &[u8]) {
        if self.facts.users.len() >= REMEMBERED_MAX {
            return;
        }
        let fields = crate::event::EventFields::from_json(line).ok();
        let user = fields
            .as_ref()
            .map(|fields| fields.get_string(crate::event::field_name::USER))
            .unwrap_or("");
        if !user.is_empty() && user.len() <= 256 {
            self.facts.users.insert(user.to_owned());
        }
    }
}
