//! The sessions being written: one logger each, each behind a lock of its own.
//!
//! The map's lock is held for moments only, never while the share is used. A session that is idle is closed and let go;
//! one that had failures stays, so that whoever still has it open can be told (fsync(2)).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use crate::event::{EventTime, Namespace, ServerId, SessionId};

use super::data_file::Compression;
use super::other_servers::OtherServers;
use super::recorder_options::{RecorderOptions, SessionEnds};
use super::session_logger::{DiskSessionLogger, SessionOptions};
use super::storage::OwnStorage;
use super::sync_policy::SyncPolicy;
use super::write_error::WriteError;

type Key = (Namespace, SessionId);
type Slot = Arc<Mutex<Option<Running>>>;

/// Other servers are not looked at again for so long: a call of a program posts and asks several times.
const MARKED_NS: i64 = 5_000_000;

struct Running {
    logger: DiskSessionLogger,
    /// What [`OtherServers::mark`] said when the session was taken up, and when it was asked last.
    mark: u64,
    marked_at: EventTime,
}

/// See the module text.
pub(super) struct RunningSessions {
    storage: Arc<dyn OwnStorage>,
    ends: Arc<dyn SessionEnds>,
    others: OtherServers,
    server_id: ServerId,
    compression: Compression,
    sync: SyncPolicy,
    record_sessions: bool,
    idle_ns: i64,
    slots: Mutex<HashMap<Key, Slot>>,
}

impl RunningSessions {
    pub(super) fn new(
        storage: Arc<dyn OwnStorage>,
        ends: Arc<dyn SessionEnds>,
        options: &RecorderOptions,
    ) -> Self {
        RunningSessions {
            others: OtherServers::new(storage.clone(), options.server_id.clone()),
            storage,
            ends,
            server_id: options.server_id.clone(),
            compression: options.compression,
            sync: options.sync,
            record_sessions: options.record_sessions,
            idle_ns: options.idle_ns,
            slots: Mutex::default(),
        }
    }

    /// Does something with a session, which is taken up if it is not running. Where it ends is asked anew after an idle
    /// time, and when another server has had a part in between.
    pub(super) fn with<T>(
        &self,
        namespace: &Namespace,
        sid: &SessionId,
        now: EventTime,
        work: impl FnOnce(&mut DiskSessionLogger) -> Result<T, WriteError>,
    ) -> Result<T, WriteError> {
        let slot = self.slot(namespace, sid);
        let mut slot = lock(&slot);
        if let Some(running) = &mut *slot
            && self.knows_the_end(running, namespace, sid, now)
        {
            return work(&mut running.logger);
        }
        // Before the end is asked for: what comes in between is seen the next time.
        let mark = self.others.mark(namespace, sid, now);
        let end = self.ends.end_of(namespace, sid);
        let end = end.map_err(WriteError::at(&format!("{namespace}/{sid}")))?;
        let running = match &mut *slot {
            Some(running) => {
                running.logger.continue_from(&end)?;
                (running.mark, running.marked_at) = (mark, now);
                running
            }
            unknown => unknown.insert(Running {
                logger: DiskSessionLogger::open(
                    self.storage.clone(),
                    self.options_of(namespace, sid),
                    end,
                )?,
                mark,
                marked_at: now,
            }),
        };
        work(&mut running.logger)
    }

    /// Nobody has written since we did: it has ended, or it is not idle here and no other server has taken it up.
    fn knows_the_end(
        &self,
        running: &mut Running,
        namespace: &Namespace,
        sid: &SessionId,
        now: EventTime,
    ) -> bool {
        let logger = &running.logger;
        if logger.is_ended() || logger.is_idle(now, self.idle_ns) {
            return logger.is_ended();
        }
        // Only while files are open here: they were begun behind the mark, so that another server sees ours change and
        // begins files of its own, which we see. Without them it would go on unseen.
        let is_open = logger.is_open();
        let age_ns = now.as_ns().saturating_sub(running.marked_at.as_ns());
        if is_open && (0..MARKED_NS).contains(&age_ns) {
            return true;
        }
        let mark = self.others.mark(namespace, sid, now);
        if mark != running.mark || mark != 0 && !is_open {
            return false;
        }
        running.marked_at = now;
        true
    }

