//! Bytes to records and back, without I/O.

pub use daily::{
    DailyLine, LineForm, LineOrigin, MAX_LINE_BYTES, daily_time, read_line, show_line, shown_len,
};
pub use scan::{MAX_DEPTH, scan_object};

mod daily;
mod legacy;
mod scan;
mod stops;
mod unparsed;
