//! One JSON line as Go's `json.Marshal` writes it, without a JSON library: two million of them take seconds.

use crate::event::EventTime;

/// A JSON object being added to a buffer.
///
/// The caller gives the keys in the order in which they shall stand (FORMAT 2: a daily log has them sorted bytewise)
/// and texts already escaped as Go escapes them.
pub(super) struct Line<'a> {
    out: &'a mut Vec<u8>,
    separator: u8,
}

impl<'a> Line<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Line {
            out,
            separator: b'{',
        }
    }

    fn key(&mut self, key: &str) {
        self.out.push(self.separator);
        self.separator = b',';
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    pub(super) fn text(mut self, key: &str, escaped: &str) -> Self {
        self.key(key);
        self.out.push(b'"');
        self.out.extend_from_slice(escaped.as_bytes());
        self.out.push(b'"');
        self
    }

    /// A text that `write` adds, already escaped.
    pub(super) fn text_with(mut self, key: &str, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        self.key(key);
        self.out.push(b'"');
        write(self.out);
        self.out.push(b'"');
        self
    }

    pub(super) fn number(mut self, key: &str, number: u64) -> Self {
        self.key(key);
        push_number(self.out, number);
        self
    }

    /// Any JSON value.
    pub(super) fn json(mut self, key: &str, json: &str) -> Self {
        self.key(key);
        self.out.extend_from_slice(json.as_bytes());
        self
    }

    /// A time in milliseconds since 1970.
    pub(super) fn time(self, time_ms: u64) -> Self {
        let text = event_time(time_ms).to_rfc3339();
        self.text("time", &text)
    }

    /// Ends the object and the line.
    pub(super) fn end(self) {
        self.out.extend_from_slice(b"}\n");
    }
}

/// The time `time_ms` milliseconds after the beginning of 1970.
pub(super) fn event_time(time_ms: u64) -> EventTime {
    EventTime::from_ns((time_ms * 1_000_000) as i64)
}

/// Adds `number` in decimal.
pub(super) fn push_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_go_writes() {
        let mut out = Vec::new();
        Line::new(&mut out)
            .text("a", "x \\u003e y")
            .number("n", u64::MAX)
            .time(1_525_161_483_500)
            .text_with("u", |out| push_number(out, 0))
            .end();
        let expected = r#"{"a":"x \u003e y","n":18446744073709551615,"time":"2018-05-01T07:58:03.5Z","u":"0"}"#;
        assert_eq!(String::from_utf8(out).unwrap(), format!("{expected}\n"));
    }
}
