//! A merged day that lives: its bytes come from the spool, and grow there batch by batch.
//!
//! What readers see is the spool alone, so a share that fails, hangs or is cleaned up takes nothing back: the day only
//! stops growing (DESIGN 4.7). Each source has a mark, how far it is published and a hash of what lies before; a
//! restart, a rotation or a packed copy goes on there where the hash still fits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::disk::{Contents, DailyFile, DiskError, FileStat};
use crate::merge::Plan;
use crate::spool::{BatchFacts, DayBytes, DaySpool, SourceMark, Spool};

use super::audit_dir::AuditDir;
use super::cut::own_range;
use super::day_range::DayRange;
use super::day_range::is_long_over;
use super::intake::{BatchTime, From, Intake};
use super::planned::{read_runs, runs_of};
use super::planned_day::PlannedDay;
use super::publish_error::PublishError;
use super::source_place::{last_time, mark, marks_of, still_fits};
use super::spool_copy::{copy_planned, published_lines};

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
    /// Attributes of each source when its published bytes were last compared with it.
    looked_at: HashMap<String, FileStat>,
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
            changed_sources: spool
                .marks()
                .map(|mark| u64::from(mark.generation > 0))
                .sum(),
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

    /// The size to tell, unless a batch is being shown just now; see [`DayBytes::size_bytes`].
    pub fn try_size_bytes(&self) -> Option<u64> {
        self.bytes.try_size_bytes()
    }

    /// The size to tell.
    pub fn size_bytes(&self) -> u64 {
        self.bytes.size_bytes()
    }

    /// Its bytes on the local disk.
    pub fn bytes(&self) -> Arc<DayBytes> {
        self.bytes.clone()
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
        spool: &mut DaySpool,
        intake: &mut Intake,
        range: &DayRange,
        at: BatchTime,
    ) -> Result<(), PublishError> {
        let path = &range.file.path;
        let contents = self.dir.contents(path, range.stat)?;
        let (first, mut next) = match range.range {
            Some(range) => range,
            // A packed log: its lines are known only now.
            None => own_range(&contents, &range.file, spool.day())?,
        };
        // A torn last line waits for its rest until the day is long over.
        let torn_too = is_long_over(spool.day(), at) && range.file.named_day == spool.day();
        if torn_too && first < contents.len_bytes() {
            next = contents.len_bytes();
        }
        let followed = intake.follows(path, &contents)
            && intake.taken(path).is_some_and(|taken| taken <= next);
        if !followed || self.was_rewritten(spool, range, &contents)? {
            self.attach(spool, intake, range, &contents, first)?;
        }
        if intake.taken(path).is_some_and(|taken| taken < next) {
            intake.take_in(path, next, range.stat, torn_too, at)?;
        }
        Ok(())
    }

    /// Whether what was published of a file that has been touched is not in it any more.
    fn was_rewritten(
        &self,
        spool: &DaySpool,
        range: &DayRange,
        contents: &Contents,
    ) -> Result<bool, DiskError> {
        let before = self
            .lock()
            .looked_at
            .insert(range.file.path.clone(), range.stat);
        if before == Some(range.stat) {
            return Ok(false);
        }
        match spool.mark(range.file.origin.as_str(), &range.file.name) {
            Some(mark) => Ok(!still_fits(contents, mark)?),
            None => Ok(false),
        }
    }

    /// Begins to follow a source, where its mark says and its bytes agree.
    fn attach(
        &self,
        spool: &mut DaySpool,
        intake: &mut Intake,
        range: &DayRange,
        contents: &Arc<Contents>,
        first: u64,
    ) -> Result<(), PublishError> {
        let (origin, name) = (range.file.origin.as_str(), range.file.name.as_str());
        let from = |offset, time, generation| {
            let (server, file) = (origin.into(), name.into());
            From {
                server,
                file,
                offset,
                time,
                generation,
            }
        };
        // A log that was packed, or unpacked, since goes on under its other name.
        let packed = format!("{name}.gz");
        let other = name.strip_suffix(".gz").unwrap_or(&packed);
        let marks: Vec<SourceMark> = [name, other]
            .iter()
            .filter_map(|name| spool.mark(origin, name).cloned())
            .collect();
        let mut fitting: Option<&SourceMark> = None;
        for mark in &marks {
            if still_fits(contents, mark)? && fitting.is_none_or(|best| best.next < mark.next) {
                fitting = Some(mark);
            }
        }
        // What is held of it under that name is read again under this one.
        let other_path = range
            .file
            .path
            .strip_suffix(name)
            .map(|dir| format!("{dir}{other}"));
        intake.forget(&other_path.unwrap_or_default());
        contents.pin()?;
        let generation = match (fitting, marks.iter().map(|mark| mark.generation).max()) {
            (Some(mark), _) => {
                intake.follow(
                    contents.clone(),
                    from(mark.next, mark.time, mark.generation),
                );
                mark.generation
            }
            (None, None) => {
                intake.follow(contents.clone(), from(first, None, 0));
                0
            }
            (None, Some(generation)) => {
                let generation = generation.saturating_add(1);
                tracing::error!(
                    day = %spool.day(), server = origin, file = name,
                    "ALARM: a published daily log has been shrunk, replaced or rewritten; what was published stays, \
                     lines that were never published follow"
                );
                let facts = BatchFacts {
                    mtime_ns: spool.mtime_ns(),
                    newest: spool.newest(),
                    late: spool.late(),
                };
                // The mark outlives a restart: it is evidence.
                spool.publish(
                    &[],
                    &[mark(range, contents, generation, first, first, None)?],
                    facts,
                )?;
                self.lock().changed_sources += 1;
                intake.follow(contents.clone(), from(first, None, generation));
                generation
            }
        };
        if generation > 0 {
            intake.leave_out(
                contents.path(),
                published_lines(&self.bytes)?,
                contents.len_bytes(),
            );
        }
        Ok(())
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
        let marks = marks_of(intake.advances(&batch), spool)?;
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
