//! Why a search gives no answer.

use thiserror::Error;

use crate::disk::DiskError;
use crate::event::{Day, EventTime};

use super::encoding::QueryError;
use super::request::{ANSWER_BYTES_MAX, MAX_LIMIT};

/// A search that cannot be answered, or not now.
#[derive(Debug, Error)]
pub enum SearchError {
    /// The query cannot be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// More records were asked for than any answer has.
    #[error("limit {limit} is too large; at most {MAX_LIMIT} events can be asked for")]
    Limit {
        /// What was asked for.
        limit: usize,
    },
    /// The range ends before it begins.
    #[error("the range ends ({to}) before it begins ({from})")]
    Range {
        /// Its beginning.
        from: EventTime,
        /// Its end.
        to: EventTime,
    },
    /// The records of the answer are too long to be given at once.
    #[error("the answer is longer than {ANSWER_BYTES_MAX} bytes; ask for fewer events")]
    AnswerTooLong,
    /// A day was rebuilt from other files while it was searched.
    #[error("the day {day} changed during the search; search again")]
    Changed {
        /// Its date.
        day: Day,
    },
    /// A daily log cannot be read.
    #[error(transparent)]
    Disk(#[from] DiskError),
}
