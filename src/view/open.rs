//! Opening and reading: which file may be kept by the page cache, and where its bytes come from.

use std::sync::Arc;
use std::time::Duration;

use crate::event::Day;
use crate::reader::{DayByTime, SessionArchive, is_quiet};
use crate::spool::DayBytes;

use super::node::{Node, SessionPart};
use super::texts;
use super::tree::{View, Wait};
use super::view_error::ViewError;

/// How long opening a day waits for its first scan, so that its length is exact and the page cache may keep it.
const SCAN_PATIENCE: Duration = Duration::from_millis(2500);

/// How the kernel may read an open file (DESIGN 5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OpenMode {
    /// It may still grow: never through the page cache, which shows NUL bytes behind a growing end.
    Direct,
    /// It is sealed: the page cache may keep it.
    Cached,
    /// Its bytes are a file on the local disk ([`Opened::local`]) that only grows, and seldom: the kernel may read that file itself.
    /// Where it cannot, as [`OpenMode::Direct`].
    Local,
}

/// An open file.
#[derive(Clone, Debug)]
pub struct Opened {
    /// How the kernel may read it.
    pub mode: OpenMode,
    /// What was made at opening, if it was; other files are read by node.
    pub made: Option<Made>,
    /// The file on the local disk that has its bytes, for [`OpenMode::Local`].
    pub local: Option<Arc<DayBytes>>,
}

impl Opened {
    /// A file that is read by node.
    pub fn by_node(mode: OpenMode) -> Self {
        Opened {
            mode,
            made: None,
            local: None,
        }
    }
}

/// What is made when a file is opened, and read from as long as it is open.
#[derive(Clone, Debug)]
pub enum Made {
    /// A generated text.
    Text(Arc<str>),
    /// A day sorted by time.
    Sorted(Arc<DayByTime>),
    /// A recording, of one moment: its first bytes say how long the rest is.
    Archive(Arc<SessionArchive>),
}

impl Made {
    /// Appends up to `len` bytes from `offset` on to `out`; fewer mean the end.
    ///
    /// # Errors
    /// Of the share.
    pub fn read(&self, offset: u64, len: u64, out: &mut Vec<u8>) -> Result<(), ViewError> {
        match self {
            Made::Text(text) => out.extend_from_slice(part_of(text, offset, len)),
            Made::Sorted(sorted) => sorted.read_at(offset, len, out)?,
            Made::Archive(archive) => archive.read_at(offset, len, out)?,
        }
        Ok(())
    }
}

impl View {
    /// Opens a file for reading.
    ///
    /// # Errors
    /// [`ViewError::IsDirectory`]; [`ViewError::NotFound`]; of the share.
    pub fn open(&self, node: &Node, wait: Wait, now_ns: i64) -> Result<Opened, ViewError> {
        let text = |text: Arc<str>, mode| {
            Ok(Opened {
                mode,
                made: Some(Made::Text(text)),
                local: None,
            })
        };
        match node {
            Node::Readme => text(texts::README.into(), OpenMode::Cached),
            Node::Version => text(texts::VERSION.into(), OpenMode::Cached),
            Node::Status => text(self.status_text(now_ns), OpenMode::Direct),
            Node::Day(day) => {
                let Some(file) = self.days.get(*day) else {
                    return self.open_empty(*day);
                };
                if !file.is_exact() && wait == Wait::Never {
                    return Err(ViewError::WouldBlock);
                }
                let exact = self.noting(file.prepare(SCAN_PATIENCE))?;
                // While a batch is written, the file ends within a line for a few microseconds, between two pages of it. Who reads it
                // in a loop does see that (more than half of all batches on ext4), so a day that grows all the time is read through
                // us, who know where the batch ends. (A late record on a day that is over is one batch in hours.)
                let spooled = file.spooled_bytes();
                let local = spooled.filter(|_| !file.is_current(now_ns));
                let mode = match &local {
                    Some(_) => OpenMode::Local,
                    None if exact && !file.is_live() => OpenMode::Cached,
                    None => OpenMode::Direct,
                };
                Ok(Opened {
                    mode,
                    made: None,
                    local,
                })
            }
            Node::DayByTime(day) => {
                let Some(file) = self.days.get(*day) else {
                    return self.open_empty(*day);
                };
                if wait == Wait::Never {
                    return Err(ViewError::WouldBlock);
                }
                let sorted = Arc::new(self.noting(DayByTime::sort(file))?);
                Ok(Opened {
                    mode: OpenMode::Direct,
                    made: Some(Made::Sorted(sorted)),
                    local: None,
                })
            }
            Node::SessionFile(no, part) => {
                let session = self.session(*no, wait, now_ns)?;
                if wait == Wait::Never && !session.has_worked_out(part.worked_out()) {
                    return Err(ViewError::WouldBlock);
                }
                let mode = match is_quiet(&session, now_ns) {
                    true => OpenMode::Cached,
                    false => OpenMode::Direct,
                };
                match part {
                    SessionPart::Archive => self.noting(session.archive()).map(|archive| Opened {
                        mode,
                        made: Some(Made::Archive(archive)),
                        local: None,
                    }),
                    SessionPart::Summary => text(self.noting(session.summary())?, mode),
                    SessionPart::Stream => {
                        self.noting(session.stream())?;
                        Ok(Opened::by_node(mode))
                    }
                    SessionPart::Events => {
                        self.noting(session.events())?;
                        Ok(Opened::by_node(mode))
                    }
                }
            }
            Node::Recording(no) => {
                self.open(&Node::SessionFile(*no, SessionPart::Archive), wait, now_ns)
            }
            Node::Root
            | Node::RecordingsDir(_)
            | Node::EventsDir
            | Node::ByTimeDir
            | Node::SessionsDir(_)
            | Node::Session(_)
            | Node::NamespacesDir => Err(ViewError::IsDirectory),
            Node::NamespaceDir(_) | Node::StatusDir => Err(ViewError::IsDirectory),
            // The kernel resolves symlinks itself and never opens one.
            Node::EventsCurrent => Err(ViewError::NotFound),
        }
    }

