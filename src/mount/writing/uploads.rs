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
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fuser::{FileHandle, INodeNo};

use crate::event::{Namespace, SessionId};
use crate::view::View;
use crate::write::{Recorder, RecordingError};

use super::refused::Refused;

/// All that are under way.
#[derive(Debug)]
pub struct Uploads {
    state_dir: PathBuf,
    /// By file handle.
    open: Mutex<HashMap<u64, Arc<Upload>>>,
}

/// One recording.
#[derive(Debug)]
pub struct Upload {
    /// The number it has, and will have when it is stored.
    pub ino: INodeNo,
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
    /// A close has been told why it is refused.
    told: bool,
    /// A write of the temporary file failed.
    broken: bool,
}

impl Uploads {
    /// None yet.
    pub fn new(state_dir: PathBuf) -> Self {
        Uploads {
            state_dir,
            open: Mutex::default(),
        }
    }

    /// Begins one.
    pub fn begin(
        &self,
        fh: FileHandle,
        ino: INodeNo,
        namespace: Namespace,
        sid: SessionId,
    ) -> Result<(), Refused> {
        let file = tempfile::tempfile_in(&self.state_dir).map_err(Refused::Spool)?;
        let upload = Upload {
            ino,
            namespace,
            sid,
            state: Mutex::new(UploadState {
                file,
                unchecked: false,
                stored: false,
                told: false,
                broken: false,
            }),
        };
        self.lock().insert(fh.0, Arc::new(upload));
        Ok(())
    }

    /// The one open as this handle.
    pub fn get(&self, fh: FileHandle) -> Option<Arc<Upload>> {
        self.lock().get(&fh.0).cloned()
    }

    /// One that has this inode number.
    pub fn by_ino(&self, ino: INodeNo) -> Option<Arc<Upload>> {
        let open = self.lock();
        open.values().find(|upload| upload.ino == ino).cloned()
    }

    /// The file is closed.
    pub fn release(&self, fh: FileHandle) -> Option<Arc<Upload>> {
        self.lock().remove(&fh.0)
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
        (state.unchecked, state.told) = (true, false);
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
    pub fn finish(&self, recorder: &Recorder, view: &View) -> Result<(), Refused> {
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
        // It is stored, whether it can be listed now or later.
        if let Err(error) = view.learn_session(&self.namespace, &self.sid) {
            tracing::warn!(sid = %self.sid, %error, "a stored recording is listed later");
        }
        Ok(())
    }

    /// Whether it was stored, or nothing ever came, or whoever closed it knows.
    pub fn is_finished(&self) -> Result<(), Refused> {
        let state = self.state();
        if state.stored || state.told || !state.unchecked {
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
        match self.namespace.is_default() {
            true => format!("recordings/{}.tar", self.sid),
            false => format!("namespaces/{}/recordings/{}.tar", self.namespace, self.sid),
        }
    }

    fn state(&self) -> MutexGuard<'_, UploadState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
