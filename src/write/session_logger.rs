//! A session while it is written: bytes become print events and chunks, lines become events (the seed's DiskSessionLogger).
//!
//! Its numbers go on from wherever the session is, also on another server. After any error, and after an idle time, it goes
//! on in new files.

use std::sync::Arc;

use crate::event::{
    EventFields, EventIndex, EventName, EventTime, Namespace, ServerId, SessionId, StreamOffset,
    field_name,
};
use crate::format::{DataKind, MAX_LINE_BYTES, print_line};

use super::data_file::Compression;
use super::event_line::{RefusedLine, check_event, complete_event};
use super::incarnation::{Batch, Incarnation, Place};
use super::own_files::{OwnFiles, path_of};
use super::position::SessionPosition;
use super::storage::{OpenAs, OwnStorage, append_all};
use super::sync_policy::SyncPolicy;
use super::write_error::WriteError;

/// What `.completed` holds: 9 bytes, no newline (FORMAT 1).
pub(super) const COMPLETED: &[u8] = b"completed";
/// How long after its last post a session keeps what no file says.
const REMEMBERED_NS: i64 = 3600 * 1_000_000_000;

/// Whose session and how it is written.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// This server.
    pub server_id: ServerId,
    /// The session's namespace.
    pub namespace: Namespace,
    /// The session.
    pub sid: SessionId,
    /// Form of new data files.
    pub compression: Compression,
    /// When what was acknowledged is durable.
    pub sync: SyncPolicy,
    /// Off: print events and their bytes are dropped, but still take an `ei` (AuditLogConfig's RecordSessions, FORMAT 3).
    pub record_sessions: bool,
}

/// See the module text. The caller has the [`super::FolderLock`] of the server's folder, and one logger a session.
#[derive(Debug)]
pub struct DiskSessionLogger {
    pub(super) storage: Arc<dyn OwnStorage>,
    pub(super) options: SessionOptions,
    place: Place,
    pub(super) position: SessionPosition,
    indexed: std::collections::HashSet<String>,
    files: Incarnation,
    is_open: bool,
    /// The own files must be looked at again before anything is written.
    unsure: bool,
    /// session.end is written, `.completed` is not.
    to_complete: bool,
    dirty_since: Option<EventTime>,
    last_post: Option<EventTime>,
    failures: u64,
}

impl DiskSessionLogger {
    /// Takes up the session, which ends at `position` by what all servers have of it; the default is a new one. What
    /// this server has itself is looked at, so `position` may lag behind it. Nothing new is made before the first post.
    ///
    /// # Errors
    /// [`WriteError::Io`].
    pub fn open(
        storage: Arc<dyn OwnStorage>,
        options: SessionOptions,
        position: SessionPosition,
    ) -> Result<DiskSessionLogger, WriteError> {
        let folder = format!("{}/sessions/{}", options.server_id, options.namespace);
        let place = Place {
            folder,
            sid: options.sid.clone(),
            compression: options.compression,
            through: options.sync.through(),
        };
        let mut logger = DiskSessionLogger {
            storage,
            options,
            place,
            position,
            indexed: std::collections::HashSet::new(),
            files: Incarnation::default(),
            is_open: false,
            unsure: true,
            to_complete: false,
            dirty_since: None,
            last_post: None,
            failures: 0,
        };
        logger.be_sure()?;
        Ok(logger)
    }

    /// Where the session goes on.
    pub fn position(&self) -> &SessionPosition {
        &self.position
    }

    /// Has it ended? Then nothing can be posted any more.
    pub fn is_ended(&self) -> bool {
        self.position.ended
    }

    /// Are files open?
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// Has nothing been posted for so many nanoseconds?
    pub(super) fn is_idle(&self, now: EventTime, idle_ns: i64) -> bool {
        let age_ns = |last: EventTime| now.as_ns().saturating_sub(last.as_ns());
        self.last_post.is_none_or(|last| age_ns(last) >= idle_ns)
    }

    /// Can all that it knows be found on the disk again? Not how often it failed, nor which `ei` dropped print events
    /// took: these are kept for some time after the last post.
    pub(super) fn may_be_forgotten(&self, now: EventTime, idle_ns: i64) -> bool {
        let only_here = self.failures > 0 || !self.options.record_sessions && !self.is_ended();
        let kept_ns = if only_here {
            idle_ns.max(REMEMBERED_NS)
        } else {
            idle_ns
        };
        !self.is_open && !self.to_complete && self.is_idle(now, kept_ns)
    }

