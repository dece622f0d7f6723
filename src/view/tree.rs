//! The view itself: what it stands on, attributes of its nodes, and taking in what has changed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::disk::{DiskError, SessionNo};
use crate::event::{Day, Namespace};
use crate::reader::{AuditDir, BatchTime, Days, Sessions};

use super::attr::{Attr, Ttl};
use super::inode::Inodes;
use super::node::{Node, RECORDING_STEP, SessionPart};
use super::status::Status;
use super::texts;
use super::today::Today;
use super::view_error::ViewError;

/// How long a day is scanned before its size is told, where the size must be exact.
const SCAN_PATIENCE: Duration = Duration::from_secs(60);

/// Whether an answer may wait for the share.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wait {
    /// From memory, or [`ViewError::WouldBlock`].
    Never,
    /// As long as the share's deadline allows.
    Share,
}

/// What a refresh found changed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Changes {
    /// Days that grew or came.
    pub days: Vec<Day>,
    /// Sessions that got or lost files.
    pub sessions: Vec<SessionNo>,
}

/// The file system over one audit directory. See the module text of `view`.
#[derive(Debug)]
pub struct View {
    pub(super) dir: Arc<AuditDir>,
    pub(super) days: Days,
    pub(super) sessions: Sessions,
    pub(super) inodes: Inodes,
    pub(super) status: Status,
    pub(super) errors: Mutex<BTreeMap<&'static str, u64>>,
    events_changed_ns: Mutex<(usize, i64)>,
    space: Mutex<(u64, u64, u64)>,
    pub(super) today: Today,
}

impl View {
    /// A view of `dir` with these `days` of it, which was given to the mount as `source`. Nothing is known before
    /// [`View::refresh`].
    pub fn new(dir: Arc<AuditDir>, days: Days, source: String, started_ns: i64) -> Self {
        let seed = dir.limits().hash_seed;
        View {
            days,
            sessions: Sessions::new(dir.clone()),
            inodes: Inodes::new(seed),
            status: Status::new(source, started_ns),
            errors: Mutex::default(),
            events_changed_ns: Mutex::default(),
            space: Mutex::default(),
            today: Today::default(),
            dir,
        }
    }

    /// Looks at the share for what is new. Called about once a second.
    pub fn refresh(&self, at: BatchTime) -> Changes {
        for error in self.dir.catalog().refresh() {
            self.note(&error);
        }
        let (days, errors) = self.days.refresh(at);
        for error in &errors {
            self.note(error);
        }
        let count = self.days.list().len();
        let mut known = self
            .events_changed_ns
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if known.0 != count {
            let newest = self
                .days
                .list()
                .iter()
                .map(|day| day.mtime_ns())
                .max()
                .unwrap_or(0);
            *known = (count, newest.max(known.1 + 1));
        }
        Changes {
            days,
            sessions: self.dir.catalog().take_changed(),
        }
    }

    /// The merged days.
    pub fn days(&self) -> &Days {
        &self.days
    }

    /// The merged sessions.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// What it reads.
    pub fn dir(&self) -> &Arc<AuditDir> {
        &self.dir
    }

    /// Total, free and available bytes of the share's file system; as they were last if it does not answer. `tail -F` gives a
    /// file up when it cannot be told what file system it is on.
    pub fn space_bytes(&self) -> (u64, u64, u64) {
        let now = self.dir.disk().space_bytes();
        let mut last = self.space.lock().unwrap_or_else(PoisonError::into_inner);
        match now {
            Ok(now) => *last = now,
            Err(error) => self.note(&error),
        }
        *last
    }

