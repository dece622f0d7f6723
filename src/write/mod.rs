//! The disk-format writer: the files that this server owns, written as the auth servers write them.
//!
//! The mount and the library's audit log are its callers; there is no second way to the disk. It takes `now` and uids as
//! values, starts no thread, and touches the disk through one seam, [`OwnStorage`].
//!
//! - [`Recorder`]: all of it behind one door, thread-safe; what the mount and the library's audit log call.
//! - [`FolderLock`]: one writer per folder. Take it first, ask it every few seconds.
//! - [`FileLog`]: events into this server's daily log.
//! - [`DiskSessionLogger`]: bytes and events into a session's files, wherever the session began.
//! - [`post_session_slice`]: the same from nodes, which number their events themselves.
//! - [`new_session_archive`], [`unpack_session_recording`]: whole recordings, out and in.
//!
//! ```
//! use std::sync::Arc;
//! use auditfs::event::{EventTime, Namespace, ServerId, SessionId};
//! use auditfs::write::*;
//!
//! # let dir = tempfile::tempdir()?;
//! let directory = OwnDirectory::open(dir.path(), Making::default())?;
//! let (server_id, now) = (ServerId::new("a1")?, EventTime::from_ns(1_525_161_483_000_000_000));
//! let _lock = FolderLock::take(&directory, &server_id, now)?;
//! let storage: Arc<dyn OwnStorage> = Arc::new(directory);
//!
//! let mut event = read_event_line(br#"{"event":"user.login","user":"alice"}"#, &server_id)?;
//! complete_event(&mut event, now, "the uid");
//! let mut log = FileLog::new(storage.clone(), server_id.clone(), LogForm::Json, SyncPolicy::Always);
//! log.append(&[event], now)?;
//!
//! let mut session = DiskSessionLogger::open(storage, SessionOptions {
//!     server_id,
//!     namespace: Namespace::default(),
//!     sid: SessionId::new("74a5fc01-4d00-11e8-aee2-0242ac0a0001")?,
//!     compression: Compression::None,
//!     sync: SyncPolicy::Always,
//!     record_sessions: true,
//! }, SessionPosition::default())?;
//! session.post_print(b"hello", now)?;
//! session.finalize()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub use archive::{ArchiveError, ArchiveMember, new_session_archive};
pub use daily_log::{CURRENT_LOG_LINK, FileLog, LogForm};
pub use data_file::Compression;
pub use event_line::{
    MAX_EVENT_LINE_BYTES, RefusedLine, check_event, complete_event, read_event_line,
};
pub use lock::{FolderLock, Holder, LOCK_FILE_NAME, LockError, break_lock};
pub use own_directory::{Making, OwnDirectory};
pub use position::{LastPrint, SessionPosition};
pub use recorder::Recorder;
pub use recorder_options::{RecorderError, RecorderOptions, SessionEnds};
pub use recording::{RecordingPlace, finish_uploads, unpack_session_recording};
pub use recording_check::{RecordedBy, RecordingError, RecordingLimits, StoredRecording};
pub use session_logger::{DiskSessionLogger, SessionOptions};
pub use slices::{Posted, check_slice, post_session_slice};
pub use storage::{OpenAs, OwnFile, OwnStorage, WriteThrough};
pub use sync_policy::SyncPolicy;
pub use tar_members::TarError;
pub use write_error::WriteError;

mod archive;
mod code_of;
mod daily_log;
mod data_file;
mod event_line;
#[cfg(test)]
mod faulty_storage;
mod held_folder;
mod incarnation;
mod lock;
mod other_servers;
mod own_directory;
mod own_files;
mod position;
#[cfg(test)]
mod power_loss_tests;
mod recorder;
mod recorder_options;
mod recording;
mod recording_check;
mod running_sessions;
mod session_logger;
mod slices;
mod storage;
mod sync_policy;
mod tar_members;
mod unpacked;
mod write_error;
