//! Recordings that are being uploaded: kept in a file without a name until they are closed, then checked and stored whole.
//!
//! close(2) tells whether a recording was taken. FLUSH also comes when a process that inherited the descriptor closes it,
//! before the last byte: then the recording is checked too, found cut short, and refused to that process; the next bytes
//! are taken all the same.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fuser::INodeNo;

use crate::event::{Namespace, SessionId};
use crate::mount::now_ns;
use crate::write::{Recorder, RecordingError};

use super::refused::Refused;

/// Inode numbers of uploads end so; those of the view end in 0 to 14.
const UPLOAD_INO: u64 = 0xf;

/// All that are under way.
#[derive(Debug)]
pub struct Uploads {
    state_dir: PathBuf,
    next: AtomicU64,
    open: Mutex<HashMap<u64, Arc<Upload>>>,
}

/// One recording.
#[derive(Debug)]
pub struct Upload {
    namespace: Namespace,
    sid: SessionId,
    state: Mutex<UploadState>,
}

#[derive(Debug)]
struct UploadState {
    file: File,
    /// Bytes came since it was checked last.
    unchecked: bool,
    stored: bool,
    /// A write of the temporary file failed.
    broken: bool,
}

impl Uploads {
    /// None yet.
    pub fn new(state_dir: PathBuf) -> Self {
        Uploads {
            state_dir,
            // Not the numbers of an earlier worker.
            next: AtomicU64::new(now_ns().unsigned_abs()),
            open: Mutex::default(),
        }
    }

    /// Begins one. Gives its inode number.
    pub fn begin(&self, namespace: Namespace, sid: SessionId) -> Result<INodeNo, Refused> {
        let file = tempfile::tempfile_in(&self.state_dir).map_err(Refused::Spool)?;
        let upload = Upload {
            namespace,
            sid,
            state: Mutex::new(UploadState {
                file,
                unchecked: false,
                stored: false,
                broken: false,
            }),
        };
        let ino = self.next.fetch_add(0x10, Ordering::Relaxed) << 4 | UPLOAD_INO;
        self.lock().insert(ino, Arc::new(upload));
        Ok(INodeNo(ino))
    }

    /// The one with this number.
    pub fn by_ino(&self, ino: INodeNo) -> Option<Arc<Upload>> {
        if !self.is_ino(ino) {
            return None;
        }
        self.lock().get(&ino.0).cloned()
    }

    /// Whether the number is one of an upload, of this worker or an earlier one.
    pub fn is_ino(&self, ino: INodeNo) -> bool {
        ino.0 & 0xf == UPLOAD_INO
    }

    /// The file is closed.
    pub fn release(&self, ino: INodeNo) -> Option<Arc<Upload>> {
        self.lock().remove(&ino.0)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Upload>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upload {
    /// Takes bytes anywhere, as long as it is not stored.
    pub fn write(&self, offset_bytes: u64, data: &[u8]) -> Result<u32, Refused> {
        let mut state = self.state();
        if state.stored {
            return Err(Refused::OnlyAdded);
        }
        state.unchecked = true;
        if let Err(error) = state.file.write_all_at(data, offset_bytes) {
            state.broken = true;
            return Err(Refused::Spool(error));
        }
        // A request has at most 1 MiB.
        Ok(data.len() as u32)
    }

    /// Sets its length.
    pub fn resize(&self, size_bytes: u64) -> Result<(), Refused> {
        let mut state = self.state();
        if state.stored {
            return Err(Refused::OnlyAdded);
        }
        state.unchecked = true;
        state.file.set_len(size_bytes).map_err(Refused::Spool)
    }

    /// Bytes so far.
    pub fn len_bytes(&self) -> u64 {
        let state = self.state();
        state.file.metadata().map_or(0, |meta| meta.len())
    }

    /// Checks and stores it, unless that was done since the last byte came.
    pub fn finish(&self, recorder: &Recorder) -> Result<(), Refused> {
        let mut state = self.state();
        if state.stored || !state.unchecked {
            return Ok(());
        }
        if state.broken {
            return Err(Refused::FailedSince);
        }
        state
            .file
            .seek(SeekFrom::Start(0))
            .map_err(Refused::Spool)?;
        let mut file = std::io::BufReader::with_capacity(1 << 17, &state.file);
        let stored = recorder.upload(&self.namespace, &self.sid, &mut file)?;
        tracing::info!(sid = %self.sid, files = stored.files.len(), bytes = stored.packed_bytes, "stored a recording");
        state.stored = true;
        Ok(())
    }

    /// Whether it was stored, or nothing ever came.
    pub fn is_finished(&self) -> Result<(), Refused> {
        let state = self.state();
        if state.stored || !state.unchecked {
            return Ok(());
        }
        let not_whole = "it was closed before it was a whole recording".to_owned();
        Err(Refused::Recording(RecordingError::BadIndex(not_whole)))
    }

    /// Whether all bytes so far are kept.
    pub fn is_intact(&self) -> Result<(), Refused> {
        match self.state().broken {
            true => Err(Refused::FailedSince),
            false => Ok(()),
        }
    }

    /// For the log.
    pub fn path(&self) -> String {
        format!("recordings/{}.tar", self.sid)
    }

    fn state(&self) -> MutexGuard<'_, UploadState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