    /// Attributes of a node.
    ///
    /// # Errors
    /// [`ViewError::NotFound`] if it is gone; of the share.
    pub fn attr(&self, node: &Node, wait: Wait, now_ns: i64) -> Result<Attr, ViewError> {
        let ino = self.ino(node)?;
        match node {
            Node::Root => {
                let subdirs = 5 + usize::from(self.own_server().is_some());
                Ok(Attr::directory(ino, subdirs, self.changed_ns(), Ttl::Live))
            }
            Node::Readme => Ok(Attr::file(
                ino,
                texts::README.len() as u64,
                self.status.started_ns(),
                Ttl::Sealed,
            )),
            Node::EventsDir | Node::ByTimeDir => {
                Ok(Attr::directory(ino, 0, self.events_changed(), Ttl::Live))
            }
            Node::EventsCurrent => {
                let newest = self.current_day().ok_or(ViewError::NotFound)?;
                let mtime_ns = self.days.get(newest).map(|file| file.mtime_ns());
                let mtime_ns = mtime_ns.unwrap_or(newest.start().as_ns());
                let size = texts::day_name(newest).len() as u64;
                Ok(Attr {
                    kind: super::NodeKind::Symlink,
                    ..Attr::file(ino, size, mtime_ns, Ttl::Live)
                })
            }
            Node::Day(day) => self.day_attr(*day, ino, wait),
            Node::DayByTime(day) => self.day_by_time_attr(*day, ino, wait),
            Node::SessionsDir(ns) => {
                let (count, changed_ns) = self.dir.catalog().namespace_stat(ns);
                Ok(Attr::directory(ino, count, changed_ns, self.names_ttl()))
            }
            Node::RecordingsDir(ns) => {
                let changed_ns = self.recordings_changed_ns(ns)?;
                Ok(Attr::directory(ino, 0, changed_ns, self.names_ttl()))
            }
            Node::Recording(no) => self.part_attr(*no, SessionPart::Archive, ino, wait, now_ns),
            Node::Session(no) => {
                let session = self.session(*no, wait, now_ns)?;
                let ttl = self.session_ttl(&session, now_ns);
                Ok(Attr::directory(ino, 0, session.mtime_ns(), ttl))
            }
            Node::SessionFile(no, part) => self.part_attr(*no, *part, ino, wait, now_ns),
            Node::NamespacesDir => {
                let count = self
                    .dir
                    .catalog()
                    .namespaces()
                    .iter()
                    .filter(|ns| !ns.is_default())
                    .count();
                Ok(Attr::directory(
                    ino,
                    count,
                    self.changed_ns(),
                    self.names_ttl(),
                ))
            }
            Node::NamespaceDir(ns) => {
                if !self.dir.catalog().namespaces().contains(ns) {
                    return Err(ViewError::NotFound);
                }
                let (_, changed_ns) = self.dir.catalog().namespace_stat(ns);
                let subdirs = 1 + usize::from(self.own_server().is_some());
                Ok(Attr::directory(ino, subdirs, changed_ns, Ttl::Live))
            }
            Node::StatusDir => Ok(Attr::directory(
                ino,
                0,
                self.status.started_ns(),
                Ttl::Sealed,
            )),
            Node::Status => {
                let (made_ns, text) = self.made_status_text(now_ns);
                Ok(Attr::file(ino, text.len() as u64, made_ns, Ttl::Unknown))
            }
            Node::Version => Ok(Attr::file(
                ino,
                texts::VERSION.len() as u64,
                self.status.started_ns(),
                Ttl::Sealed,
            )),
        }
    }

    fn day_attr(&self, day: Day, ino: u64, wait: Wait) -> Result<Attr, ViewError> {
        let Some(file) = self.days.get(day) else {
            return match self.has_day(day) {
                true => Ok(Attr::file(ino, 0, day.start().as_ns(), Ttl::Live)),
                false => Err(ViewError::NotFound),
            };
        };
        let size = match (file.known_len(), wait) {
            (Some(size), _) => size,
            (None, Wait::Never) => return Err(ViewError::WouldBlock),
            (None, Wait::Share) => self.noting(file.len_bytes())?,
        };
        let ttl = match (file.is_live(), file.is_exact()) {
            // Opening it may correct the size (DESIGN 4.4): a kernel that believed this one would cut what is read then.
            (false, false) => Ttl::Unknown,
            // Reads are not held back to the size that was told last. A follower who has read more than that and then
            // hears it again takes the file for truncated, and sends all of it again.
            (true, _) => Ttl::Unknown,
            (false, true) => Ttl::Sealed,
        };
        Ok(Attr::file(ino, size, file.mtime_ns(), ttl))
    }

