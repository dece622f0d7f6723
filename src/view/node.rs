//! What a path of the mount names. A path of ours is not a path of the disk.

use crate::disk::SessionNo;
use crate::event::{Day, Namespace};
use crate::reader::WorkedOutPart;

/// A file of a session's directory.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum SessionPart {
    /// The recording as a tarball.
    Archive,
    /// Session events in `ei` order.
    Events,
    /// PTY bytes, merged by offset.
    Stream,
    /// Who, when, where, and what can be trusted.
    Summary,
}

impl SessionPart {
    /// All parts, in name order.
    pub const ALL: [SessionPart; 4] = [
        SessionPart::Archive,
        SessionPart::Events,
        SessionPart::Stream,
        SessionPart::Summary,
    ];

    /// Its file name.
    pub fn name(self) -> &'static str {
        match self {
            SessionPart::Archive => "archive.tar",
            SessionPart::Events => "events.jsonl",
            SessionPart::Stream => "stream",
            SessionPart::Summary => "summary.json",
        }
    }

    /// The part of a worked-out session it shows.
    pub fn worked_out(self) -> WorkedOutPart {
        match self {
            SessionPart::Archive => WorkedOutPart::Archive,
            SessionPart::Events => WorkedOutPart::Events,
            SessionPart::Stream => WorkedOutPart::Stream,
            SessionPart::Summary => WorkedOutPart::Summary,
        }
    }

    /// What it adds to the inode number of the session's directory: 1 to 15 but `RECORDING_STEP`.
    pub fn inode_step(self) -> u64 {
        match self {
            SessionPart::Events => 1,
            SessionPart::Stream => 2,
            SessionPart::Summary => 3,
            SessionPart::Archive => 4,
        }
    }
}

/// What `recordings/<sid>.tar` adds to the inode number of the session's directory.
pub(super) const RECORDING_STEP: u64 = 5;

/// What a path names.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Node {
    /// `/`
    Root,
    /// `/README.txt`
    Readme,
    /// `/events`
    EventsDir,
    /// `/events/current`
    EventsCurrent,
    /// `/events/<date>.jsonl`
    Day(Day),
    /// `/events-by-time`
    ByTimeDir,
    /// `/events-by-time/<date>.jsonl`
    DayByTime(Day),
    /// `/sessions` for the namespace `default`, `/namespaces/<ns>/sessions` for others.
    SessionsDir(Namespace),
    /// `/sessions/<sid>`
    Session(SessionNo),
    /// A file of a session.
    SessionFile(SessionNo, SessionPart),
    /// `/recordings` for the namespace `default`, `/namespaces/<ns>/recordings` for others; where this mount writes.
    RecordingsDir(Namespace),
    /// `/recordings/<sid>.tar`
    Recording(SessionNo),
    /// `/namespaces`
    NamespacesDir,
    /// `/namespaces/<ns>`
    NamespaceDir(Namespace),
    /// `/.auditfs`
    StatusDir,
    /// `/.auditfs/status.json`
    Status,
    /// `/.auditfs/version`
    Version,
}

impl Node {
    /// The path of a node that is no session, for its inode number. `None` for sessions: the catalog hashes their names.
    pub fn fixed_path(&self) -> Option<String> {
        Some(match self {
            Node::Root => String::new(),
            Node::Readme => "README.txt".into(),
            Node::EventsDir => "events".into(),
            Node::EventsCurrent => "events/current".into(),
            Node::Day(day) => format!("events/{day}.jsonl"),
            Node::ByTimeDir => "events-by-time".into(),
            Node::DayByTime(day) => format!("events-by-time/{day}.jsonl"),
            Node::SessionsDir(ns) if ns.is_default() => "sessions".into(),
            Node::SessionsDir(ns) => format!("namespaces/{ns}/sessions"),
            Node::RecordingsDir(ns) if ns.is_default() => "recordings".into(),
            Node::RecordingsDir(ns) => format!("namespaces/{ns}/recordings"),
            Node::NamespacesDir => "namespaces".into(),
            Node::NamespaceDir(ns) => format!("namespaces/{ns}"),
            Node::StatusDir => ".auditfs".into(),
            Node::Status => ".auditfs/status.json".into(),
            Node::Version => ".auditfs/version".into(),
            Node::Session(_) | Node::SessionFile(..) | Node::Recording(_) => return None,
        })
    }
}
