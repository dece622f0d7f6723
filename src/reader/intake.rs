//! The lines of a live day that wait to be published: read from the share, held until they have settled, taken in batches.
//!
//! A line is held until it is older than the settle window, so that the lines of slower servers can still come before
//! it (DESIGN 4.3). A batch is first only looked at; its lines leave the intake when it has really been published, so
//! that a full disk or a share that fails half-way loses nothing.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use crate::disk::{Contents, DiskError, FileStat};
use crate::event::EventTime;
use crate::format::{LineForm, LineOrigin, read_line, shown_len};
use crate::merge::{KWay, Plan, Use};

use super::lines::{LineEnd, each_line};
use super::planned::PlanSource;

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

/// A moment as a batch sees it.
impl BatchTime {
    /// `now` with a settle window of `settle_ns`.
    pub fn new(now: EventTime, settle_ns: i64) -> Self {
        BatchTime {
            now_ns: now.as_ns(),
            settle_ns,
        }
    }
}

/// The lines that wait to be published. Taking lines in reads the share; nobody who reads the day waits for that.
#[derive(Debug, Default)]
pub struct Intake {
    sources: Vec<IntakeSource>,
}

#[derive(Debug)]
struct IntakeSource {
    source: PlanSource,
    generation: u32,
    /// File offset up to which lines have been published.
    published: u64,
    /// File offset up to which lines have been taken in.
    taken: u64,
    held: VecDeque<HeldLine>,
    /// Time of the line before the first held one.
    time: Option<EventTime>,
    /// Time of the last held line that has one.
    last_time: Option<EventTime>,
    nul_since_ns: Option<i64>,
    /// Lines that begin before this offset are left out if they are among these.
    left_out: Option<(u64, Arc<HashSet<u64>>)>,
}

#[derive(Clone, Copy, Debug)]
struct HeldLine {
    len: u64,
    time: Option<EventTime>,
    using: Use,
    arrived_ns: i64,
}

/// The settled lines of all sources, in their order.
#[derive(Debug, Default)]
pub struct Batch {
    lines: Vec<(usize, HeldLine, Option<EventTime>)>,
    /// Time of the newest record published so far, this batch included.
    pub newest: Option<EventTime>,
    /// Records of it that are older than one published before it.
    pub late: u64,
}

/// Where following a file begins.
#[derive(Clone, Debug)]
pub struct From {
    /// Whose file it is.
    pub server: Arc<str>,
    /// Its name.
    pub file: Arc<str>,
    /// The byte offset, at which a line begins.
    pub offset: u64,
    /// Time of the line before.
    pub time: Option<EventTime>,
    /// Which content under this name; see [`SourceMark`](crate::spool::SourceMark).
    pub generation: u32,
}

/// How far a batch takes one source.
#[derive(Clone, Debug)]
pub struct Advance {
    /// The source.
    pub source: PlanSource,
    /// Which content under its name.
    pub generation: u32,
    /// File offset behind its last line in the batch.
    pub next: u64,
    /// Time of its last line that has one.
    pub time: Option<EventTime>,
}

impl Batch {
    /// Whether there is nothing to publish.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Appends its lines to a plan whose sources are numbered as the intake's.
    pub fn append_to(&self, plan: &mut Plan) {
        for (source, line, before) in &self.lines {
            match line.using {
                Use::Copied => plan.copy(*source, line.len),
                Use::Shown { len_bytes, .. } => plan.show(*source, line.len, len_bytes, *before),
                Use::Skipped => plan.skip(*source, line.len),
            }
        }
    }
}

impl Intake {
    /// How far the lines of the source that reads `path` have been taken in.
    pub fn taken(&self, path: &str) -> Option<u64> {
        self.find(path)
            .and_then(|at| self.sources.get(at))
            .map(|source| source.taken)
    }

    /// The sources, each from its first unpublished byte on.
    pub fn sources(&self) -> Vec<PlanSource> {
        self.sources
            .iter()
            .map(|s| PlanSource {
                first: s.published,
                ..s.source.clone()
            })
            .collect()
    }

    /// Follows a file. One that is followed already under this path is followed anew.
    pub fn follow(&mut self, contents: Arc<Contents>, from: From) {
        let known = self.find(contents.path());
        let From {
            server,
            file,
            offset: first,
            time,
            generation,
        } = from;
        let source = IntakeSource {
            source: PlanSource {
                contents,
                first,
                server,
                file,
            },
            generation,
            published: first,
            taken: first,
            held: VecDeque::new(),
            time,
            last_time: time,
            nul_since_ns: None,
            left_out: None,
        };
        match known.and_then(|at| self.sources.get_mut(at)) {
            Some(slot) => *slot = source,
            None => self.sources.push(source),
        }
    }

    /// Follows the file at `path` no more; what is held of it is dropped.
    pub fn forget(&mut self, path: &str) {
        self.sources
            .retain(|source| source.source.contents.path() != path);
    }

    /// Whether the file at `path` is followed with exactly these contents.
    pub fn follows(&self, path: &str, contents: &Arc<Contents>) -> bool {
        let source = self.find(path).and_then(|at| self.sources.get(at));
        source.is_some_and(|source| Arc::ptr_eq(&source.source.contents, contents))
    }

