//! The log of one session on its node (the seed's Forwarder, FORMAT 4): all of it is recorded under `upload/`, and its
//! events, but not its bytes, are sent on at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::event::{
    Event, EventFields, IdError, Namespace, ServerId, SessionChunk, SessionId, SessionSlice,
    event_from_chunk, update_event_fields,
};
use crate::write::{
    Compression, DiskSessionLogger, OwnStorage, SessionOptions, SessionPosition, SyncPolicy,
    WriteError, complete_event,
};

use super::audit_log::AuditLog;
use super::disk_log::UidSource;
use super::log_error::LogError;
use super::merged::Clock;

/// The folder of recordings in progress, in the place of a server's (FORMAT 1).
const UPLOAD: &str = "upload";

/// What a forwarder records and whither.
pub struct ForwarderConfig {
    /// The node's data directory; `upload/sessions/<namespace>/` is made in it.
    pub storage: Arc<dyn OwnStorage>,
    /// Namespace of the session.
    pub namespace: Namespace,
    /// The session. Only one forwarder may have it.
    pub sid: SessionId,
    /// Form of new data files.
    pub compression: Compression,
    /// When what was recorded is durable.
    pub sync: SyncPolicy,
    /// Off: bytes of the terminal are dropped, but still take an `ei`.
    pub record_sessions: bool,
    /// Gets the events at once.
    pub forward_to: Arc<dyn AuditLog>,
    /// Says what time it is.
    pub clock: Clock,
    /// Gives uids.
    pub uids: UidSource,
}

/// See the module text. It numbers all events itself, whatever numbers they come with.
pub struct Forwarder {
    namespace: Namespace,
    sid: SessionId,
    forward_to: Arc<dyn AuditLog>,
    clock: Clock,
    uids: UidSource,
    recording: Mutex<Recording>,
}

struct Recording {
    logger: DiskSessionLogger,
    closed: bool,
}

impl Forwarder {
    /// Nothing is made before the first post. A session whose recording was begun before goes on.
    ///
    /// # Errors
    /// [`LogError::Write`].
    pub fn new(config: ForwarderConfig) -> Result<Forwarder, LogError> {
        let bad = |error: IdError| LogError::BadParameter {
            reason: error.to_string(),
        };
        let options = SessionOptions {
            server_id: ServerId::new(UPLOAD).map_err(bad)?,
            namespace: config.namespace.clone(),
            sid: config.sid.clone(),
            compression: config.compression,
            sync: config.sync,
            record_sessions: config.record_sessions,
        };
        // What is recorded here already the logger finds itself.
        let start = SessionPosition::default();
        let logger = DiskSessionLogger::open(config.storage, options, start)?;
        Ok(Forwarder {
            namespace: config.namespace,
            sid: config.sid,
            forward_to: config.forward_to,
            clock: config.clock,
            uids: config.uids,
            recording: Mutex::new(Recording {
                logger,
                closed: false,
            }),
        })
    }

