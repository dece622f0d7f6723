//! The reading half of the audit log over directories written by hand, and over those that real releases wrote.

mod conformance;
mod edges;
mod fixtures;
mod forwarding;
mod servers;
mod writing;

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use crate::disk::Share;
use crate::event::{EventFields, EventIndex, EventTime, Namespace, SessionId, StreamOffset};
use crate::reader::{AuditDir, ReaderLimits};

use super::{AuditLog, DiskLog, LogError};

/// An audit directory made of these files, and its log. `sid` 100 everywhere, as in Teleport's own tests.
struct Case {
    top: TempDir,
    log: DiskLog,
}

/// A log of the directory `top`, read years after its sessions ended.
fn log_of(top: &Path, now: EventTime) -> DiskLog {
    DiskLog::new(dir_of(top), Arc::new(move || now))
}

fn dir_of(top: &Path) -> Arc<AuditDir> {
    let limits = ReaderLimits {
        cache_bytes: 16 << 20,
        unpack_bytes: 1 << 30,
        unpack_dir: std::env::temp_dir(),
        session_idle_ns: 3_600_000_000_000,
        hash_seed: 1,
    };
    AuditDir::new(Arc::new(Share::open(top).unwrap()), limits)
}

fn time(text: &str) -> EventTime {
    EventTime::parse_rfc3339(text.as_bytes()).unwrap()
}

fn sid() -> SessionId {
    SessionId::new("100").unwrap()
}

impl Case {
    fn new(files: &[(&str, &str)]) -> Case {
        Self::at("2100-01-01T00:00:00Z", files)
    }

    /// The same with another idea of now.
    fn at(now: &str, files: &[(&str, &str)]) -> Case {
        let top = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = top.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let log = log_of(top.path(), time(now));
        Case { top, log }
    }

    fn chunk(&self, offset: u64, max_bytes: usize) -> String {
        let chunk = self.log.get_session_chunk(
            &Namespace::default(),
            &sid(),
            StreamOffset(offset),
            max_bytes,
        );
        chunk.map_or_else(
            |error| error.to_string(),
            |bytes| String::from_utf8(bytes).unwrap(),
        )
    }

    fn events(&self, after: i64, include_print: bool) -> Result<Vec<EventFields>, LogError> {
        self.log.get_session_events(
            &Namespace::default(),
            &sid(),
            EventIndex(after),
            include_print,
        )
    }

    fn search(&self, query: &str, limit: usize) -> Vec<EventFields> {
        self.log
            .search_events(EventTime::ZERO, EventTime::LATEST, query, limit)
            .unwrap()
    }
}

fn texts<'a>(events: &'a [EventFields], field: &str) -> Vec<&'a str> {
    events.iter().map(|event| event.get_string(field)).collect()
}

fn ints(events: &[EventFields], field: &str) -> Vec<i64> {
    events.iter().map(|event| event.get_int(field)).collect()
}
