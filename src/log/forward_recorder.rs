//! What a node writes a terminal's output into (the seed's ForwardRecorder): each write is one print event.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use crate::event::{EventName, SessionChunk, SessionSlice};

use super::audit_log::AuditLog;
use super::forwarder::Forwarder;
use super::log_error::LogError;

/// How long closing waits for delivery (FORMAT 4).
const PATIENCE: Duration = Duration::from_secs(1);

/// See the module text. A write never fails: a terminal must not stop because its recording cannot be written. What was lost
/// is logged, counted, and told at the end.
pub struct ForwardRecorder {
    forwarder: Arc<Forwarder>,
    lost_writes: u64,
    first_failure: Option<LogError>,
}

impl ForwardRecorder {
    /// Records into this forwarder.
    pub fn new(forwarder: Arc<Forwarder>) -> Self {
        ForwardRecorder {
            forwarder,
            lost_writes: 0,
            first_failure: None,
        }
    }

    /// The log for the session's other events (GetAuditLog).
    pub fn audit_log(&self) -> &Arc<Forwarder> {
        &self.forwarder
    }

    /// Writes that were not recorded.
    pub fn lost_writes(&self) -> u64 {
        self.lost_writes
    }

    /// Finishes the recording, and waits a second at most for delivery.
    ///
    /// # Errors
    /// The first of all.
    pub fn close(&mut self) -> Result<(), LogError> {
        let delivered = self.forwarder.wait_for_delivery(PATIENCE);
        let closed = self.forwarder.close();
        match self.first_failure.take() {
            Some(failure) => Err(failure),
            None => delivered.and(closed),
        }
    }
}

impl Write for ForwardRecorder {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (namespace, sid) = self.forwarder.session();
        let chunk = SessionChunk {
            time_ns: (self.forwarder.clock())().as_ns(),
            data: bytes.to_vec(),
            event_type: EventName::Print.as_str().to_owned(),
            ..SessionChunk::default()
        };
        let slice = SessionSlice {
            namespace: namespace.to_string(),
            session_id: sid.to_string(),
            chunks: vec![chunk],
            version: SessionSlice::V3,
        };
        if let Err(error) = self.forwarder.post_session_slice(&slice) {
            tracing::error!(%sid, %error, bytes = bytes.len(), "bytes of a terminal were not recorded");
            self.lost_writes += 1;
            self.first_failure.get_or_insert(error);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
