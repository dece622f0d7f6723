//! What lies in the folders of servers that write, read without auditfs, file by file as FORMAT has it.
//!
//! What may never be there, whatever died when, fails at once: half a line, a line of an index whose file misses, a number
//! used twice, a hole, a print event without its bytes. Everything else is returned to be compared with what was sent.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A session as its files have it, from all servers together.
#[derive(Debug, Default)]
pub struct OnDisk {
    /// All events in the order of `ei`, which has no hole.
    pub events: Vec<Value>,
    /// The bytes of each print event, in order.
    pub pieces: Vec<Vec<u8>>,
    /// Bytes at the end of the last chunks file that no print event speaks of.
    pub loose_bytes: usize,
    /// Half a line at the end of the last events file.
    pub torn_bytes: usize,
    /// Servers that have `.completed`.
    pub completed: usize,
    /// Data files.
    pub files: usize,
}

impl OnDisk {
    /// Reads a session of the namespace `default`.
    #[track_caller]
    pub fn read(root: &Path, servers: &[&str], sid: &str) -> OnDisk {
        let mut on_disk = OnDisk::default();
        let (mut events, mut chunks) = (BTreeMap::new(), BTreeMap::new());
        for server in servers {
            let folder = root.join(server).join("sessions/default");
            for (kind, number, path) in indexed(&folder, sid) {
                let content = unpacked(&path);
                let files = if kind == "events" {
                    &mut events
                } else {
                    &mut chunks
                };
                let replaced = files.insert(number, (path.clone(), content));
                // Two servers may both have begun at an event that only one of them got.
                assert!(
                    replaced.is_none_or(|(_, old)| old.is_empty()),
                    "{path:?}: the same number twice"
                );
                on_disk.files += 1;
            }
            match std::fs::read(folder.join(format!("{sid}.completed"))) {
                Ok(text) if text == b"completed" => on_disk.completed += 1,
                Ok(text) => assert!(text.is_empty(), "{text:?}"),
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound),
            }
        }
        on_disk.join_events(&events);
        on_disk.join_pieces(&chunks);
        on_disk
    }

    /// The whole stream.
    pub fn stream(&self) -> Vec<u8> {
        self.pieces.concat()
    }

    fn join_events(&mut self, files: &BTreeMap<u64, (PathBuf, Vec<u8>)>) {
        let last = files.keys().last();
        for (first, (path, content)) in files {
            let (lines, torn) = whole_lines(content);
            if Some(first) == last {
                self.torn_bytes = torn;
            } else {
                assert_eq!(torn, 0, "{path:?} ends within a line");
            }
            for (number, line) in lines.into_iter().enumerate() {
                let ei = line["ei"].as_u64();
                assert_eq!(ei, Some(self.events.len() as u64), "{path:?}: {line}");
                assert!(
                    number > 0 || ei == Some(*first),
                    "{path:?} begins with {line}"
                );
                self.events.push(line);
            }
        }
    }

    fn join_pieces(&mut self, files: &BTreeMap<u64, (PathBuf, Vec<u8>)>) {
        let (mut next, mut ms) = (0, 0);
        let mut covered: BTreeMap<u64, u64> = files.keys().map(|first| (*first, 0)).collect();
        let prints = self.events.iter().filter(|line| line["event"] == "print");
        for (ci, line) in prints.enumerate() {
            let field = |name: &str| line[name].as_u64().unwrap_or_else(|| panic!("{line}"));
            assert_eq!((field("ci"), field("offset")), (ci as u64, next), "{line}");
            assert!(field("ms") >= ms, "{line}: behind {ms} ms");
            (next, ms) = (next + field("bytes"), field("ms"));
            let (first, (path, content)) = files.range(..=field("offset")).next_back().unwrap();
            let from = (field("offset") - first) as usize;
            let bytes = content.get(from..from + field("bytes") as usize);
            self.pieces.push(
                bytes
                    .unwrap_or_else(|| panic!("{path:?} lacks the bytes of {line}"))
                    .to_vec(),
            );
            covered.insert(*first, next - first);
        }
        for (first, (path, content)) in files {
            let loose = content.len() - covered[first] as usize;
            // It has been taken up again if its server has a later one.
            let mut later = files.range(first + 1..);
            assert!(
                loose == 0 || !later.any(|(_, (file, _))| file.parent() == path.parent()),
                "{path:?} has {loose} bytes that no print event speaks of"
            );
            self.loose_bytes += loose;
        }
    }
}

