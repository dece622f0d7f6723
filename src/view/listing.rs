//! What a directory holds, from any place in it on.
//!
//! A place is a number that stays good while names come and go: days are placed by date, sessions by their
//! number in the catalog. A listing in progress therefore neither doubles nor misses a name that was there all along.

use crate::disk::SessionNo;
use crate::event::Namespace;

use super::attr::NodeKind;
use super::node::{Node, SessionPart};
use super::texts;
use super::tree::View;
use super::view_error::ViewError;

/// Days before 1970 have negative numbers; places do not.
const DAY_PLACE: i64 = 1 << 32;

/// One name in a directory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// What the name means.
    pub node: Node,
    /// The name.
    pub name: String,
    /// What it is.
    pub kind: NodeKind,
    /// The place behind it: a listing goes on there.
    pub next: u64,
}

/// The sessions of a namespace.
pub(super) fn sessions_ns(ns: &Namespace) -> Node {
    Node::SessionsDir(ns.clone())
}

impl View {
    /// Calls `each` for the entries of a directory from the place `from` on (0: the first), until it says stop. `.` and `..`
    /// are not among them.
    ///
    /// # Errors
    /// [`ViewError::NotDirectory`].
    pub fn list(
        &self,
        node: &Node,
        from: u64,
        now_ns: i64,
        mut each: impl FnMut(Entry) -> bool,
    ) -> Result<(), ViewError> {
        use NodeKind::{Directory, File, Symlink};
        let fixed = |names: Vec<(Node, String, NodeKind)>, each: &mut dyn FnMut(Entry) -> bool| {
            for (at, (node, name, kind)) in names.into_iter().enumerate().skip(from as usize) {
                if !each(Entry {
                    node,
                    name,
                    kind,
                    next: at as u64 + 1,
                }) {
                    return;
                }
            }
        };
        match node {
            Node::Root => {
                let mut names = vec![
                    (Node::StatusDir, ".auditfs".to_owned(), Directory),
                    (Node::Readme, "README.txt".to_owned(), File),
                    (Node::EventsDir, "events".to_owned(), Directory),
                    (Node::ByTimeDir, "events-by-time".to_owned(), Directory),
                    (Node::NamespacesDir, "namespaces".to_owned(), Directory),
                    (
                        Node::SessionsDir(Namespace::default()),
                        "sessions".to_owned(),
                        Directory,
                    ),
                ];
                if let Some(recordings) = self.recordings_dir(&Namespace::default()) {
                    names.insert(5, (recordings, "recordings".to_owned(), Directory));
                }
                fixed(names, &mut each);
            }
            Node::EventsDir | Node::ByTimeDir => {
                let by_time = *node == Node::ByTimeDir;
                let days = self.all_days();
                if from == 0 && !days.is_empty() && !by_time {
                    let (node, name) = (Node::EventsCurrent, "current".to_owned());
                    if !each(Entry {
                        node,
                        name,
                        kind: Symlink,
                        next: 1,
                    }) {
                        return Ok(());
                    }
                }
                for day in days {
                    let place = (DAY_PLACE + i64::from(day.days())) as u64;
                    let node = if by_time {
                        Node::DayByTime(day)
                    } else {
                        Node::Day(day)
                    };
                    let entry = Entry {
                        node,
                        name: texts::day_name(day),
                        kind: File,
                        next: place + 1,
                    };
                    if place >= from && !each(entry) {
                        return Ok(());
                    }
                }
            }
            Node::SessionsDir(ns) => {
                let first = SessionNo(u32::try_from(from).unwrap_or(u32::MAX));
                self.dir.catalog().each_session(ns, first, |no, sid| {
                    let (node, name) = (Node::Session(no), sid.to_owned());
                    each(Entry {
                        node,
                        name,
                        kind: Directory,
                        next: u64::from(no.0) + 1,
                    })
                });
            }
            Node::Session(no) => {
                if !self.exists(node, now_ns) {
                    return Err(ViewError::NotFound);
                }
                let parts = SessionPart::ALL.into_iter();
                let names = parts
                    .map(|part| (Node::SessionFile(*no, part), part.name().to_owned(), File))
                    .collect();
                fixed(names, &mut each);
            }
            Node::NamespacesDir => {
                let mut namespaces = self.dir.catalog().namespaces();
                namespaces.retain(|ns| !ns.is_default());
                let names = namespaces
                    .into_iter()
                    .map(|ns| (Node::NamespaceDir(ns.clone()), ns.to_string(), Directory))
                    .collect();
                fixed(names, &mut each);
            }
            Node::NamespaceDir(ns) => {
                let recordings = self.recordings_dir(ns).into_iter();
                let mut names: Vec<_> = recordings
                    .map(|node| (node, "recordings".to_owned(), Directory))
                    .collect();
                names.push((sessions_ns(ns), "sessions".to_owned(), Directory));
                fixed(names, &mut each);
            }
            Node::RecordingsDir(ns) => {
                let server = self.own_server().ok_or(ViewError::NotFound)?;
                let first = SessionNo(u32::try_from(from).unwrap_or(u32::MAX));
                let catalog = self.dir.catalog();
                catalog.each_completed(server, ns, first, |no, sid| {
                    each(Entry {
                        node: Node::Recording(no),
                        name: format!("{sid}.tar"),
                        kind: File,
                        next: u64::from(no.0) + 1,
                    })
                });
            }
            Node::StatusDir => {
                let names = vec![
                    (Node::Status, "status.json".to_owned(), File),
                    (Node::Version, "version".to_owned(), File),
                ];
                fixed(names, &mut each);
            }
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
        }
        Ok(())
    }
}
