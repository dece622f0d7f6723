//! What one record of an audit log means: its ids, its time, its fields, its place in the order.
//!
//! This layer does no I/O and knows no other layer: it takes bytes and values and returns values, so that every other
//! layer may speak its words. The words are those of the seed document: server ID, session ID (sid), namespace, event
//! index (`ei`), chunk index (`ci`), byte offset, session slice.
//!
//! ```
//! use auditfs::event::{Day, EventFields, EventName};
//!
//! let event = EventFields::from_json(br#"{"event":"exec","time":"2018-05-01T07:58:03.5Z","exitCode":"2"}"#)?;
//! assert_eq!(EventName::parse(event.get_type()), Some(EventName::Exec));
//! assert_eq!(Day::of(event.get_timestamp()).to_string(), "2018-05-01");
//! # Ok::<(), auditfs::event::FieldsError>(())
//! ```

pub use code::EventCode;
pub use day::{Day, DayError};
pub use fields::{EventFields, FieldsError};
pub use id::{IdError, Namespace, ServerId, SessionId, is_safe_name};
pub use name::{EventName, SESSION_DATA_INDEX, SESSION_UPLOAD_INDEX};
pub use order::{TimeAndIndex, sort_by_time_and_index};
pub use print::PrintEvent;
pub use slice::{ChunkError, MAX_CHUNK_BYTES, SessionChunk, SessionSlice, event_from_chunk};
pub use time::{EventIndex, EventTime, StreamOffset};
pub use update::{Event, InvalidField, update_event_fields, validate_event};

pub mod field_name;

mod code;
mod day;
mod fields;
mod id;
mod name;
mod order;
mod print;
mod slice;
mod time;
mod update;