    /// Does something with a session if it is running.
    pub(super) fn if_running<T>(
        &self,
        namespace: &Namespace,
        sid: &SessionId,
        work: impl FnOnce(&mut DiskSessionLogger) -> T,
    ) -> Option<T> {
        let slot = self
            .slots()
            .get(&(namespace.clone(), sid.clone()))
            .cloned()?;
        let mut slot = lock(&slot);
        slot.as_mut().map(|running| work(&mut running.logger))
    }

    /// Does something while nobody writes the session; it is taken up anew afterwards.
    pub(super) fn while_unopened<T>(
        &self,
        namespace: &Namespace,
        sid: &SessionId,
        work: impl FnOnce() -> T,
    ) -> T {
        let slot = self.slot(namespace, sid);
        let mut slot = lock(&slot);
        if let Some(running) = &mut *slot
            && let Err(error) = running.logger.close()
        {
            tracing::error!(%sid, %error, "what was acknowledged last may be lost");
        }
        let done = work();
        // Its files may be others now. Failures so far stay counted.
        let failures = |running: &Running| running.logger.failures();
        if slot.as_ref().map(failures) == Some(0) {
            *slot = None;
        }
        done
    }

    pub(super) fn failures(&self, namespace: &Namespace, sid: &SessionId) -> u64 {
        self.if_running(namespace, sid, |logger| logger.failures())
            .unwrap_or(0)
    }

    /// Ticks each session that nobody writes just now, and lets go those that are closed. Gives the first error.
    pub(super) fn tick(&self, now: EventTime) -> Result<(), WriteError> {
        let slots: Vec<Slot> = self.slots().values().cloned().collect();
        let mut ticked = Ok(());
        for slot in slots {
            let mut slot = match slot.try_lock() {
                Ok(slot) => slot,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => continue,
            };
            if let Some(running) = &mut *slot {
                ticked = first_error(ticked, running.logger.tick(now, self.idle_ns));
            }
        }
        self.slots().retain(|_, slot| {
            // One that somebody holds besides the map is in use; nobody can begin to while the map is locked.
            let unused = Arc::strong_count(slot) == 1;
            let forgettable = || {
                lock(slot)
                    .as_ref()
                    .is_none_or(|running| running.logger.may_be_forgotten(now, self.idle_ns))
            };
            !(unused && forgettable())
        });
        ticked
    }

    /// Syncs all, waiting for those being written. Gives the first error.
    pub(super) fn sync(&self) -> Result<(), WriteError> {
        let slots: Vec<Slot> = self.slots().values().cloned().collect();
        let mut synced = Ok(());
        for slot in slots {
            if let Some(running) = &mut *lock(&slot) {
                synced = first_error(synced, running.logger.sync());
            }
        }
        synced
    }

    /// Closes all, waiting for those being written. Gives the first error.
    pub(super) fn close(&self) -> Result<(), WriteError> {
        let slots: Vec<Slot> = self.slots().values().cloned().collect();
        let mut closed = Ok(());
        for slot in slots {
            if let Some(running) = &mut *lock(&slot) {
                closed = first_error(closed, running.logger.close());
            }
        }
        closed
    }

    fn slot(&self, namespace: &Namespace, sid: &SessionId) -> Slot {
        let key = (namespace.clone(), sid.clone());
        self.slots().entry(key).or_default().clone()
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<Key, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn options_of(&self, namespace: &Namespace, sid: &SessionId) -> SessionOptions {
        SessionOptions {
            server_id: self.server_id.clone(),
            namespace: namespace.clone(),
            sid: sid.clone(),
            compression: self.compression,
            sync: self.sync,
            record_sessions: self.record_sessions,
        }
    }
}

fn lock(slot: &Slot) -> MutexGuard<'_, Option<Running>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Of two errors the first is told, the second logged.
fn first_error(
    first: Result<(), WriteError>,
    second: Result<(), WriteError>,
) -> Result<(), WriteError> {
    if let (Err(_), Err(error)) = (&first, &second) {
        tracing::error!(%error, "what was acknowledged last may be lost");
    }
    first.and(second)
}
