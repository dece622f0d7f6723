//! Which records are asked for, and the newest of them, in bounded memory.
//!
//! A search walks the merged days from the newest to the oldest and keeps the places of the newest records that match; only
//! those are read again for the answer. It filters by the time of the event itself, not by the date of its file, and takes
//! no record for another because a text occurs somewhere in it (both defects of the original, FORMAT 5.7).
//!
//! ```
//! use auditfs::search::Query;
//!
//! let query = Query::parse("event=session.start&event=session.end&user=bob")?;
//! assert!(query.matches(br#"{"event":"session.end","user":"bob"}"#));
//! assert!(!query.matches(br#"{"event":"exec","command":"grep session.end","user":"bob"}"#));
//! # Ok::<(), auditfs::search::QueryError>(())
//! ```

pub use encoding::QueryError;
pub use event_of_line::event_of_line;
pub use events::{Found, search_events};
pub use merged_lines::each_merged_line;
pub use query::Query;
pub use request::{ANSWER_BYTES_MAX, DEFAULT_LIMIT, MAX_LIMIT, Request};
pub use search_error::SearchError;
pub use session_events::search_session_events;

mod encoding;
mod event_of_line;
mod events;
mod merged_lines;
mod newest;
mod query;
mod request;
mod search_error;
mod session_events;

#[cfg(test)]
mod tests;