    /// How often a write or sync failed; for fsync(2), as [`super::FileLog::failures`].
    pub fn failures(&self) -> u64 {
        self.failures
    }

    /// Tells of parts that other servers have got since: the session goes on behind them, in new files.
    ///
    /// # Errors
    /// [`WriteError::Io`] of closing the files open so far.
    pub fn continue_from(&mut self, position: &SessionPosition) -> Result<(), WriteError> {
        let before = self.position;
        self.position.join(position);
        if before == self.position {
            Ok(())
        } else {
            self.close()
        }
    }

    /// Appends bytes of the terminal: one print event, one chunk (as ForwardRecorder.Write makes of each read). No bytes
    /// are no event. Gives the `ei` and offset they got.
    ///
    /// # Errors
    /// [`WriteError::SessionEnded`], [`WriteError::NoNumberLeft`], [`WriteError::Io`]: nothing is acknowledged.
    pub fn post_print(
        &mut self,
        bytes: &[u8],
        now: EventTime,
    ) -> Result<(EventIndex, StreamOffset), WriteError> {
        self.ready(bytes.len())?;
        let print = self.position.print_line(bytes.len(), now);
        let offset = self.position.next_offset;
        if bytes.is_empty() {
            return Ok((print.event_index, offset));
        }
        if self.options.record_sessions {
            let mut batch = Batch {
                first_ei: print.event_index.0 as u64,
                first_offset: offset.0,
                bytes: bytes.to_vec(),
                lines: Vec::new(),
            };
            print_line(&print, &mut batch.lines);
            self.write(batch, now)?;
            self.position.pass_print(&print);
        } else {
            self.last_post = Some(now);
            self.position.next_ei = EventIndex(print.event_index.0 + 1);
        }
        Ok((print.event_index, offset))
    }

    /// Appends an event: completed with `sid`, `ei`, and, where it lacks them, `time` (in milliseconds), `uid` and
    /// `code`. session.end finishes the session. Gives the event as it was written, for the daily log.
    ///
    /// # Errors
    /// [`WriteError::Refused`] for what this server may not write and for print events; else as
    /// [`DiskSessionLogger::post_print`].
    pub fn post_event(
        &mut self,
        mut fields: EventFields,
        now: EventTime,
        uid: &str,
    ) -> Result<EventFields, WriteError> {
        self.ready(0)?;
        check_event(&fields, &self.options.server_id)?;
        if fields.get_type() == EventName::Print.as_str() {
            return Err(RefusedLine::Print.into());
        }
        if fields.get_timestamp().is_zero() {
            fields.set(field_name::TIME, now.round_to_ms().to_rfc3339());
        }
        fields.set(field_name::SID, self.options.sid.as_str());
        fields.set(field_name::EI, self.position.next_ei.0);
        complete_event(&mut fields, now, uid);
        let mut lines = fields.to_json().into_bytes();
        if lines.len() > MAX_LINE_BYTES {
            return Err(RefusedLine::TooLong { bytes: lines.len() }.into());
        }
        lines.push(b'\n');
        let first_ei = self.position.next_ei.0 as u64;
        self.write(
            Batch {
                first_ei,
                lines,
                ..Batch::default()
            },
            now,
        )?;
        self.position.next_ei = EventIndex(self.position.next_ei.0 + 1);
        if fields.get_type() == EventName::SessionEnd.as_str() {
            self.end();
        }
        Ok(fields)
    }

    /// Finishes the session: files are closed, `.completed` is written, nothing can be posted any more. Twice is fine.
    ///
    /// # Errors
    /// [`WriteError::Io`]; it can be called again.
    pub fn finalize(&mut self) -> Result<(), WriteError> {
        self.position.ended = true;
        self.close()?;
        let path = path_of(
            &self.place.folder,
            &self.options.sid,
            DataKind::Completed,
            0,
            false,
        );
        let complete = || {
            self.storage.make_folder(&self.place.folder)?;
            let mut file = self
                .storage
                .open(&path, OpenAs::Continued, self.place.through)?;
            let there = file.len_bytes()?;
            let missing = COMPLETED
                .get(usize::try_from(there).unwrap_or(usize::MAX)..)
                .unwrap_or_default();
            file.reserve(missing.len() as u64)?;
            append_all(&mut *file, missing)?;
            if self.options.sync != SyncPolicy::Never {
                file.sync()?;
                self.storage.sync_folder(&self.place.folder)?;
            }
            Ok(())
        };
        complete().map_err(WriteError::at(&path))?;
        self.to_complete = false;
        Ok(())
    }