    /// A day that is written and has no record yet.
    fn open_empty(&self, day: Day) -> Result<Opened, ViewError> {
        if !self.has_day(day) {
            return Err(ViewError::NotFound);
        }
        Ok(Opened::by_node(OpenMode::Direct))
    }

    /// Reads into `buf` from `offset` on if that needs no waiting, as for a day of the spool, and gives how many bytes; fewer than
    /// `buf` has room for mean the end.
    pub fn read_cached(&self, node: &Node, offset: u64, buf: &mut [u8]) -> Option<usize> {
        let Node::Day(day) = node else {
            return None;
        };
        self.days
            .get(*day)?
            .spooled_bytes()?
            .read_cached(offset, buf)
    }

    /// Appends up to `len` bytes of a file from `offset` on to `out`; fewer mean the end.
    ///
    /// # Errors
    /// As [`View::open`].
    pub fn read(
        &self,
        node: &Node,
        offset: u64,
        len: u64,
        now_ns: i64,
        out: &mut Vec<u8>,
    ) -> Result<(), ViewError> {
        match node {
            Node::Day(day) => {
                let Some(file) = self.days.get(*day) else {
                    return self.open_empty(*day).map(drop);
                };
                self.noting(file.read_at(offset, len, out))?;
            }
            Node::SessionFile(no, SessionPart::Stream) => {
                let session = self.session(*no, Wait::Share, now_ns)?;
                self.noting(
                    session
                        .stream()
                        .and_then(|stream| stream.read_at(offset, len, out)),
                )?;
            }
            Node::SessionFile(no, SessionPart::Events) => {
                let session = self.session(*no, Wait::Share, now_ns)?;
                self.noting(
                    session
                        .events()
                        .and_then(|events| events.read_at(offset, len, out)),
                )?;
            }
            Node::SessionFile(no, SessionPart::Archive) | Node::Recording(no) => {
                let session = self.session(*no, Wait::Share, now_ns)?;
                self.noting(
                    session
                        .archive()
                        .and_then(|archive| archive.read_at(offset, len, out)),
                )?;
            }
            made => {
                if let Some(made) = self.open(made, Wait::Share, now_ns)?.made {
                    made.read(offset, len, out)?;
                }
            }
        }
        Ok(())
    }

    /// Where data or a hole begins at or behind `offset` (lseek(2) SEEK_DATA, SEEK_HOLE).
    ///
    /// # Errors
    /// [`ViewError::NoSuchOffset`] behind the end; of the share.
    pub fn seek(
        &self,
        node: &Node,
        offset: u64,
        hole: bool,
        now_ns: i64,
    ) -> Result<u64, ViewError> {
        if let Node::SessionFile(no, SessionPart::Stream) = node {
            let stream = self.noting(self.session(*no, Wait::Share, now_ns)?.stream())?;
            let found = if hole {
                stream.seek_hole(offset)
            } else {
                stream.seek_data(offset)
            };
            return found.ok_or(ViewError::NoSuchOffset);
        }
        let size = self.attr(node, Wait::Share, now_ns)?.size;
        if offset >= size {
            return Err(ViewError::NoSuchOffset);
        }
        Ok(if hole { size } else { offset })
    }
}

/// Up to `len` bytes of `text` from `offset` on.
fn part_of(text: &str, offset: u64, len: u64) -> &[u8] {
    let bytes = text.as_bytes();
    let first = usize::try_from(offset)
        .unwrap_or(usize::MAX)
        .min(bytes.len());
    let next = first
        .saturating_add(usize::try_from(len).unwrap_or(usize::MAX))
        .min(bytes.len());
    bytes.get(first..next).unwrap_or(&[])
}
