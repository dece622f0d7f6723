//! The audit log of a whole audit directory: written as one server, read as the merge of all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::disk::DiskError;
use crate::event::{
    Event, EventFields, EventIndex, EventTime, MAX_CHUNK_BYTES, Namespace, SessionId, SessionSlice,
    StreamOffset, update_event_fields,
};
use crate::format::{DataKind, read_session_line};
use crate::reader::AuditDir;
use crate::search::{
    ANSWER_BYTES_MAX, Query, Request, each_merged_line, event_of_line, search_events,
    search_session_events,
};
use crate::write::{OwnDirectory, Recorder, RecorderError, RecorderOptions, check_slice};

use super::audit_log::{AuditLog, SessionRecording};
use super::log_error::LogError;
use super::merged::{Clock, Merged};

/// Gives a fresh uid each time.
pub type UidSource = Arc<dyn Fn() -> String + Send + Sync>;

/// See the module text. What any server has written is there within a second, or after [`DiskLog::refresh`]; what this log
/// itself has written is there at once.
pub struct DiskLog {
    merged: Arc<Merged>,
    writer: Option<Writer>,
    closed: AtomicBool,
}

struct Writer {
    recorder: Recorder,
    uids: UidSource,
}

impl DiskLog {
    /// The audit log in `dir`, for reading: its writing methods are not implemented. Nothing is read yet.
    pub fn new(dir: Arc<AuditDir>, clock: Clock) -> Self {
        DiskLog {
            merged: Arc::new(Merged::new(dir, clock)),
            writer: None,
            closed: AtomicBool::new(false),
        }
    }

    /// The same for writing too, as the server that `options` name. `directory` is the audit directory that `dir` reads. The
    /// caller calls [`DiskLog::tick`] several times a second.
    ///
    /// # Errors
    /// [`RecorderError`], where another process writes as this server.
    pub fn writing(
        dir: Arc<AuditDir>,
        clock: Clock,
        directory: OwnDirectory,
        options: RecorderOptions,
        uids: UidSource,
    ) -> Result<Self, RecorderError> {
        let merged = Arc::new(Merged::new(dir, clock));
        merged.sessions.write_as(options.server_id.clone());
        let recorder = Recorder::open(directory, merged.clone(), options, merged.now())?;
        Ok(DiskLog {
            merged,
            writer: Some(Writer { recorder, uids }),
            closed: AtomicBool::new(false),
        })
    }

    /// Looks at once for what is new; gives what could not be looked at. Answers lack that until it can be.
    pub fn refresh(&self) -> Vec<DiskError> {
        self.merged.refresh()
    }

    /// To be called several times a second where the log writes: makes durable what is due, closes idle sessions.
    ///
    /// # Errors
    /// [`LogError::Write`].
    pub fn tick(&self) -> Result<(), LogError> {
        match &self.writer {
            Some(writer) => Ok(writer.recorder.tick(self.merged.now())?),
            None => Ok(()),
        }
    }

    /// What every reading method does first.
    fn merged(&self) -> Result<&Merged, LogError> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(LogError::Closed);
        }
        self.merged.freshen();
        Ok(&self.merged)
    }

    /// What every writing method does first.
    fn writer(&self, method: &'static str) -> Result<&Writer, LogError> {
        match &self.writer {
            _ if self.closed.load(Ordering::Relaxed) => Err(LogError::Closed),
            Some(writer) => Ok(writer),
            None => Err(LogError::NotImplemented { method }),
        }
    }
}

impl AuditLog for DiskLog {
    /// An event that speaks for another server is refused (the seed's ValidateEvent); those of nodes come in slices.
    fn emit_audit_event(&self, event: Event<'_>, fields: &EventFields) -> Result<(), LogError> {
        let writer = self.writer("EmitAuditEvent")?;
        let (now, mut fields) = (self.merged.now(), fields.clone());
        update_event_fields(event, &mut fields, now, &(writer.uids)());
        let emitted = writer.recorder.emit(&[fields], now);
        self.merged.expire();
        Ok(emitted?)
    }

    fn post_session_slice(&self, slice: &SessionSlice) -> Result<(), LogError> {
        let writer = self.writer("PostSessionSlice")?;
        let (namespace, sid) = check_slice(slice)?;
        let mut uids = || (writer.uids)();
        let now = self.merged.now();
        let posted = writer.recorder.post_slice(slice, now, &mut uids);
        self.merged.expire();
        if slice.version == SessionSlice::V2 {
            self.merged.sessions.wrote(&namespace, &sid)?;
        }
        posted?;
        Ok(())
    }

    fn upload_session_recording(
        &self,
        recording: &mut SessionRecording<'_>,
    ) -> Result<(), LogError> {
        let writer = self.writer("UploadSessionRecording")?;
        let (namespace, sid) = (&recording.namespace, &recording.session_id);
        let recorder = &writer.recorder;
        recorder.upload(namespace, sid, &mut recording.recording)?;
        Ok(self.merged.sessions.learn(namespace, sid)?)
    }

    /// What was posted is delivered when the call returns; here it is made durable as well, whatever it takes.
    fn wait_for_delivery(&self, _patience: Duration) -> Result<(), LogError> {
        match &self.writer {
            Some(writer) => Ok(writer.recorder.sync()?),
            None => Ok(()),
        }
    }

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
        let session =
            self.merged()?
                .session(namespace, sid, &[DataKind::Chunks, DataKind::LegacyBytes])?;
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
        let merged = self.merged()?.session(namespace, sid, &kinds)?.events()?;
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
        let lines = search_events(&self.merged()?.days, &request)?.all_lines()?;
        Ok(lines.iter().map(|line| event_of_line(line)).collect())
    }

    fn search_session_events(
        &self,
        from: EventTime,
        to: EventTime,
        limit: usize,
    ) -> Result<Vec<EventFields>, LogError> {
        let request = Request::new(from, to, Query::default(), limit)?;
        let merged = self.merged()?;
        Ok(search_session_events(
            &merged.dir,
            &merged.days,
            &merged.sessions,
            &request,
            merged.now().as_ns(),
        )?)
    }

    fn close(&self) -> Result<(), LogError> {
        if self.closed.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        match &self.writer {
            Some(writer) => Ok(writer.recorder.close()?),
            None => Ok(()),
        }
    }
}
