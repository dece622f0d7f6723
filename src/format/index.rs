//! The index file of a session: one JSON line for each data file that a server has of it.
//!
//! Released versions write all four fields (`{"file_name":"<sid>-0.events.gz","type":"events","index":0,"offset":0}`, FORMAT 3); the
//! seed document shows lines with only the number that belongs to the type. Both are read, and what is wrong with one line
//! never costs another: the original reader lost the whole session for one torn line (FORMAT 5).

use std::collections::HashSet;

use memchr::memmem;
use serde_json::Value;

use super::damage::{Damage, Wound};
use super::name::{DataKind, SessionFileName};
use crate::event::SessionId;

/// A line of an index is about 120 bytes; a longer one than this is not one.
const MAX_INDEX_LINE_BYTES: usize = 16 << 10;
/// Texts from a bad line are quoted up to this length, in characters.
const MAX_QUOTED_CHARS: usize = 80;
/// How every line begins, as all versions write it.
const LINE_START: &[u8] = b"{\"file_name\"";

/// One data file as its index names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IndexLine {
    /// The file, in the index's own folder: a safe name of this session.
    pub file_name: SessionFileName,
    /// What it holds.
    pub kind: DataKind,
    /// The ei of the first event in it; 0 for chunks.
    pub index: u64,
    /// The stream offset of the first byte in it; 0 for events.
    pub offset: u64,
}

impl IndexLine {
    /// The line that names this file, with the numbers that its name has.
    ///
    /// `None` for files that no index names.
    pub fn of(file_name: SessionFileName) -> Option<IndexLine> {
        let kind = file_name.kind;
        kind.index_type()?;
        let (index, offset) = match kind {
            DataKind::Chunks => (0, file_name.number),
            _ => (file_name.number, 0),
        };
        Some(IndexLine {
            file_name,
            kind,
            index,
            offset,
        })
    }

    /// Appends the line as released versions write it: all four fields, in their order, and a newline.
    pub fn write(&self, out: &mut Vec<u8>) {
        let name = Value::String(self.file_name.to_file_name());
        let kind = self.kind.index_type().unwrap_or_default();
        let (index, offset) = (self.index, self.offset);
        let line = format!(
            "{{\"file_name\":{name},\"type\":\"{kind}\",\"index\":{index},\"offset\":{offset}}}\n"
        );
        out.extend_from_slice(line.as_bytes());
    }

