//! This server's daily log: one line an event, one file a UTC day, appended and never changed (the seed's FileLog).
//!
//! Readers take whole lines only, so a crash in the middle of a write costs nothing but the lines that were not yet
//! acknowledged. What is torn stays: the next line begins behind a newline, and readers show the torn one wrapped.

use std::sync::Arc;

use crate::event::{Day, EventFields, EventTime, ServerId, field_name};
use crate::format::{DailyName, MAX_LINE_BYTES};

use super::event_line::{RefusedLine, check_event};
use super::storage::{OpenAs, OwnFile, OwnStorage, append_all};
use super::sync_policy::SyncPolicy;
use super::write_error::WriteError;

/// The symlink in the audit directory to the current daily log of the server that rotated last (FORMAT 1).
pub const CURRENT_LOG_LINK: &str = "events.log";

/// Lines go out together up to this size: a write that NFS sends in one piece (DESIGN 6). A longer line goes alone.
const MAX_WRITE_BYTES: usize = 128 << 10;

/// How a line is written (`--log-format`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogForm {
    /// The JSON object, as all released versions (FORMAT 2).
    #[default]
    Json,
    /// `utc_date,action,json_fields`, as the seed document describes.
    Legacy,
}

/// See the module text. The caller has the [`super::FolderLock`] of the server's folder.
#[derive(Debug)]
pub struct FileLog {
    storage: Arc<dyn OwnStorage>,
    server_id: ServerId,
    form: LogForm,
    sync: SyncPolicy,
    open: Option<OpenLog>,
    /// When the oldest line that may not be durable was written, and on which day's file.
    dirty: Option<(EventTime, Day)>,
    failures: u64,
}

#[derive(Debug)]
struct OpenLog {
    day: Day,
    path: String,
    file: Box<dyn OwnFile>,
    /// The file ends within a line.
    torn: bool,
    is_name_durable: bool,
}

impl FileLog {
    /// Nothing is opened before the first event.
    pub fn new(
        storage: Arc<dyn OwnStorage>,
        server_id: ServerId,
        form: LogForm,
        sync: SyncPolicy,
    ) -> Self {
        FileLog {
            storage,
            server_id,
            form,
            sync,
            open: None,
            dirty: None,
            failures: 0,
        }
    }

    /// Whose log it is.
    pub fn server_id(&self) -> &ServerId {
        &self.server_id
    }

    /// Appends events, which are complete (see [`super::complete_event`]), to the log of the UTC day of `now`. Returns
    /// when they are acknowledged as [`SyncPolicy`] says. All of them are checked before any is written.
    ///
    /// # Errors
    /// [`WriteError::Refused`]: nothing was written. [`WriteError::Io`]: nothing was acknowledged; of more than one
    /// event the first ones may be there. No line is ever left half among whole ones: the next call begins a new line.
    pub fn append(&mut self, events: &[EventFields], now: EventTime) -> Result<(), WriteError> {
        for event in events {
            check_event(event, &self.server_id)?;
        }
        self.append_from_nodes(events, now)
    }

    /// The same for events of sessions on nodes, whose `server_id` is the node's (FORMAT 2) and was checked by whoever
    /// knows the node.
    ///
    /// # Errors
    /// As [`FileLog::append`], but a `server_id` and a `namespace` are not looked at.
    pub fn append_from_nodes(
        &mut self,
        events: &[EventFields],
        now: EventTime,
    ) -> Result<(), WriteError> {
        let mut lines = Vec::with_capacity(events.len());
        for event in events {
            if event.get_type().is_empty() {
                return Err(RefusedLine::NoEvent.into());
            }
            let line = self.line_of(event, now);
            if line.len() > MAX_LINE_BYTES {
                return Err(RefusedLine::TooLong { bytes: line.len() }.into());
            }
            lines.push(line);
        }
        if lines.is_empty() {
            return Ok(());
        }
        let day = Day::of(now);
        let written = self.opened(day).and_then(|log| log.write(&lines));
        if self.sync != SyncPolicy::Always {
            self.dirty.get_or_insert((now, day));
        }
        written.inspect_err(|_| self.poison())
    }

    /// Makes everything acknowledged durable.
    ///
    /// # Errors
    /// [`WriteError::Io`]: lines that were acknowledged may be lost; see [`FileLog::failures`].
    pub fn sync(&mut self) -> Result<(), WriteError> {
        let Some((_, day)) = self.dirty else {
            return Ok(());
        };
        let (storage, folder) = (self.storage.clone(), self.server_id.clone());
        let synced = self.opened(day).and_then(|log| {
            log.file.sync().map_err(WriteError::at(&log.path))?;
            if !std::mem::replace(&mut log.is_name_durable, true) {
                let synced = storage.sync_folder(folder.as_str());
                synced.map_err(WriteError::at(folder.as_str()))?;
            }
            Ok(())
        });
        // Also after an error: what the next sync says of these lines would mean nothing.
        self.dirty = None;
        synced.inspect_err(|_| self.poison())
    }

