//! Bytes to records and back, without I/O.

pub use daily::{
    DailyLine, LineForm, LineOrigin, MAX_LINE_BYTES, daily_time, read_line, show_line, shown_len,
};
pub use events::{PrintFields, PrintLine, SessionLine, print_line, read_session_line};
pub use scan::{MAX_DEPTH, scan_object};

mod daily;
mod events;
mod legacy;
mod scan;
mod stops;
mod unparsed;
