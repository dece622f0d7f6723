//! Everything this server writes, behind one door: the facade that the mount and the library's audit log call.
//!
//! It holds the folder lock, the daily log and a logger for each session that is being written. Its methods take `&self`
//! and are called from many threads: two sessions do not wait for each other, and no lock that others need is held while
//! the share is read or written. It takes `now` and uids as values and starts no thread; its owner calls
//! [`Recorder::tick`] several times a second and [`Recorder::close`] at the end.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::event::{
    EventFields, EventIndex, EventTime, Namespace, ServerId, SessionId, SessionSlice, StreamOffset,
};

use super::daily_log::FileLog;
use super::held_folder::HeldFolder;
use super::own_directory::OwnDirectory;
use super::position::SessionPosition;
use super::recorder_options::{RecorderError, RecorderOptions, SessionEnds};
use super::recording::{RecordingPlace, finish_uploads, unpack_session_recording};
use super::recording_check::{RecordingError, StoredRecording};
use super::running_sessions::RunningSessions;
use super::session_logger::DiskSessionLogger;
use super::slices::{Posted, check_slice, post_slice_to};
use super::storage::OwnStorage;
use super::sync_policy::SyncPolicy;
use super::write_error::WriteError;

/// See the module text.
pub struct Recorder {
    storage: Arc<dyn OwnStorage>,
    options: RecorderOptions,
    folder: HeldFolder,
    log: Mutex<FileLog>,
    running: RunningSessions,
    /// What an earlier process wrote and did not sync is on the disk.
    settled: Mutex<bool>,
    closed: AtomicBool,
}

impl Recorder {
    /// Takes the server's folder and puts in order what an earlier writer left.
    ///
    /// # Errors
    /// [`RecorderError`]; the lock is free again.
    pub fn open(
        directory: OwnDirectory,
        ends: Arc<dyn SessionEnds>,
        options: RecorderOptions,
        now: EventTime,
    ) -> Result<Recorder, RecorderError> {
        let directory = Arc::new(directory);
        let folder = HeldFolder::take(directory.clone(), &options.server_id, now)?;
        Recorder::over(directory, folder, ends, options)
    }

    /// The same over any storage, for a folder that is held.
    pub(super) fn over(
        storage: Arc<dyn OwnStorage>,
        folder: HeldFolder,
        ends: Arc<dyn SessionEnds>,
        options: RecorderOptions,
    ) -> Result<Recorder, RecorderError> {
        finish_all_uploads(&*storage, &options.server_id)?;
        let log = FileLog::new(
            storage.clone(),
            options.server_id.clone(),
            options.form,
            options.sync,
        );
        Ok(Recorder {
            running: RunningSessions::new(storage.clone(), ends, &options),
            storage,
            options,
            folder,
            log: Mutex::new(log),
            settled: Mutex::new(false),
            closed: AtomicBool::new(false),
        })
    }

    /// Whose folder is written.
    pub fn server_id(&self) -> &ServerId {
        &self.options.server_id
    }

    /// Appends events to the daily log, all in one write where they fit into one. They are complete
    /// ([`super::complete_event`]); they are checked again.
    ///
    /// # Errors
    /// As [`FileLog::append`].
    pub fn emit(&self, events: &[EventFields], now: EventTime) -> Result<(), WriteError> {
        self.in_log(|log| log.append(events, now))
    }

    /// Appends bytes of a terminal: one print event and its chunk. Gives the `ei` and offset they got.
    ///
    /// # Errors
    /// As [`DiskSessionLogger::post_print`].
    pub fn post_print(
        &self,
        namespace: &Namespace,
        sid: &SessionId,
        bytes: &[u8],
        now: EventTime,
    ) -> Result<(EventIndex, StreamOffset), WriteError> {
        self.in_session(namespace, sid, now, |logger| logger.post_print(bytes, now))
    }

