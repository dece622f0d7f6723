//! One merged day: read by plan while it rests, from the spool once it lives.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::disk::{CacheKey, DailyFile};
use crate::event::Day;
use crate::spool::{DayBytes, DaySpool, Spool};

use super::audit_dir::AuditDir;
use super::day_range::{DayRange, is_live};
use super::intake::BatchTime;
use super::planned_day::{Look, PlannedDay};
use super::publish_error::PublishError;
use super::spooled_day::SpooledDay;
use crate::disk::DiskError;

/// A merged day. Its bytes never change: it only grows at its end.
#[derive(Debug)]
pub struct DayFile {
    day: Day,
    dir: Arc<AuditDir>,
    state: RwLock<State>,
}

/// Where the bytes of a day come from.
#[derive(Clone, Debug)]
enum State {
    /// From the sources, by plan.
    Planned(Arc<PlannedDay>),
    /// From the spool.
    Spooled(Arc<SpooledDay>),
}

impl DayFile {
    /// A day that is read from its sources.
    pub(super) fn planned(dir: Arc<AuditDir>, day: PlannedDay) -> Arc<Self> {
        Arc::new(DayFile {
            day: day.day(),
            dir,
            state: RwLock::new(State::Planned(Arc::new(day))),
        })
    }

    /// A day that an earlier daemon has published.
    pub(super) fn spooled(dir: Arc<AuditDir>, spool: DaySpool) -> Arc<Self> {
        let day = spool.day();
        let spooled = SpooledDay::recovered(dir.clone(), spool);
        Arc::new(DayFile {
            day,
            dir,
            state: RwLock::new(State::Spooled(Arc::new(spooled))),
        })
    }

    /// Its date.
    pub fn day(&self) -> Day {
        self.day
    }

    /// Published bytes. Before the first reading of a day that rests a sum over its sources (DESIGN 4.4), then exact.
    ///
    /// # Errors
    /// Of the share: a packed log is unpacked to learn its length.
    pub fn len_bytes(&self) -> Result<u64, DiskError> {
        match self.state() {
            State::Planned(day) => day.len_bytes(),
            State::Spooled(day) => Ok(day.size_bytes()),
        }
    }

    /// Published bytes, unless a packed log must be unpacked to tell, or they grow this very moment.
    pub fn known_len(&self) -> Option<u64> {
        match self.state() {
            State::Planned(day) => day.known_len(),
            State::Spooled(day) => day.try_size_bytes(),
        }
    }

    /// When it last grew, nanoseconds since 1970.
    pub fn mtime_ns(&self) -> i64 {
        match self.state() {
            State::Planned(day) => day.mtime_ns(),
            State::Spooled(day) => day.mtime_ns(),
        }
    }

    /// Whether it may still grow.
    pub fn is_live(&self) -> bool {
        match self.state() {
            State::Planned(day) => day.is_live(),
            State::Spooled(_) => true,
        }
    }

    /// Whether its length is exact: it has been scanned, or comes from the spool.
    pub fn is_exact(&self) -> bool {
        match self.state() {
            State::Planned(day) => day.is_exact(),
            State::Spooled(_) => true,
        }
    }

    /// Whether the spool holds it, so that a restart changes none of it.
    pub fn is_spooled(&self) -> bool {
        matches!(self.state(), State::Spooled(_))
    }

    /// Its bytes on the local disk, if the spool holds it.
    pub fn spooled_bytes(&self) -> Option<Arc<DayBytes>> {
        match self.state() {
            State::Planned(_) => None,
            State::Spooled(day) => Some(day.bytes()),
        }
    }

    /// Whether its date is not over, so that it is expected to grow all the time.
    pub fn is_current(&self, now_ns: i64) -> bool {
        let at = BatchTime {
            now_ns,
            settle_ns: 0,
        };
        is_live(self.day, at)
    }

    /// Records that were published behind newer ones.
    pub fn late(&self) -> u64 {
        match self.state() {
            State::Planned(day) => day.late(),
            State::Spooled(day) => day.late(),
        }
    }

    /// Sources that were found shrunk, replaced or rewritten after they had been published.
    pub fn changed_sources(&self) -> u64 {
        match self.state() {
            State::Planned(day) => day.changed_sources(),
            State::Spooled(day) => day.changed_sources(),
        }
    }