    /// Makes everything acknowledged durable.
    ///
    /// # Errors
    /// [`WriteError::Io`]: what was acknowledged since the last sync may be lost.
    pub fn sync(&mut self) -> Result<(), WriteError> {
        self.dirty_since = None;
        let synced = self.files.sync();
        self.done(synced)
    }

    /// To be called several times a second: syncs what is due, closes the files after `idle_ns` nanoseconds without a
    /// post (the seed's SessionIdlePeriod), and tries again what a full disk kept from being finished.
    ///
    /// # Errors
    /// As [`DiskSessionLogger::sync`].
    pub fn tick(&mut self, now: EventTime, idle_ns: i64) -> Result<(), WriteError> {
        if self.to_complete {
            return self.finalize();
        }
        if self.is_open && self.is_idle(now, idle_ns) {
            self.close()
        } else if self.options.sync.is_due(self.dirty_since, now) {
            self.sync()
        } else {
            Ok(())
        }
    }

    /// Closes the files: gzip members become complete, descriptors are given back. The next post goes into new files.
    ///
    /// # Errors
    /// As [`DiskSessionLogger::sync`].
    pub fn close(&mut self) -> Result<(), WriteError> {
        self.dirty_since = None;
        self.is_open = false;
        let closed = self.files.close(self.options.sync != SyncPolicy::Never);
        self.done(closed)
    }

    /// The session has its last event. A failure to finish is not one to write that event: it is tried again.
    pub(super) fn end(&mut self) {
        self.to_complete = true;
        if let Err(error) = self.finalize() {
            tracing::warn!(sid = %self.options.sid, %error, "the session is written but not yet finished on disk");
        }
    }

    /// May an event with so many bytes be posted now?
    pub(super) fn ready(&mut self, bytes: usize) -> Result<(), WriteError> {
        self.be_sure()?;
        let sid = || self.options.sid.clone();
        if self.position.ended {
            return Err(WriteError::SessionEnded { sid: sid() });
        }
        if !self.position.has_room(bytes) {
            return Err(WriteError::NoNumberLeft { sid: sid() });
        }
        Ok(())
    }

    /// Writes a batch; the caller then moves the position past it.
    pub(super) fn write(&mut self, batch: Batch, now: EventTime) -> Result<(), WriteError> {
        self.last_post = Some(now);
        self.is_open = true;
        self.dirty_since.get_or_insert(now);
        let storage = &*self.storage;
        // Before its first file a session may be the first of its namespace.
        let folder = match self.indexed.is_empty() {
            true => storage.make_folder(&self.place.folder),
            false => Ok(()),
        };
        let written = folder.and_then(|()| {
            self.files
                .write(storage, &self.place, &mut self.indexed, batch)
        });
        self.done(written)
    }

    /// The next batch does not follow what was written before.
    pub(super) fn break_off(&mut self, events: bool, chunks: bool) -> Result<(), WriteError> {
        let syncs = self.options.sync != SyncPolicy::Never;
        let mut ended = Ok(());
        if events {
            ended = self.files.end_events(syncs);
        }
        if chunks && ended.is_ok() {
            ended = self.files.end_chunks(syncs);
        }
        self.done(ended)
    }

    /// After an error the files are let go, and looked at before the next post: they may hold more than was acknowledged.
    fn done(&mut self, result: std::io::Result<()>) -> Result<(), WriteError> {
        result.map_err(|error| {
            self.failures += 1;
            // What was acknowledged before may still get there; whoever asks is told by the count that it may not.
            if self.options.sync != SyncPolicy::Never
                && let Err(error) = self.files.sync()
            {
                tracing::error!(sid = %self.options.sid, %error, "what was acknowledged last may be lost");
            }
            self.files = Incarnation::default();
            self.is_open = false;
            self.unsure = true;
            let path = format!("{}/{}", self.place.folder, self.options.sid);
            WriteError::at(&path)(error)
        })
    }

    /// Looks at the own files if they may differ from what was acknowledged.
    pub(super) fn be_sure(&mut self) -> Result<(), WriteError> {
        if self.unsure {
            let own = OwnFiles::take_up(&*self.storage, &self.place.folder, &self.options.sid);
            let own = own.map_err(WriteError::at(&format!(
                "{}/{}",
                self.place.folder, self.options.sid
            )))?;
            self.position.join(&own.position);
            self.indexed = own.indexed;
            self.unsure = false;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "session_logger_tests.rs"]
mod tests;
