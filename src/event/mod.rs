//! What one record of an audit log means: its ids, its time, its fields, its place in the order.
//!
//! This layer does no I/O and knows no other layer: it takes bytes and values and returns values, so that every other
//! layer may speak its words. The words are those of the seed document: server ID, session ID (sid), namespace, event
//! index (`ei`), chunk index (`ci`), byte offset, session slice.
//!
//! ```
//! use auditfs::event::{Day, EventTime};
//!
//! let time = EventTime::parse_rfc3339(b"2018-05-01T07:58:03.5Z").unwrap();
//! assert_eq!(Day::of(time).to_string(), "2018-05-01");
//! assert_eq!(time.to_rfc3339(), "2018-05-01T07:58:03.5Z");
//! ```

pub use day::{Day, DayError};
pub use id::{IdError, Namespace, ServerId, SessionId, is_safe_name};
pub use time::{EventIndex, EventTime, StreamOffset};

mod day;
mod id;
mod time;
