//! All days: which dates the daily logs make up, kept up to date as the logs grow.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::disk::{DailyFile, DiskError, Origin};
use crate::event::Day;
use crate::format::read_line;
use crate::spool::{Alarm, DaySpool, SealedMarks, Spool, StateDir};

use super::audit_dir::AuditDir;
use super::cut::cut;
use super::day::DayFile;
use super::day_range::{DayRange, Measured, add_ranges, is_live, is_long_over, without_doubles};
use super::intake::BatchTime;
use super::planned_day::PlannedDay;
use super::publish_error::PublishError;

/// How an alarm begins that lasts only as long as its cause.
const STOPPED: &str = "publication has stopped: ";
/// How long the first scan of a live day may take.
const SCAN_PATIENCE: std::time::Duration = std::time::Duration::from_secs(3600);
/// Logs of days that are over are looked at once in so many refreshes.
const SWEEP_EVERY: u64 = 20;

/// See the module text.
#[derive(Debug)]
pub struct Days {
    dir: Arc<AuditDir>,
    spool: Option<SpoolUse>,
    alarms: Mutex<Vec<String>>,
    sealed: Mutex<Option<SealedMarks>>,
    days: RwLock<BTreeMap<Day, Arc<DayFile>>>,
    growth: RwLock<BTreeMap<Origin, i64>>,
    followed: Mutex<Followed>,
}

#[derive(Debug, Default)]
struct Followed {
    files: HashMap<String, Measured>,
    refreshes: u64,
}

/// The spool, and how long it keeps a day.
#[derive(Debug)]
pub struct SpoolUse {
    /// Where live days are published.
    pub spool: Spool,
    /// How long a day is kept after its last growth once its sources are gone, nanoseconds.
    pub retention_ns: i64,
    /// Holds the lock of the state directory for as long as the days live.
    pub state: StateDir,
}

impl Days {
    /// Nothing is known before the first [`Days::refresh`]. Without a spool the order of live days is kept in memory, and a
    /// restart makes it anew.
    pub fn new(dir: Arc<AuditDir>) -> Self {
        Days {
            dir,
            spool: None,
            alarms: Mutex::default(),
            sealed: Mutex::default(),
            days: RwLock::default(),
            growth: RwLock::default(),
            followed: Mutex::default(),
        }
    }

    /// Live days are published through the spool; `recovered` are the days that it holds already, `alarms` what its
    /// recovery found.
    pub fn with_spool(
        dir: Arc<AuditDir>,
        spool: SpoolUse,
        recovered: Vec<DaySpool>,
        alarms: Vec<Alarm>,
    ) -> Self {
        let days = recovered
            .into_iter()
            .map(|day| (day.day(), DayFile::spooled(dir.clone(), day)))
            .collect();
        for alarm in &alarms {
            tracing::error!(%alarm, "ALARM: the spool");
        }
        let mut alarms: Vec<String> = alarms.iter().map(ToString::to_string).collect();
        let sealed = SealedMarks::open(spool.state.path());
        if let Err(error) = &sealed {
            alarms.push(format!(
                "what was shown of older days is not known: {error}"
            ));
        }
        Days {
            spool: Some(spool),
            alarms: Mutex::new(alarms),
            sealed: Mutex::new(sealed.ok()),
            days: RwLock::new(days),
            ..Days::new(dir)
        }
    }

