//! The audit log as the seed document defines it: one interface, and what implements it.
//!
//! [`AuditLog`] is the interface.
//!
//! - [`DiskLog`] reads the merged audit directory, so that every server's part of a session or day counts, and writes as one
//!   server, through [`Recorder`](crate::write::Recorder) like the mount.
//! - [`FileLog`] is its daily logs alone; [`MultiLog`] puts several logs behind one; [`DiscardAuditLog`] keeps nothing.
//! - [`Forwarder`] is the log of one session on its node, and [`ForwardRecorder`] what its terminal is written into.

pub use audit_log::{AuditLog, ReadSeek, SessionRecording};
pub use discard_log::DiscardAuditLog;
pub use disk_log::{DiskLog, UidSource};
pub use file_log::FileLog;
pub use forward_recorder::ForwardRecorder;
pub use forwarder::{Forwarder, ForwarderConfig};
pub use log_error::LogError;
pub use merged::Clock;
pub use multi_log::MultiLog;

mod audit_log;
mod discard_log;
mod disk_log;
mod file_log;
mod forward_recorder;
mod forwarder;
mod log_error;
mod merged;
mod multi_log;

#[cfg(test)]
mod tests;
