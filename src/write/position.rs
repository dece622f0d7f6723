//! Where a session goes on: the next `ei`, `ci` and offset, and what the next `ms` counts from.

use crate::event::{EventIndex, EventName, EventTime, PrintEvent, StreamOffset};
use crate::format::{SessionLine, read_session_line};

/// The end of what is recorded of a session, by all servers that have a part of it. The default is the beginning of a
/// session. Bytes of the stream count where a print event covers them, not where a chunks file holds them: a server may
/// have died between the two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionPosition {
    /// The `ei` of the next event.
    pub next_ei: EventIndex,
    /// The `ci` of the next print event.
    pub next_ci: i64,
    /// The offset of the next byte.
    pub next_offset: StreamOffset,
    /// The print event before, if there is one.
    pub last_print: Option<LastPrint>,
    /// session.end was seen, or a `.completed` file.
    pub ended: bool,
}

/// What the `ms` of a print event counts from (FORMAT 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastPrint {
    /// Its `time`.
    pub time: EventTime,
    /// Its `ms`: milliseconds since the first print event of the session.
    pub delay_ms: i64,
}

/// From here on `ei` and `ci` are not places: session.upload and session.data have such.
pub(super) const MAX_PLACE: i64 = 1 << 30;

impl SessionPosition {
    /// Goes past one line of an events file. Lines may come in any order, and twice.
    pub fn pass(&mut self, line: &SessionLine<'_>) {
        let ei = line
            .ei
            .map(|EventIndex(ei)| ei)
            .filter(|ei| (0..MAX_PLACE).contains(ei));
        if let Some(ei) = ei {
            self.next_ei = self.next_ei.max(EventIndex(ei + 1));
        }
        if line.event == EventName::SessionEnd.as_str().as_bytes() {
            self.ended = true;
        }
        let Some(print) = line.print else {
            return;
        };
        if let Some(ci) = print.ci.filter(|ci| (0..MAX_PLACE).contains(ci)) {
            self.next_ci = self.next_ci.max(ci + 1);
        }
        let end = StreamOffset(
            print
                .offset
                .unwrap_or_default()
                .0
                .saturating_add(print.bytes.unwrap_or(0)),
        );
        if end >= self.next_offset {
            self.next_offset = end;
            self.last_print = line.time.map(|time| LastPrint {
                time,
                delay_ms: print.ms.unwrap_or(0),
            });
        }
    }

    /// Goes past one line of a merged session, given without its newline; what is no event is passed over.
    pub fn pass_line(&mut self, line: &[u8]) {
        if let Some(line) = read_session_line(line) {
            self.pass(&line);
        }
    }

    /// The later of both in everything.
    pub fn join(&mut self, other: &SessionPosition) {
        if other.next_offset > self.next_offset || self.last_print.is_none() {
            self.last_print = other.last_print;
        }
        self.next_ei = self.next_ei.max(other.next_ei);
        self.next_ci = self.next_ci.max(other.next_ci);
        self.next_offset = self.next_offset.max(other.next_offset);
        self.ended |= other.ended;
    }

    /// Is there a number for every part of one more event?
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.next_ei.0 < MAX_PLACE
            && self.next_ci < MAX_PLACE
            && i64::try_from(self.next_offset.0.saturating_add(bytes as u64)).is_ok()
    }

    /// The print event of the next `bytes` bytes, numbered as real senders do (Teleport 2.6 `forward.go`, `setupSlice`):
    /// `ms` is the one before plus the time since, where that is positive.
    pub fn print_line(&self, bytes: usize, now: EventTime) -> PrintEvent {
        let time = now.round_to_ms();
        let ms = self.last_print.map_or(0, |last| {
            let step_ns = time.as_ns().saturating_sub(last.time.as_ns());
            last.delay_ms.saturating_add((step_ns / 1_000_000).max(0))
        });
        PrintEvent {
            time,
            bytes: bytes as u64,
            delay_ms: ms,
            // NOTE: `has_room` refuses what does not fit.
            offset_bytes: i64::try_from(self.next_offset.0).unwrap_or(i64::MAX),
            event_index: self.next_ei,
            chunk_index: self.next_ci,
        }
    }

    /// Goes past a print event.
    pub(super) fn pass_print(&mut self, print: &PrintEvent) {
        self.next_ei = EventIndex(print.event_index.0.saturating_add(1));
        self.next_ci = print.chunk_index.saturating_add(1);
        self.next_offset = StreamOffset(self.next_offset.0.saturating_add(print.bytes));
        self.last_print = Some(LastPrint {
            time: print.time,
            delay_ms: print.delay_ms,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(lines: &[&str]) -> SessionPosition {
        let mut position = SessionPosition::default();
        for line in lines {
            position.pass(&read_session_line(line.as_bytes()).unwrap());
        }
        position
    }

    const PRINT: &str = r#"{"time":"2018-05-01T07:58:03.5Z","event":"print","bytes":40,"ms":100,"offset":0,"ei":2,"ci":0}"#;

    #[test]
    fn the_next_print_counts_on_from_the_last_of_any_server() {
        let position = after(&[PRINT, r#"{"ei":0,"event":"session.start"}"#]);
        let now = EventTime::parse_rfc3339(b"2018-05-01T07:58:04.2134Z").unwrap();
        let print = position.print_line(15, now);
        assert_eq!(
            (print.event_index, print.chunk_index, print.offset_bytes),
            (EventIndex(3), 1, 40)
        );
        assert_eq!((print.delay_ms, print.bytes), (813, 15));
        let earlier = EventTime::parse_rfc3339(b"2018-05-01T07:58:00Z").unwrap();
        assert_eq!(position.print_line(15, earlier).delay_ms, 100);
    }

    #[test]
    fn the_first_print_is_at_zero() {
        let print = SessionPosition::default().print_line(5, EventTime::from_ns(1_500_000));
        assert_eq!(
            (print.event_index, print.chunk_index, print.delay_ms),
            (EventIndex(0), 0, 0)
        );
        assert_eq!(print.time.as_ns(), 2_000_000);
    }

    #[test]
    fn events_without_a_place_are_passed_over() {
        let position = after(&[
            PRINT,
            r#"{"ei":2147483647,"event":"session.upload"}"#,
            r#"{"ei":-4,"event":"exec"}"#,
            r#"{"ei":9223372036854775807,"event":"print","bytes":18446744073709551615,"offset":1,"ci":9223372036854775807}"#,
        ]);
        assert_eq!((position.next_ei, position.next_ci), (EventIndex(3), 1));
        assert!(!position.has_room(1));
    }

    #[test]
    fn joined_positions_are_the_later_ones() {
        let mut one = after(&[PRINT]);
        let end = after(&[r#"{"ei":7,"event":"session.end"}"#]);
        one.join(&end);
        assert_eq!(
            (one.next_ei, one.next_offset, one.ended),
            (EventIndex(8), StreamOffset(40), true)
        );
        assert_eq!(one.last_print.map(|last| last.delay_ms), Some(100));
    }
}
