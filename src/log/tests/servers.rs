//! Auth servers that write into one directory, and what the tests ask of it.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::event::{EventName, SessionChunk, SessionSlice};
use crate::write::{Making, OwnDirectory, RecorderOptions, SyncPolicy};

use super::*;

pub(super) const SID: &str = "74a5fc01-4d00-11e8-aee2-0242ac0a0001";

/// An audit directory, and a clock for all who use it.
pub(super) struct Servers {
    pub(super) top: TempDir,
    pub(super) now_ns: Arc<AtomicI64>,
}

impl Servers {
    pub(super) fn new() -> Servers {
        let start = time("2018-05-01T07:58:03Z").as_ns();
        Servers {
            top: tempfile::tempdir().unwrap(),
            now_ns: Arc::new(AtomicI64::new(start)),
        }
    }

    pub(super) fn clock(&self) -> crate::log::Clock {
        let now_ns = self.now_ns.clone();
        Arc::new(move || EventTime::from_ns(now_ns.load(Ordering::Relaxed)))
    }

    pub(super) fn pass_ms(&self, ms: i64) {
        self.now_ns.fetch_add(ms * 1_000_000, Ordering::Relaxed);
    }

    /// The log of one auth server.
    pub(super) fn server(&self, id: &str) -> DiskLog {
        self.server_with(id, |_| {})
    }

    pub(super) fn server_with(
        &self,
        id: &str,
        change: impl FnOnce(&mut RecorderOptions),
    ) -> DiskLog {
        let mut options = RecorderOptions::new(crate::event::ServerId::new(id).unwrap());
        options.sync = SyncPolicy::Never;
        change(&mut options);
        let limits = ReaderLimits {
            cache_bytes: 16 << 20,
            unpack_bytes: 1 << 30,
            unpack_dir: std::env::temp_dir(),
            session_idle_ns: 3_600_000_000_000,
            hash_seed: 1,
        };
        let share = Share::open(self.top.path()).unwrap();
        let directory = OwnDirectory::open(self.top.path(), Making::default()).unwrap();
        let dir = AuditDir::new(Arc::new(share), limits);
        let uids = Arc::new(|| "u".to_owned());
        DiskLog::writing(dir, self.clock(), directory, options, uids).unwrap()
    }

    pub(super) fn text(&self, path: &str) -> String {
        std::fs::read_to_string(self.top.path().join(path))
            .unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub(super) fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.top.path().join(folder)).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// A print event as its sender numbers it.
    pub(super) fn print(&self, ei: i64, ci: i64, offset: i64, ms: i64, data: &str) -> SessionChunk {
        SessionChunk {
            time_ns: self.now_ns.load(Ordering::Relaxed),
            data: data.into(),
            event_type: "print".into(),
            event_index: ei,
            chunk_index: ci,
            offset_bytes: offset,
            delay_ms: ms,
        }
    }

    pub(super) fn event(&self, ei: i64, name: EventName) -> SessionChunk {
        SessionChunk {
            data: br#"{"server_id":"node-1"}"#.to_vec(),
            event_type: name.as_str().into(),
            ..self.print(ei, 0, 0, 0, "")
        }
    }
}

pub(super) fn slice(version: i64, chunks: Vec<SessionChunk>) -> SessionSlice {
    SessionSlice {
        namespace: "default".into(),
        session_id: SID.into(),
        chunks,
        version,
    }
}

pub(super) fn stream(log: &dyn AuditLog) -> String {
    let (ns, sid) = (Namespace::default(), SessionId::new(SID).unwrap());
    let read = log.get_session_chunk(&ns, &sid, StreamOffset(0), 1 << 20);
    read.map_or_else(
        |error| error.to_string(),
        |bytes| String::from_utf8(bytes).unwrap(),
    )
}

pub(super) fn session_events(log: &dyn AuditLog) -> Vec<EventFields> {
    let (ns, sid) = (Namespace::default(), SessionId::new(SID).unwrap());
    log.get_session_events(&ns, &sid, EventIndex(-1), true)
        .unwrap()
}
