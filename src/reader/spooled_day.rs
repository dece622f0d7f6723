//! A merged day that lives: its bytes come from the spool, and grow there batch by batch.
//!
//! What readers see is the spool alone, so a share that fails, hangs or is cleaned up takes nothing back: the day only
//! stops growing (DESIGN 4.7). Each source has a mark, how far it is published and a hash of what lies before; a
//! restart, a rotation or a packed copy goes on there where the hash still fits.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use crate::disk::{Contents, DailyFile, DiskError};
use crate::merge::Plan;
use crate::spool::{BatchFacts, DayBytes, DaySpool, SourceMark, Spool};

use super::audit_dir::AuditDir;
use super::intake::{BatchTime, Intake};
use super::planned::{read_runs, runs_of};
use super::planned_day::{DayRange, PlannedDay};
use super::publish_error::PublishError;
use super::source_place::{last_time, mark, still_fits, tail_hash};

/// How long the scan of a day may take when the day enters the spool.
const SCAN_PATIENCE: Duration = Duration::from_secs(3600);
/// Bytes of a batch made at a time.
const STEP_BYTES: u64 = 1 << 20;

/// See the module text.
#[derive(Debug)]
pub struct SpooledDay {
    dir: Arc<AuditDir>,
    bytes: Arc<DayBytes>,
    facts: Mutex<Facts>,
    writer: Mutex<Writer>,
}

/// What is asked about the day; never held while the share or the disk is asked.
#[derive(Debug, Default)]
struct Facts {
    mtime_ns: i64,
    late: u64,
    changed_sources: u64,
    files: Vec<DailyFile>,
}

#[derive(Debug)]
struct Writer {
    /// None once it has been removed.
    spool: Option<DaySpool>,
    intake: Intake,
}

impl SpooledDay {
    /// A day that an earlier daemon has published.
    pub fn recovered(dir: Arc<AuditDir>, spool: DaySpool) -> Self {
        let facts = Facts {
            mtime_ns: spool.mtime_ns(),
            late: spool.late(),
            ..Facts::default()
        };
        let bytes = spool.bytes();
        let writer = Writer {
            spool: Some(spool),
            intake: Intake::default(),
        };
        SpooledDay {
            dir,
            bytes,
            facts: Mutex::new(facts),
            writer: Mutex::new(writer),
        }
    }

    /// Copies what is visible of a planned day into the spool, as one batch.
    ///
    /// # Errors
    /// Of the share or the spool; the day stays as it was.
    pub fn begin(
        dir: Arc<AuditDir>,
        planned: &Arc<PlannedDay>,
        spool: &Spool,
    ) -> Result<Self, PublishError> {
        planned.prepare(SCAN_PATIENCE)?;
        let mut marks = Vec::new();
        let mut newest = None;
        for range in planned.ranges() {
            let Some((first, _)) = range.range else {
                continue;
            };
            let next = range.followed_from(planned.shows_torn());
            let contents = dir.contents(&range.file.path, range.stat)?;
            let time = last_time(&contents, first, next)?;
            newest = newest.max(time);
            marks.push(mark(&range, &contents, 0, first, next, time)?);
        }
        let mut day = spool.create(planned.day())?;
        let facts = BatchFacts {
            mtime_ns: planned.mtime_ns(),
            newest,
            late: 0,
        };
        let copied = copy_planned(planned, &mut day, &marks, facts);
        match copied {
            Ok(()) => {
                let recovered = SpooledDay::recovered(dir, day);
                recovered.lock().files = planned.files();
                Ok(recovered)
            }
            Err(error) => {
                spool.remove(day)?;
                Err(error)
            }
        }
    }

    /// Published bytes.
    pub fn len_bytes(&self) -> u64 {
        self.bytes.len_bytes()
    }

    /// When it last grew, nanoseconds since 1970.
    pub fn mtime_ns(&self) -> i64 {
        self.lock().mtime_ns
    }

