//! Only the daily logs of an audit directory (the seed's FileLog, FORMAT 4): events in, searches out, no recordings.

use std::sync::Arc;
use std::time::Duration;

use crate::event::{Event, EventFields, EventTime, SessionSlice};
use crate::write::{WriteError, check_slice};

use super::audit_log::AuditLog;
use super::disk_log::DiskLog;
use super::log_error::LogError;

/// See the module text. Session events of version 3 slices are noted; bytes are not, and what would need them is not
/// implemented here, so that a `MultiLog` asks another.
pub struct FileLog {
    disk: Arc<DiskLog>,
}

impl FileLog {
    /// The daily logs that `disk` writes and reads.
    pub fn new(disk: Arc<DiskLog>) -> Self {
        FileLog { disk }
    }
}

impl AuditLog for FileLog {
    fn emit_audit_event(&self, event: Event<'_>, fields: &EventFields) -> Result<(), LogError> {
        self.disk.emit_audit_event(event, fields)
    }

    /// A slice whose recording would have to be written is refused: it comes from components that are too old.
    fn post_session_slice(&self, slice: &SessionSlice) -> Result<(), LogError> {
        check_slice(slice)?;
        if slice.version < SessionSlice::V3 {
            let version = slice.version;
            return Err(WriteError::OldSlice { version }.into());
        }
        self.disk.post_session_slice(slice)
    }

    fn search_events(
        &self,
        from: EventTime,
        to: EventTime,
        query: &str,
        limit: usize,
    ) -> Result<Vec<EventFields>, LogError> {
        self.disk.search_events(from, to, query, limit)
    }

    fn search_session_events(
        &self,
        from: EventTime,
        to: EventTime,
        limit: usize,
    ) -> Result<Vec<EventFields>, LogError> {
        self.disk.search_session_events(from, to, limit)
    }

    fn wait_for_delivery(&self, patience: Duration) -> Result<(), LogError> {
        self.disk.wait_for_delivery(patience)
    }

    fn close(&self) -> Result<(), LogError> {
        self.disk.close()
    }
}
