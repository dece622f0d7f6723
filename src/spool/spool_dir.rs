//! All days in the state directory: which there are, a new one, one less, and how much room they take.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use crate::event::Day;

use super::alarm::Alarm;
use super::backend::Backend;
use super::day_spool::DaySpool;
use super::history::History;
use super::journal::{DayNames, Journal, JournalId};
use super::recovery::{
    finish_removal, recover_day, recover_without_journal, remove_day, remove_set_aside,
};
use super::spool_error::SpoolError;
use super::state_dir::{SpoolId, StateDir, random_id};

/// See the module text. Valid for as long as its [`StateDir`] is held.
#[derive(Clone, Debug)]
pub struct Spool {
    backend: Arc<dyn Backend>,
    id: SpoolId,
}

/// Which files a day has.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    has_journal: bool,
    is_removed: bool,
}

impl Spool {
    /// Brings every day to what was published of it, and says what is wrong.
    ///
    /// # Errors
    /// Of the folder as a whole. A day that fails is an [`Alarm`].
    pub fn recover(state: &StateDir) -> Result<(Spool, Vec<DaySpool>, Vec<Alarm>), SpoolError> {
        Self::recover_in(state.backend(), state.spool_id())
    }

    pub(super) fn recover_in(
        backend: Arc<dyn Backend>,
        id: SpoolId,
    ) -> Result<(Spool, Vec<DaySpool>, Vec<Alarm>), SpoolError> {
        let spool = Spool { backend, id };
        let io = |error| SpoolError::io(&spool.backend.path(""), error);
        let names = spool.backend.list().map_err(io)?;
        let mut found: BTreeMap<Day, Found> = BTreeMap::new();
        for (name, _) in &names {
            let Some((day, kind)) = name.split_once('.') else {
                continue;
            };
            let Ok(day) = day.parse::<Day>() else {
                continue;
            };
            match kind {
                "journal" => found.entry(day).or_default().has_journal = true,
                "removed" => found.entry(day).or_default().is_removed = true,
                "data" | "journal.new" => {
                    found.entry(day).or_default();
                }
                _ => {}
            }
        }
        let (mut days, mut alarms) = (Vec::new(), Vec::new());
        for (day, found) in found {
            match spool.recover_one(day, found) {
                Ok((recovered, new)) => {
                    days.extend(recovered);
                    alarms.extend(new);
                }
                Err(error) => alarms.push(Alarm::Unreadable {
                    day,
                    reason: error.to_string(),
                }),
            }
        }
        spool.backend.sync().map_err(io)?;
        Ok((spool, days, alarms))
    }

    fn recover_one(&self, day: Day, found: Found) -> io::Result<(Option<DaySpool>, Vec<Alarm>)> {
        let names = DayNames::of(day);
        self.backend.remove(&names.journal_new)?;
        if found.has_journal {
            self.backend.remove(&names.removed)?;
            recover_day(&self.backend, self.id, day)
        } else if found.is_removed {
            finish_removal(&*self.backend, day)?;
            Ok((None, Vec::new()))
        } else {
            recover_without_journal(&*self.backend, day)
        }
    }

    /// A new day without a byte.
    ///
    /// # Errors
    /// [`SpoolError::Exists`] if it has one; of the disk.
    pub fn create(&self, day: Day) -> Result<DaySpool, SpoolError> {
        let names = DayNames::of(day);
        let path = self.backend.path(&names.journal);
        let io = |error| SpoolError::io(&path, error);
        let known = self.backend.list().map_err(io)?;
        if known.iter().any(|(name, _)| *name == names.journal) {
            return Err(SpoolError::Exists { path });
        }
        let created = self.create_files(day, names.clone());
        if created.is_err() {
            drop(self.backend.remove(&names.journal));
            drop(self.backend.remove(&names.data));
        }
        created.map_err(io)
    }

    fn create_files(&self, day: Day, names: DayNames) -> io::Result<DaySpool> {
        let id = JournalId {
            spool: self.id,
            day,
            day_id: random_id()?,
            number: 1,
        };
        let history = History::default();
        self.backend.remove(&names.data)?;
        self.backend.open(&names.data)?;
        let journal = Journal::write_beside(&*self.backend, &names, id, &history)?;
        journal.install(&*self.backend, &names)?;
        DaySpool::new(self.backend.clone(), names, journal, history, Vec::new(), 0)
    }

    /// Removes a day and its files. Whoever holds its bytes can read them on.
    ///
    /// # Errors
    /// Of the disk; the day may be gone or not, a restart says.
    pub fn remove(&self, day: DaySpool) -> Result<(), SpoolError> {
        let path = self.backend.path(&DayNames::of(day.day()).journal);
        remove_day(&*self.backend, day.day())
            .and_then(|()| remove_set_aside(&*self.backend, day.day()))
            .map_err(|error| SpoolError::io(&path, error))
    }

    /// Bytes that the spool takes, with journals and what was set aside.
    ///
    /// # Errors
    /// Of the disk.
    pub fn space_bytes(&self) -> Result<u64, SpoolError> {
        let names = self.backend.list();
        let names = names.map_err(|error| SpoolError::io(&self.backend.path(""), error))?;
        Ok(names.iter().map(|(_, bytes)| bytes).sum())
    }
}
