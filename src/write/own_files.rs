//! What this server already has of a session, looked at when it takes the session up, and mended where it died.
//!
//! A writer that died left at most the last events file with a torn line and the last chunks file with bytes that no
//! print event covers. Neither was acknowledged. Both are cut off, by writing the file anew beside and renaming it over
//! the old one: a byte that was shown as part of the session is never replaced by another.

use std::collections::HashSet;
use std::io::{self, Read};

use crate::event::SessionId;
use crate::format::{DataKind, SessionFileName, read_index, read_session_line};

use super::data_file::{Compression, DataFile};
use super::position::SessionPosition;
use super::storage::{OwnStorage, WriteThrough, exists};
use super::unpacked::{LineCutter, unpack};

/// An index has a line for each incarnation: this is some 100,000.
const MAX_INDEX_BYTES: u64 = 16 << 20;

/// The own files of one session.
#[derive(Debug, Default)]
pub(super) struct OwnFiles {
    /// Where they end.
    pub(super) position: SessionPosition,
    /// The names in the index.
    pub(super) indexed: HashSet<String>,
}

/// Path of a file of the session.
pub(super) fn path_of(
    folder: &str,
    sid: &SessionId,
    kind: DataKind,
    number: u64,
    gz: bool,
) -> String {
    let name = SessionFileName {
        sid: sid.clone(),
        kind,
        number,
        gz,
    };
    format!("{folder}/{name}")
}

impl OwnFiles {
    /// Looks at what is there, and cuts off what was not acknowledged.
    pub(super) fn take_up(
        storage: &dyn OwnStorage,
        folder: &str,
        sid: &SessionId,
    ) -> io::Result<OwnFiles> {
        let mut index = Vec::new();
        match storage.read(&path_of(folder, sid, DataKind::Index, 0, false)) {
            Ok(file) => file.take(MAX_INDEX_BYTES).read_to_end(&mut index)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        // Teleport reads nothing of a session whose index has half a line. Nothing was written to the file it would name.
        let whole = memchr::memrchr(b'\n', &index).map_or(0, |at| at + 1);
        if whole < index.len() && (index.len() as u64) < MAX_INDEX_BYTES {
            let path = path_of(folder, sid, DataKind::Index, 0, false);
            rewrite(storage, &path, false, whole as u64)?;
            index.truncate(whole);
        }
        let (lines, damage) = read_index(&index, sid);
        if let Some(damage) = damage.iter().find(|damage| !damage.is_normal()) {
            tracing::warn!(%sid, folder, %damage, "the index of this session is damaged; it is only added to");
        }
        let mut own = OwnFiles::default();
        let (mut events, mut chunks) = (Vec::new(), Vec::new());
        for line in lines {
            own.indexed.insert(line.file_name.to_file_name());
            match line.kind {
                DataKind::Events => events.push(line.file_name),
                DataKind::Chunks => chunks.push(line.file_name),
                _ => {}
            }
        }
        own.read_events(storage, folder, events)?;
        // The last one; and where the power went and events of several files with it, all that are of no event now.
        let end = own.position.next_offset.0;
        let last = chunks.iter().map(|name| name.number).max();
        for name in chunks {
            if Some(name.number) == last || name.number >= end {
                let covered_bytes = end.saturating_sub(name.number);
                cut_chunks(storage, &format!("{folder}/{name}"), covered_bytes)?;
            }
        }
        own.position.ended |= exists(
            storage,
            &path_of(folder, sid, DataKind::Completed, 0, false),
        )?;
        Ok(own)
    }

    /// From the last file back, until the last event and the last print event are found.
    fn read_events(
        &mut self,
        storage: &dyn OwnStorage,
        folder: &str,
        mut names: Vec<SessionFileName>,
    ) -> io::Result<()> {
        names.sort_by_key(|name| std::cmp::Reverse(name.number));
        for name in &names {
            let path = format!("{folder}/{name}");
            let mut file = match storage.read(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                file => file?,
            };
            let mut cutter = LineCutter::default();
            let position = &mut self.position;
            let mut pass = |line: &[u8]| {
                if let Some(line) = read_session_line(line) {
                    position.pass(&line);
                }
            };
            let found = unpack(&mut *file, u64::MAX, &mut |bytes| {
                cutter.feed(bytes, &mut pass);
                Ok(())
            })?;
            if cutter.is_torn() {
                rewrite(storage, &path, found.gzip, cutter.whole_bytes)?;
            }
            if self.position.last_print.is_some() {
                break;
            }
        }
        Ok(())
    }
}

/// Cuts a chunks file to the bytes that print events cover.
fn cut_chunks(storage: &dyn OwnStorage, path: &str, covered_bytes: u64) -> io::Result<()> {
    let mut file = match storage.read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    let found = unpack(&mut *file, u64::MAX, &mut |_| Ok(()))?;
    if found.len_bytes > covered_bytes {
        rewrite(storage, path, found.gzip, covered_bytes)?;
    }
    Ok(())
}

/// Writes the first `keep_bytes` unpacked bytes of a file anew, over it.
fn rewrite(storage: &dyn OwnStorage, path: &str, gzip: bool, keep_bytes: u64) -> io::Result<()> {
    tracing::warn!(
        path,
        keep_bytes,
        "cutting off what was not acknowledged when its writer died"
    );
    copy_over(storage, path, gzip, keep_bytes)
}

/// The same without a word: puts a copy, which is durable, in the place of the file.
pub(super) fn copy_over(
    storage: &dyn OwnStorage,
    path: &str,
    gzip: bool,
    keep_bytes: u64,
) -> io::Result<()> {
    let compression = if gzip {
        Compression::Gzip
    } else {
        Compression::None
    };
    let (mut fresh, temporary) = create_beside(storage, path, compression, WriteThrough::No)?;
    let mut rest_bytes = keep_bytes;
    let mut old = storage.read(path)?;
    unpack(&mut *old, u64::MAX, &mut |bytes| {
        let kept = bytes
            .len()
            .min(usize::try_from(rest_bytes).unwrap_or(usize::MAX));
        rest_bytes -= kept as u64;
        let packed = fresh.pack(bytes.get(..kept).unwrap_or_default().to_vec())?;
        fresh.reserve(&packed)?;
        fresh.write(&packed)
    })?;
    fresh.finish()?;
    fresh.sync()?;
    put_over(storage, &temporary, path)
}

/// Creates a file under a name that readers pass over, beside `path`.
pub(super) fn create_beside(
    storage: &dyn OwnStorage,
    path: &str,
    compression: Compression,
    through: WriteThrough,
) -> io::Result<(DataFile, String)> {
    let (folder, name) = super::own_directory::split(path);
    let temporary = format!("{folder}/.auditfs-new-{name}");
    match storage.remove(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    Ok((
        DataFile::create(storage, &temporary, compression, through)?,
        temporary,
    ))
}

/// Gives the file its name, whatever had it before.
pub(super) fn put_over(storage: &dyn OwnStorage, temporary: &str, path: &str) -> io::Result<()> {
    storage.rename(temporary, path)?;
    storage.sync_folder(super::own_directory::split(path).0)
}
