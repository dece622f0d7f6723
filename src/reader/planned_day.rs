//! A merged day that no spool holds: what was there when it was first seen, read by plan, and behind it, in memory only,
//! what has been published since.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::disk::{CacheKey, DailyFile, DiskError};
use crate::event::Day;

use super::audit_dir::AuditDir;
use super::cut::own_range;
use super::day_plan::{DayPart, DayPlan};
use super::day_range::{DayRange, end, newest};
use super::intake::{BatchTime, From, Intake};
use super::planned::PlanSource;
use super::tail::Tail;

/// How long a scan may take before a day that grows is published without waiting for it.
const SCAN_PATIENCE: Duration = Duration::from_secs(3600);

/// What became of the sources of a day.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Look {
    /// Nothing new.
    Same,
    /// They are others now, and nobody has read the day: it begins anew.
    Anew,
    /// They are others now, and somebody may be following the day.
    Lost,
    /// There is more.
    Grown,
}

/// See the module text.
#[derive(Debug)]
pub struct PlannedDay {
    day: Day,
    dir: Arc<AuditDir>,
    inner: Mutex<Inner>,
    intake: Mutex<Intake>,
}

#[derive(Debug)]
struct Inner {
    ranges: Vec<DayRange>,
    torn_too: bool,
    exact: Option<u64>,
    tail: Option<Tail>,
    mtime_ns: i64,
    live: bool,
    changed_sources: u64,
}

impl PlannedDay {
    /// A day made up of these ranges, which are in (server ID, file name) order.
    pub fn new(
        dir: Arc<AuditDir>,
        day: Day,
        ranges: Vec<DayRange>,
        torn_too: bool,
        live: bool,
    ) -> Self {
        let mtime_ns = newest(&ranges);
        let inner = Inner {
            ranges,
            torn_too,
            exact: None,
            tail: None,
            mtime_ns,
            live,
            changed_sources: 0,
        };
        PlannedDay {
            day,
            dir,
            inner: Mutex::new(inner),
            intake: Mutex::default(),
        }
    }

    /// Its date.
    pub fn day(&self) -> Day {
        self.day
    }

    /// Published bytes. Before the first reading a sum over the sources (see DESIGN 4.4), then exact.
    ///
    /// # Errors
    /// Of the share: a packed log is unpacked to learn its length.
    pub fn len_bytes(&self) -> Result<u64, DiskError> {
        self.measure()?;
        Ok(self.known_len().unwrap_or(0))
    }

    /// Published bytes, unless a packed log must be unpacked to tell.
    pub fn known_len(&self) -> Option<u64> {
        let inner = self.lock();
        let first = match inner.exact {
            Some(exact) => exact,
            None => inner
                .ranges
                .iter()
                .map(|r| r.range.map(|(first, next)| next - first))
                .sum::<Option<u64>>()?,
        };
        Some(first + inner.tail.as_ref().map_or(0, Tail::len_bytes))
    }

    /// When it last grew, nanoseconds since 1970.
    pub fn mtime_ns(&self) -> i64 {
        self.lock().mtime_ns
    }

    /// Whether it may still grow.
    pub fn is_live(&self) -> bool {
        let inner = self.lock();
        inner.live || inner.tail.is_some()
    }

    /// What it is made of.
    pub fn ranges(&self) -> Vec<DayRange> {
        self.lock().ranges.clone()
    }

    /// Whether its length is exact: it has been scanned.
    pub fn is_exact(&self) -> bool {
        self.lock().exact.is_some()
    }

    /// Records that were published behind newer ones.
    pub fn late(&self) -> u64 {
        self.lock().tail.as_ref().map_or(0, |tail| tail.late)
    }

    /// Sources that were found shrunk, replaced or gone after they had been published.
    pub fn changed_sources(&self) -> u64 {
        self.lock().changed_sources
    }

    /// The daily logs it is made of.
    pub fn files(&self) -> Vec<DailyFile> {
        self.lock()
            .ranges
            .iter()
            .map(|range| range.file.clone())
            .collect()
    }

    /// Scans the day if that has not been done, waiting at most `patience`; gives whether its length is exact now.
    ///
    /// # Errors
    /// Of the share.
    pub fn prepare(&self, patience: Duration) -> Result<bool, DiskError> {
        self.measure()?;
        if self.lock().exact.is_some() {
            return Ok(true);
        }
        let plan = self.plan()?;
        let exact = plan.wait(patience);
        if let Some(exact) = exact {
            self.lock().exact = Some(exact);
            self.dir
                .cache()
                .put(CacheKey::Day(self.day), plan.clone(), plan.cost());
        }
        Ok(exact.is_some())
    }

    /// Appends up to `len` published bytes from `offset` on to `out`; fewer mean the end.
    ///
    /// # Errors
    /// Of the share.
    pub fn read_at(&self, offset: u64, len: u64, out: &mut Vec<u8>) -> Result<(), DiskError> {
        let (exact, tail_len) = {
            let inner = self.lock();
            (inner.exact, inner.tail.as_ref().map(Tail::len_bytes))
        };
        let end = offset.saturating_add(len);
        if exact.is_none_or(|exact| offset < exact) {
            self.plan()?.read_at(
                offset,
                len.min(exact.map_or(u64::MAX, |exact| exact - offset)),
                out,
            )?;
        }
        if let Some((exact, _)) = exact.zip(tail_len).filter(|(exact, _)| end > *exact) {
            let first = offset.max(exact);
            let inner = self.lock();
            let part = inner
                .tail
                .as_ref()
                .map(|tail| tail.part(first - exact, end - first));
            drop(inner);
            part.map_or(Ok(()), |part| part.read(out))?;
        }
        Ok(())
    }