    /// The daily logs it is made of, as far as they are still there.
    pub fn files(&self) -> Vec<DailyFile> {
        match self.state() {
            State::Planned(day) => day.files(),
            State::Spooled(day) => day.files(),
        }
    }

    /// Scans the day if that has not been done, waiting at most `patience`; gives whether its length is exact now.
    ///
    /// # Errors
    /// Of the share.
    pub fn prepare(&self, patience: Duration) -> Result<bool, DiskError> {
        match self.state() {
            State::Planned(day) => day.prepare(patience),
            State::Spooled(_) => Ok(true),
        }
    }

    /// Appends up to `len` published bytes from `offset` on to `out`; fewer mean the end.
    ///
    /// # Errors
    /// Of the share for a day that rests, of the local disk for one that lives.
    pub fn read_at(&self, offset: u64, len: u64, out: &mut Vec<u8>) -> Result<(), DiskError> {
        match self.state() {
            State::Planned(day) => day.read_at(offset, len, out),
            State::Spooled(day) => day.read_at(offset, len, out),
        }
    }

    /// Takes in what its sources hold now. A day that lives or grows moves into the spool, if there is one. Gives whether
    /// it changed.
    ///
    /// # Errors
    /// Of the share or the spool. What has been published stays.
    pub(super) fn follow(
        &self,
        ranges: &[DayRange],
        live: bool,
        at: BatchTime,
        spool: Option<&Spool>,
    ) -> Result<bool, PublishError> {
        match self.state() {
            State::Spooled(day) => day.follow(ranges, at),
            State::Planned(day) => {
                let look = day.look(ranges, live);
                match spool {
                    None if look == Look::Grown => Ok(day.follow(ranges, at)?),
                    Some(spool) if look == Look::Grown || live => {
                        self.enter_spool(&day, spool)?;
                        self.follow(ranges, live, at, None)?;
                        Ok(true)
                    }
                    Some(spool) if look == Look::Lost => {
                        // Whoever follows the day must not see it shrink.
                        self.enter_spool(&day, spool).or_else(|error| {
                            tracing::warn!(day = %self.day, %error, "a source is gone and the day begins anew without it");
                            day.begin_anew(ranges);
                            Ok::<(), PublishError>(())
                        })?;
                        Ok(true)
                    }
                    None if look == Look::Lost => {
                        day.begin_anew(ranges);
                        Ok(true)
                    }
                    _ => Ok(look == Look::Anew),
                }
            }
        }
    }

    /// Copies what is visible of the day into the spool; not a byte of it moves.
    pub(super) fn enter_spool(
        &self,
        planned: &Arc<PlannedDay>,
        spool: &Spool,
    ) -> Result<(), PublishError> {
        let spooled = SpooledDay::begin(self.dir.clone(), planned, spool)?;
        *self.state.write().unwrap_or_else(PoisonError::into_inner) =
            State::Spooled(Arc::new(spooled));
        self.dir.cache().remove(&CacheKey::Day(self.day));
        Ok(())
    }

    /// Moves a day that has been read, and whose sources are all gone, into the spool while they are still open.
    ///
    /// # Errors
    /// The sources cannot be read any more, or the spool does not take them.
    pub(super) fn keep_if_read(&self, spool: &Spool) -> Result<(), PublishError> {
        match self.state() {
            State::Planned(day) if day.is_exact() => self.enter_spool(&day, spool),
            _ => Ok(()),
        }
    }

    /// When its retention began, if none of its sources is left: its last growth. `None` while the spool does not hold it.
    pub(super) fn spooled_since_ns(&self) -> Option<i64> {
        match self.state() {
            State::Planned(_) => None,
            State::Spooled(day) => Some(day.mtime_ns()),
        }
    }

    /// Removes it from the spool. Whoever reads it now reads on.
    ///
    /// # Errors
    /// Of the state directory.
    pub(super) fn leave_spool(&self, spool: &Spool) -> Result<(), PublishError> {
        match self.state() {
            State::Planned(_) => Ok(()),
            State::Spooled(day) => day.remove(spool),
        }
    }

    fn state(&self) -> State {
        self.state
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
