//! How a server writes, and whom it asks where a session ends.

use std::io;

use crate::event::{Namespace, ServerId, SessionId};

use super::daily_log::LogForm;
use super::data_file::Compression;
use super::lock::LockError;
use super::position::SessionPosition;
use super::recording_check::{RecordedBy, RecordingLimits};
use super::sync_policy::SyncPolicy;

/// What all servers have of a session, so that its numbers go on right. Answered by whoever reads the merged session.
pub trait SessionEnds: Send + Sync {
    /// Where the session ends; the default for one that nobody has. What is told may lag behind this server's own files.
    ///
    /// # Errors
    /// Of the share.
    fn end_of(&self, namespace: &Namespace, sid: &SessionId) -> io::Result<SessionPosition>;
}

/// How a server writes (the seed's AuditLogConfig, as far as it concerns writing).
#[derive(Clone, Debug)]
pub struct RecorderOptions {
    /// This server: the folder written into.
    pub server_id: ServerId,
    /// Form of lines in the daily log.
    pub form: LogForm,
    /// Form of new session files.
    pub compression: Compression,
    /// When what was acknowledged is durable.
    pub sync: SyncPolicy,
    /// Off: bytes of terminals are dropped (RecordSessions).
    pub record_sessions: bool,
    /// A session without a post for this long is closed, nanoseconds (SessionIdlePeriod; 20 s in released versions).
    pub idle_ns: i64,
    /// What uploads may be.
    pub limits: RecordingLimits,
    /// Whose events uploads may hold.
    pub recorded_by: RecordedBy,
}

impl RecorderOptions {
    /// The defaults for a server.
    pub fn new(server_id: ServerId) -> Self {
        RecorderOptions {
            server_id,
            form: LogForm::default(),
            compression: Compression::default(),
            sync: SyncPolicy::default(),
            record_sessions: true,
            idle_ns: 20_000_000_000,
            limits: RecordingLimits::default(),
            recorded_by: RecordedBy::default(),
        }
    }
}

/// Writing could not begin.
#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    /// The folder is not ours.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// What an earlier writer left could not be put in order.
    #[error("cannot put {path} in order: {source}")]
    Io {
        /// Path inside the audit directory.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}