    /// What is wrong with the spool, in sentences.
    pub fn alarms(&self) -> Vec<String> {
        self.alarms
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether live days are published through a spool.
    pub fn has_spool(&self) -> bool {
        self.spool.is_some()
    }

    /// Bytes that the spool takes on the local disk; 0 without a spool.
    pub fn spool_bytes(&self) -> u64 {
        self.spool
            .as_ref()
            .and_then(|spool| spool.spool.space_bytes().ok())
            .unwrap_or(0)
    }

    /// All dates that have a record, oldest first.
    pub fn list(&self) -> Vec<Arc<DayFile>> {
        self.days
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// The day of this date, if it has a record.
    pub fn get(&self, day: Day) -> Option<Arc<DayFile>> {
        self.days
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&day)
            .cloned()
    }

    /// When each server's daily logs last grew, nanoseconds since 1970.
    pub fn last_growth(&self) -> BTreeMap<Origin, i64> {
        self.growth
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Looks at the daily logs of the catalog; gives the dates that grew or came, and what failed.
    pub fn refresh(&self, at: BatchTime) -> (Vec<Day>, Vec<DiskError>) {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut errors = Vec::new();
        let sweep = followed.refreshes.is_multiple_of(SWEEP_EVERY);
        followed.refreshes += 1;
        let mut ranges: BTreeMap<Day, Vec<DayRange>> = BTreeMap::new();
        let files = without_doubles(self.dir.catalog().daily_files());
        for file in &files {
            let known = followed.files.get(&file.path).copied();
            let live = is_live(file.named_day, at) || is_live(file.named_day.previous(), at);
            let measured = match known {
                Some(known) if !live && !sweep => Ok(known),
                _ => self.measure(file, known),
            };
            let measured = match measured {
                Ok(measured) => Some(measured),
                Err(error) => {
                    // A share that does not answer proves nothing: what was known stays. A name that is gone since the
                    // listing is no trouble: the next listing tells.
                    if !error.is_not_found() {
                        errors.push(error);
                    }
                    known
                }
            };
            if let Some(measured) = measured {
                followed.files.insert(file.path.clone(), measured);
                let mut growth = self.growth.write().unwrap_or_else(PoisonError::into_inner);
                let last = growth
                    .entry(file.origin.clone())
                    .or_insert(measured.stat.mtime_ns);
                *last = measured.stat.mtime_ns.max(*last);
                drop(growth);
                add_ranges(&mut ranges, file, measured, |day| {
                    self.get(day).is_some_and(|day| day.is_spooled())
                });
            }
        }
        followed
            .files
            .retain(|path, _| files.iter().any(|file| file.path == *path));
        (self.update(ranges, at, &mut errors), errors)
    }

    fn measure(&self, file: &DailyFile, known: Option<Measured>) -> Result<Measured, DiskError> {
        let stat = self.dir.disk().stat(&file.path)?;
        if let Some(known) = known.filter(|known| known.stat == stat) {
            return Ok(known);
        }
        if file.gz {
            let early = self
                .dir
                .first_packed_line(&file.path, stat)?
                .is_some_and(|line| {
                    read_line(&line)
                        .time
                        .is_some_and(|time| time < file.named_day.start())
                });
            if !early {
                // Its length is not worth unpacking it now; see DayFile::len_bytes.
                return Ok(Measured { stat, cut: None });
            }
        }
        let contents = self.dir.contents(&file.path, stat)?;
        let mut now = cut(&contents, file.named_day)?;
        let before = known
            .filter(|known| known.stat.identity == stat.identity)
            .and_then(|known| known.cut);
        if let Some(before) = before.filter(|before| before.whole > 0 && before.whole <= now.whole)
        {
            // Where midnight lies is decided once; a file that had only early records may still get there.
            let decided = before.midnight < before.whole;
            now.midnight = if decided {
                before.midnight
            } else {
                now.midnight.max(before.whole)
            };
        }
        Ok(Measured {
            stat,
            cut: Some(now),
        })
    }

    fn update(
        &self,
        ranges: BTreeMap<Day, Vec<DayRange>>,
        at: BatchTime,
        errors: &mut Vec<DiskError>,
    ) -> Vec<Day> {
        let spool = self.spool.as_ref().map(|spool| &spool.spool);
        let mut changed = Vec::new();
        let mut trouble = None;
        let known = self
            .days
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for (day, ranges) in &ranges {
            let live = is_live(*day, at);
            let (file, is_new) = match known.get(day) {
                Some(file) => (file.clone(), false),
                None => {
                    let torn_too = is_long_over(*day, at);
                    let shown = if live {
                        ranges.clone()
                    } else {
                        self.as_shown(*day, ranges)
                    };
                    let planned = PlannedDay::new(self.dir.clone(), *day, shown, torn_too, live);
                    (DayFile::planned(self.dir.clone(), planned), true)
                }
            };
            let prepared = if is_new && live {
                file.prepare(SCAN_PATIENCE)
            } else {
                Ok(true)
            };
            match prepared
                .map_err(PublishError::from)
                .and_then(|_| file.follow(ranges, live, at, spool))
            {
                Ok(true) => changed.push(*day),
                Ok(false) => {}
                Err(PublishError::Share(error)) if error.is_not_found() => {}
                Err(PublishError::Share(error)) => errors.push(error),
                Err(PublishError::Spool(error)) => trouble = Some(error.to_string()),
            }
            // A live day is visible only once its order is kept.
            if is_new && (!live || spool.is_none() || file.is_spooled()) {
                self.days
                    .write()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(*day, file);
                changed.push(*day);
            }
        }
        self.note_trouble(trouble);
        self.remove_gone(&ranges, at);
        changed
    }

    /// What was shown of a day that is over when it was first shown; remembered if that is now.
    fn as_shown(&self, day: Day, ranges: &[DayRange]) -> Vec<DayRange> {
        let mut sealed = self.sealed.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sealed) = &mut *sealed else {
            return ranges.to_vec();
        };
        let shown = match sealed.shown(day) {
            None => ranges.to_vec(),
            Some(known) => ranges
                .iter()
                .filter_map(|range| range.cut_to(known))
                .collect(),
        };
        let shown = if shown.is_empty() {
            ranges.to_vec()
        } else {
            shown
        };
        let sources: Vec<_> = shown
            .iter()
            .filter_map(|range| Some((range.source(), range.range?)))
            .collect();
        if let Err(error) = sealed.remember(day, &sources) {
            tracing::warn!(%day, %error, "what is shown of this day could not be remembered");
        }
        shown
    }

    /// A spool that cannot take more is an alarm for as long as it lasts.
    fn note_trouble(&self, trouble: Option<String>) {
        let mut alarms = self.alarms.lock().unwrap_or_else(PoisonError::into_inner);
        let trouble = trouble.map(|text| format!("{STOPPED}{text}"));
        if let Some(text) = trouble.as_ref().filter(|text| !alarms.contains(text)) {
            tracing::error!("ALARM: {text}");
        }
        alarms.retain(|alarm| !alarm.starts_with(STOPPED));
        alarms.extend(trouble);
    }

    /// A day that somebody has read, and may be following, goes into the spool while its sources are still open.
    fn keep_if_read(&self, file: &DayFile) {
        if let Some(spool) = &self.spool
            && let Err(error) = file.keep_if_read(&spool.spool)
        {
            tracing::warn!(day = %file.day(), %error, "the sources of this day are gone, and it could not be kept");
        }
    }

    /// A day goes in one step, when its sources are gone and its retention has passed (DESIGN 4.9).
    fn remove_gone(&self, ranges: &BTreeMap<Day, Vec<DayRange>>, at: BatchTime) {
        let mut days = self.days.write().unwrap_or_else(PoisonError::into_inner);
        days.retain(|day, file| {
            if !ranges.contains_key(day) {
                self.keep_if_read(file);
            }
            let kept = match (&self.spool, file.spooled_since_ns()) {
                (Some(spool), Some(since_ns)) => {
                    since_ns.saturating_add(spool.retention_ns) > at.now_ns
                }
                _ => false,
            };
            if kept || ranges.contains_key(day) {
                return true;
            }
            if let Some(spool) = &self.spool
                && let Err(error) = file.leave_spool(&spool.spool)
            {
                tracing::error!(%day, %error, "the spool of this day could not be removed");
                return true;
            }
            false
        });
    }
}
