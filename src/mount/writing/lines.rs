//! Writes become whole lines: the end of a line may come in a later write than its beginning.
//!
//! jq, awk and perl send blocks of 4 or 8 KiB that cut lines (DESIGN 6). What a handle has of an unfinished line waits
//! here; nothing of it reaches the disk before its newline comes.

use crate::event::{EventFields, ServerId};
use crate::write::{MAX_EVENT_LINE_BYTES, RefusedLine, read_event_line};

use super::refused::Refused;

/// The unfinished line of a handle.
#[derive(Clone, Debug, Default)]
pub struct Tail {
    bytes: Vec<u8>,
    before: Before,
}

/// What came before the bytes of a [`Tail`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Before {
    /// A whole line, or nothing.
    #[default]
    LineEnd,
    /// A write that was refused and ended within a line. Its writer was told, but may go on with the rest of that line:
    /// that rest must not take the good lines behind it along.
    RefusedCut,
}

/// What a write holds, with the tail before it.
#[derive(Debug)]
pub struct Cut {
    /// The whole lines, read, and for each the number of bytes of this write up to its end.
    pub lines: Vec<(EventFields, usize)>,
    /// Bytes at the beginning that were passed over: the rest of a refused line.
    pub skipped_bytes: usize,
    /// The tail when all lines are taken.
    pub rest: Tail,
}

impl Tail {
    /// Bytes without a newline.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Nothing is unfinished, nothing was refused.
    pub fn is_fresh(&self) -> bool {
        self.bytes.is_empty() && self.before == Before::LineEnd
    }

    /// The bytes, and whether they come behind a write that was refused within a line.
    pub fn parts(&self) -> (&[u8], bool) {
        (&self.bytes, self.before == Before::RefusedCut)
    }

    /// The tail that has these [parts](Tail::parts).
    pub fn from_parts(bytes: Vec<u8>, refused: bool) -> Self {
        let before = match refused {
            true => Before::RefusedCut,
            false => Before::LineEnd,
        };
        Tail { bytes, before }
    }

    /// Lets the unfinished line go. `data` was refused with it.
    pub fn refuse(&mut self, data: &[u8]) {
        let whole = data.last().is_none_or(|byte| *byte == b'\n');
        *self = Tail {
            bytes: Vec::new(),
            before: if whole {
                Before::LineEnd
            } else {
                Before::RefusedCut
            },
        };
    }

    /// What becomes of `data`. Nothing is changed by it.
    ///
    /// # Errors
    /// The first line that is no event of `server_id`.
    pub fn cut(&self, data: &[u8], server_id: &ServerId) -> Result<Cut, Refused> {
        let mut cut = Cut {
            lines: Vec::new(),
            skipped_bytes: 0,
            rest: Tail::default(),
        };
        let mut from = 0;
        for (at, end) in memchr::memchr_iter(b'\n', data).enumerate() {
            let part = data.get(from..end).unwrap_or_default();
            from = end + 1;
            let read = match at {
                0 if !self.bytes.is_empty() => {
                    read_event_line(&[self.bytes.as_slice(), part].concat(), server_id)
                }
                _ => read_event_line(part, server_id),
            };
            match read {
                Ok(fields) => cut.lines.push((fields, from)),
                Err(RefusedLine::NotAnEvent(_)) if at == 0 && self.before == Before::RefusedCut => {
                    cut.skipped_bytes = from;
                }
                Err(why) => return Err(Refused::Line { line: at + 1, why }),
            }
        }
        let rest = data.get(from..).unwrap_or_default();
        if from == 0 {
            cut.rest = self.clone();
        }
        let bytes = cut.rest.len() + rest.len();
        if bytes > MAX_EVENT_LINE_BYTES {
            let line = cut.lines.len() + 1;
            let why = RefusedLine::TooLong { bytes };
            return Err(Refused::Line { line, why });
        }
        cut.rest.bytes.extend_from_slice(rest);
        Ok(cut)
    }

    /// [`RefusedLine::NoNewline`] if a line is unfinished.
    pub fn is_finished(&self) -> Result<(), Refused> {
        match self.len() {
            0 => Ok(()),
            bytes => Err(Refused::Line {
                line: 1,
                why: RefusedLine::NoNewline { bytes },
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of writes: for each the names of its events, or why it is refused; at the end what waits.
    #[track_caller]
    fn check(writes: &[&str], expected: &[&str]) {
        let server_id = ServerId::new("a1").unwrap();
        let mut tail = Tail::default();
        let mut said: Vec<String> = Vec::new();
        for data in writes {
            match tail.cut(data.as_bytes(), &server_id) {
                Ok(cut) => {
                    let names = cut.lines.iter().map(|(fields, _)| fields.get_type());
                    said.push(names.collect::<Vec<_>>().join(" "));
                    tail = cut.rest;
                }
                Err(error) => {
                    said.push(error.to_string());
                    tail.refuse(data.as_bytes());
                }
            }
        }
        if tail.len() > 0 {
            said.push(format!("{} bytes wait", tail.len()));
        }
        assert_eq!(said, expected);
    }

    const A: &str = "{\"event\":\"a\"}\n";

    #[test]
    fn lines_come_whole_or_in_pieces() {
        check(&[A, &A.repeat(3)], &["a", "a a a"]);
        check(
            &["{\"ev", "ent\":\"a\"}", "\n{"],
            &["", "", "a", "1 bytes wait"],
        );
        check(&["{\"event\":\"a\"}\r\n"], &["a"]);
    }

    #[test]
    fn a_write_with_a_bad_line_is_refused_whole() {
        let bad = "line 2: the line has no field event";
        check(&[&format!("{A}{{}}\n{A}"), A], &[bad, "a"]);
        check(
            &["\n"],
            &["line 1: the line is not JSON: EOF while parsing a value at line 1 column 0"],
        );
    }

    #[test]
    fn the_rest_of_a_refused_line_takes_nothing_along() {
        let bad = "line 1: the line has no field event";
        check(
            &["{}\n{\"event\":", &format!("\"b\"}}\n{A}"), A],
            &[bad, "a", "a"],
        );
        // Its writer took the error for what it was and goes on with a whole line.
        check(&["{}\n{\"event\":", A], &[bad, "a"]);
    }

    #[test]
    fn an_unfinished_line_is_bounded() {
        let half = "x".repeat(MAX_EVENT_LINE_BYTES / 2 + 1);
        let long = format!(
            "line 1: the line has {} bytes; at most 1048576 are taken",
            half.len() * 2
        );
        check(&[&half, &half, "x\n", A], &["", &long, "", "a"]);
    }
}
