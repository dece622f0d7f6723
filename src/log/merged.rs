//! The merged audit directory as the logs read it: listed when what is known is too old, and where a session goes on.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use crate::disk::DiskError;
use crate::event::{EventTime, Namespace, SessionId};
use crate::format::DataKind;
use crate::reader::{AuditDir, BatchTime, Days, Session, Sessions};
use crate::write::{SessionEnds, SessionPosition};

use super::log_error::LogError;

/// How long a listing of the audit directory is good, nanoseconds.
const FRESH_NS: i64 = 1_000_000_000;

/// Says what time it is.
pub type Clock = Arc<dyn Fn() -> EventTime + Send + Sync>;

/// See the module text.
pub(super) struct Merged {
    pub(super) dir: Arc<AuditDir>,
    pub(super) days: Days,
    pub(super) sessions: Sessions,
    pub(super) clock: Clock,
    listed_ns: Mutex<Option<i64>>,
}

impl Merged {
    pub(super) fn new(dir: Arc<AuditDir>, clock: Clock) -> Self {
        Merged {
            days: Days::new(dir.clone()),
            sessions: Sessions::new(dir.clone()),
            dir,
            clock,
            listed_ns: Mutex::default(),
        }
    }

    pub(super) fn now(&self) -> EventTime {
        (self.clock)()
    }

    /// Looks at once for what is new; gives what could not be looked at.
    pub(super) fn refresh(&self) -> Vec<DiskError> {
        self.list(
            &mut self
                .listed_ns
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// What is known is too old from now on.
    pub(super) fn expire(&self) {
        *self
            .listed_ns
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn list(&self, listed_ns: &mut Option<i64>) -> Vec<DiskError> {
        let now = self.now();
        let mut errors = self.dir.catalog().refresh_at_once();
        errors.extend(self.days.refresh(BatchTime::new(now, 0)).1);
        *listed_ns = Some(now.as_ns());
        errors
    }

    /// Lists what is new, if that was not done lately.
    pub(super) fn freshen(&self) {
        let mut listed_ns = self
            .listed_ns
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let now_ns = self.now().as_ns();
        let fresh = listed_ns
            .is_some_and(|listed_ns| (0..FRESH_NS).contains(&now_ns.saturating_sub(listed_ns)));
        if !fresh {
            for error in self.list(&mut listed_ns) {
                tracing::warn!(%error, "answers of the audit log lack this");
            }
        }
    }

    /// The session, if it has a file of any of these kinds.
    pub(super) fn session(
        &self,
        namespace: &Namespace,
        sid: &SessionId,
        kinds: &[DataKind],
    ) -> Result<Arc<Session>, LogError> {
        let now_ns = self.now().as_ns();
        let opened = match self.dir.catalog().find(namespace, sid.as_str()) {
            Some(no) => self.sessions.open(no, now_ns)?,
            None => None,
        };
        let has_any = |session: &Arc<Session>| {
            session
                .files()
                .iter()
                .any(|file| kinds.contains(&file.file.name.kind))
        };
        let what = if opened.is_some() {
            "a recording of session"
        } else {
            "session"
        };
        opened.filter(has_any).ok_or_else(|| LogError::NotFound {
            what: format!("{what} {sid} in namespace {namespace}"),
        })
    }
}

impl SessionEnds for Merged {
    fn end_of(&self, namespace: &Namespace, sid: &SessionId) -> io::Result<SessionPosition> {
        // What was listed a second ago does not tell what another server has begun since.
        for error in self.dir.catalog().refresh() {
            tracing::warn!(%error, "a session is taken up without this");
        }
        let mut position = SessionPosition::default();
        let Some(no) = self.dir.catalog().find(namespace, sid.as_str()) else {
            return Ok(position);
        };
        self.sessions.look_anew(no);
        let opened = self.sessions.open(no, self.now().as_ns());
        if let Some(session) = opened.map_err(io::Error::other)? {
            let passed = session.each_event(|event| position.pass(event));
            passed.map_err(io::Error::other)?;
            position.ended |= session.is_completed();
        }
        Ok(position)
    }
}