    /// As the day's, but never believed: the file may change in its middle.
    fn day_by_time_attr(&self, day: Day, ino: u64, wait: Wait) -> Result<Attr, ViewError> {
        if let Some(file) = self.days.get(day)
            && !file.is_live()
            && !file.is_exact()
        {
            match wait {
                Wait::Never => return Err(ViewError::WouldBlock),
                Wait::Share => drop(self.noting(file.prepare(SCAN_PATIENCE))?),
            }
        }
        Ok(Attr {
            ttl: Ttl::Unknown,
            ..self.day_attr(day, ino, wait)?
        })
    }

    /// The inode number of a node.
    ///
    /// # Errors
    /// [`ViewError::NotFound`] for a session that is gone.
    pub fn ino(&self, node: &Node) -> Result<u64, ViewError> {
        match node {
            Node::Session(no) => self
                .dir
                .catalog()
                .session(*no)
                .map(|info| info.hash)
                .ok_or(ViewError::NotFound),
            Node::SessionFile(no, part) => Ok(self.ino(&Node::Session(*no))? + part.inode_step()),
            Node::Recording(no) => Ok(self.ino(&Node::Session(*no))? + RECORDING_STEP),
            fixed => Ok(self.inodes.number(fixed)),
        }
    }

    /// The node that has this inode number.
    ///
    /// # Errors
    /// [`ViewError::NotFound`] for a number that no name has.
    pub fn node(&self, ino: u64) -> Result<Node, ViewError> {
        if let Some(node) = self.inodes.node(ino) {
            return Ok(node);
        }
        if let Some(no) = self.dir.catalog().find_hash(ino & !0xf) {
            match ino & 0xf {
                0 => return Ok(Node::Session(no)),
                RECORDING_STEP => return Ok(Node::Recording(no)),
                _ => {}
            }
            let part = SessionPart::ALL
                .into_iter()
                .find(|part| part.inode_step() == ino & 0xf);
            return part
                .map(|part| Node::SessionFile(no, part))
                .ok_or(ViewError::NotFound);
        }
        self.number_everything();
        self.inodes.node(ino).ok_or(ViewError::NotFound)
    }

    /// Gives every node that is no session its number, for numbers that an earlier process handed out.
    fn number_everything(&self) {
        let default = Namespace::default();
        let fixed = [
            Node::Readme,
            Node::EventsDir,
            Node::ByTimeDir,
            Node::EventsCurrent,
            Node::SessionsDir(default.clone()),
            Node::RecordingsDir(default),
            Node::NamespacesDir,
            Node::StatusDir,
            Node::Status,
            Node::Version,
        ];
        let days = self.all_days().into_iter();
        let days = days.flat_map(|day| [Node::Day(day), Node::DayByTime(day)]);
        let namespaces = self.dir.catalog().namespaces().into_iter();
        let namespaces = namespaces.flat_map(|ns| {
            [
                Node::NamespaceDir(ns.clone()),
                Node::RecordingsDir(ns.clone()),
                Node::SessionsDir(ns),
            ]
        });
        for node in fixed.into_iter().chain(days).chain(namespaces) {
            self.inodes.number(&node);
        }
    }

    fn changed_ns(&self) -> i64 {
        let catalog = self.dir.catalog();
        let sessions = catalog
            .namespaces()
            .iter()
            .map(|ns| catalog.namespace_stat(ns).1)
            .max()
            .unwrap_or(0);
        sessions.max(self.events_changed())
    }

    /// The list of days has changed.
    pub(super) fn days_changed(&self, at_ns: i64) {
        let changed = &self.events_changed_ns;
        let mut known = changed.lock().unwrap_or_else(PoisonError::into_inner);
        known.1 = at_ns.max(known.1.saturating_add(1));
    }

    fn events_changed(&self) -> i64 {
        self.events_changed_ns
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .1
    }

    pub(super) fn noting<T>(&self, result: Result<T, DiskError>) -> Result<T, ViewError> {
        result.map_err(|error| {
            self.note(&error);
            ViewError::Disk(error)
        })
    }

    fn note(&self, error: &DiskError) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        let count = errors.entry(error.kind()).or_default();
        *count += 1;
        // The first of a kind and then every thousandth: a share that is away must not fill the log.
        if *count % 1000 == 1 {
            tracing::warn!(%error, count, "the audit directory could not be read");
        }
    }
}
