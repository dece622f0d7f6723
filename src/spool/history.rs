//! What a day's journal says: the state after the last batch, and enough of the way there to go back a little.
//!
//! The last batches stay as they were, so that after a disk has lost confirmed pages the longest prefix that is whole
//! can be found and continued from. Older ones are folded into one state; their checksums are combined, which needs
//! no data.

use std::collections::{BTreeMap, VecDeque};

use crc32fast::Hasher;

use crate::event::EventTime;

use super::source_mark::SourceMark;

/// Batches that are kept apart.
pub(super) const RECENT_MAX: usize = 64;

/// What a batch says of its day besides its bytes. None of it goes backwards; what is lower than before stays.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BatchFacts {
    /// When the batch was published, nanoseconds since 1970: the mtime of the day.
    pub mtime_ns: i64,
    /// Time of the newest published record: a record older than this is late.
    pub newest: Option<EventTime>,
    /// Records of the day that were late so far.
    pub late: u64,
}

/// One batch, or several folded into one: the bytes `first..next` of the day.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Entry {
    pub(super) first: u64,
    pub(super) next: u64,
    /// CRC-32 of these bytes.
    pub(super) crc: u32,
    pub(super) facts: BatchFacts,
    /// Those that changed.
    pub(super) marks: Vec<SourceMark>,
}

impl Entry {
    pub(super) fn len_bytes(&self) -> u64 {
        self.next - self.first
    }
}

/// The sum of all batches up to one.
#[derive(Clone, Debug, Default)]
pub(super) struct DayState {
    pub(super) next: u64,
    pub(super) crc: u32,
    pub(super) facts: BatchFacts,
    pub(super) marks: BTreeMap<(String, String, u32), SourceMark>,
}

impl DayState {
    fn apply(&mut self, entry: &Entry) {
        let mut crc = Hasher::new_with_initial_len(self.crc, self.next);
        crc.combine(&Hasher::new_with_initial_len(entry.crc, entry.len_bytes()));
        self.crc = crc.finalize();
        self.next = entry.next;
        self.facts.mtime_ns = self.facts.mtime_ns.max(entry.facts.mtime_ns);
        self.facts.newest = self.facts.newest.max(entry.facts.newest);
        self.facts.late = self.facts.late.max(entry.facts.late);
        self.marks
            .extend(entry.marks.iter().map(|mark| (mark.key(), mark.clone())));
    }

    fn to_entry(&self) -> Entry {
        Entry {
            first: 0,
            next: self.next,
            crc: self.crc,
            facts: self.facts,
            marks: self.marks.values().cloned().collect(),
        }
    }
}

/// See the module text.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    base: DayState,
    has_base: bool,
    recent: VecDeque<Entry>,
    pub(super) now: DayState,
}

impl History {
    /// Adds a batch, which begins where the last one ended.
    pub(super) fn push(&mut self, entry: Entry) {
        self.now.apply(&entry);
        self.recent.push_back(entry);
        if self.recent.len() > RECENT_MAX
            && let Some(oldest) = self.recent.pop_front()
        {
            self.base.apply(&oldest);
            self.has_base = true;
        }
    }

    /// What a new journal holds: the folded part, then the batches. Pushed in this order they make this history.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> {
        let base = self.has_base.then(|| self.base.to_entry());
        base.into_iter().chain(self.recent.iter().cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_checksums_are_those_of_the_bytes() {
        let bytes: Vec<u8> = (0..40_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut history = History::default();
        for (number, piece) in bytes.chunks(1000).enumerate() {
            let first = number as u64 * 1000;
            let (next, crc) = (first + piece.len() as u64, crc32fast::hash(piece));
            history.push(Entry {
                first,
                next,
                crc,
                ..Entry::default()
            });
        }
        assert_eq!(history.now.crc, crc32fast::hash(&bytes));
        let entries: Vec<Entry> = history.entries().collect();
        assert_eq!(entries.len(), RECENT_MAX + 1);
        let mut again = History::default();
        entries.into_iter().for_each(|entry| again.push(entry));
        assert_eq!(
            (again.now.crc, again.now.next),
            (history.now.crc, history.now.next)
        );
    }
}
