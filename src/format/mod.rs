//! Bytes to records and back, without I/O.
//!
//! What a reader finds on disk is told by content, not by version: [`is_gzip`] looks at the first bytes, [`Unpacker`] gives
//! back everything a packed file holds (also an unfinished, restarted or damaged one). What cannot be trusted is a [`Damage`]
//! beside the good data, never an error.

mod damage;
mod gzip;

pub use damage::{Damage, Wound};
pub use gzip::{SinkFull, UnpackSink, Unpacker, is_gzip};
