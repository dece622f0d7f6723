//! The interface of the seed document, `IAuditLog`, in Rust naming.

use std::io::{Read, Seek};
use std::time::Duration;

use crate::event::{
    Event, EventFields, EventIndex, EventTime, Namespace, SessionId, SessionSlice, StreamOffset,
};

use super::log_error::LogError;

/// Bytes that can be read, and read again.
pub trait ReadSeek: Read + Seek {}

impl<T: Read + Seek> ReadSeek for T {}

/// A session's recording as an archive (seed document: `SessionRecording`).
pub struct SessionRecording<'a> {
    /// Namespace of the session.
    pub namespace: Namespace,
    /// Its ID.
    pub session_id: SessionId,
    /// The tarball, from its beginning.
    pub recording: &'a mut dyn ReadSeek,
}

/// Something that takes audit events and recordings, and answers questions about them. A log that does not have a method
/// leaves it out and so answers [`LogError::NotImplemented`].
pub trait AuditLog: Send + Sync {
    /// Stores an event, after filling in what it lacks (`update_event_fields`).
    ///
    /// # Errors
    /// [`LogError`].
    fn emit_audit_event(&self, event: Event<'_>, fields: &EventFields) -> Result<(), LogError> {
        let _ = (event, fields);
        Err(LogError::NotImplemented {
            method: "EmitAuditEvent",
        })
    }

    /// Stores a part of a running session.
    ///
    /// # Errors
    /// [`LogError`].
    fn post_session_slice(&self, slice: &SessionSlice) -> Result<(), LogError> {
        let _ = slice;
        Err(LogError::NotImplemented {
            method: "PostSessionSlice",
        })
    }

    /// Stores the recording of a session that has ended.
    ///
    /// # Errors
    /// [`LogError`].
    fn upload_session_recording(
        &self,
        recording: &mut SessionRecording<'_>,
    ) -> Result<(), LogError> {
        let _ = recording;
        Err(LogError::NotImplemented {
            method: "UploadSessionRecording",
        })
    }

    /// Bytes of a session's stream from `offset` on: at most `max_bytes`, and never more than
    /// [`MAX_CHUNK_BYTES`](crate::event::MAX_CHUNK_BYTES), whatever is asked. None means the end.
    ///
    /// Fewer bytes than asked for do not mean the end: they may end before a hole. The next call then says so.
    ///
    /// # Errors
    /// [`LogError::Gap`] if no server has the byte at `offset` but one has a later byte; [`LogError::NotFound`] if there is
    /// no recording; [`LogError::BadParameter`] if no bytes are asked for.
    fn get_session_chunk(
        &self,
        namespace: &Namespace,
        sid: &SessionId,
        offset: StreamOffset,
        max_bytes: usize,
    ) -> Result<Vec<u8>, LogError> {
        let _ = (namespace, sid, offset, max_bytes);
        Err(LogError::NotImplemented {
            method: "GetSessionChunk",
        })
    }

    /// The events of a session with an `ei` greater than `after`, in the order of `ei`, over all files of all servers;
    /// `EventIndex(-1)` gives all, and the `ei` of the last event known gives those that came since. (The original took
    /// `after` for a number of lines of one file, FORMAT 5.1.) Enhanced events (4.2) count by their own `ei`; an event
    /// without one, as in sessions migrated from before 2.5, has that of the event before it, the first has 0.
    ///
    /// # Errors
    /// [`LogError::NotFound`] if the session has no events; [`LogError::AnswerTooLong`].
    fn get_session_events(
        &self,
        namespace: &Namespace,
        sid: &SessionId,
        after: EventIndex,
        include_print: bool,
    ) -> Result<Vec<EventFields>, LogError> {
        let _ = (namespace, sid, after, include_print);
        Err(LogError::NotImplemented {
            method: "GetSessionEvents",
        })
    }

    /// The events whose time is in `from..=to` and which match the URL-encoded `query` (see
    /// [`Query`](crate::search::Query)), newest first, at most `limit` of them; 0 means 500.
    ///
    /// # Errors
    /// [`LogError::BadParameter`] for a query that cannot be read, `to` before `from`, or a limit above 10000.
    fn search_events(
        &self,
        from: EventTime,
        to: EventTime,
        query: &str,
        limit: usize,
    ) -> Result<Vec<EventFields>, LogError> {
        let _ = (from, to, query, limit);
        Err(LogError::NotImplemented {
            method: "SearchEvents",
        })
    }

    /// The `session.start` and `session.end` events in `from..=to`, each end with its start, newest first, at most `limit`
    /// of them; 0 means 500. See [`search_session_events`](crate::search::search_session_events).
    ///
    /// # Errors
    /// As [`AuditLog::search_events`].
    fn search_session_events(
        &self,
        from: EventTime,
        to: EventTime,
        limit: usize,
    ) -> Result<Vec<EventFields>, LogError> {
        let _ = (from, to, limit);
        Err(LogError::NotImplemented {
            method: "SearchSessionEvents",
        })
    }

    /// Waits until what was posted is delivered, at most `patience`. Most logs deliver before they return.
    ///
    /// # Errors
    /// [`LogError`].
    fn wait_for_delivery(&self, patience: Duration) -> Result<(), LogError> {
        let _ = patience;
        Ok(())
    }

    /// Ends the log; doing so twice is fine.
    ///
    /// # Errors
    /// [`LogError`].
    fn close(&self) -> Result<(), LogError>;
}