    /// Appends an event to the session and then to the daily log (the seed's LogEvent). Gives it as it was written.
    ///
    /// # Errors
    /// As [`DiskSessionLogger::post_event`]. If the daily log fails the session has the event all the same, and has it
    /// twice when the caller repeats it: an event too many is better than one too few.
    pub fn post_event(
        &self,
        namespace: &Namespace,
        sid: &SessionId,
        fields: EventFields,
        now: EventTime,
        uid: &str,
    ) -> Result<EventFields, WriteError> {
        let event = self.in_session(namespace, sid, now, |logger| {
            logger.post_event(fields, now, uid)
        })?;
        self.in_log(|log| log.append(std::slice::from_ref(&event), now))?;
        Ok(event)
    }

    /// Takes a session slice of version 2 or 3 (the seed's PostSessionSlice).
    ///
    /// # Errors
    /// As [`super::post_session_slice`].
    pub fn post_slice(
        &self,
        slice: &SessionSlice,
        now: EventTime,
        uids: &mut dyn FnMut() -> String,
    ) -> Result<Posted, WriteError> {
        let (namespace, sid) = check_slice(slice)?;
        let mut emit =
            |events: &[EventFields]| self.in_log(|log| log.append_from_nodes(events, now));
        if slice.version != SessionSlice::V2 {
            return post_slice_to(slice, None, now, uids, &mut emit);
        }
        self.in_session(&namespace, &sid, now, |logger| {
            post_slice_to(slice, Some(logger), now, uids, &mut emit)
        })
    }

    /// Stores a recording, read to its end (the seed's UploadSessionRecording). Nothing is left of one that is refused.
    ///
    /// # Errors
    /// [`RecordingError`].
    pub fn upload(
        &self,
        namespace: &Namespace,
        sid: &SessionId,
        archive: &mut dyn Read,
    ) -> Result<StoredRecording, RecordingError> {
        self.may_write().map_err(|error| RecordingError::Io {
            path: self.options.server_id.to_string(),
            source: io::Error::other(error),
        })?;
        let place = RecordingPlace {
            storage: &*self.storage,
            server_id: &self.options.server_id,
            namespace,
        };
        self.running.while_unopened(namespace, sid, || {
            let options = &self.options;
            unpack_session_recording(&place, sid, archive, &options.limits, &options.recorded_by)
        })
    }

    /// Where the session goes on, by what this server knows; what it posted just now is in it.
    ///
    /// # Errors
    /// [`WriteError::Io`].
    pub fn position(
        &self,
        namespace: &Namespace,
        sid: &SessionId,
        now: EventTime,
    ) -> Result<SessionPosition, WriteError> {
        self.in_session(namespace, sid, now, |logger| Ok(*logger.position()))
    }

    /// Whether the session has ended, so that nothing can be posted.
    ///
    /// # Errors
    /// [`WriteError::Io`].
    pub fn is_ended(
        &self,
        namespace: &Namespace,
        sid: &SessionId,
        now: EventTime,
    ) -> Result<bool, WriteError> {
        Ok(self.position(namespace, sid, now)?.ended)
    }

    /// Makes every acknowledged event of the daily log durable.
    ///
    /// # Errors
    /// As [`FileLog::sync`].
    pub fn sync_log(&self) -> Result<(), WriteError> {
        self.settle()?;
        self.log().sync()?;
        self.sync_what_was_closed()
    }

    /// Makes every acknowledged post of the session durable.
    ///
    /// # Errors
    /// As [`DiskSessionLogger::sync`].
    pub fn sync_session(&self, namespace: &Namespace, sid: &SessionId) -> Result<(), WriteError> {
        self.settle()?;
        self.running
            .if_running(namespace, sid, DiskSessionLogger::sync)
            .unwrap_or(Ok(()))?;
        self.sync_what_was_closed()
    }

