//! Reads one line of a session's events file for its place in the session, and writes the line of a print event.
//!
//! The lines themselves are passed on byte for byte; what is read here only says where they belong: by `ei` among the
//! events, and for a print event which bytes of the stream it covers (FORMAT 3).

use std::io::Write;

use crate::event::{EventIndex, EventTime, PrintEvent, StreamOffset};

use super::daily::time_of_value;
use super::scan::scan_object;

/// What a line of an events file, or of a `.session.log`, says about its place. A member that is absent or of a wrong
/// type is `None`; of repeated members the last counts, as in Go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLine<'a> {
    /// `ei`. Absent from print events of migrated sessions (FORMAT 1).
    pub ei: Option<EventIndex>,
    /// `time`.
    pub time: Option<EventTime>,
    /// `event` as it is spelled in the line, without its quotes, escapes unresolved; empty where it is no text.
    pub event: &'a [u8],
    /// The numbers of a print event; `None` for every other event.
    pub print: Option<PrintFields>,
}

/// The numbers of a print event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrintFields {
    /// `offset`: where its bytes begin in the stream.
    pub offset: Option<StreamOffset>,
    /// `bytes`: how many they are.
    pub bytes: Option<u64>,
    /// `ci`, the chunk index.
    pub ci: Option<i64>,
    /// `ms`: milliseconds since the first print event of the session, not since the last event (FORMAT 3).
    pub ms: Option<i64>,
}

/// Reads `line`, given without its newline; `None` if it is not one JSON object. Allocates nothing.
pub fn read_session_line(line: &[u8]) -> Option<SessionLine<'_>> {
    let (mut ei, mut time, mut event): (&[u8], &[u8], &[u8]) = (b"", b"", b"");
    let (mut offset, mut bytes, mut ci, mut ms): (&[u8], &[u8], &[u8], &[u8]) =
        (b"", b"", b"", b"");
    let is_object = scan_object(line, |key, value| match key {
        b"ei" => ei = value,
        b"time" => time = value,
        b"event" => event = value,
        b"offset" => offset = value,
        b"bytes" => bytes = value,
        b"ci" => ci = value,
        b"ms" => ms = value,
        _ => (),
    });
    if !is_object {
        return None;
    }
    let print = || PrintFields {
        offset: unsigned(offset).map(StreamOffset),
        bytes: unsigned(bytes),
        ci: signed(ci),
        ms: signed(ms),
    };
    Some(SessionLine {
        ei: signed(ei).map(EventIndex),
        time: time_of_value(time),
        event: event
            .strip_prefix(b"\"")
            .and_then(|text| text.strip_suffix(b"\""))
            .unwrap_or_default(),
        print: (event == br#""print""#).then(print),
    })
}

fn signed(value: &[u8]) -> Option<i64> {
    integer(value)?.try_into().ok()
}

fn unsigned(value: &[u8]) -> Option<u64> {
    integer(value)?.try_into().ok()
}

