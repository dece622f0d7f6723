//! All days: which dates the daily logs make up, kept up to date as the logs grow.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::disk::{DailyFile, DiskError, FileStat, Origin};
use crate::event::{Day, EventTime};
use crate::spool::{Alarm, DaySpool, Spool, StateDir};

use super::audit_dir::AuditDir;
use super::cut::{Cut, cut};
use super::day::DayFile;
use super::intake::BatchTime;
use super::planned_day::{DayRange, PlannedDay};
use super::publish_error::PublishError;

/// A day is expected to grow until this long after its end, nanoseconds: servers' clocks differ, writers flush late.
const LIVE_AFTER_NS: i64 = 3600 * 1_000_000_000;
/// A torn last line is shown once its day has been over for this long, nanoseconds.
const TORN_AFTER_NS: i64 = 24 * LIVE_AFTER_NS;
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
    days: RwLock<BTreeMap<Day, Arc<DayFile>>>,
    growth: RwLock<BTreeMap<Origin, i64>>,
    followed: Mutex<Followed>,
}

#[derive(Debug, Default)]
struct Followed {
    files: HashMap<String, Measured>,
    refreshes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Measured {
    stat: FileStat,
    cut: Option<Cut>,
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
        let alarms = alarms.iter().map(ToString::to_string).collect();
        Days {
            spool: Some(spool),
            alarms: Mutex::new(alarms),
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
                    // A share that does not answer proves nothing: what was known stays.
                    errors.push(error);
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
                add_ranges(&mut ranges, file, measured);
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
            // Its length is not worth unpacking it now; see DayFile::len_bytes.
            return Ok(Measured { stat, cut: None });
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
                    let torn_too =
                        day.next().start().as_ns().saturating_add(TORN_AFTER_NS) < at.now_ns;
                    let planned =
                        PlannedDay::new(self.dir.clone(), *day, ranges.clone(), torn_too, live);
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

    /// A spool that cannot take more is an alarm for as long as it lasts.
    fn note_trouble(&self, trouble: Option<String>) {
        let mut alarms = self.alarms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = &trouble
            && !alarms.contains(text)
        {
            tracing::error!(reason = text, "ALARM: publication has stopped");
        }
        alarms.retain(|alarm| !alarm.starts_with(STOPPED));
        alarms.extend(trouble.map(|text| format!("{STOPPED}{text}")));
    }

    /// A day goes in one step, when its sources are gone and its retention has passed (DESIGN 4.9).
    fn remove_gone(&self, ranges: &BTreeMap<Day, Vec<DayRange>>, at: BatchTime) {
        let mut days = self.days.write().unwrap_or_else(PoisonError::into_inner);
        days.retain(|day, file| {
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

fn is_live(day: Day, at: BatchTime) -> bool {
    day.next().start().as_ns().saturating_add(LIVE_AFTER_NS) > at.now_ns
}

/// The dates that a file's bytes belong to. An empty stretch makes no day.
fn add_ranges(ranges: &mut BTreeMap<Day, Vec<DayRange>>, file: &DailyFile, measured: Measured) {
    let mut add = |day: Day, range: Option<(u64, u64)>| {
        ranges.entry(day).or_default().push(DayRange {
            file: file.clone(),
            stat: measured.stat,
            range,
        });
    };
    match measured.cut {
        None => add(file.named_day, None),
        Some(cut) => {
            for (day, first, next) in cut.parts(file.named_day) {
                if first < next {
                    add(day, Some((first, next)));
                }
            }
        }
    }
}

/// While a tool packs a log, the log and its packed copy lie side by side: the log counts.
fn without_doubles(files: Vec<DailyFile>) -> Vec<DailyFile> {
    let plain: std::collections::HashSet<String> = files
        .iter()
        .filter(|f| !f.gz)
        .map(|f| f.path.clone())
        .collect();
    let doubled = |file: &DailyFile| {
        file.gz
            && file
                .path
                .strip_suffix(".gz")
                .is_some_and(|path| plain.contains(path))
    };
    files.into_iter().filter(|file| !doubled(file)).collect()
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
