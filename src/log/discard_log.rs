//! A log that keeps nothing (the seed's DiscardAuditLog): every write is fine, every answer empty.

use crate::event::{
    Event, EventFields, EventIndex, EventTime, Namespace, SessionId, SessionSlice, StreamOffset,
};

use super::audit_log::{AuditLog, SessionRecording};
use super::log_error::LogError;

/// See the module text.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct DiscardAuditLog;

impl AuditLog for DiscardAuditLog {
    fn emit_audit_event(&self, _: Event<'_>, _: &EventFields) -> Result<(), LogError> {
        Ok(())
    }

    fn post_session_slice(&self, _: &SessionSlice) -> Result<(), LogError> {
        Ok(())
    }

    fn upload_session_recording(&self, _: &mut SessionRecording<'_>) -> Result<(), LogError> {
        Ok(())
    }

    fn get_session_chunk(
        &self,
        _: &Namespace,
        _: &SessionId,
        _: StreamOffset,
        _: usize,
    ) -> Result<Vec<u8>, LogError> {
        Ok(Vec::new())
    }

    fn get_session_events(
        &self,
        _: &Namespace,
        _: &SessionId,
        _: EventIndex,
        _: bool,
    ) -> Result<Vec<EventFields>, LogError> {
        Ok(Vec::new())
    }

    fn search_events(
        &self,
        _: EventTime,
        _: EventTime,
        _: &str,
        _: usize,
    ) -> Result<Vec<EventFields>, LogError> {
        Ok(Vec::new())
    }

    fn search_session_events(
        &self,
        _: EventTime,
        _: EventTime,
        _: usize,
    ) -> Result<Vec<EventFields>, LogError> {
        Ok(Vec::new())
    }

    fn close(&self) -> Result<(), LogError> {
        Ok(())
    }
}
