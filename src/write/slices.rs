//! Session slices: events that the sender has numbered, of version 2 (the auth server writes the session's files) and
//! version 3 (it only notes the events; the recording follows as an archive).

use crate::event::{
    EventFields, EventIndex, EventName, EventTime, Namespace, PrintEvent, SessionChunk, SessionId,
    SessionSlice, StreamOffset, event_from_chunk,
};
use crate::format::{MAX_LINE_BYTES, print_line};

use super::daily_log::FileLog;
use super::event_line::{RefusedLine, complete_event};
use super::incarnation::Batch;
use super::position::{LastPrint, MAX_PLACE, SessionPosition};
use super::session_logger::DiskSessionLogger;
use super::write_error::WriteError;

/// Offsets stay below this, so that the end of a chunk is a number too.
const MAX_OFFSET: i64 = i64::MAX / 2;

/// What became of the chunks of a slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Posted {
    /// Written, or dropped as recording is off.
    pub written: usize,
    /// Events of an `ei` that is recorded already: the sender repeats a slice whose answer it did not get (FORMAT 3).
    pub repeated: usize,
}

/// Checks a slice before anything is done with it, and gives its namespace and session (Teleport 2.7 `auditlog.go`,
/// `PostSessionSlice`).
///
/// # Errors
/// [`WriteError::OldSlice`], [`WriteError::BadSlice`].
pub fn check_slice(slice: &SessionSlice) -> Result<(Namespace, SessionId), WriteError> {
    if slice.namespace.is_empty() {
        return Err(WriteError::BadSlice(
            "missing parameter Namespace".to_owned(),
        ));
    }
    if slice.chunks.is_empty() {
        return Err(WriteError::BadSlice("missing session chunks".to_owned()));
    }
    if slice.version < SessionSlice::V2 {
        return Err(WriteError::OldSlice {
            version: slice.version,
        });
    }
    let bad = |error: crate::event::IdError| WriteError::BadSlice(error.to_string());
    let namespace = Namespace::new(&slice.namespace).map_err(bad)?;
    let sid = SessionId::new(&slice.session_id).map_err(bad)?;
    Ok((namespace, sid))
}

/// Takes a checked slice as an auth server does: all of it into the session's files if it is of version 2 (then `session`
/// is needed), and its events other than print events into the daily log in either version. `make_uid` gives a fresh uid
/// for each event that has none.
///
/// # Errors
/// Nothing is acknowledged. The sender repeats the slice: what was written of it is not written again into the session's
/// files, but is into the daily log, where an event too many is better than one too few.
pub fn post_session_slice(
    slice: &SessionSlice,
    log: &mut FileLog,
    session: Option<&mut DiskSessionLogger>,
    now: EventTime,
    make_uid: &mut dyn FnMut() -> String,
) -> Result<Posted, WriteError> {
    post_slice_to(slice, session, now, make_uid, &mut |events| {
        log.append_from_nodes(events, now)
    })
}

/// The same, with the daily log as a function: it is needed only at the end.
pub(super) fn post_slice_to(
    slice: &SessionSlice,
    session: Option<&mut DiskSessionLogger>,
    now: EventTime,
    make_uid: &mut dyn FnMut() -> String,
    emit: &mut dyn FnMut(&[EventFields]) -> Result<(), WriteError>,
) -> Result<Posted, WriteError> {
    let (_, sid) = check_slice(slice)?;
    let mut events = Vec::new();
    for chunk in slice.chunks.iter().filter(|chunk| !chunk.is_print()) {
        let mut fields = event_from_chunk(&sid, chunk)?;
        complete_event(&mut fields, now, &make_uid());
        events.push(fields);
    }
    let posted = match (slice.version, session) {
        (SessionSlice::V2, Some(logger)) => logger.post_chunks(&slice.chunks, now, make_uid)?,
        (SessionSlice::V2, None) => {
            return Err(WriteError::BadSlice(
                "no session logger was given".to_owned(),
            ));
        }
        _ => Posted {
            written: slice.chunks.len(),
            repeated: 0,
        },
    };
    emit(&events)?;
    Ok(posted)
}

impl DiskSessionLogger {
    /// Where the session goes on, after a failure also by what its files say now: for a sender that numbers its events.
    ///
    /// # Errors
    /// [`WriteError::Io`].
    pub fn certain_position(&mut self) -> Result<SessionPosition, WriteError> {
        self.be_sure()?;
        Ok(self.position)
    }