    /// Namespace and ID of its session.
    pub fn session(&self) -> (&Namespace, &SessionId) {
        (&self.namespace, &self.sid)
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    fn recording(&self) -> MutexGuard<'_, Recording> {
        self.recording
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the chunks with the numbers that are next; gives those that are to be sent on.
    fn record(&self, mut chunks: Vec<SessionChunk>) -> Result<Vec<SessionChunk>, LogError> {
        let mut recording = self.recording();
        if recording.closed {
            let reason = "write on closed forwarder".to_owned();
            return Err(LogError::BadParameter { reason });
        }
        number(&mut chunks, recording.logger.certain_position()?)?;
        let (now, mut uids) = ((self.clock)(), || (self.uids)());
        for chunk in chunks.iter_mut().filter(|chunk| !chunk.is_print()) {
            // Complete before it goes two ways: both copies of an event have one uid (FORMAT 2, from 3.2.3 on).
            let event = event_from_chunk(&self.sid, chunk);
            let mut event = event.map_err(WriteError::BadChunk)?;
            complete_event(&mut event, now, &uids());
            chunk.data = event.to_json().into_bytes();
        }
        recording.logger.post_chunks(&chunks, now, &mut uids)?;
        chunks.retain(|chunk| !chunk.is_print());
        Ok(chunks)
    }
}

/// Gives each chunk its numbers (Teleport 2.7 `forward.go`, `setupSlice`): `ei` always; `ci`, offset and delay of a print
/// event go on from the one before, and the first print event of all keeps those that it has.
fn number(chunks: &mut [SessionChunk], position: SessionPosition) -> Result<(), LogError> {
    let mut next_ei = position.next_ei.0;
    let mut last = position.last_print.map(|last| SessionChunk {
        time_ns: last.time.as_ns(),
        delay_ms: last.delay_ms,
        offset_bytes: i64::try_from(position.next_offset.0).unwrap_or(i64::MAX),
        chunk_index: position.next_ci.saturating_sub(1),
        ..SessionChunk::default()
    });
    for chunk in chunks {
        if chunk.event_type.is_empty() {
            let reason = "missing parameter EventType".to_owned();
            return Err(LogError::BadParameter { reason });
        }
        chunk.event_index = next_ei;
        next_ei = next_ei.saturating_add(1);
        if !chunk.is_print() {
            continue;
        }
        if let Some(last) = &last {
            let step_ns = chunk.time().as_ns().saturating_sub(last.time().as_ns());
            chunk.delay_ms = last.delay_ms.saturating_add((step_ns / 1_000_000).max(0));
            chunk.offset_bytes = last.offset_bytes;
            chunk.chunk_index = last.chunk_index.saturating_add(1);
        }
        // The place behind it: the bytes need not be kept.
        let bytes = i64::try_from(chunk.data.len()).unwrap_or(i64::MAX);
        last = Some(SessionChunk {
            time_ns: chunk.time_ns,
            delay_ms: chunk.delay_ms,
            offset_bytes: chunk.offset_bytes.saturating_add(bytes),
            chunk_index: chunk.chunk_index,
            ..SessionChunk::default()
        });
    }
    Ok(())
}

impl AuditLog for Forwarder {
    fn emit_audit_event(&self, event: Event<'_>, fields: &EventFields) -> Result<(), LogError> {
        let (now, mut fields) = ((self.clock)(), fields.clone());
        update_event_fields(event, &mut fields, now, &(self.uids)());
        let chunk = SessionChunk {
            time_ns: now.as_ns(),
            event_type: fields.get_type().to_owned(),
            data: fields.to_json().into_bytes(),
            ..SessionChunk::default()
        };
        self.post_session_slice(&SessionSlice {
            namespace: self.namespace.to_string(),
            session_id: self.sid.to_string(),
            chunks: vec![chunk],
            version: SessionSlice::V3,
        })
    }

    /// Records all chunks, then sends on those that are no print events.
    ///
    /// # Errors
    /// Of recording: nothing is sent on. Of sending on: all is recorded.
    fn post_session_slice(&self, slice: &SessionSlice) -> Result<(), LogError> {
        let chunks = self.record(slice.chunks.clone())?;
        if chunks.is_empty() {
            return Ok(());
        }
        self.forward_to.post_session_slice(&SessionSlice {
            namespace: self.namespace.to_string(),
            session_id: self.sid.to_string(),
            chunks,
            version: SessionSlice::V3,
        })
    }

    fn wait_for_delivery(&self, patience: Duration) -> Result<(), LogError> {
        self.forward_to.wait_for_delivery(patience)
    }

    /// Finishes the recording, which waits for its upload from then on. `forward_to` stays open: others use it.
    fn close(&self) -> Result<(), LogError> {
        let mut recording = self.recording();
        if recording.closed {
            return Ok(());
        }
        recording.closed = true;
        Ok(recording.logger.finalize()?)
    }
}
