//! What a recording from outside must be, to be stored: the seed's ValidateArchive, and bounds.

use std::io::{self, Read};

use crate::event::{EventFields, InvalidField, ServerId, SessionId, field_name, validate_event};
use crate::format::{DataKind, SessionFileName, read_index};

use super::session_logger::COMPLETED;
use super::storage::{OpenAs, OwnStorage, WriteThrough, append_all};
use super::tar_members::{Member, TarError, TarMembers};
use super::unpacked::{LineCutter, unpack};

/// What a recording may be.
#[derive(Clone, Debug)]
pub struct RecordingLimits {
    /// Files in the archive.
    pub members: usize,
    /// Bytes of all files as they lie in the archive.
    pub packed_bytes: u64,
    /// Bytes of all files, gzip unpacked.
    pub unpacked_bytes: u64,
}

impl Default for RecordingLimits {
    fn default() -> Self {
        RecordingLimits {
            members: 10_000,
            packed_bytes: 16 << 30,
            unpacked_bytes: 64 << 30,
        }
    }
}

/// Whose events a recording may hold. Session events carry the `server_id` of the node the session ran on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RecordedBy {
    /// One server, whichever: a second `server_id` in the recording is foreign. For uploads by someone who is no node.
    #[default]
    OneServer,
    /// This node, which sent the recording (the seed's ValidateArchive).
    Node(ServerId),
}

/// A recording was refused; nothing of it is left on the disk.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It is no tar archive, or has something in it that a recording has not. Errno: EINVAL.
    #[error("not a recording: {0}")]
    Tar(#[from] TarError),
    /// A file in it is not one of this session's. Errno: EINVAL.
    #[error("{name:?} is no file of session {sid}")]
    ForeignName {
        /// The name in the archive.
        name: String,
        /// The session.
        sid: SessionId,
    },
    /// The same name twice. Errno: EINVAL.
    #[error("{0} is in the archive twice")]
    Twice(String),
    /// There is no `<sid>.index`. Errno: EINVAL.
    #[error("the archive has no index file {0}.index")]
    NoIndex(SessionId),
    /// The index cannot be read whole, or names a file that is not in the archive. Errno: EINVAL.
    #[error("the index: {0}")]
    BadIndex(String),
    /// A file cannot be unpacked. Errno: EINVAL.
    #[error("{name}: {what}")]
    BadFile {
        /// The file.
        name: String,
        /// What is wrong.
        what: String,
    },
    /// A line of an events file is no event that this recording may have. Errno: EINVAL.
    #[error("{name}, line {line}: {what}")]
    BadEvent {
        /// The file.
        name: String,
        /// From 1.
        line: u64,
        /// What is wrong.
        what: String,
    },
    /// More than [`RecordingLimits`] allow. Errno: EFBIG.
    #[error("the recording is too large: more than {0}")]
    TooLarge(String),
    /// This server has the session already. Errno: EEXIST.
    #[error("{0} is there already")]
    Exists(String),
    /// The archive could not be read, or the disk said no. Errno: that of `source`.
    #[error("cannot store {path}: {source}")]
    Io {
        /// Path inside the audit directory.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A recording that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecording {
    /// Its files, in the order of the archive.
    pub files: Vec<SessionFileName>,
    /// Bytes of them as stored.
    pub packed_bytes: u64,
    /// The `server_id` its events carry, if any does.
    pub recorded_by: Option<String>,
}

pub(super) fn at(path: &str) -> impl FnOnce(io::Error) -> RecordingError {
    let path = path.to_owned();
    move |source| RecordingError::Io { path, source }
}

/// One archive while it is checked.
pub(super) struct Check<'a> {
    storage: &'a dyn OwnStorage,
    sid: &'a SessionId,
    limits: &'a RecordingLimits,
    upload: &'a str,
    unpacked_bytes: u64,
    recorded_by: RecordedBy,
}

