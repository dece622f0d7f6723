//! Taking lines: whole ones go to the log or the session, what is unfinished waits, a write with a bad line is refused.

use crate::event::{EventName, EventTime};
use crate::write::{Recorder, RefusedLine, WriteError, complete_event};

use super::lines::{Cut, Tail};
use super::refused::Refused;
use super::target::Target;
use super::uid::new_uid;

/// All whole lines, or none. Of a session, where each line is a write of its own, the first ones if the disk fails then.
pub fn take_lines(
    recorder: &Recorder,
    target: &Target,
    tail: &mut Tail,
    data: &[u8],
    now: EventTime,
) -> Result<usize, Refused> {
    let cut = tail.cut(data, recorder.server_id());
    let cut = cut.and_then(|cut| check_session_lines(recorder, target, cut, now));
    let cut = cut.inspect_err(|_| tail.refuse(data))?;
    let mut taken = 0;
    match target {
        Target::SessionEvents(ns, sid) => {
            for (fields, end) in cut.lines {
                match recorder.post_event(ns, sid, fields, now, &new_uid()) {
                    Ok(_) => taken = end,
                    Err(error) if taken == 0 => return Err(error.into()),
                    Err(error) => {
                        tracing::error!(%sid, %error, "a write was cut short");
                        *tail = Default::default();
                        return Ok(taken);
                    }
                }
            }
        }
        _ => {
            let mut events = Vec::with_capacity(cut.lines.len());
            for (mut fields, _) in cut.lines {
                complete_event(&mut fields, now, &new_uid());
                events.push(fields);
            }
            recorder.emit(&events, now)?;
        }
    }
    if cut.skipped_bytes > 0 {
        tracing::warn!(
            path = target.path(),
            bytes = cut.skipped_bytes,
            "passed over the rest of a line whose beginning was refused"
        );
    }
    *tail = cut.rest;
    Ok(data.len())
}

/// What a session would refuse in the middle of a write is refused before its first line is written.
fn check_session_lines(
    recorder: &Recorder,
    target: &Target,
    cut: Cut,
    now: EventTime,
) -> Result<Cut, Refused> {
    let Target::SessionEvents(ns, sid) = target else {
        return Ok(cut);
    };
    if !cut.lines.is_empty() && recorder.is_ended(ns, sid, now)? {
        return Err(WriteError::SessionEnded { sid: sid.clone() }.into());
    }
    let mut ended = false;
    for (at, (fields, _)) in cut.lines.iter().enumerate() {
        if ended {
            return Err(WriteError::SessionEnded { sid: sid.clone() }.into());
        }
        let is = |name: EventName| fields.get_type() == name.as_str();
        if is(EventName::Print) {
            let (line, why) = (at + 1, RefusedLine::Print);
            return Err(Refused::Line { line, why });
        }
        ended = is(EventName::SessionEnd);
    }
    Ok(cut)
}