/// The integer that a raw JSON value is, `3.0` and `3e2` included (Go decodes every number as a float). `None` for another
/// type, a fraction, or a number too large to be exact.
fn integer(value: &[u8]) -> Option<i128> {
    let (negative, digits) = match value {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if !digits.first()?.is_ascii_digit() {
        return None;
    }
    // Twenty digits hold every u64, and their value fits.
    let mut number: i128 = 0;
    for &byte in digits {
        if !byte.is_ascii_digit() || digits.len() > 20 {
            return integral_float(value);
        }
        number = number * 10 + i128::from(byte - b'0');
    }
    Some(if negative { -number } else { number })
}

#[cold]
fn integral_float(value: &[u8]) -> Option<i128> {
    const EXACT_BELOW: f64 = (1_u64 << 53) as f64;
    let number: f64 = std::str::from_utf8(value).ok()?.parse().ok()?;
    (number.fract() == 0.0 && number.abs() < EXACT_BELOW).then_some(number as i128)
}

/// Appends the line of a print event, newline included, as Teleport writes it: `time`, `event`, `bytes`, `ms`, `offset`,
/// `ei`, `ci` in this order, no `sid` (FORMAT 3). [`read_session_line`] reads it back.
pub fn print_line(print: &PrintEvent, out: &mut Vec<u8>) {
    let PrintEvent {
        time,
        bytes,
        delay_ms,
        offset_bytes,
        event_index: EventIndex(ei),
        chunk_index,
    } = print;
    let line = writeln!(
        out,
        r#"{{"time":"{time}","event":"print","bytes":{bytes},"ms":{delay_ms},"offset":{offset_bytes},"ei":{ei},"ci":{chunk_index}}}"#
    );
    debug_assert!(line.is_ok(), "a Vec takes every byte");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    fn check(line: &str, ei: Option<i64>, event: &str, time: &str) -> Option<PrintFields> {
        let line = read_session_line(line.as_bytes()).unwrap();
        assert_eq!(line.ei, ei.map(EventIndex));
        assert_eq!(line.event, event.as_bytes());
        assert_eq!(
            line.time.map(EventTime::to_rfc3339).unwrap_or_default(),
            time
        );
        line.print
    }

    #[test]
    fn a_print_event_says_what_it_covers() {
        let line = r#"{"time":"2018-05-03T00:33:39.944Z","event":"print","bytes":247,"ms":582,"offset":40,"ei":2,"ci":1}"#;
        let print = check(line, Some(2), "print", "2018-05-03T00:33:39.944Z").unwrap();
        assert_eq!(
            print,
            PrintFields {
                offset: Some(StreamOffset(40)),
                bytes: Some(247),
                ci: Some(1),
                ms: Some(582)
            }
        );
    }

    #[test]
    fn a_print_event_of_a_migrated_session_has_no_place() {
        let print = check(
            r#"{"event":"print","time":"2018-01-01T00:00:00Z","bytes":4}"#,
            None,
            "print",
            "2018-01-01T00:00:00Z",
        );
        assert_eq!(
            print,
            Some(PrintFields {
                bytes: Some(4),
                ..PrintFields::default()
            })
        );
    }

    #[test]
    fn other_events_have_no_print_fields() {
        let line = r#"{"ei":2147483647,"event":"session.upload","time":"0001-01-01T00:00:00Z","offset":1,"bytes":2}"#;
        assert_eq!(
            check(
                line,
                Some(2_147_483_647),
                "session.upload",
                "0001-01-01T00:00:00Z"
            ),
            None
        );
        assert_eq!(
            check(r#"{"event":{"event":"print"},"ei":-1}"#, Some(-1), "", ""),
            None
        );
        assert_eq!(check("{}", None, "", ""), None);
    }

    #[test]
    fn integers_are_read_in_every_spelling_and_nothing_else_is() {
        for (value, ei) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("-7", Some(-7)),
            ("3.0", Some(3)),
            ("2.147483647e9", Some(2_147_483_647)),
            ("-3e2", Some(-300)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("99999999999999999999999999999999999999999999", None),
            ("3.5", None),
            ("1e300", None),
            ("1e999", None),
            ("\"3\"", None),
            ("null", None),
            ("true", None),
            ("[3]", None),
        ] {
            check(&format!("{{\"ei\":{value}}}"), ei, "", "");
        }
    }

    #[test]
    fn offsets_are_never_negative_and_use_all_64_bits() {
        let print = |offset: &str| {
            check(
                &format!("{{\"event\":\"print\",\"offset\":{offset}}}"),
                None,
                "print",
                "",
            )
            .unwrap()
            .offset
        };
        assert_eq!(print("-1"), None);
        assert_eq!(print("18446744073709551615"), Some(StreamOffset(u64::MAX)));
        assert_eq!(print("18446744073709551616"), None);
    }

    #[test]
    fn what_is_no_object_is_no_line() {
        for line in ["", "3", "[]", "{\"ei\":3", "{\"ei\":3}{\"ei\":4}", "\0\0"] {
            assert_eq!(read_session_line(line.as_bytes()), None);
        }
    }

    #[test]
    fn a_print_line_is_written_as_teleport_does() {
        let time = EventTime::parse_rfc3339(b"2018-05-01T10:43:49.68Z").unwrap();
        let print = PrintEvent {
            time,
            bytes: 7,
            delay_ms: 8611,
            offset_bytes: 1272,
            event_index: EventIndex(17),
            chunk_index: 15,
        };
        let mut out = Vec::new();
        print_line(&print, &mut out);
        let line = r#"{"time":"2018-05-01T10:43:49.68Z","event":"print","bytes":7,"ms":8611,"offset":1272,"ei":17,"ci":15}"#;
        assert_eq!(std::str::from_utf8(&out).unwrap(), format!("{line}\n"));
    }

    proptest! {
        #[test]
        fn a_print_line_reads_back(ns in any::<i64>(), bytes in any::<u64>(), ms in any::<i64>(), offset in 0..=i64::MAX, ei in any::<i64>(), ci in any::<i64>()) {
            let print = PrintEvent { time: EventTime::from_ns(ns), bytes, delay_ms: ms, offset_bytes: offset, event_index: EventIndex(ei), chunk_index: ci };
            let mut out = Vec::new();
            print_line(&print, &mut out);
            let fields = PrintFields { offset: Some(StreamOffset(offset as u64)), bytes: Some(bytes), ci: Some(ci), ms: Some(ms) };
            let read = SessionLine { ei: Some(EventIndex(ei)), time: Some(print.time), event: b"print", print: Some(fields) };
            prop_assert_eq!(read_session_line(out.strip_suffix(b"\n").unwrap()), Some(read));
        }
    }
}
