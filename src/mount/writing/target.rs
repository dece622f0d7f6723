//! What writing to a name means.

use crate::event::{Day, EventTime, Namespace, SessionId};
use crate::view::{Node, SessionPart, View};

use super::refused::Refused;

/// A name is looked up and then opened: what a writer found just before midnight may be opened just after it.
/// Tomorrow's file is there this long before midnight.
const MIDNIGHT_GRACE_NS: i64 = 10_000_000_000;

/// See the module text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// Events of this server's daily log, that of the day when they come.
    Log,
    /// Bytes of a terminal.
    Stream(Namespace, SessionId),
    /// Events of a session.
    SessionEvents(Namespace, SessionId),
}

impl Target {
    /// What a file is to a writer who opens it now.
    pub fn to_open(view: &View, node: &Node, now: EventTime) -> Result<Target, Refused> {
        if let Node::Day(day) = node {
            let at =
                |shift_ns: i64| Day::of(EventTime::from_ns(now.as_ns().saturating_add(shift_ns)));
            let days = [at(-MIDNIGHT_GRACE_NS), at(0), at(MIDNIGHT_GRACE_NS)];
            if !days.contains(day) {
                return Err(Refused::NotToday(*day));
            }
        }
        Target::of(view, node)
    }

    /// What a file is that a writer has open.
    pub fn of(view: &View, node: &Node) -> Result<Target, Refused> {
        match node {
            Node::Day(_) => Ok(Target::Log),
            Node::SessionFile(no, part @ (SessionPart::Stream | SessionPart::Events)) => {
                let info = view.dir().catalog().session(*no);
                let info = info.ok_or(crate::view::ViewError::NotFound)?;
                let make = match part {
                    SessionPart::Stream => Target::Stream,
                    _ => Target::SessionEvents,
                };
                Ok(make(info.namespace, info.sid))
            }
            _ => Err(Refused::ReadOnly),
        }
    }

    /// For the log.
    pub fn path(&self) -> String {
        let below = |namespace: &Namespace| match namespace.is_default() {
            true => String::new(),
            false => format!("namespaces/{namespace}/"),
        };
        match self {
            Target::Log => "events/current".to_owned(),
            Target::Stream(ns, sid) => format!("{}sessions/{sid}/stream", below(ns)),
            Target::SessionEvents(ns, sid) => format!("{}sessions/{sid}/events.jsonl", below(ns)),
        }
    }
}