    fn read(line: &[u8], sid: &SessionId) -> Result<IndexLine, Wound> {
        let value: Value = serde_json::from_slice(line).map_err(|_| Wound::NotJson)?;
        let Value::Object(fields) = value else {
            return Err(Wound::NotAnObject);
        };
        let text = fields
            .get("file_name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        // NOTE: a name that parses has no slash, no NUL, no "..".
        let name = SessionFileName::parse(text).filter(|name| name.sid == *sid);
        let kind = match fields.get("type").and_then(Value::as_str) {
            Some(index_type) => match DataKind::of_index_type(index_type) {
                Some(kind) => Some(kind),
                None => return Err(Wound::IndexUnknownType(quoted(index_type))),
            },
            None => name.as_ref().map(|name| name.kind),
        };
        let line = name
            .filter(|name| Some(name.kind) == kind)
            .and_then(IndexLine::of);
        let mut line = line.ok_or_else(|| Wound::IndexBadName(quoted(text)))?;
        if let Some(index) = fields.get("index").and_then(Value::as_u64) {
            line.index = index;
        }
        if let Some(offset) = fields.get("offset").and_then(Value::as_u64) {
            line.offset = offset;
        }
        Ok(line)
    }
}

/// Reads an index file of session `sid`: the files it names, in its order and each once, and what is wrong with it.
///
/// Each damage's offset is that of its line.
pub fn read_index(bytes: &[u8], sid: &SessionId) -> (Vec<IndexLine>, Vec<Damage>) {
    let (mut lines, mut damage) = (Vec::new(), Vec::new());
    let mut seen = HashSet::new();
    let mut next_offset_bytes = 0;
    for raw in bytes.split_inclusive(|&b| b == b'\n') {
        let offset_bytes = next_offset_bytes;
        next_offset_bytes += raw.len() as u64;
        let mut wound = |wound| damage.push(Damage::new(wound, offset_bytes));
        let whole = raw.ends_with(b"\n");
        if raw.len() > MAX_INDEX_LINE_BYTES {
            wound(Wound::LineTooLong);
            continue;
        }
        let mut line = raw.trim_ascii();
        if line.contains(&0) {
            wound(Wound::NulBytes);
            line = after_last_nul(line);
        }
        if line.is_empty() {
            continue;
        }
        let read = match IndexLine::read(line, sid) {
            Err(Wound::NotJson) => {
                wound(if whole {
                    Wound::NotJson
                } else {
                    Wound::TornLine
                });
                // A writer died within a line and the next one wrote behind it.
                let Some(again) = memmem::rfind(line, LINE_START).filter(|&at| at > 0) else {
                    continue;
                };
                IndexLine::read(line.get(again..).unwrap_or_default(), sid)
            }
            read => read,
        };
        match read {
            Ok(line) if seen.contains(&line.file_name) => {
                wound(Wound::IndexRepeated(line.file_name.to_file_name()));
            }
            Ok(line) => {
                seen.insert(line.file_name.clone());
                lines.push(line);
            }
            // Already said of the whole line.
            Err(Wound::NotJson) => {}
            Err(why) => wound(why),
        }
    }
    (lines, damage)
}

fn after_last_nul(line: &[u8]) -> &[u8] {
    line.rsplit(|&b| b == 0)
        .next()
        .unwrap_or_default()
        .trim_ascii()
}

fn quoted(text: &str) -> String {
    text.chars().take(MAX_QUOTED_CHARS).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::format::fixtures::each_fixture_file;

    const EVENTS: &str = r#"{"file_name":"s-0.events.gz","type":"events","index":0,"offset":0}"#;
    const CHUNKS: &str = r#"{"file_name":"s-40.chunks.gz","type":"chunks","index":0,"offset":40}"#;

    fn sid(text: &str) -> SessionId {
        SessionId::new(text).unwrap()
    }

    /// Reads an index of session `s`; gives the names, and the wounds with the offsets of their lines.
    fn check(index: &str, names: &[&str], wounds: &[(u64, Wound)]) {
        let (lines, damage) = read_index(index.as_bytes(), &sid("s"));
        let got: Vec<_> = lines
            .iter()
            .map(|line| line.file_name.to_file_name())
            .collect();
        assert_eq!(got, names);
        let got: Vec<_> = damage
            .into_iter()
            .map(|d| (d.offset_bytes, d.wound))
            .collect();
        assert_eq!(got, wounds);
    }

    #[test]
    fn a_whole_index_gives_its_files_in_order() {
        check(
            &format!("{EVENTS}\n{CHUNKS}\n"),
            &["s-0.events.gz", "s-40.chunks.gz"],
            &[],
        );
    }

    #[test]
    fn the_lines_of_the_seed_document_are_read() {
        let events = r#"{"file_name":"s-3.events","type":"events","index":3}"#;
        let chunks = r#"{"file_name":"s-40.chunks","type":"chunks","offset":40}"#;
        let (lines, damage) = read_index(format!("{events}\n{chunks}\n").as_bytes(), &sid("s"));
        let numbers: Vec<_> = lines.iter().map(|line| (line.index, line.offset)).collect();
        assert_eq!((numbers, damage), (vec![(3, 0), (0, 40)], vec![]));
    }

    #[test]
    fn numbers_that_are_missing_come_from_the_name() {
        let (lines, _) = read_index(br#"{"file_name":"s-40.chunks","type":"chunks"}"#, &sid("s"));
        assert_eq!((lines[0].index, lines[0].offset), (0, 40));
        let (lines, _) = read_index(br#"{"file_name":"s-7.events","index":-1}"#, &sid("s"));
        assert_eq!((lines[0].index, lines[0].offset), (7, 0));
    }

    #[test]
    fn a_torn_last_line_costs_only_itself() {
        let torn = format!("{EVENTS}\n{}", &CHUNKS[..30]);
        check(
            &torn,
            &["s-0.events.gz"],
            &[(EVENTS.len() as u64 + 1, Wound::TornLine)],
        );
        check(
            &format!("{EVENTS}\n{CHUNKS}"),
            &["s-0.events.gz", "s-40.chunks.gz"],
            &[],
        );
    }

    #[test]
    fn a_line_behind_a_torn_one_is_found() {
        let index = format!("{}{CHUNKS}\n{EVENTS}\n", &EVENTS[..30]);
        check(
            &index,
            &["s-40.chunks.gz", "s-0.events.gz"],
            &[(0, Wound::NotJson)],
        );
    }

    #[test]
    fn a_line_that_stands_twice_counts_once() {
        let repeated = Wound::IndexRepeated("s-0.events.gz".into());
        assert!(repeated.is_normal());
        check(
            &format!("{EVENTS}\n{EVENTS}\n"),
            &["s-0.events.gz"],
            &[(EVENTS.len() as u64 + 1, repeated)],
        );
    }

    #[test]
    fn an_unknown_type_costs_only_its_line() {
        let line = r#"{"file_name":"s-0.future.gz","type":"future","index":0,"offset":0}"#;
        let unknown = Wound::IndexUnknownType("future".into());
        check(
            &format!("{line}\n{EVENTS}\n"),
            &["s-0.events.gz"],
            &[(0, unknown)],
        );
    }

    #[test]
    fn enhanced_events_are_named_by_their_own_types() {
        let line = r#"{"file_name":"s-0.session.disk-events.gz","type":"session.disk","index":0,"offset":0}"#;
        check(&format!("{line}\n"), &["s-0.session.disk-events.gz"], &[]);
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in [
            "../s-0.events.gz",
            "/etc/s-0.events.gz",
            "x/s-0.events.gz",
            "s-0.events.gz\\u0000",
            "..",
            "",
            "t-0.events.gz",
            "s-0.chunks.gz",
            "s.index",
            "s.completed",
            "s.session.log",
            "s-00.events.gz",
        ] {
            let line = format!(r#"{{"file_name":"{name}","type":"events","index":0,"offset":0}}"#);
            let bad = Wound::IndexBadName(name.replace("\\u0000", "\0"));
            check(
                &format!("{line}\n{CHUNKS}\n"),
                &["s-40.chunks.gz"],
                &[(0, bad)],
            );
        }
    }

    #[test]
    fn what_is_no_line_is_said_and_passed_over() {
        check("\n\r\n  \n", &[], &[]);
        check(
            "[1]\nnull\n",
            &[],
            &[(0, Wound::NotAnObject), (4, Wound::NotAnObject)],
        );
        check("{}\n", &[], &[(0, Wound::IndexBadName(String::new()))]);
        check(
            &format!("{}\n", "[".repeat(10_000)),
            &[],
            &[(0, Wound::NotJson)],
        );
        check(
            &format!("{}\n{EVENTS}\r\n", "x".repeat(20_000)),
            &["s-0.events.gz"],
            &[(0, Wound::LineTooLong)],
        );
    }

    #[test]
    fn a_hole_of_nul_bytes_does_not_hide_the_line_behind_it() {
        check(
            &format!("\0\0\0{EVENTS}\n\0\0\n"),
            &["s-0.events.gz"],
            &[
                (0, Wound::NulBytes),
                (EVENTS.len() as u64 + 4, Wound::NulBytes),
            ],
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(index: u64, offset: u64, number: u64, gz: bool, quote in "[a\"\\\\é]{1,5}") {
            for kind in [DataKind::Events, DataKind::Chunks, DataKind::NetworkEvents] {
                let file_name = SessionFileName { sid: sid(&quote), kind, number, gz };
                let line = IndexLine { file_name, kind, index, offset };
                let mut out = Vec::new();
                line.write(&mut out);
                prop_assert_eq!(read_index(&out, &sid(&quote)), (vec![line], vec![]));
            }
        }

        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0..70usize) {
            read_index(&bytes, &sid("s"));
            let (lines, _) = read_index(&[&EVENTS.as_bytes()[..cut.min(EVENTS.len())], &bytes, b"\n", CHUNKS.as_bytes()].concat(), &sid("s"));
            prop_assert_eq!(lines.last().map(|line| line.offset), Some(40));
        }
    }

    #[test]
    fn every_index_of_real_releases_is_read_and_written_back() {
        let mut files = 0;
        let present = each_fixture_file(&mut |path| {
            if path.extension().is_none_or(|e| e != "index") {
                return;
            }
            let bytes = std::fs::read(path).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap();
            let sid = SessionFileName::parse(name).unwrap().sid;
            let (lines, damage) = read_index(&bytes, &sid);
            let mut back = Vec::new();
            lines.iter().for_each(|line| line.write(&mut back));
            assert!(
                damage.iter().all(Damage::is_normal),
                "{}: {damage:?}",
                path.display()
            );
            assert!(back == bytes || !damage.is_empty(), "{}", path.display());
            files += 1;
        });
        assert!(!present || files >= 26, "{files}");
    }
}