    /// Writes chunks with the numbers that their sender gave them (the seed's PostSessionSlice of a session logger, any
    /// version): where they do not follow what is recorded, new files begin. One gzip mark ends the slice.
    ///
    /// # Errors
    /// [`WriteError::BadSlice`] and [`WriteError::BadChunk`] for chunks that cannot be recorded, before anything is
    /// written; else as [`DiskSessionLogger::post_print`].
    pub fn post_chunks(
        &mut self,
        chunks: &[SessionChunk],
        now: EventTime,
        make_uid: &mut dyn FnMut() -> String,
    ) -> Result<Posted, WriteError> {
        let mut lines = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            check_numbers(chunk)?;
            lines.push(self.line_of(chunk, now, make_uid)?);
        }
        let mut posted = Posted::default();
        self.be_sure()?;
        let next_ei = self.position.next_ei.0;
        if chunks.iter().all(|chunk| chunk.event_index < next_ei) {
            posted.repeated = chunks.len();
            return Ok(posted);
        }
        self.ready(0)?;
        let mut batch = Batch::default();
        // Where the session ends once the batch is written.
        let mut end = self.position;
        for (chunk, line) in chunks.iter().zip(lines) {
            if chunk.event_index < end.next_ei.0 {
                posted.repeated += 1;
                continue;
            }
            let recorded_print = chunk.is_print() && self.options.record_sessions;
            let offset = StreamOffset(chunk.offset_bytes as u64);
            if recorded_print && offset < end.next_offset {
                let (ei, at) = (chunk.event_index, end.next_offset.0);
                let why = format!(
                    "chunk with ei {ei}: offset {} lies before {at}, where the recorded stream ends",
                    offset.0
                );
                return Err(WriteError::BadSlice(why));
            }
            let new_events = chunk.event_index != end.next_ei.0;
            let new_chunks =
                recorded_print && (offset != end.next_offset || chunk.chunk_index != end.next_ci);
            if new_events || new_chunks {
                self.write_batch(&mut batch, end, now)?;
                self.break_off(new_events, new_chunks)?;
            }
            posted.written += 1;
            end.next_ei = EventIndex(chunk.event_index + 1);
            if chunk.is_print() && !recorded_print {
                continue;
            }
            if batch.lines.is_empty() {
                batch.first_ei = chunk.event_index as u64;
            }
            batch.lines.extend_from_slice(&line);
            if recorded_print {
                if batch.bytes.is_empty() {
                    batch.first_offset = offset.0;
                }
                batch.bytes.extend_from_slice(&chunk.data);
                end.next_ci = chunk.chunk_index + 1;
                end.next_offset = StreamOffset(offset.0 + chunk.data.len() as u64);
                end.last_print = Some(LastPrint {
                    time: chunk.time(),
                    delay_ms: chunk.delay_ms,
                });
            }
        }
        self.write_batch(&mut batch, end, now)?;
        if chunks
            .iter()
            .any(|chunk| chunk.event_type == EventName::SessionEnd.as_str())
        {
            self.end();
        }
        Ok(posted)
    }

    /// Writes the batch, after which the session ends at `end`.
    fn write_batch(
        &mut self,
        batch: &mut Batch,
        end: SessionPosition,
        now: EventTime,
    ) -> Result<(), WriteError> {
        let batch = std::mem::take(batch);
        if !batch.lines.is_empty() {
            self.write(batch, now)?;
        }
        self.position = end;
        Ok(())
    }

    fn line_of(
        &self,
        chunk: &SessionChunk,
        now: EventTime,
        make_uid: &mut dyn FnMut() -> String,
    ) -> Result<Vec<u8>, WriteError> {
        let mut line = Vec::new();
        if chunk.is_print() {
            print_line(&PrintEvent::from(chunk), &mut line);
        } else {
            let mut fields: EventFields = event_from_chunk(&self.options.sid, chunk)?;
            complete_event(&mut fields, now, &make_uid());
            line.extend_from_slice(fields.to_json().as_bytes());
            line.push(b'\n');
        }
        if line.len() > MAX_LINE_BYTES + 1 {
            let bytes = line.len() - 1;
            return Err(RefusedLine::TooLong { bytes }.into());
        }
        Ok(line)
    }
}

/// Numbers that name no place cannot be recorded.
fn check_numbers(chunk: &SessionChunk) -> Result<(), WriteError> {
    let is_place = |number: i64| (0..MAX_PLACE).contains(&number);
    let print_has_place =
        is_place(chunk.chunk_index) && (0..MAX_OFFSET).contains(&chunk.offset_bytes);
    if !is_place(chunk.event_index) || chunk.is_print() && !print_has_place {
        let why = format!(
            "chunk with ei {}: a number is negative or too large",
            chunk.event_index
        );
        return Err(WriteError::BadSlice(why));
    }
    Ok(())
}

#[cfg(test)]
#[path = "slices_tests.rs"]
mod tests;
