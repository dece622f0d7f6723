//! The part of a day that came after the day was first seen: published in batches, in the order of publication.
//!
//! A line is held until it is older than the settle window, so that the lines of slower servers can still come before
//! it; then it goes behind everything that has been published, however late it is (DESIGN 4.3).

use std::collections::VecDeque;
use std::sync::Arc;

use crate::disk::{Contents, DiskError, FileStat};
use crate::event::EventTime;
use crate::format::{LineForm, LineOrigin, read_line, shown_len};
use crate::merge::{KWay, Plan, Run};

use super::lines::{LineEnd, each_line};
use super::planned::{PlanSource, read_runs, runs_of};

/// Lines of one source held at most; the rest is read when these are published.
const HELD_LINES_MAX: usize = 50_000;
/// How long a line with NUL bytes in it may be one that is not all there yet (DESIGN 5: write-back of another host).
const NUL_WAIT_NS: i64 = 60_000_000_000;

/// The clock and the settle window of one batch, both in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct BatchTime {
    /// Now, since 1970 UTC.
    pub now_ns: i64,
    /// How old a record must be to be published.
    pub settle_ns: i64,
}

/// What has been published behind the first sight of a day. Reading it never waits for the intake.
#[derive(Debug, Default)]
pub struct Tail {
    plan: Plan,
    sources: Vec<PlanSource>,
    /// Time of the newest published record.
    newest: Option<EventTime>,
    /// Records that came later than a newer one had been published.
    pub late: u64,
}

/// The lines that wait to be published. Taking lines in reads the share; nobody who reads the day waits for that.
#[derive(Debug, Default)]
pub struct Intake {
    sources: Vec<IntakeSource>,
}

#[derive(Debug)]
struct IntakeSource {
    source: PlanSource,
    /// File offset up to which lines have been taken in.
    taken: u64,
    held: VecDeque<HeldLine>,
    /// Time of the line before the first held one.
    time: Option<EventTime>,
    nul_since_ns: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
struct HeldLine {
    len: u64,
    time: Option<EventTime>,
    shown: Option<u64>,
    arrived_ns: i64,
}

impl Intake {
    /// The source that reads `path` and how far its lines have been taken in.
    pub fn taken(&self, path: &str) -> Option<u64> {
        self.sources
            .iter()
            .find(|s| s.source.contents.path() == path)
            .map(|s| s.taken)
    }

    /// Follows a file from the byte offset `first` on, which begins a line.
    pub fn follow(
        &mut self,
        contents: Arc<Contents>,
        server: Arc<str>,
        file: Arc<str>,
        first: u64,
    ) {
        let source = PlanSource {
            contents,
            first,
            server,
            file,
        };
        let at = IntakeSource {
            source,
            taken: first,
            held: VecDeque::new(),
            time: None,
            nul_since_ns: None,
        };
        self.sources.push(at);
    }