    /// To be called several times a second: syncs what [`SyncPolicy::Interval`] says is due.
    ///
    /// # Errors
    /// As [`FileLog::sync`].
    pub fn tick(&mut self, now: EventTime) -> Result<(), WriteError> {
        if self.sync.is_due(self.dirty.map(|(since, _)| since), now) {
            self.sync()
        } else {
            Ok(())
        }
    }

    /// How often a write or sync failed. A handle whose fsync(2) is asked later compares: if the number has grown since
    /// its own last write, its lines may be among those lost, although a sync says by now that all is well (DESIGN 6).
    pub fn failures(&self) -> u64 {
        self.failures
    }

    fn poison(&mut self) {
        self.failures += 1;
        self.open = None;
    }

    /// The log of that day: opened, with its tail looked at, and linked.
    fn opened(&mut self, day: Day) -> Result<&mut OpenLog, WriteError> {
        if self.open.as_ref().is_some_and(|log| log.day != day) {
            self.rotate();
        }
        let log = match self.open.take() {
            Some(log) => log,
            None => self.open_day(day)?,
        };
        Ok(self.open.insert(log))
    }

    /// Lets the file of another day go. Its lines were acknowledged long ago, so a failure is not that of the caller.
    fn rotate(&mut self) {
        if let Some(mut log) = self.open.take()
            && self.dirty.take().is_some()
            && self.sync != SyncPolicy::Never
            && let Err(error) = log.file.sync()
        {
            self.failures += 1;
            tracing::error!(path = %log.path, %error, "the last lines of a daily log may be lost");
        }
    }

    fn open_day(&self, day: Day) -> Result<OpenLog, WriteError> {
        let name = DailyName {
            day,
            time_of_day_s: Some(0),
            gz: false,
        }
        .to_file_name();
        let folder = self.server_id.as_str();
        let path = format!("{folder}/{name}");
        let open = || {
            self.storage.make_folder(folder)?;
            let file = self
                .storage
                .open(&path, OpenAs::Continued, self.sync.through())?;
            let last = file.last_byte()?;
            if last.is_none() && self.sync != SyncPolicy::Never {
                self.storage.sync_folder(folder)?;
            }
            Ok((file, last.is_some_and(|byte| byte != b'\n')))
        };
        let (file, torn) = open().map_err(WriteError::at(&path))?;
        if torn {
            tracing::warn!(
                path,
                "the daily log ends within a line; the next line begins behind it"
            );
        }
        // A log that cannot be linked is a good log still.
        if let Err(error) = self.storage.point_link(CURRENT_LOG_LINK, &path) {
            tracing::warn!(link = CURRENT_LOG_LINK, target = path, %error, "cannot renew the link to the daily log");
        }
        Ok(OpenLog {
            day,
            path,
            file,
            torn,
            is_name_durable: self.sync != SyncPolicy::Never,
        })
    }

    fn line_of(&self, event: &EventFields, now: EventTime) -> String {
        let json = event.to_json();
        match self.form {
            LogForm::Json => json,
            LogForm::Legacy => {
                let time = event.get_time(field_name::TIME);
                let time = if time.is_zero() { now } else { time };
                // The object has the name as it is; here it must not be taken for the next part.
                let action = event.get_type().replace([',', '\n', '\r'], "_");
                format!("{time},{action},{json}")
            }
        }
    }
}

impl OpenLog {
    fn write(&mut self, lines: &[String]) -> Result<(), WriteError> {
        let all_bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
        let mut write = || {
            // With a full disk it ends here, and the file is as it was.
            self.file.reserve(all_bytes as u64 + u64::from(self.torn))?;
            let mut batch = Vec::with_capacity(all_bytes.min(MAX_WRITE_BYTES) + 1);
            for line in lines {
                if !batch.is_empty() && batch.len() + line.len() >= MAX_WRITE_BYTES {
                    append_all(&mut *self.file, &batch)?;
                    batch.clear();
                }
                if std::mem::take(&mut self.torn) {
                    batch.push(b'\n');
                }
                batch.extend_from_slice(line.as_bytes());
                batch.push(b'\n');
            }
            append_all(&mut *self.file, &batch)
        };
        write().map_err(WriteError::at(&self.path))
    }
}

#[cfg(test)]
#[path = "daily_log_tests.rs"]
mod tests;
