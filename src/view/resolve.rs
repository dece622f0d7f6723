//! Names to nodes: one name below a directory, or a whole path.

use crate::event::{Day, Namespace};

use super::listing::sessions_ns;
use super::node::{Node, SessionPart};
use super::texts;
use super::tree::{View, Wait};
use super::view_error::ViewError;

impl View {
    /// The node called `name` in the directory `parent`. Whether it exists [`View::attr`] tells.
    ///
    /// # Errors
    /// [`ViewError::NotFound`], [`ViewError::NotDirectory`].
    pub fn lookup(&self, parent: &Node, name: &str) -> Result<Node, ViewError> {
        let found = match parent {
            Node::Root => match name {
                "README.txt" => Some(Node::Readme),
                "events" => Some(Node::EventsDir),
                "events-by-time" => Some(Node::ByTimeDir),
                "recordings" => self.recordings_dir(&Namespace::default()),
                "sessions" => Some(Node::SessionsDir(Namespace::default())),
                "namespaces" => Some(Node::NamespacesDir),
                ".auditfs" => Some(Node::StatusDir),
                _ => None,
            },
            Node::EventsDir if name == "current" => Some(Node::EventsCurrent),
            Node::EventsDir => self.day_named(name).map(Node::Day),
            Node::ByTimeDir => self.day_named(name).map(Node::DayByTime),
            Node::SessionsDir(ns) => self.dir.catalog().find(ns, name).map(Node::Session),
            Node::RecordingsDir(ns) => self.recording_named(ns, name),
            Node::Session(no) => {
                let part = SessionPart::ALL
                    .into_iter()
                    .find(|part| part.name() == name);
                part.map(|part| Node::SessionFile(*no, part))
            }
            Node::NamespacesDir => {
                let ns = Namespace::new(name).ok().filter(|ns| !ns.is_default());
                ns.filter(|ns| self.dir.catalog().namespaces().contains(ns))
                    .map(Node::NamespaceDir)
            }
            Node::NamespaceDir(ns) => match name {
                "sessions" => Some(sessions_ns(ns)),
                "recordings" => self.recordings_dir(ns),
                _ => None,
            },
            Node::StatusDir => match name {
                "status.json" => Some(Node::Status),
                "version" => Some(Node::Version),
                _ => None,
            },
            Node::Readme
            | Node::EventsCurrent
            | Node::Day(_)
            | Node::DayByTime(_)
            | Node::SessionFile(..)
            | Node::Recording(_)
            | Node::Status
            | Node::Version => {
                return Err(ViewError::NotDirectory);
            }
        };
        found.ok_or(ViewError::NotFound)
    }

    /// The directory of recordings, where this mount writes.
    pub(super) fn recordings_dir(&self, namespace: &Namespace) -> Option<Node> {
        self.own_server()
            .map(|_| Node::RecordingsDir(namespace.clone()))
    }

    /// A finished recording in this server's own folder.
    fn recording_named(&self, namespace: &Namespace, name: &str) -> Option<Node> {
        let (catalog, server) = (self.dir.catalog(), self.own_server()?);
        let no = catalog.find(namespace, name.strip_suffix(".tar")?)?;
        catalog
            .is_completed_by(server, namespace, no)
            .then_some(Node::Recording(no))
    }

    /// The date that a file name of a day says, if there is a file of it.
    fn day_named(&self, name: &str) -> Option<Day> {
        let day = name
            .strip_suffix(".jsonl")
            .and_then(|day| day.parse::<Day>().ok());
        day.filter(|day| self.has_day(*day))
    }

    /// The node at a path below the root of the view; leading and doubled slashes do not matter. The symlink
    /// `events/current` is followed.
    ///
    /// # Errors
    /// [`ViewError::NotFound`], [`ViewError::NotDirectory`].
    pub fn resolve(&self, path: &str) -> Result<Node, ViewError> {
        let mut node = Node::Root;
        for name in path
            .split('/')
            .filter(|name| !name.is_empty() && *name != ".")
        {
            node = self.lookup(&node, name)?;
            if node == Node::EventsCurrent {
                node = Node::Day(self.current_day().ok_or(ViewError::NotFound)?);
            }
        }
        Ok(node)
    }

    /// Where a symlink points.
    ///
    /// # Errors
    /// [`ViewError::NotSymlink`]; [`ViewError::NotFound`] if there is no day yet.
    pub fn read_link(&self, node: &Node) -> Result<String, ViewError> {
        match node {
            Node::EventsCurrent => {
                let newest = self.current_day().ok_or(ViewError::NotFound)?;
                Ok(texts::day_name(newest))
            }
            _ => Err(ViewError::NotSymlink),
        }
    }

    /// Whether the node still exists, without more than its name.
    pub(super) fn exists(&self, node: &Node, now_ns: i64) -> bool {
        !matches!(
            self.attr(node, Wait::Never, now_ns),
            Err(ViewError::NotFound)
        )
    }
}
