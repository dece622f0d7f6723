//! Bytes to records and back, without I/O.
//!
//! What a reader finds on disk is told by content, not by version. [`SessionFileName`] and [`DailyName`] say what a name means;
//! [`read_index`] lists a session's files; [`ArchiveLayout`] says where they lie in a recording's tarball; [`is_gzip`] and [`Unpacker`] give back everything a packed file holds, also an
//! unfinished, restarted or damaged one. What cannot be trusted is a [`Damage`] beside the good data, never an error.

pub use archive::{ArchiveLayout, ArchiveMemberPlace, ArchivePart, LayoutError, MemberContent};
pub use daily::{
    DailyLine, LineForm, LineOrigin, MAX_LINE_BYTES, daily_time, read_line, read_lines, show_line,
    shown_len,
};
pub use daily_name::DailyName;
pub use damage::{Damage, Wound};
pub use events::{PrintFields, SessionLine, print_line, read_session_line};
pub use gzip::{SinkFull, UnpackSink, Unpacker, is_gzip};
pub use index::{IndexLine, read_index};
pub use name::{DataKind, SessionFileName};
pub use scan::{MAX_DEPTH, scan_object};

mod archive;
mod block;
mod daily;
mod daily_name;
mod damage;
mod events;
mod flat;
mod gzip;
mod index;
mod legacy;
mod name;
mod scalar;
mod scan;
mod stops;
mod unparsed;

#[cfg(test)]
#[path = "tests/fixtures.rs"]
mod fixtures;