/// The events of all daily logs of a server, each log in its order.
#[track_caller]
pub fn daily_events(root: &Path, server: &str) -> Vec<Value> {
    let mut events = Vec::new();
    for (name, path) in entries(&root.join(server)) {
        if name.ends_with(".log") {
            let (lines, torn) = whole_lines(&std::fs::read(&path).unwrap());
            assert_eq!(torn, 0, "{path:?} ends within a line");
            events.extend(lines);
        }
    }
    events
}

/// Files in a server's folder that are neither a log, a lock, nor a session's.
pub fn strange_files(root: &Path, server: &str) -> Vec<String> {
    let mut strange = Vec::new();
    for folder in [
        root.join(server),
        root.join(server).join("sessions/default"),
    ] {
        let names = entries(&folder).into_iter().map(|(name, _)| name);
        strange.extend(names.filter(|name| {
            let known = [".log", ".index", ".events", ".chunks", ".gz", ".completed"];
            name.starts_with(".auditfs-new")
                || name != "sessions"
                    && name != ".auditfs.lock"
                    && !known.iter().any(|end| name.ends_with(end))
        }));
    }
    strange
}

/// What the index names: kind, number and path, each once, all of it there.
fn indexed(folder: &Path, sid: &str) -> Vec<(String, u64, PathBuf)> {
    let mut files = Vec::new();
    let mut names = BTreeSet::new();
    let index = folder.join(format!("{sid}.index"));
    let text = match std::fs::read_to_string(&index) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        text => text.unwrap(),
    };
    assert!(
        text.is_empty() || text.ends_with('\n'),
        "{index:?} ends within a line"
    );
    for line in text.lines() {
        let fields: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{index:?}: {error}: {line}"));
        let name = fields["file_name"].as_str().unwrap().to_owned();
        let number = name
            .strip_prefix(sid)
            .and_then(|rest| rest.strip_prefix('-')?.split_once('.'));
        let (number, kind) = number.unwrap_or_else(|| panic!("{index:?}: {line}"));
        let kind = kind.trim_end_matches(".gz").to_owned();
        let number: u64 = number.parse().unwrap();
        let (at, offset) = if kind == "events" {
            (number, 0)
        } else {
            (0, number)
        };
        let wanted = format!(
            "{{\"file_name\":\"{name}\",\"type\":\"{kind}\",\"index\":{at},\"offset\":{offset}}}"
        );
        assert_eq!(line, wanted, "{index:?}");
        let path = folder.join(&name);
        assert!(path.is_file(), "{path:?} is in the index and not there");
        assert!(names.insert(name), "{index:?} has a line twice: {line}");
        files.push((kind, number, path));
    }
    for (name, path) in entries(folder) {
        let is_data = name.starts_with(&format!("{sid}-"));
        if is_data && !names.contains(&name) {
            assert!(unpacked(&path).is_empty(), "{path:?} is not in the index");
        }
    }
    files
}

fn entries(folder: &Path) -> Vec<(String, PathBuf)> {
    let Ok(folder) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut entries: Vec<_> = folder
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), entry.path())
        })
        .collect();
    entries.sort();
    entries
}

/// The content; of a gzip file all that can be unpacked, it need not have an end.
fn unpacked(path: &Path) -> Vec<u8> {
    let packed = std::fs::read(path).unwrap();
    if path.extension().is_none_or(|end| end != "gz") {
        return packed;
    }
    let mut bytes = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(packed.as_slice());
    let mut part = [0; 4096];
    while let Ok(len) = decoder.read(&mut part) {
        match part.get(..len) {
            Some(part) if !part.is_empty() => bytes.extend_from_slice(part),
            _ => break,
        }
    }
    bytes
}

/// Lines of JSON, each whole; and how many bytes stand behind the last newline.
fn whole_lines(content: &[u8]) -> (Vec<Value>, usize) {
    let end = content
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    let (whole, torn) = content.split_at(end);
    let lines = whole.split_inclusive(|byte| *byte == b'\n');
    let read = |line: &[u8]| {
        serde_json::from_slice(line)
            .unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(line)))
    };
    (lines.map(read).collect(), torn.len())
}
