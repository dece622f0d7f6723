//! An event line from outside: refused with a reason, or completed as the auth server completes its own events.

use crate::event::{
    Event, EventFields, EventName, EventTime, FieldsError, InvalidField, ServerId,
    update_event_fields, validate_event,
};

use super::code_of::code_of;

/// The longest line taken, newline not counted (issue 4). As Go writes it, with `<` as `\u003c`, it stays below what
/// readers take as one line.
pub const MAX_EVENT_LINE_BYTES: usize = 1 << 20;

/// Why a line is not written. Nothing of it reaches the disk.
#[derive(Debug, thiserror::Error)]
pub enum RefusedLine {
    /// Longer than [`MAX_EVENT_LINE_BYTES`]. Errno: EMSGSIZE.
    #[error("the line has {bytes} bytes; at most {MAX_EVENT_LINE_BYTES} are taken")]
    TooLong {
        /// Its length, newline not counted; at least so many, where the line was not read to its end.
        bytes: usize,
    },
    /// It holds a NUL byte. Errno: EINVAL.
    #[error("the line holds a NUL byte, at byte {offset_bytes}")]
    Nul {
        /// Where.
        offset_bytes: usize,
    },
    /// It is not one JSON object in UTF-8. Errno: EINVAL.
    #[error("the line is {0}")]
    NotAnEvent(#[from] FieldsError),
    /// It has no `event`, or an empty one, or one that is no text. Errno: EINVAL.
    #[error("the line has no field event")]
    NoEvent,
    /// `server_id` is of another server, or `namespace` is not one. Errno: EINVAL.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
    /// A print event, which only bytes appended to a stream make. Errno: EINVAL.
    #[error("the line is a print event; append the bytes to the session's stream")]
    Print,
    /// The line, or bytes after the last one, has no newline when it is closed. For the caller that holds the tail.
    /// Errno: EINVAL.
    #[error("the last line has no newline ({bytes} bytes)")]
    NoNewline {
        /// Bytes without a newline.
        bytes: usize,
    },
}

/// Reads one line, given without its newline (a carriage return at its end is white space).
///
/// # Errors
/// [`RefusedLine`] for what is not an event that `server_id` may write (the seed's ValidateEvent).
pub fn read_event_line(line: &[u8], server_id: &ServerId) -> Result<EventFields, RefusedLine> {
    if line.len() > MAX_EVENT_LINE_BYTES {
        return Err(RefusedLine::TooLong { bytes: line.len() });
    }
    if let Some(offset_bytes) = memchr::memchr(0, line) {
        return Err(RefusedLine::Nul { offset_bytes });
    }
    let fields = EventFields::from_json(line)?;
    check_event(&fields, server_id)?;
    Ok(fields)
}

/// The rules for an event that is no longer a line.
///
/// # Errors
/// [`RefusedLine::NoEvent`] and [`RefusedLine::Invalid`].
pub fn check_event(fields: &EventFields, server_id: &ServerId) -> Result<(), RefusedLine> {
    if fields.get_type().is_empty() {
        return Err(RefusedLine::NoEvent);
    }
    Ok(validate_event(fields, server_id)?)
}

/// Gives the event what it lacks (the seed's UpdateEventFields): `uid`, `time`, and `code` where it has none and the
/// seed's table has one for it.
pub fn complete_event(fields: &mut EventFields, now: EventTime, uid: &str) {
    let code = match fields.get_code() {
        "" => EventName::parse(fields.get_type()).and_then(|name| code_of(name, fields)),
        _ => None,
    };
    let event = Event {
        name: "",
        code: code.map_or("", |code| code.as_str()),
    };
    update_event_fields(event, fields, now, uid);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &[u8], refused: &str) {
        let server_id = ServerId::new("a1").unwrap();
        let read = read_event_line(line, &server_id);
        assert_eq!(
            read.map_or_else(|why| why.to_string(), |fields| fields.to_json()),
            refused
        );
    }

    #[test]
    fn a_refused_line_says_why() {
        check(
            b"{\"event\":\"a\0\"}",
            "the line holds a NUL byte, at byte 11",
        );
        check(b"[]", "the line is JSON, but not an object");
        check(b"{\"event\":7}", "the line has no field event");
        check(b"{}", "the line has no field event");
        check(
            br#"{"event":"exec","server_id":"a2"}"#,
            r#"field server_id: "a2" is not this server's id, "a1""#,
        );
        check(
            br#"{"event":"exec","namespace":"a/b"}"#,
            r#"field namespace: "a/b" is not a namespace (ASCII letters and digits only)"#,
        );
        let not_json = read_event_line(b"{\"event\":", &ServerId::new("a1").unwrap()).unwrap_err();
        assert!(
            not_json.to_string().starts_with("the line is not JSON: "),
            "{not_json}"
        );
    }

    #[test]
    fn the_longest_line_has_one_mebibyte() {
        let line = |bytes: usize| format!("{{\"event\":\"{}\"}}", "x".repeat(bytes - 12));
        let server_id = ServerId::new("a1").unwrap();
        let longest = line(MAX_EVENT_LINE_BYTES);
        assert_eq!(longest.len(), 1 << 20);
        assert!(read_event_line(longest.as_bytes(), &server_id).is_ok());
        check(
            line(MAX_EVENT_LINE_BYTES + 1).as_bytes(),
            "the line has 1048577 bytes; at most 1048576 are taken",
        );
    }

    #[test]
    fn an_event_is_completed_but_what_it_says_stays() {
        let now = EventTime::parse_rfc3339(b"2018-05-01T07:58:03.5Z").unwrap();
        let complete = |line: &str| {
            let mut fields = EventFields::from_json(line.as_bytes()).unwrap();
            complete_event(&mut fields, now, "u1");
            fields.to_json()
        };
        assert_eq!(
            complete(r#"{"event":"user.login","user":"alice","success":false}"#),
            r#"{"code":"T1000W","event":"user.login","success":false,"time":"2018-05-01T07:58:04Z","uid":"u1","user":"alice"}"#
        );
        let whole = r#"{"code":"X","event":"user.login","time":"2018-05-01T07:58:00Z","uid":"u0"}"#;
        assert_eq!(complete(whole), whole);
        assert_eq!(
            complete(r#"{"event":"ours"}"#),
            r#"{"event":"ours","time":"2018-05-01T07:58:04Z","uid":"u1"}"#
        );
    }
}
