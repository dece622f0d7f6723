//! The disk-format writer: the files that this server owns, written as the auth servers write them.

pub use archive::{ArchiveError, ArchiveMember, new_session_archive};
pub use daily_log::{CURRENT_LOG_LINK, FileLog, LogForm};
pub use data_file::Compression;
pub use event_line::{
    MAX_EVENT_LINE_BYTES, RefusedLine, check_event, complete_event, read_event_line,
};
pub use lock::{FolderLock, Holder, LOCK_FILE_NAME, LockError, break_lock};
pub use own_directory::{Making, OwnDirectory};
pub use position::{LastPrint, SessionPosition};
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
mod incarnation;
mod lock;
mod own_directory;
mod own_files;
mod position;
#[cfg(test)]
mod read_back;
mod recording;
mod recording_check;
mod session_logger;
mod slices;
mod storage;
mod sync_policy;
mod tar_members;
mod unpacked;
mod write_error;
