//! The files that one incarnation of a session's writer has open: an events file, a chunks file, and their index lines.
//!
//! What is on disk at any moment can be read: a data file is durable before its index line, its bytes before their print
//! event, and no name is ever written by two incarnations (DESIGN 6).

use std::collections::HashSet;
use std::io;

use crate::event::SessionId;
use crate::format::{DataKind, IndexLine, SessionFileName};

use super::data_file::{Compression, DataFile};
use super::own_files::{copy_over, create_beside, path_of, put_over};
use super::storage::{OpenAs, OwnStorage, WriteThrough, append_all};

/// Where the files lie and how they are written.
#[derive(Debug)]
pub(super) struct Place {
    /// `<server>/sessions/<namespace>`.
    pub(super) folder: String,
    pub(super) sid: SessionId,
    pub(super) compression: Compression,
    pub(super) through: WriteThrough,
}

/// Events in a row, and the bytes of their print events in a row.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The `ei` of the first event.
    pub(super) first_ei: u64,
    /// Their lines, newlines included.
    pub(super) lines: Vec<u8>,
    /// The offset of the first byte.
    pub(super) first_offset: u64,
    /// The bytes.
    pub(super) bytes: Vec<u8>,
}

#[derive(Debug, Default)]
pub(super) struct Incarnation {
    events: Option<DataFile>,
    chunks: Option<DataFile>,
}

impl Incarnation {
    /// The next events do not follow those in the file.
    pub(super) fn end_events(&mut self, syncs: bool) -> io::Result<()> {
        end(self.events.take(), syncs)
    }

    /// The next bytes do not follow those in the file.
    pub(super) fn end_chunks(&mut self, syncs: bool) -> io::Result<()> {
        end(self.chunks.take(), syncs)
    }

    /// Ends both files: gzip members become complete.
    pub(super) fn close(&mut self, syncs: bool) -> io::Result<()> {
        self.end_chunks(syncs)?;
        self.end_events(syncs)
    }

    /// Makes what was written durable; bytes before the events that speak of them.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        for file in [&mut self.chunks, &mut self.events].into_iter().flatten() {
            file.sync()?;
        }
        Ok(())
    }

    /// Writes a batch. After an error the incarnation must be dropped.
    pub(super) fn write(
        &mut self,
        storage: &dyn OwnStorage,
        place: &Place,
        indexed: &mut HashSet<String>,
        batch: Batch,
    ) -> io::Result<()> {
        self.open(storage, place, indexed, &batch)?;
        let (Some(events), chunks) = (&mut self.events, &mut self.chunks) else {
            return Err(io::Error::other("no events file is open"));
        };
        let lines = events.pack(batch.lines)?;
        match chunks.as_mut().filter(|_| !batch.bytes.is_empty()) {
            Some(chunks) => {
                let bytes = chunks.pack(batch.bytes)?;
                // Both or none, as far as the file system can tell.
                chunks.reserve(&bytes)?;
                events.reserve(&lines)?;
                chunks.write(&bytes)?;
            }
            None => events.reserve(&lines)?,
        }
        events.write(&lines)
    }

    /// Opens what the batch needs and is not open, first the events file.
    fn open(
        &mut self,
        storage: &dyn OwnStorage,
        place: &Place,
        indexed: &mut HashSet<String>,
        batch: &Batch,
    ) -> io::Result<()> {
        let gz = place.compression.is_gzip();
        let name = |kind, number| SessionFileName {
            sid: place.sid.clone(),
            kind,
            number,
            gz,
        };
        let mut names = Vec::new();
        if self.events.is_none() {
            let name = name(DataKind::Events, batch.first_ei);
            self.events = Some(create(storage, place, &name)?);
            names.push(name);
        }
        if self.chunks.is_none() && !batch.bytes.is_empty() {
            let name = name(DataKind::Chunks, batch.first_offset);
            self.chunks = Some(create(storage, place, &name)?);
            names.push(name);
        }
        if names.is_empty() {
            return Ok(());
        }
        storage.sync_folder(&place.folder)?;
        add_to_index(storage, place, indexed, names)
    }
}

fn end(file: Option<DataFile>, syncs: bool) -> io::Result<()> {
    let Some(mut file) = file else {
        return Ok(());
    };
    file.finish()?;
    if syncs { file.sync() } else { Ok(()) }
}

/// Creates a data file. A file that has the name already was begun by an incarnation that died or failed before anything
/// in it was acknowledged, or `OwnFiles` would have numbered past it: it is replaced whole, never appended to.
fn create(storage: &dyn OwnStorage, place: &Place, name: &SessionFileName) -> io::Result<DataFile> {
    let path = format!("{}/{name}", place.folder);
    match DataFile::create(storage, &path, place.compression, place.through) {
        Ok(mut file) => {
            file.sync()?;
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            tracing::warn!(path, "replacing a file in which nothing was acknowledged");
            let (mut file, temporary) =
                create_beside(storage, &path, place.compression, place.through)?;
            file.sync()?;
            put_over(storage, &temporary, &path)?;
            Ok(file)
        }
        Err(error) => Err(error),
    }
}

/// Adds the lines of new files to the index, durably, in one write.
fn add_to_index(
    storage: &dyn OwnStorage,
    place: &Place,
    indexed: &mut HashSet<String>,
    names: Vec<SessionFileName>,
) -> io::Result<()> {
    let path = path_of(&place.folder, &place.sid, DataKind::Index, 0, false);
    let mut lines = Vec::new();
    let mut added = Vec::new();
    for name in names {
        let text = name.to_file_name();
        if indexed.contains(&text) {
            // Whoever wrote this line failed or died before it was durable; a sync that failed once cannot be repeated.
            copy_over(storage, &path, false, u64::MAX)?;
        } else if let Some(line) = IndexLine::of(name) {
            line.write(&mut lines);
            added.push(text);
        }
    }
    if lines.is_empty() {
        return Ok(());
    }
    let mut file = storage.open(&path, OpenAs::Continued, place.through)?;
    let last = file.last_byte()?;
    if last.is_some_and(|byte| byte != b'\n') {
        lines.insert(0, b'\n');
    }
    file.reserve(lines.len() as u64)?;
    append_all(&mut *file, &lines)?;
    file.sync()?;
    if last.is_none() {
        storage.sync_folder(&place.folder)?;
    }
    indexed.extend(added);
    Ok(())
}