    /// Takes in the whole lines that the file at `path`, which has attributes `stat` now, has up to `end`.
    ///
    /// # Errors
    /// Of the share; lines before the failure are taken in.
    pub fn take_in(
        &mut self,
        path: &str,
        end: u64,
        stat: FileStat,
        at: BatchTime,
    ) -> Result<(), DiskError> {
        let Some(source) = self
            .sources
            .iter_mut()
            .find(|s| s.source.contents.path() == path)
        else {
            return Ok(());
        };
        let contents = source.source.contents.clone();
        if !contents.update(stat)? {
            let replaced = std::io::Error::other(
                "the file was replaced or rewritten; what was published stays",
            );
            return Err(DiskError::io(path, replaced));
        }
        let mut nul = false;
        let from = source.taken;
        each_line(&contents, from, end, |line| {
            if line.end == LineEnd::Torn || source.held.len() >= HELD_LINES_MAX {
                return false;
            }
            let read = read_line(line.bytes);
            if read.form == LineForm::Unparsed && memchr::memchr(0, line.bytes).is_some() {
                let since = *source.nul_since_ns.get_or_insert(at.now_ns);
                nul = at.now_ns - since < NUL_WAIT_NS;
                if nul {
                    return false;
                }
            }
            let before = source
                .held
                .iter()
                .rev()
                .find_map(|held| held.time)
                .or(source.time);
            let as_is = read.form == LineForm::Json && line.end == LineEnd::Newline;
            let shown = (!as_is).then(|| {
                let (server, file) = (&*source.source.server, &*source.source.file);
                let origin = LineOrigin {
                    server,
                    file,
                    offset_bytes: line.offset,
                    time: before,
                };
                shown_len(line.bytes, read.form, &origin) as u64
            });
            source.held.push_back(HeldLine {
                len: line.len,
                time: read.time,
                shown,
                arrived_ns: at.now_ns,
            });
            source.taken += line.len;
            true
        })?;
        if !nul {
            source.nul_since_ns = None;
        }
        Ok(())
    }
}

impl Tail {
    /// Bytes published.
    pub fn len_bytes(&self) -> u64 {
        self.plan.len_bytes()
    }

    /// Publishes every held line that has settled, as one batch. Gives whether there was any.
    pub fn publish(&mut self, intake: &mut Intake, at: BatchTime) -> bool {
        let settled = |line: &HeldLine| {
            let old = line
                .time
                .is_none_or(|time| time.as_ns().saturating_add(at.settle_ns) <= at.now_ns);
            old || line.arrived_ns.saturating_add(at.settle_ns) <= at.now_ns
        };
        let (before, newest_before) = (self.plan.len_bytes(), self.newest);
        let known = self.sources.len();
        self.sources.extend(
            intake
                .sources
                .iter()
                .skip(known)
                .map(|source| source.source.clone()),
        );
        let mut heads = KWay::default();
        let offer = |heads: &mut KWay, number: usize, source: &IntakeSource| {
            if let Some(line) = source.held.front().filter(|line| settled(line)) {
                heads.offer(
                    number,
                    line.time
                        .or(source.time)
                        .unwrap_or(EventTime::from_ns(i64::MIN)),
                );
            }
        };
        for (number, source) in intake.sources.iter().enumerate() {
            offer(&mut heads, number, source);
        }
        while let Some(number) = heads.next_source() {
            let Some(source) = intake.sources.get_mut(number) else {
                break;
            };
            let Some(line) = source.held.pop_front() else {
                break;
            };
            match line.shown {
                None => self.plan.copy(number, line.len),
                Some(shown) => self.plan.show(number, line.len, shown, source.time),
            }
            if line
                .time
                .zip(newest_before)
                .is_some_and(|(time, newest)| time < newest)
            {
                self.late += 1;
            }
            self.newest = self.newest.max(line.time);
            source.time = line.time.or(source.time);
            offer(&mut heads, number, source);
        }
        self.plan.len_bytes() > before
    }

    /// What is needed to read up to `len` published bytes from `offset` on, without holding the tail meanwhile.
    pub fn part(&self, offset: u64, len: u64) -> TailPart {
        let sources = self.sources.clone();
        let len = len.min(self.len_bytes().saturating_sub(offset));
        TailPart {
            runs: runs_of(&self.plan, offset, len),
            sources,
            offset,
            len,
        }
    }
}

/// A stretch of a tail; see [`Tail::part`].
#[derive(Debug)]
pub struct TailPart {
    runs: Vec<Run>,
    sources: Vec<PlanSource>,
    offset: u64,
    len: u64,
}

impl TailPart {
    /// Appends its bytes to `out`.
    ///
    /// # Errors
    /// Of the share.
    pub fn read(&self, out: &mut Vec<u8>) -> Result<(), DiskError> {
        read_runs(&self.runs, &self.sources, self.offset, self.len, out)
    }
}
