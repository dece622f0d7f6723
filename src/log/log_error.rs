//! Why an audit log refuses or fails.

use thiserror::Error;

use crate::disk::DiskError;
use crate::event::StreamOffset;
use crate::search::SearchError;
use crate::write::{RecordingError, WriteError};

/// The answer of an audit log that is no answer.
#[derive(Debug, Error)]
pub enum LogError {
    /// There is no such session, or it has no recording.
    #[error("{what} not found")]
    NotFound {
        /// What was looked for.
        what: String,
    },
    /// An argument cannot be.
    #[error("{reason}")]
    BadParameter {
        /// Which and why.
        reason: String,
    },
    /// This log does not have the method; another one may (see `MultiLog`).
    #[error("{method} is not implemented by this audit log")]
    NotImplemented {
        /// The method.
        method: &'static str,
    },
    /// Bytes of a session's stream are on no server, and later ones are: this is not its end.
    #[error("no server has byte {offset} of the stream; the next byte there is {next}", offset = offset.0, next = next.0)]
    Gap {
        /// The first missing byte.
        offset: StreamOffset,
        /// The first byte behind the hole.
        next: StreamOffset,
    },
    /// The answer does not fit in memory as the interface wants it.
    #[error("the answer is longer than {limit_bytes} bytes")]
    AnswerTooLong {
        /// The bound, bytes of JSON lines.
        limit_bytes: usize,
    },
    /// The log has been closed.
    #[error("the audit log is closed")]
    Closed,
    /// The audit directory cannot be read.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A search that failed, though it could be made.
    #[error(transparent)]
    Search(SearchError),
    /// It could not be written.
    #[error(transparent)]
    Write(WriteError),
    /// A recording could not be stored.
    #[error(transparent)]
    Recording(RecordingError),
    /// Several logs failed.
    #[error("{}", .0.iter().map(LogError::to_string).collect::<Vec<_>>().join("; "))]
    Several(Vec<LogError>),
}

impl LogError {
    /// Whether another log may have the method.
    pub fn is_not_implemented(&self) -> bool {
        matches!(self, LogError::NotImplemented { .. })
    }
}

impl From<WriteError> for LogError {
    fn from(error: WriteError) -> LogError {
        match error {
            WriteError::Refused(_)
            | WriteError::OldSlice { .. }
            | WriteError::BadSlice(_)
            | WriteError::BadChunk(_) => LogError::BadParameter {
                reason: error.to_string(),
            },
            WriteError::Closed => LogError::Closed,
            WriteError::Io { .. }
            | WriteError::NotOurs { .. }
            | WriteError::SessionEnded { .. }
            | WriteError::NoNumberLeft { .. } => LogError::Write(error),
        }
    }
}

impl From<RecordingError> for LogError {
    fn from(error: RecordingError) -> LogError {
        match error {
            RecordingError::Io { .. } | RecordingError::Exists(_) => LogError::Recording(error),
            RecordingError::Tar(_)
            | RecordingError::ForeignName { .. }
            | RecordingError::Twice(_)
            | RecordingError::NoIndex(_)
            | RecordingError::BadIndex(_)
            | RecordingError::BadFile { .. }
            | RecordingError::BadEvent { .. }
            | RecordingError::TooLarge(_) => LogError::BadParameter {
                reason: error.to_string(),
            },
        }
    }
}

impl From<SearchError> for LogError {
    fn from(error: SearchError) -> LogError {
        match error {
            SearchError::Query(_) | SearchError::Limit { .. } | SearchError::Range { .. } => {
                LogError::BadParameter {
                    reason: error.to_string(),
                }
            }
            SearchError::Disk(error) => LogError::Disk(error),
            SearchError::AnswerTooLong => LogError::AnswerTooLong {
                limit_bytes: crate::search::ANSWER_BYTES_MAX,
            },
            SearchError::Changed { .. } => LogError::Search(error),
        }
    }
}
