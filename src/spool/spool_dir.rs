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
use super::recovery::{recover_day, remove_day, remove_set_aside};
use super::spool_error::SpoolError;
use super::state_dir::{SpoolId, StateDir, random_id};

/// See the module text. Valid for as long as its [`StateDir`] is held.
#[derive(Clone, Debug)]
pub struct Spool {
    backend: Arc<dyn Backend>,
    id: SpoolId,
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
        let mut has_journal: BTreeMap<Day, bool> = BTreeMap::new();
        for (name, _) in &names {
            let Some((day, kind)) = name.split_once('.') else {
                continue;
            };
            let Ok(day) = day.parse::<Day>() else {
                continue;
            };
            match kind {
                "journal" => *has_journal.entry(day).or_default() = true,
                "data" | "journal.new" => {
                    has_journal.entry(day).or_default();
                }
                _ => {}
            }
        }
        let (mut days, mut alarms) = (Vec::new(), Vec::new());
        for (day, has_journal) in has_journal {
            match spool.recover_one(day, has_journal) {
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

    fn recover_one(
        &self,
        day: Day,
        has_journal: bool,
    ) -> io::Result<(Option<DaySpool>, Vec<Alarm>)> {
        let names = DayNames::of(day);
        self.backend.remove(&names.journal_new)?;
        if has_journal {
            return recover_day(&self.backend, self.id, day);
        }
        // A removal or a creation that did not get to its end.
        self.backend.remove(&names.data)?;
        Ok((None, Vec::new()))
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
