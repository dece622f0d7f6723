//! The recording of a session as one tar stream (the seed's NewSessionArchive, FORMAT 4).
//!
//! Members in order: the index, events files by `ei`, chunks files by offset, files of enhanced events. Names are base
//! names.

use std::io::{self, Read, Write};

use crate::event::SessionId;
use crate::format::{DataKind, IndexLine, SessionFileName};

/// One file for an archive.
pub struct ArchiveMember<'a> {
    /// Its name, also in the archive.
    pub name: SessionFileName,
    /// How many bytes of it go in. A file may grow meanwhile; what it has more is left out.
    pub size_bytes: u64,
    /// Its modification time, seconds since 1970.
    pub mtime_s: u64,
    /// Its bytes.
    pub content: Box<dyn Read + 'a>,
}

/// No archive was made; what was put out is no whole one.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file is of another session, or of a kind that no recording has (`.completed`, files of 2.4).
    #[error("{0} is not part of the recording")]
    NotAPart(String),
    /// Two files have one name: of two copies on two servers the caller takes one.
    #[error("{0} is given twice")]
    Twice(String),
    /// There is no file.
    #[error("session {0} has no files to archive")]
    Empty(SessionId),
    /// A file is shorter than it was said to be, or reading or writing failed.
    #[error("cannot archive {name}: {source}")]
    Io {
        /// The member.
        name: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Writes the archive of session `sid`. The index is the one given, or, where none is, one that names all files given, as
/// for a session whose files come from several servers.
///
/// # Errors
/// [`ArchiveError`].
pub fn new_session_archive(
    sid: &SessionId,
    mut members: Vec<ArchiveMember<'_>>,
    out: &mut dyn Write,
) -> Result<(), ArchiveError> {
    if members.is_empty() {
        return Err(ArchiveError::Empty(sid.clone()));
    }
    members.sort_by_key(|member| place_of(&member.name));
    for pair in members.windows(2) {
        if let [one, two] = pair
            && one.name == two.name
        {
            return Err(ArchiveError::Twice(one.name.to_file_name()));
        }
    }
    if let Some(other) = members
        .iter()
        .find(|member| member.name.sid != *sid || place_of(&member.name).0 == NO_PART)
    {
        return Err(ArchiveError::NotAPart(other.name.to_file_name()));
    }
    let mut tar = tar::Builder::new(out);
    if members
        .first()
        .is_none_or(|first| first.name.kind != DataKind::Index)
    {
        let index = index_of(&members);
        let mtime_s = members
            .iter()
            .map(|member| member.mtime_s)
            .max()
            .unwrap_or(0);
        let name = SessionFileName {
            sid: sid.clone(),
            kind: DataKind::Index,
            number: 0,
            gz: false,
        };
        append(
            &mut tar,
            &name,
            index.len() as u64,
            mtime_s,
            &mut index.as_slice(),
        )?;
    }
    for mut member in members {
        append(
            &mut tar,
            &member.name,
            member.size_bytes,
            member.mtime_s,
            &mut member.content,
        )?;
    }
    let end = |source| ArchiveError::Io {
        name: "its end".to_owned(),
        source,
    };
    tar.finish().map_err(end)
}

/// The lines that name the files, as their writer would have.
fn index_of(members: &[ArchiveMember<'_>]) -> Vec<u8> {
    let mut lines = Vec::new();
    for line in members
        .iter()
        .filter_map(|member| IndexLine::of(member.name.clone()))
    {
        line.write(&mut lines);
    }
    lines
}

fn append<W: Write>(
    tar: &mut tar::Builder<W>,
    name: &SessionFileName,
    size_bytes: u64,
    mtime_s: u64,
    content: &mut dyn Read,
) -> Result<(), ArchiveError> {
    let name = name.to_file_name();
    let mut header = tar::Header::new_gnu();
    header.set_size(size_bytes);
    header.set_mode(0o640);
    header.set_mtime(mtime_s);
    let mut content = Counted {
        inner: content.take(size_bytes),
        rest_bytes: size_bytes,
    };
    let appended = tar
        .append_data(&mut header, &name, &mut content)
        .and_then(|()| match content.rest_bytes {
            0 => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        });
    appended.map_err(|source| ArchiveError::Io { name, source })
}

/// Knows whether a file gave all the bytes its header promises.
struct Counted<R> {
    inner: R,
    rest_bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.rest_bytes = self.rest_bytes.saturating_sub(read as u64);
        Ok(read)
    }
}

const NO_PART: u8 = 9;

fn place_of(name: &SessionFileName) -> (u8, u64, bool) {
    let group = match name.kind {
        DataKind::Index => 0,
        DataKind::Events => 1,
        DataKind::Chunks => 2,
        DataKind::CommandEvents => 3,
        DataKind::DiskEvents => 4,
        DataKind::NetworkEvents => 5,
        DataKind::Completed | DataKind::LegacyLog | DataKind::LegacyBytes => NO_PART,
    };
    (group, name.number, name.gz)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, content: &'static [u8]) -> ArchiveMember<'static> {
        ArchiveMember {
            name: SessionFileName::parse(name).unwrap(),
            size_bytes: content.len() as u64,
            mtime_s: 1_525_161_483,
            content: Box::new(content),
        }
    }

    #[track_caller]
    fn check(members: Vec<ArchiveMember<'_>>, expected: &str) {
        let mut out = Vec::new();
        let made = new_session_archive(&SessionId::new("s1").unwrap(), members, &mut out);
        let listed = made.map(|()| {
            let mut tar = tar::Archive::new(out.as_slice());
            let names = tar
                .entries()
                .unwrap()
                .map(|entry| entry.unwrap().path().unwrap().display().to_string());
            names.collect::<Vec<_>>().join(" ")
        });
        assert_eq!(listed.unwrap_or_else(|error| error.to_string()), expected);
    }

    #[test]
    fn members_are_in_the_order_of_real_archives() {
        check(
            vec![
                member("s1-40.chunks", b"y"),
                member("s1-0.session.disk-events.gz", b"d"),
                member("s1-100.events", b"e"),
                member("s1-0.chunks", b"x"),
                member("s1-9.events", b"e"),
            ],
            "s1.index s1-9.events s1-100.events s1-0.chunks s1-40.chunks s1-0.session.disk-events.gz",
        );
    }

    #[test]
    fn the_index_given_is_the_one_used() {
        let mut out = Vec::new();
        let members = vec![member("s1-0.events", b"e"), member("s1.index", b"index")];
        new_session_archive(&SessionId::new("s1").unwrap(), members, &mut out).unwrap();
        assert_eq!(out.get(512..517), Some(b"index".as_slice()));
    }

    #[test]
    fn what_is_no_recording_is_refused() {
        check(vec![], "session s1 has no files to archive");
        check(
            vec![member("s2-0.events", b"")],
            "s2-0.events is not part of the recording",
        );
        check(
            vec![member("s1.completed", b"")],
            "s1.completed is not part of the recording",
        );
        check(
            vec![member("s1-0.events", b""), member("s1-0.events", b"")],
            "s1-0.events is given twice",
        );
        let mut short = member("s1-0.events", b"abc");
        short.size_bytes = 4;
        check(
            vec![short],
            "cannot archive s1-0.events: unexpected end of file",
        );
    }
}
