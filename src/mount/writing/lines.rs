//! Writes become whole lines: the end of a line may come in a later write than its beginning.
//!
//! jq, awk and perl send blocks of 4 or 8 KiB that cut lines (DESIGN 6). What a handle has of an unfinished line waits
//! here; nothing of it reaches the disk before its newline comes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_64;

use crate::event::{EventFields, ServerId};
use crate::write::{MAX_EVENT_LINE_BYTES, RefusedLine, read_event_line};

use super::refused::Refused;

/// The unfinished line of a handle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    bytes: Vec<u8>,
    /// The bytes may be the rest of a line that was refused.
    may_skip: bool,
    refused: Option<RefusedWrite>,
}

/// A write was refused behind the bytes of a [`Tail`], which are let go with it.
///
/// Two traps. A write(2) of several requests, of which a later one is refused, returns the bytes taken so far and no error;
/// its writer comes again with the rest, and must be refused again, for the same reason. And a writer that was told, but
/// goes on with the rest of its line, must not lose the good lines behind that rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RefusedWrite {
    /// Hash of what was refused.
    hash: u64,
    /// It ended within a line.
    cut: bool,
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
    /// Bytes without a newline that may still become a line.
    pub fn len(&self) -> usize {
        match self.refused {
            None => self.bytes.len(),
            Some(_) => 0,
        }
    }

    /// For the next worker; `None` where there is nothing to say.
    pub fn to_note(&self) -> Option<Value> {
        let refused = self.refused.map(|refused| (refused.hash, refused.cut));
        let note = json!({
            "bytes": STANDARD.encode(&self.bytes),
            "may_skip": self.may_skip,
            "refused": refused,
        });
        (*self != Tail::default()).then_some(note)
    }

    /// From what the worker before noted.
    pub fn from_note(note: &Value) -> Option<Self> {
        let refused = note.get("refused")?;
        let refused = refused.get(0).zip(refused.get(1));
        Some(Tail {
            bytes: STANDARD.decode(note.get("bytes")?.as_str()?).ok()?,
            may_skip: note.get("may_skip")?.as_bool()?,
            refused: refused.and_then(|(hash, cut)| {
                let (hash, cut) = (hash.as_u64()?, cut.as_bool()?);
                Some(RefusedWrite { hash, cut })
            }),
        })
    }

    /// `data` was refused, and the unfinished line with it.
    pub fn refuse(&mut self, data: &[u8]) {
        let hash = xxh3_64(data);
        if self.refused.is_none_or(|before| before.hash != hash) {
            if self.refused.is_some() {
                self.bytes.clear();
            }
            let cut = data.last().is_some_and(|byte| *byte != b'\n');
            self.refused = Some(RefusedWrite { hash, cut });
        }
    }

    /// What stands before `data`: the unfinished line, also when this very `data` was refused behind it; and whether `data`
    /// may begin with the rest of a refused line.
    fn before(&self, data: &[u8]) -> (&[u8], bool) {
        match self.refused {
            None => (&self.bytes, self.may_skip),
            Some(refused) if refused.hash == xxh3_64(data) => (&self.bytes, self.may_skip),
            Some(refused) => (&[], refused.cut),
        }
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
        let (before, may_skip) = self.before(data);
        let mut from = 0;
        for (at, end) in memchr::memchr_iter(b'\n', data).enumerate() {
            let part = data.get(from..end).unwrap_or_default();
            from = end + 1;
            let read = match at {
                0 if !before.is_empty() => read_event_line(&[before, part].concat(), server_id),
                _ => read_event_line(part, server_id),
            };
            match read {
                Ok(fields) => cut.lines.push((fields, from)),
                Err(RefusedLine::NotAnEvent(_)) if at == 0 && may_skip => {
                    cut.skipped_bytes = from;
                }
                Err(why) => return Err(Refused::Line { line: at + 1, why }),
            }
        }
        let rest = data.get(from..).unwrap_or_default();
        if from == 0 {
            cut.rest.bytes.extend_from_slice(before);
            cut.rest.may_skip = may_skip;
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
        check(
            &["{}\n{\"event\":", "\"b\"", &format!("}}\n{A}")],
            &[bad, "", "a"],
        );
        // Its writer took the error for what it was and goes on with a whole line, perhaps in pieces.
        check(&["{}\n{\"event\":", A], &[bad, "a"]);
        check(
            &["{}\n{\"event\":", "{\"event\":", "\"b\"}\n"],
            &[bad, "", "b"],
        );
    }

    #[test]
    fn the_same_again_is_refused_again() {
        let begin = "{\"event\":\"a\",";
        let bad = "line 1: the line is not JSON: key must be a string at line 1 column 14";
        check(
            &[begin, "}\n"],
            &[
                "",
                "line 1: the line is not JSON: trailing comma at line 1 column 14",
            ],
        );
        check(&[begin, "x\n", "x\n", A], &["", bad, bad, "a"]);
    }

    #[test]
    fn an_unfinished_line_is_bounded() {
        let half = "x".repeat(MAX_EVENT_LINE_BYTES / 2 + 1);
        let other = half.replace('x', "y");
        let long = format!(
            "line 1: the line has {} bytes; at most 1048576 are taken",
            half.len() * 2
        );
        check(
            &[&half, &other, &other, "y\n", A],
            &["", &long, &long, "", "a"],
        );
    }

    #[test]
    fn a_tail_is_noted_for_the_next_worker() {
        let mut tail = Tail::default();
        assert_eq!(tail.to_note(), None);
        tail.bytes = b"{\xff".to_vec();
        assert_eq!(
            Tail::from_note(&tail.to_note().unwrap()),
            Some(tail.clone())
        );
        tail.refuse(b"x");
        assert_eq!(Tail::from_note(&tail.to_note().unwrap()), Some(tail));
    }
}
