//! What readers have already seen of days that grow, kept on the local disk so that a restart changes none of it.
//!
//! A live day is an append-only data file and a journal. A batch is first written whole into the journal and fsynced:
//! from then on it is published for good, whatever happens. Only then is it copied into the data file and its length
//! shown. So the data file never holds a byte that may be taken back: not after kill -9, not after a power cut, and
//! not for a reader whom the kernel serves straight from the file (FUSE passthrough knows nothing of a published
//! length; it reads to the end of the backing file). `docs/SPOOL.md` has the formats byte by byte.
//!
//! ```
//! use auditfs::event::EventTime;
//! use auditfs::spool::{BatchFacts, SourceMark, Spool, StateDir, TailHash};
//!
//! let place = tempfile::tempdir()?;
//! let state = StateDir::open(place.path(), EventTime::from_ns(0))?;
//! let (spool, days, alarms) = Spool::recover(&state)?;
//! assert!(days.is_empty() && alarms.is_empty());
//!
//! let mut day = spool.create("2018-05-01".parse()?)?;
//! let line = b"{\"event\":\"exec\"}\n";
//! let mark = SourceMark {
//!     origin: "one".into(), file: "2018-05-01.log".into(), generation: 0, first: 0, next: line.len() as u64,
//!     tail: TailHash::of(line), identity: (1, 2), time: None,
//! };
//! day.publish(line, &[mark], BatchFacts::default())?;
//! assert_eq!(day.len_bytes(), 17);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! This layer knows only [`event`](crate::event) and `std::fs`. Disk calls pass the `backend` seam, at which tests
//! play crashes, full disks and an fsync that lies.

mod alarm;
mod backend;
mod batch;
mod day_bytes;
mod day_spool;
mod history;
mod holder;
mod journal;
mod record;
mod recovery;
mod replay;
mod sealed_marks;
mod source_mark;
mod spool_dir;
mod spool_error;
mod state_dir;
mod wire;

#[cfg(test)]
mod tests;

pub use alarm::Alarm;
pub use batch::Batch;
pub use day_bytes::DayBytes;
pub use day_spool::DaySpool;
pub use history::BatchFacts;
pub use holder::Holder;
pub use sealed_marks::SealedMarks;
pub use source_mark::{SourceMark, TailHash};
pub use spool_dir::Spool;
pub use spool_error::SpoolError;
pub use state_dir::{SpoolId, StateDir};
