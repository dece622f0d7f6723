//! The recording of a session as one tar stream (the seed's NewSessionArchive, FORMAT 4). What lies where
//! [`ArchiveLayout`] says; here are the bytes.

use std::io::{self, Read, Write};

use crate::event::SessionId;
use crate::format::{ArchiveLayout, ArchivePart, LayoutError, MemberContent, SessionFileName};

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
    /// The files are no recording.
    #[error(transparent)]
    Layout(#[from] LayoutError),
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
    let parts = members.iter().map(|member| ArchivePart {
        name: member.name.clone(),
        size_bytes: member.size_bytes,
        mtime_s: member.mtime_s,
    });
    let layout = ArchiveLayout::new(sid, parts.collect())?;
    for place in layout.members() {
        let mut given;
        let mut made = layout.index();
        let content: &mut dyn Read = match place.content() {
            MemberContent::MadeIndex => &mut made,
            MemberContent::Given(at) => {
                given = members.get_mut(at).map(|member| &mut member.content);
                match &mut given {
                    Some(content) => content,
                    None => continue,
                }
            }
        };
        let size_bytes = place.part().size_bytes;
        let copied = out
            .write_all(&place.head())
            .and_then(|()| io::copy(&mut content.take(size_bytes), out))
            .and_then(|copied_bytes| match copied_bytes == size_bytes {
                true => out.write_all(place.padding()),
                false => Err(io::ErrorKind::UnexpectedEof.into()),
            });
        copied.map_err(|source| ArchiveError::Io {
            name: place.part().name.to_file_name(),
            source,
        })?;
    }
    let end = |source| ArchiveError::Io {
        name: "its end".to_owned(),
        source,
    };
    out.write_all(layout.end()).map_err(end)
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
