//! The audit log as the seed document defines it: one interface, and what implements it.
//!
//! [`AuditLog`] is the interface.
//!
//! - [`DiskLog`] reads the merged audit directory, so that every server's part of a session or day counts, and writes as one
//!   server, through [`Recorder`](crate::write::Recorder) like the mount.
//! - [`FileLog`] is its daily logs alone; [`MultiLog`] puts several logs behind one; [`DiscardAuditLog`] keeps nothing.
//! - [`Forwarder`] is the log of one session on its node, and [`ForwardRecorder`] what its terminal is written into.
//!
//! ```
//! use std::sync::Arc;
//! use auditfs::disk::Share;
//! use auditfs::event::{EventFields, EventName, EventTime, ServerId};
//! use auditfs::log::{AuditLog, DiskLog};
//! use auditfs::reader::{AuditDir, ReaderLimits};
//! use auditfs::write::{Making, OwnDirectory, RecorderOptions};
//!
//! # let top = tempfile::tempdir()?;
//! # let top = top.path();
//! let limits = ReaderLimits {
//!     cache_bytes: 64 << 20,
//!     unpack_bytes: 1 << 30,
//!     unpack_dir: std::env::temp_dir(),
//!     session_idle_ns: 3_600_000_000_000,
//!     hash_seed: 0,
//! };
//! let log = DiskLog::writing(
//!     AuditDir::new(Arc::new(Share::open(top)?), limits),
//!     Arc::new(|| EventTime::from_ns(1_525_161_483_000_000_000)), // the caller's clock
//!     OwnDirectory::open(top, Making::default())?,
//!     RecorderOptions::new(ServerId::new("a1")?),
//!     Arc::new(|| "a fresh uid".to_owned()),
//! )?;
//! let mut fields = EventFields::new();
//! fields.set("user", "alice");
//! log.emit_audit_event(EventName::UserLogin.into(), &fields)?;
//! let found = log.search_events(EventTime::ZERO, EventTime::LATEST, "event=user.login", 10)?;
//! assert_eq!(found[0].get_string("user"), "alice");
//! log.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