impl<'a> Check<'a> {
    /// Nothing is taken yet; what is will lie in the folder `upload`.
    pub(super) fn new(
        storage: &'a dyn OwnStorage,
        sid: &'a SessionId,
        limits: &'a RecordingLimits,
        recorded_by: &RecordedBy,
        upload: &'a str,
    ) -> Self {
        let recorded_by = recorded_by.clone();
        Check {
            storage,
            sid,
            limits,
            upload,
            unpacked_bytes: 0,
            recorded_by,
        }
    }
}

impl Check<'_> {
    /// Unpacks the archive to its end, then checks all of it.
    pub(super) fn take_all(
        &mut self,
        archive: &mut dyn Read,
    ) -> Result<StoredRecording, RecordingError> {
        let mut stored = StoredRecording {
            files: Vec::new(),
            packed_bytes: 0,
            recorded_by: None,
        };
        let mut members = TarMembers::new(archive);
        while let Some(mut member) = members.next()? {
            let name = self.name_of(&member)?;
            if stored.files.contains(&name) {
                return Err(RecordingError::Twice(name.to_file_name()));
            }
            if stored.files.len() == self.limits.members {
                return Err(RecordingError::TooLarge(format!(
                    "{} files",
                    self.limits.members
                )));
            }
            stored.packed_bytes = stored.packed_bytes.saturating_add(member.size_bytes);
            if stored.packed_bytes > self.limits.packed_bytes {
                return Err(RecordingError::TooLarge(format!(
                    "{} bytes",
                    self.limits.packed_bytes
                )));
            }
            self.put_down(&name, &mut member)?;
            stored.files.push(name);
        }
        for name in &stored.files {
            self.look_into(name)?;
        }
        self.check_index(&stored.files)?;
        self.mark_completed()?;
        if let RecordedBy::Node(server_id) = &self.recorded_by {
            stored.recorded_by = Some(server_id.to_string());
        }
        Ok(stored)
    }

    fn name_of(&self, member: &Member<'_>) -> Result<SessionFileName, RecordingError> {
        let name = SessionFileName::parse(&member.name);
        name.filter(|name| {
            name.sid == *self.sid && (name.kind == DataKind::Index || name.kind.has_number())
        })
        .ok_or_else(|| RecordingError::ForeignName {
            name: member.name.chars().take(255).collect(),
            sid: self.sid.clone(),
        })
    }

    fn put_down(
        &self,
        name: &SessionFileName,
        member: &mut Member<'_>,
    ) -> Result<(), RecordingError> {
        let path = format!("{}/{name}", self.upload);
        let mut file = self
            .storage
            .open(&path, OpenAs::New, WriteThrough::No)
            .map_err(at(&path))?;
        let mut block = vec![0; 128 << 10];
        loop {
            let read = member.read(&mut block).map_err(TarError::from)?;
            let Some(bytes) = block.get(..read).filter(|bytes| !bytes.is_empty()) else {
                break;
            };
            file.reserve(bytes.len() as u64)
                .and_then(|()| append_all(&mut *file, bytes))
                .map_err(at(&path))?;
        }
        file.sync().map_err(at(&path))
    }

    /// Nothing is added to a recording that was taken (the auth server of 2.6 marks it so too, FORMAT 4).
    fn mark_completed(&self) -> Result<(), RecordingError> {
        let mark = SessionFileName {
            sid: self.sid.clone(),
            kind: DataKind::Completed,
            number: 0,
            gz: false,
        };
        let path = format!("{}/{mark}", self.upload);
        let mut file = self
            .storage
            .open(&path, OpenAs::New, WriteThrough::No)
            .map_err(at(&path))?;
        append_all(&mut *file, COMPLETED)
            .and_then(|()| file.sync())
            .map_err(at(&path))
    }

    /// Unpacks a file to see that it can be, and reads the events in it.
    fn look_into(&mut self, name: &SessionFileName) -> Result<(), RecordingError> {
        if name.kind == DataKind::Index {
            return Ok(());
        }
        let path = format!("{}/{name}", self.upload);
        let mut file = self.storage.read(&path).map_err(at(&path))?;
        let (mut cutter, mut line_number, mut bad) = (LineCutter::default(), 0, None);
        let room_bytes = self
            .limits
            .unpacked_bytes
            .saturating_sub(self.unpacked_bytes);
        let mut check_line = |line: &[u8]| {
            line_number += 1;
            if bad.is_none() {
                bad = self.check_event(line).err().map(|what| (line_number, what));
            }
        };
        let holds_events = name.kind.holds_events();
        let unpacked = unpack(&mut *file, room_bytes, &mut |bytes| {
            if holds_events {
                cutter.feed(bytes, &mut check_line);
            }
            Ok(())
        });
        let unpacked = unpacked.map_err(at(&path))?;
        let name = name.to_file_name();
        if let Some((line, what)) = bad {
            return Err(RecordingError::BadEvent { name, line, what });
        }
        if unpacked.too_large {
            return Err(RecordingError::TooLarge(format!(
                "{} bytes unpacked",
                self.limits.unpacked_bytes
            )));
        }
        self.unpacked_bytes += unpacked.len_bytes;
        let bad_packing = unpacked
            .damage
            .iter()
            .find(|damage| !damage.is_normal())
            .map(ToString::to_string);
        let torn = cutter.is_torn().then(|| "its last line is cut".to_owned());
        let too_long = cutter
            .too_long
            .then(|| "it has a line that no reader takes".to_owned());
        match bad_packing.or(too_long).or(torn) {
            Some(what) => Err(RecordingError::BadFile { name, what }),
            None => Ok(()),
        }
    }

    /// The seed's ValidateEvent; and an event of another session has no business here.
    fn check_event(&mut self, line: &[u8]) -> Result<(), String> {
        let fields = EventFields::from_json(line).map_err(|error| error.to_string())?;
        let sid = fields.get_string(field_name::SID);
        if fields.has_field(field_name::SID) && sid != self.sid.as_str() {
            let sid: String = sid.chars().take(80).collect();
            return Err(format!("field sid: {sid:?} is another session"));
        }
        let said = fields.get_string(field_name::SERVER_ID);
        if self.recorded_by == RecordedBy::OneServer && fields.has_field(field_name::SERVER_ID) {
            self.recorded_by =
                RecordedBy::Node(ServerId::new(said).map_err(|error| error.to_string())?);
        }
        let checked = match &self.recorded_by {
            RecordedBy::Node(server_id) => validate_event(&fields, server_id),
            // No event so far has a server_id, nor has this.
            RecordedBy::OneServer => {
                ServerId::new("none").map_or(Ok(()), |any| validate_event(&fields, &any))
            }
        };
        checked.map_err(|error: InvalidField| error.to_string())
    }

    fn check_index(&self, files: &[SessionFileName]) -> Result<(), RecordingError> {
        let Some(name) = files.iter().find(|name| name.kind == DataKind::Index) else {
            return Err(RecordingError::NoIndex(self.sid.clone()));
        };
        let path = format!("{}/{name}", self.upload);
        let mut bytes = Vec::new();
        let file = self.storage.read(&path).map_err(at(&path))?;
        // A line for each file, of at most 1 KiB: names have 255 bytes.
        file.take((self.limits.members as u64 + 1) << 10)
            .read_to_end(&mut bytes)
            .map_err(at(&path))?;
        let (lines, damage) = read_index(&bytes, self.sid);
        if let Some(damage) = damage.iter().find(|damage| !damage.is_normal()) {
            return Err(RecordingError::BadIndex(damage.to_string()));
        }
        match lines.iter().find(|line| !files.contains(&line.file_name)) {
            Some(line) => Err(RecordingError::BadIndex(format!(
                "{} is not in the archive",
                line.file_name
            ))),
            None => Ok(()),
        }
    }
}
