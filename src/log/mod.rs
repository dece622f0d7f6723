//! The audit log as the seed document defines it: one interface, and what implements it.
//!
//! [`AuditLog`] is the interface. [`DiskLog`] answers its four reading methods from the merged audit directory, so that
//! every server's part of a session or day counts; [`MultiLog`] puts several logs behind one.

pub use audit_log::{AuditLog, ReadSeek, SessionRecording};
pub use disk_log::{Clock, DiskLog};
pub use log_error::LogError;
pub use multi_log::MultiLog;

mod audit_log;
mod disk_log;
mod log_error;
mod multi_log;

#[cfg(test)]
mod tests;
