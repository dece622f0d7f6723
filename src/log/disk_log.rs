//! The audit log of a whole audit directory: its reading methods over the merge of all servers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::disk::DiskError;
use crate::event::{
    EventFields, EventIndex, EventTime, MAX_CHUNK_BYTES, Namespace, SessionId, StreamOffset,
};
use crate::format::{DataKind, read_session_line};
use crate::reader::{AuditDir, BatchTime, Days, Session, Sessions};
use crate::search::{
    ANSWER_BYTES_MAX, Query, Request, each_merged_line, event_of_line, search_events,
    search_session_events,
};

use super::audit_log::AuditLog;
use super::log_error::LogError;

/// How long a listing of the audit directory is good, nanoseconds.
const FRESH_NS: i64 = 1_000_000_000;

/// Says what time it is.
pub type Clock = Arc<dyn Fn() -> EventTime + Send + Sync>;

/// See the module text. What any server has written is there within a second, or after [`DiskLog::refresh`].
pub struct DiskLog {
    dir: Arc<AuditDir>,
    days: Days,
    sessions: Sessions,
    clock: Clock,
    listed_ns: Mutex<Option<i64>>,
    closed: AtomicBool,
}

impl DiskLog {
    /// The audit log in `dir`. Nothing is read yet.
    pub fn new(dir: Arc<AuditDir>, clock: Clock) -> Self {
        DiskLog {
            days: Days::new(dir.clone()),
            sessions: Sessions::new(dir.clone()),
            dir,
            clock,
            listed_ns: Mutex::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// Looks at once for what is new; gives what could not be looked at. Answers lack that until it can be.
    pub fn refresh(&self) -> Vec<DiskError> {
        let mut listed_ns = self
            .listed_ns
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.list(&mut listed_ns)
    }

    fn list(&self, listed_ns: &mut Option<i64>) -> Vec<DiskError> {
        let now = (self.clock)();
        let mut errors = self.dir.catalog().refresh();
        errors.extend(self.days.refresh(BatchTime::new(now, 0)).1);
        *listed_ns = Some(now.as_ns());
        errors
    }

    /// What every reading method does first.
    fn begin(&self) -> Result<(), LogError> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(LogError::Closed);
        }
        let mut listed_ns = self
            .listed_ns
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let now_ns = (self.clock)().as_ns();
        let fresh = listed_ns
            .is_some_and(|listed_ns| (0..FRESH_NS).contains(&now_ns.saturating_sub(listed_ns)));
        if !fresh {
            for error in self.list(&mut listed_ns) {
                tracing::warn!(%error, "answers of the audit log lack this");
            }
        }
        Ok(())
    }

    /// The session, if it has a file of any of these kinds.
    fn session(
        &self,
        namespace: &Namespace,
        sid: &SessionId,
        kinds: &[DataKind],
    ) -> Result<Arc<Session>, LogError> {
        self.begin()?;
        let now_ns = (self.clock)().as_ns();
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

impl AuditLog for DiskLog {
    fn get_session_chunk(
        &self,
        namespace: &Namespace,
        sid: &SessionId,
        offset: StreamOffset,
        max_bytes: usize,
    ) -> Result<Vec<u8>, LogError> {
        if max_bytes == 0 {
            let reason =
                "max_bytes is 0; an empty answer would look like the end of the stream".to_owned();
            return Err(LogError::BadParameter { reason });
        }
        let session = self.session(namespace, sid, &[DataKind::Chunks, DataKind::LegacyBytes])?;
        let stream = session.stream()?;
        let gap = stream.gaps().iter().find(|gap| gap.end > offset.0);
        if let Some(gap) = gap.filter(|gap| gap.start <= offset.0) {
            return Err(LogError::Gap {
                offset,
                next: StreamOffset(gap.end),
            });
        }
        let stop = gap.map_or(stream.end(), |gap| gap.start);
        let wanted = stop
            .saturating_sub(offset.0)
            .min(max_bytes.min(MAX_CHUNK_BYTES) as u64);
        let mut bytes = Vec::new();
        stream.read_known(offset.0, wanted, &mut bytes)?;
        Ok(bytes)
    }

    fn get_session_events(
        &self,
        namespace: &Namespace,
        sid: &SessionId,
        after: EventIndex,
        include_print: bool,
    ) -> Result<Vec<EventFields>, LogError> {
        let kinds = [
            DataKind::Events,
            DataKind::LegacyLog,
            DataKind::CommandEvents,
            DataKind::DiskEvents,
            DataKind::NetworkEvents,
        ];
        let merged = self.session(namespace, sid, &kinds)?.events()?;
        let (mut events, mut bytes, mut before) = (Vec::new(), 0_usize, EventIndex(0));
        let read = |offset: u64, len: u64, out: &mut Vec<u8>| merged.read_at(offset, len, out);
        each_merged_line(read, |_, line| {
            let Some(read) = read_session_line(line) else {
                return true;
            };
            before = read.ei.unwrap_or(before);
            if before > after && (include_print || read.print.is_none()) {
                bytes += line.len();
                events.push(event_of_line(line));
            }
            bytes <= ANSWER_BYTES_MAX
        })?;
        if bytes > ANSWER_BYTES_MAX {
            return Err(LogError::AnswerTooLong {
                limit_bytes: ANSWER_BYTES_MAX,
            });
        }
        Ok(events)
    }

    fn search_events(
        &self,
        from: EventTime,
        to: EventTime,
        query: &str,
        limit: usize,
    ) -> Result<Vec<EventFields>, LogError> {
        let query = Query::parse(query).map_err(crate::search::SearchError::Query)?;
        let request = Request::new(from, to, query, limit)?;
        self.begin()?;
        let lines = search_events(&self.days, &request)?.all_lines()?;
        Ok(lines.iter().map(|line| event_of_line(line)).collect())
    }

    fn search_session_events(
        &self,
        from: EventTime,
        to: EventTime,
        limit: usize,
    ) -> Result<Vec<EventFields>, LogError> {
        let request = Request::new(from, to, Query::default(), limit)?;
        self.begin()?;
        let now_ns = (self.clock)().as_ns();
        Ok(search_session_events(
            &self.dir,
            &self.days,
            &self.sessions,
            &request,
            now_ns,
        )?)
    }

    fn close(&self) -> Result<(), LogError> {
        self.closed.store(true, Ordering::Relaxed);
        Ok(())
    }
}