    /// Makes everything acknowledged durable.
    ///
    /// # Errors
    /// The first of all; the rest is synced all the same.
    pub fn sync(&self) -> Result<(), WriteError> {
        self.settle()?;
        let sessions = self.running.sync();
        self.log().sync().and(sessions)
    }

    /// How often writing or syncing the daily log failed; see [`FileLog::failures`].
    pub fn log_failures(&self) -> u64 {
        self.log().failures()
    }

    /// The same for a session.
    pub fn session_failures(&self, namespace: &Namespace, sid: &SessionId) -> u64 {
        self.running.failures(namespace, sid)
    }

    /// To be called several times a second: syncs what is due, closes idle sessions, asks whether the folder is still
    /// ours. Does not wait for a session that is being written.
    ///
    /// # Errors
    /// The first of all; the rest is done all the same.
    pub fn tick(&self, now: EventTime) -> Result<(), WriteError> {
        if self.closed.load(Ordering::Acquire) {
            return Ok(());
        }
        self.folder.check(now)?;
        let settled = match self.options.sync {
            SyncPolicy::Never => Ok(()),
            _ => self.settle(),
        };
        let log = self.log().tick(now);
        let sessions = self.running.tick(now);
        settled.and(log).and(sessions)
    }

    /// Syncs and closes everything. Nothing can be written any more.
    ///
    /// # Errors
    /// The first of all; the rest is closed all the same.
    pub fn close(&self) -> Result<(), WriteError> {
        self.closed.store(true, Ordering::Release);
        if self.folder.is_lost() {
            return Ok(());
        }
        let sessions = self.running.close();
        let log = self.log().sync();
        sessions.and(log)
    }

    fn in_session<T>(
        &self,
        namespace: &Namespace,
        sid: &SessionId,
        now: EventTime,
        work: impl FnOnce(&mut DiskSessionLogger) -> Result<T, WriteError>,
    ) -> Result<T, WriteError> {
        self.may_write()?;
        self.running.with(namespace, sid, now, |logger| {
            // Again, behind the lock that `close` waits for.
            self.may_write()?;
            work(logger)
        })
    }

    fn in_log<T>(
        &self,
        work: impl FnOnce(&mut FileLog) -> Result<T, WriteError>,
    ) -> Result<T, WriteError> {
        let mut log = self.log();
        self.may_write()?;
        work(&mut log)
    }

    fn may_write(&self) -> Result<(), WriteError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(WriteError::Closed);
        }
        self.folder.is_ours()
    }

    /// Once: what an earlier process of this server wrote and did not live to sync.
    fn settle(&self) -> Result<(), WriteError> {
        let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        if !*settled {
            let folder = self.options.server_id.as_str();
            self.storage
                .sync_all(folder)
                .map_err(WriteError::at(folder))?;
            *settled = true;
        }
        Ok(())
    }

    /// Files are synced when they are closed, but not under `--sync never`; whoever asks explicitly gets it all the same.
    fn sync_what_was_closed(&self) -> Result<(), WriteError> {
        if self.options.sync != SyncPolicy::Never {
            return Ok(());
        }
        let folder = self.options.server_id.as_str();
        let synced = self.storage.sync_all(folder);
        synced.map_err(WriteError::at(folder))
    }

    fn log(&self) -> std::sync::MutexGuard<'_, FileLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder")
            .field("options", &self.options)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

fn finish_all_uploads(storage: &dyn OwnStorage, server_id: &ServerId) -> Result<(), RecorderError> {
    let folder = format!("{server_id}/sessions");
    let failed = |source| RecorderError::Io {
        path: folder.clone(),
        source,
    };
    let names = match storage.list(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        names => names.map_err(failed)?,
    };
    for namespace in names.iter().filter_map(|name| Namespace::new(name).ok()) {
        let place = RecordingPlace {
            storage,
            server_id,
            namespace: &namespace,
        };
        match finish_uploads(&place) {
            // A file among the namespaces is none.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
            done => done.map_err(failed)?,
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "recorder_tests.rs"]
mod tests;