    /// Records that were published behind newer ones.
    pub fn late(&self) -> u64 {
        self.lock().late
    }

    /// Sources that were found to be others than those published.
    pub fn changed_sources(&self) -> u64 {
        self.lock().changed_sources
    }

    /// The daily logs it was last made of.
    pub fn files(&self) -> Vec<DailyFile> {
        self.lock().files.clone()
    }

    /// Appends up to `len` published bytes from `offset` on to `out`; fewer mean the end.
    ///
    /// # Errors
    /// Of the local disk.
    pub fn read_at(&self, offset: u64, len: u64, out: &mut Vec<u8>) -> Result<(), DiskError> {
        self.bytes
            .read_at(offset, len, out)
            .map_err(|error| DiskError::io("the spool", error))
    }

    /// Takes in what the sources hold now, and publishes what has settled. Gives whether it grew.
    ///
    /// # Errors
    /// Of the share or the spool. Lines that could not be published wait.
    pub fn follow(&self, ranges: &[DayRange], at: BatchTime) -> Result<bool, PublishError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let Writer {
            spool: Some(spool),
            intake,
        } = &mut *writer
        else {
            return Ok(false);
        };
        if spool.is_poisoned() {
            spool.reopen()?;
        }
        let mut trouble = None;
        for range in ranges {
            // One server's trouble does not keep the lines of the others.
            if let Err(error) = self.take_in(spool, intake, range, at) {
                trouble = Some(error);
            }
        }
        let published = self.publish(spool, intake, at)?;
        self.lock().files = ranges.iter().map(|range| range.file.clone()).collect();
        trouble.map_or(Ok(published), Err)
    }

    /// Removes it from the spool; whoever has it open reads on.
    ///
    /// # Errors
    /// Of the state directory.
    pub fn remove(&self, spool: &Spool) -> Result<(), PublishError> {
        let day = self
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .spool
            .take();
        day.map_or(Ok(()), |day| Ok(spool.remove(day)?))
    }

    fn take_in(
        &self,
        spool: &DaySpool,
        intake: &mut Intake,
        range: &DayRange,
        at: BatchTime,
    ) -> Result<(), PublishError> {
        let path = &range.file.path;
        let contents = self.dir.contents(path, range.stat)?;
        let (first, next) = match range.range {
            Some(range) => range,
            // A packed log: its lines are known only now.
            None => super::cut::own_range(&contents, &range.file, spool.day())?,
        };
        if !intake.follows(path, &contents) || intake.taken(path).is_some_and(|taken| taken > next)
        {
            self.attach(spool, intake, range, &contents, first)?;
        }
        if intake.taken(path).is_some_and(|taken| taken < next) {
            intake.take_in(path, next, range.stat, at)?;
        }
        Ok(())
    }

    /// Begins to follow a source, where its mark says and its bytes agree.
    fn attach(
        &self,
        spool: &DaySpool,
        intake: &mut Intake,
        range: &DayRange,
        contents: &Arc<Contents>,
        first: u64,
    ) -> Result<(), PublishError> {
        let (origin, name) = (range.file.origin.as_str(), range.file.name.as_str());
        let server: Arc<str> = origin.into();
        // A log that was packed, or unpacked, since goes on under its other name.
        let packed = format!("{name}.gz");
        let other = name.strip_suffix(".gz").unwrap_or(&packed);
        let marks: Vec<&SourceMark> = [name, other]
            .iter()
            .filter_map(|name| spool.mark(origin, name))
            .collect();
        let mut fitting: Option<&SourceMark> = None;
        for mark in &marks {
            if still_fits(contents, mark)? && fitting.is_none_or(|best| best.next < mark.next) {
                fitting = Some(mark);
            }
        }
        match (fitting, marks.is_empty()) {
            (Some(mark), _) => {
                intake.follow(contents.clone(), server, name.into(), mark.next, mark.time)
            }
            (None, true) => intake.follow(contents.clone(), server, name.into(), first, None),
            (None, false) => {
                tracing::error!(
                    day = %spool.day(), server = origin, file = name,
                    "ALARM: a published daily log has been shrunk, replaced or rewritten; what was published stays, \
                     lines that were never published follow"
                );
                self.lock().changed_sources += 1;
                intake.follow(contents.clone(), server, name.into(), first, None);
                intake.leave_out(
                    contents.path(),
                    self.published_lines()?,
                    contents.len_bytes(),
                );
            }
        }
        Ok(())
    }

    /// Hashes of all published lines: what a changed source repeats is not published again.
    fn published_lines(&self) -> Result<Arc<HashSet<u64>>, DiskError> {
        let mut lines = HashSet::new();
        let (mut offset, mut block, mut rest) = (0, Vec::new(), Vec::new());
        loop {
            block.clear();
            self.read_at(offset, STEP_BYTES, &mut block)?;
            if block.is_empty() {
                return Ok(Arc::new(lines));
            }
            offset += block.len() as u64;
            rest.extend_from_slice(&block);
            let whole = memchr::memrchr(b'\n', &rest).map_or(0, |at| at + 1);
            lines.extend(
                rest.get(..whole)
                    .unwrap_or(&[])
                    .split_inclusive(|b| *b == b'\n')
                    .map(xxh3_64),
            );
            rest.drain(..whole);
        }
    }

    fn publish(
        &self,
        spool: &mut DaySpool,
        intake: &mut Intake,
        at: BatchTime,
    ) -> Result<bool, PublishError> {
        let batch = intake.settled(at, spool.newest());
        if batch.is_empty() {
            return Ok(false);
        }
        let (mut plan, sources) = (Plan::default(), intake.sources());
        batch.append_to(&mut plan);
        let mut marks = Vec::new();
        for advance in intake.advances(&batch) {
            let contents = &advance.source.contents;
            let (origin, file) = (&*advance.source.server, &*advance.source.file);
            let known = spool.mark(origin, file);
            marks.push(SourceMark {
                origin: origin.to_owned(),
                file: file.to_owned(),
                generation: known.map_or(0, |mark| mark.generation),
                first: known.map_or(advance.source.first, |mark| mark.first),
                next: advance.next,
                tail: tail_hash(contents, advance.next)?,
                identity: contents.stat().identity,
                time: advance.time,
            });
        }
        let late = spool.late() + batch.late;
        let mut writing = spool.batch()?;
        let mut offset = 0;
        while offset < plan.len_bytes() {
            let len = STEP_BYTES.min(plan.len_bytes() - offset);
            let mut bytes = Vec::new();
            read_runs(
                &runs_of(&plan, offset, len),
                &sources,
                offset,
                len,
                &mut bytes,
            )?;
            writing.write(&bytes)?;
            offset += len;
        }
        writing.publish(
            &marks,
            BatchFacts {
                mtime_ns: at.now_ns,
                newest: batch.newest,
                late,
            },
        )?;
        intake.commit(&batch);
        let mut facts = self.lock();
        facts.mtime_ns = facts.mtime_ns.max(at.now_ns);
        facts.late = late;
        Ok(true)
    }

    fn lock(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn copy_planned(
    planned: &Arc<PlannedDay>,
    day: &mut DaySpool,
    marks: &[SourceMark],
    facts: BatchFacts,
) -> Result<(), PublishError> {
    let mut batch = day.batch()?;
    let (mut offset, len) = (0, planned.len_bytes()?);
    while offset < len {
        let mut bytes = Vec::new();
        planned.read_at(offset, STEP_BYTES.min(len - offset), &mut bytes)?;
        if bytes.is_empty() {
            let short = std::io::Error::new(
                std::io::ErrorKind::UnexpectedEof,
                "a daily log is shorter than it was",
            );
            return Err(DiskError::io("the day", short).into());
        }
        batch.write(&bytes)?;
        offset += bytes.len() as u64;
    }
    Ok(batch.publish(marks, facts)?)
}
