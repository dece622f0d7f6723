//! Bytes to records and back, without I/O.

pub use scan::{MAX_DEPTH, scan_object};

mod scan;
mod stops;
