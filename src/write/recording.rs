//! A recording that comes as a tarball is checked whole before any of it is seen (the seed's UploadSessionRecording and
//! ValidateArchive, FORMAT 4).
//!
//! Released versions extract straight into place, so that an interrupted upload leaves half a recording. Here it is
//! unpacked into `.auditfs-upload-<sid>` beside, checked, and made durable; renaming that folder to `.auditfs-ready-<sid>`
//! is the moment from which it counts; then its files move into place, the index and the end mark last. A crash before leaves a folder
//! that is thrown away, a crash after one that is moved on ([`finish_uploads`]).

use std::io::{self, Read};

use super::recording_check::{
    Check, RecordedBy, RecordingError, RecordingLimits, StoredRecording, at,
};
use super::storage::{OwnStorage, exists};
use crate::event::{Namespace, ServerId, SessionId};

const UPLOAD: &str = ".auditfs-upload-";
const READY: &str = ".auditfs-ready-";

/// Where recordings go.
#[derive(Clone, Debug)]
pub struct RecordingPlace<'a> {
    /// The audit directory.
    pub storage: &'a dyn OwnStorage,
    /// This server.
    pub server_id: &'a ServerId,
    /// The session's namespace.
    pub namespace: &'a Namespace,
}

impl RecordingPlace<'_> {
    fn folder(&self) -> String {
        format!("{}/sessions/{}", self.server_id, self.namespace)
    }
}

/// Reads a recording of session `sid` to its end and stores it, durably.
///
/// # Errors
/// [`RecordingError`]; then nothing of it is left.
pub fn unpack_session_recording(
    place: &RecordingPlace<'_>,
    sid: &SessionId,
    archive: &mut dyn Read,
    limits: &RecordingLimits,
    recorded_by: &RecordedBy,
) -> Result<StoredRecording, RecordingError> {
    let folder = place.folder();
    let upload = format!("{folder}/{UPLOAD}{sid}");
    let storage = place.storage;
    // One that failed after it counted.
    finish_upload_of(storage, &folder, sid).map_err(at(&folder))?;
    remove_all(storage, &upload)
        .and_then(|()| storage.make_folder(&upload))
        .map_err(at(&upload))?;
    let mut check = Check::new(storage, sid, limits, recorded_by, &upload);
    let stored = check.take_all(archive).and_then(|files| {
        for name in &files.files {
            let path = format!("{folder}/{name}");
            if exists(storage, &path).map_err(at(&path))? {
                return Err(RecordingError::Exists(path));
            }
        }
        let ready = format!("{folder}/{READY}{sid}");
        storage.sync_folder(&upload).map_err(at(&upload))?;
        storage.rename(&upload, &ready).map_err(at(&ready))?;
        storage.sync_folder(&folder).map_err(at(&folder))?;
        Ok(files)
    });
    match stored {
        Ok(stored) => {
            move_in(storage, &folder, sid).map_err(at(&folder))?;
            Ok(stored)
        }
        Err(error) => {
            if let Err(error) = remove_all(storage, &upload) {
                tracing::warn!(upload, %error, "cannot remove a refused recording; the next start will");
            }
            Err(error)
        }
    }
}

/// To be called when the folder lock is taken, for each namespace: throws away uploads that were cut short, and moves
/// those in that were complete.
///
/// # Errors
/// Of the disk; it can be called again.
pub fn finish_uploads(place: &RecordingPlace<'_>) -> io::Result<()> {
    let folder = place.folder();
    let names = match place.storage.list(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        names => names?,
    };
    for name in names {
        if name.starts_with(UPLOAD) {
            remove_all(place.storage, &format!("{folder}/{name}"))?;
        } else if let Some(sid) = name
            .strip_prefix(READY)
            .and_then(|sid| SessionId::new(sid).ok())
        {
            move_in(place.storage, &folder, &sid)?;
        }
    }
    Ok(())
}

fn finish_upload_of(storage: &dyn OwnStorage, folder: &str, sid: &SessionId) -> io::Result<()> {
    match storage.list(&format!("{folder}/{READY}{sid}")) {
        Ok(names) if !names.is_empty() => move_in(storage, folder, sid),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Moves the files of a checked recording into place, the index behind its files: from then on Teleport sees it. The end
/// mark comes last.
fn move_in(storage: &dyn OwnStorage, folder: &str, sid: &SessionId) -> io::Result<()> {
    let ready = format!("{folder}/{READY}{sid}");
    let mut names = storage.list(&ready)?;
    names.sort_by_key(|name| (name.ends_with(".completed"), name.ends_with(".index")));
    for name in names {
        match storage.rename_new(&format!("{ready}/{name}"), &format!("{folder}/{name}")) {
            // Someone recorded this session meanwhile. Its own files are not touched; the rest is still of use.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                tracing::error!(
                    folder,
                    name,
                    "a recording has a file that is there already; it is left out"
                );
                storage.remove(&format!("{ready}/{name}"))?;
            }
            moved => moved?,
        }
    }
    storage.sync_folder(folder)?;
    storage.remove_folder(&ready)
}

/// Removes a folder of files, if it is there.
fn remove_all(storage: &dyn OwnStorage, folder: &str) -> io::Result<()> {
    let names = match storage.list(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        names => names?,
    };
    for name in names {
        storage.remove(&format!("{folder}/{name}"))?;
    }
    match storage.remove_folder(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
#[path = "recording_tests.rs"]
mod tests;