    /// Of the lines that the file at `path` has before `until`, those whose hashes (newline included) are among `lines` are
    /// left out: a changed source repeats them.
    pub fn leave_out(&mut self, path: &str, lines: Arc<HashSet<u64>>, until: u64) {
        if let Some(source) = self.find(path).and_then(|at| self.sources.get_mut(at)) {
            source.left_out = Some((until, lines));
        }
    }

    fn find(&self, path: &str) -> Option<usize> {
        self.sources
            .iter()
            .position(|source| source.source.contents.path() == path)
    }

    /// Takes in the whole lines that the file at `path`, which has attributes `stat` now, has up to `end`; with `torn_too` a
    /// last line without a newline as well.
    ///
    /// # Errors
    /// Of the share; lines before the failure are taken in.
    pub fn take_in(
        &mut self,
        path: &str,
        end: u64,
        stat: FileStat,
        torn_too: bool,
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
            if (line.end == LineEnd::Torn && !torn_too) || source.held.len() >= HELD_LINES_MAX {
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
            let before = source.last_time;
            let as_is = read.form == LineForm::Json && line.end == LineEnd::Newline;
            let repeated = source.left_out.as_ref().is_some_and(|(until, lines)| {
                line.offset < *until && as_is && lines.contains(&hash_of_line(line.bytes))
            });
            let using = match (repeated, as_is) {
                (true, _) => Use::Skipped,
                (false, true) => Use::Copied,
                (false, false) => {
                    let (server, file) = (&*source.source.server, &*source.source.file);
                    let origin = LineOrigin {
                        server,
                        file,
                        offset_bytes: line.offset,
                        time: before,
                    };
                    let len_bytes = shown_len(line.bytes, read.form, &origin) as u64;
                    Use::Shown {
                        len_bytes,
                        time: before,
                    }
                }
            };
            let arrived_ns = at.now_ns;
            source.held.push_back(HeldLine {
                len: line.len,
                time: read.time,
                using,
                arrived_ns,
            });
            source.taken += line.len;
            source.last_time = read.time.or(source.last_time);
            true
        })?;
        if !nul {
            source.nul_since_ns = None;
        }
        Ok(())
    }

    /// Every held line that has settled, merged as one batch. The lines stay held until [`Intake::commit`].
    pub fn settled(&self, at: BatchTime, newest_before: Option<EventTime>) -> Batch {
        let settled = |line: &HeldLine| {
            let old = line
                .time
                .is_none_or(|time| time.as_ns().saturating_add(at.settle_ns) <= at.now_ns);
            old || line.arrived_ns.saturating_add(at.settle_ns) <= at.now_ns
        };
        let mut batch = Batch {
            newest: newest_before,
            ..Batch::default()
        };
        let mut next: Vec<(usize, Option<EventTime>)> =
            self.sources.iter().map(|s| (0, s.time)).collect();
        let mut heads = KWay::default();
        let offer = |heads: &mut KWay, number: usize, place: (usize, Option<EventTime>)| {
            let line = self
                .sources
                .get(number)
                .and_then(|s| s.held.get(place.0))
                .filter(|line| settled(line));
            if let Some(line) = line {
                heads.offer(
                    number,
                    line.time
                        .or(place.1)
                        .unwrap_or(EventTime::from_ns(i64::MIN)),
                );
            }
        };
        for (number, place) in next.iter().enumerate() {
            offer(&mut heads, number, *place);
        }
        while let Some(number) = heads.next_source() {
            let Some(place) = next.get_mut(number) else {
                break;
            };
            let Some(line) = self
                .sources
                .get(number)
                .and_then(|s| s.held.get(place.0))
                .copied()
            else {
                break;
            };
            batch.lines.push((number, line, place.1));
            let late = line
                .time
                .zip(newest_before)
                .is_some_and(|(time, newest)| time < newest);
            batch.late += u64::from(late);
            batch.newest = batch.newest.max(line.time);
            *place = (place.0 + 1, line.time.or(place.1));
            offer(&mut heads, number, *place);
        }
        batch
    }

    /// How far the batch takes each source that has lines in it.
    pub fn advances(&self, batch: &Batch) -> Vec<Advance> {
        let mut ends: Vec<(u64, Option<EventTime>)> =
            self.sources.iter().map(|s| (s.published, s.time)).collect();
        for (number, line, _) in &batch.lines {
            if let Some(end) = ends.get_mut(*number) {
                *end = (end.0 + line.len, line.time.or(end.1));
            }
        }
        let moved = self
            .sources
            .iter()
            .zip(ends)
            .filter(|(source, end)| source.published < end.0);
        moved
            .map(|(source, (next, time))| Advance {
                source: source.source.clone(),
                generation: source.generation,
                next,
                time,
            })
            .collect()
    }

    /// The batch has been published: its lines leave the intake.
    pub fn commit(&mut self, batch: &Batch) {
        for (number, ..) in &batch.lines {
            let Some(source) = self.sources.get_mut(*number) else {
                continue;
            };
            if let Some(line) = source.held.pop_front() {
                source.published += line.len;
                source.time = line.time.or(source.time);
            }
        }
    }
}

/// The hash of a line with its newline.
fn hash_of_line(line: &[u8]) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(line);
    hasher.update(b"\n");
    hasher.digest()
}
