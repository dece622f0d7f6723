//! The disk-format writer: the files that this server owns, written as the auth servers write them.

pub use daily_log::{CURRENT_LOG_LINK, FileLog, LogForm};
pub use event_line::{
    MAX_EVENT_LINE_BYTES, RefusedLine, check_event, complete_event, read_event_line,
};
pub use lock::{FolderLock, Holder, LOCK_FILE_NAME, LockError, break_lock};
pub use own_directory::{Making, OwnDirectory};
pub use storage::{OpenAs, OwnFile, OwnStorage, WriteThrough};
pub use sync_policy::SyncPolicy;
pub use write_error::WriteError;

mod code_of;
mod daily_log;
mod event_line;
#[cfg(test)]
mod faulty_storage;
mod lock;
mod own_directory;
mod storage;
mod sync_policy;
mod write_error;
