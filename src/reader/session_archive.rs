//! The recording of a merged session as a tarball that is never made: names, sizes and the merged files give every byte.
//!
//! A session that several servers have parts of is one recording here: one events file, and one for each kind of enhanced
//! events, for these count their own `ei`; one chunks file for each contiguous range of the stream, named by its offset, so
//! that a hole stays a hole. The times in it are the recording's own, so that the bytes are the same whoever exports it
//! from wherever.

use std::sync::Arc;

use crate::disk::DiskError;
use crate::format::{ArchiveLayout, ArchivePart, DataKind, SessionFileName};

use super::session::Session;
use super::session_events::SessionEvents;
use super::session_file::GROUP_KINDS;
use super::stream::Stream;

/// See the module text.
#[derive(Debug)]
pub struct SessionArchive {
    layout: ArchiveLayout,
    contents: Vec<Content>,
}

#[derive(Debug)]
enum Content {
    Events(Arc<SessionEvents>),
    /// From this offset of the stream on.
    Stream(Arc<Stream>, u64),
}

impl SessionArchive {
    /// What there is of the session now.
    ///
    /// # Errors
    /// Of the share.
    pub(super) fn of(session: &Session) -> Result<Self, DiskError> {
        let sid = &session.info().sid;
        // Before 1970 there was no tar.
        let last_ns = session.facts()?.last_time.map_or(0, |time| time.as_ns());
        let mtime_s = u64::try_from(last_ns / 1_000_000_000).unwrap_or(0);
        let (mut parts, mut contents) = (Vec::new(), Vec::new());
        let mut add = |kind: DataKind, number: u64, size_bytes: u64, content: Content| {
            if size_bytes > 0 {
                let name = SessionFileName {
                    sid: sid.clone(),
                    kind,
                    number,
                    gz: false,
                };
                parts.push(ArchivePart {
                    name,
                    size_bytes,
                    mtime_s,
                });
                contents.push(content);
            }
        };
        for (group, first_ei) in session.groups()? {
            let events = session.events_of(group)?;
            let kind = GROUP_KINDS.get(group).copied().unwrap_or(DataKind::Events);
            let size_bytes = events.len_bytes();
            add(kind, first_ei, size_bytes, Content::Events(events));
        }
        let stream = session.stream()?;
        for range in stream.known_ranges() {
            let content = Content::Stream(stream.clone(), range.start);
            add(
                DataKind::Chunks,
                range.start,
                range.end - range.start,
                content,
            );
        }
        let layout = ArchiveLayout::new(sid, parts).map_err(|error| {
            // NOTE: kinds and offsets above are each given once.
            DiskError::io(sid.as_str(), std::io::Error::other(error))
        })?;
        Ok(SessionArchive { layout, contents })
    }

    /// Bytes.
    pub fn len_bytes(&self) -> u64 {
        self.layout.len_bytes()
    }

    /// What it holds in memory beside the merged files.
    pub fn cost_bytes(&self) -> usize {
        self.layout.cost_bytes() + self.contents.capacity() * size_of::<Content>()
    }

    /// Appends up to `len` bytes from `offset` on to `out`; fewer mean the end.
    ///
    /// # Errors
    /// Of the share; a merged file that ends too early is an error too, for its bytes were promised.
    pub fn read_at(&self, offset: u64, len: u64, out: &mut Vec<u8>) -> Result<(), DiskError> {
        self.layout
            .read_at(offset, len, out, |part, from, wanted, out| {
                let before = out.len() as u64;
                let place = match self.contents.get(part) {
                    Some(Content::Events(events)) => {
                        events.read_at(from, wanted, out)?;
                        "events"
                    }
                    Some(Content::Stream(stream, first)) => {
                        stream.read_known(first + from, wanted, out)?;
                        "stream"
                    }
                    None => "nothing",
                };
                if out.len() as u64 - before == wanted {
                    return Ok(());
                }
                let gone = std::io::ErrorKind::UnexpectedEof;
                Err(DiskError::io(place, gone.into()))
            })
    }
}