    /// Whether a torn last line is shown.
    pub fn shows_torn(&self) -> bool {
        self.lock().torn_too
    }

    /// Compares what its sources hold now with what it was made of.
    pub fn look(&self, ranges: &[DayRange], live: bool) -> Look {
        let mut inner = self.lock();
        inner.live = live;
        let same =
            |a: &DayRange, b: &DayRange| a.file == b.file && a.stat.identity == b.stat.identity;
        let shrunk = |old: &DayRange| {
            ranges.iter().find(|new| same(old, new)).is_none_or(|new| {
                match (old.range, new.range) {
                    (Some((_, was)), Some((_, is))) => is < was,
                    _ => new.stat != old.stat,
                }
            })
        };
        let changed = inner.ranges.iter().filter(|old| shrunk(old)).count() as u64;
        if inner.tail.is_none() && changed > 0 {
            if inner.exact.is_some() {
                return Look::Lost;
            }
            drop(inner);
            self.begin_anew(ranges);
            return Look::Anew;
        }
        inner.changed_sources = inner.changed_sources.max(changed);
        let known = |new: &DayRange| inner.ranges.iter().find(|old| old.file == new.file);
        let grown = ranges
            .iter()
            .any(|new| known(new).is_none_or(|old| end(old) < end(new)));
        if grown || inner.tail.is_some() {
            Look::Grown
        } else {
            Look::Same
        }
    }

    /// Makes it of these ranges. Nobody has read it, or it cannot be kept: the promise was the sum of its sources.
    pub fn begin_anew(&self, ranges: &[DayRange]) {
        let mut inner = self.lock();
        inner.mtime_ns = inner.mtime_ns.max(newest(ranges));
        inner.ranges = ranges.to_vec();
        inner.exact = None;
        drop(inner);
        self.dir.cache().remove(&CacheKey::Day(self.day));
    }

    /// Takes in what its sources hold now, in memory. Gives whether it grew.
    ///
    /// # Errors
    /// Of the share. What has been published stays.
    pub fn follow(&self, ranges: &[DayRange], at: BatchTime) -> Result<bool, DiskError> {
        self.prepare(SCAN_PATIENCE)?;
        let (first_seen, torn_too) = {
            let inner = self.lock();
            (inner.ranges.clone(), inner.torn_too)
        };
        let mut intake = self.intake.lock().unwrap_or_else(PoisonError::into_inner);
        for new in ranges {
            let Some((first, next)) = new.range else {
                continue;
            };
            if intake.taken(&new.file.path).is_none() {
                let old = first_seen.iter().find(|old| old.file == new.file);
                let from = old.map_or(first, |old| old.followed_from(torn_too));
                let contents = self.dir.contents(&new.file.path, new.stat)?;
                let from = From {
                    server: new.file.origin.as_str().into(),
                    file: new.file.name.as_str().into(),
                    offset: from,
                    time: None,
                    generation: 0,
                };
                intake.follow(contents, from);
            }
            if intake
                .taken(&new.file.path)
                .is_some_and(|taken| taken < next)
            {
                intake.take_in(&new.file.path, next, new.stat, false, at)?;
            }
        }
        let mut inner = self.lock();
        let tail = inner.tail.get_or_insert_with(Tail::default);
        let batch = intake.settled(at, tail.newest);
        let published = !batch.is_empty();
        tail.publish(&intake, &batch);
        intake.commit(&batch);
        if published {
            inner.mtime_ns = inner.mtime_ns.max(at.now_ns);
        }
        Ok(published)
    }

    /// Unpacks packed logs to learn how much of them belongs to the day.
    fn measure(&self) -> Result<(), DiskError> {
        let unmeasured: Vec<DayRange> = self
            .lock()
            .ranges
            .iter()
            .filter(|range| range.range.is_none())
            .cloned()
            .collect();
        for range in unmeasured {
            let contents = self.dir.contents_now(&range.file.path)?;
            let own = own_range(&contents, &range.file, self.day)?;
            let mut inner = self.lock();
            if let Some(slot) = inner.ranges.iter_mut().find(|r| r.file == range.file) {
                slot.range = Some(own);
                slot.stat = contents.stat();
            }
        }
        Ok(())
    }

    fn plan(&self) -> Result<Arc<DayPlan>, DiskError> {
        let key = CacheKey::Day(self.day);
        if let Some(plan) = self
            .dir
            .cache()
            .get::<DayPlan>(&key)
            .filter(|plan| !plan.has_failed())
        {
            return Ok(plan);
        }
        self.measure()?;
        let (ranges, torn_too) = {
            let inner = self.lock();
            (inner.ranges.clone(), inner.torn_too)
        };
        let mut parts = Vec::with_capacity(ranges.len());
        for range in ranges {
            let Some((first, next)) = range.range else {
                continue;
            };
            let contents = self.dir.contents_now(&range.file.path)?;
            if contents.stat().identity != range.stat.identity {
                let replaced = std::io::Error::other("the file was replaced by another one");
                return Err(DiskError::io(&range.file.path, replaced));
            }
            let whole = if torn_too && next == super::cut::whole_lines(&contents)? {
                range.stat.size.max(next)
            } else {
                next
            };
            let len = if contents.is_plain() {
                whole - first
            } else {
                next - first
            };
            // Followed logs are rotated away under their readers.
            contents.pin()?;
            let source = PlanSource {
                contents,
                first,
                server: range.file.origin.as_str().into(),
                file: range.file.name.as_str().into(),
            };
            parts.push(DayPart {
                source,
                len,
                torn_too,
            });
        }
        let plan = DayPlan::new(parts);
        self.dir.cache().put(key, plan.clone(), plan.cost());
        Ok(plan)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
