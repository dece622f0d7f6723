//! Searching for the next member behind something unreadable.

use std::mem;

use memchr::memmem;

use super::header::header_begins_in;
use super::{MEMBER_HEADER, UnpackSink};
use crate::format::damage::{Damage, Wound};

/// A range that cannot be read; its end is where the next [`MEMBER_HEADER`] stands.
#[derive(Debug)]
pub(super) struct Lost {
    /// Where the range begins, in bytes of the packed file.
    since: u64,
    wound: Wound,
    /// The sink knows of the wound.
    told: bool,
    /// How many of the first bytes of a header end what was searched.
    matched: usize,
}

impl Lost {
    pub(super) fn new(since: u64, wound: Wound) -> Lost {
        Lost {
            since,
            wound,
            told: false,
            matched: 0,
        }
    }

    pub(super) fn tell(&mut self, sink: &mut dyn UnpackSink) {
        if !mem::replace(&mut self.told, true) {
            sink.damage(Damage::new(self.wound.clone(), self.since));
        }
    }

    /// Searches `input`. Returns how much of it was searched, and whether a whole header ends there.
    pub(super) fn search(&mut self, input: &[u8], sink: &mut dyn UnpackSink) -> (usize, bool) {
        let matched = mem::take(&mut self.matched);
        if matched > 0 {
            let used = go_on_matching(matched, input);
            if matched + used == MEMBER_HEADER.len() {
                return (used, true);
            }
            if used == input.len() {
                self.matched = matched + used;
            } else {
                self.tell(sink);
            }
            return (used, false);
        }
        if let Some(place) = memmem::find(input, &MEMBER_HEADER) {
            if place > 0 {
                self.tell(sink);
            }
            return (place + MEMBER_HEADER.len(), true);
        }
        let dropped = header_begins_in(input, 0).unwrap_or(input.len());
        if dropped > 0 {
            self.tell(sink);
        }
        self.matched = input.len() - dropped;
        (input.len(), false)
    }

    /// The next member begins at `start`: says what was lost before it.
    pub(super) fn end_at(&mut self, start: u64, sink: &mut dyn UnpackSink) {
        match start.saturating_sub(self.since) {
            0 => sink.damage(Damage::new(Wound::GzipRestarted, start)),
            lost_bytes => {
                self.tell(sink);
                sink.damage(Damage::new(Wound::GzipLost { lost_bytes }, self.since));
            }
        }
    }

    /// What there is to say if the file ends after `packed_bytes`.
    pub(super) fn end_damage(&self, packed_bytes: u64) -> Damage {
        if self.told {
            let lost_bytes = packed_bytes.saturating_sub(self.since);
            Damage::new(Wound::GzipLost { lost_bytes }, self.since)
        } else {
            Damage::new(self.wound.clone(), self.since)
        }
    }
}

/// How many bytes of `input` go on with a member header of which `matched` bytes were seen.
pub(super) fn go_on_matching(matched: usize, input: &[u8]) -> usize {
    let wanted = MEMBER_HEADER.get(matched..).unwrap_or_default();
    wanted.iter().zip(input).take_while(|(a, b)| a == b).count()
}
