//! What a mount writes itself is in its view at once, and stays the same node when the share's listing tells of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use auditfs::disk::Share;
use auditfs::event::{EventFields, EventTime, Namespace, ServerId, SessionId};
use auditfs::reader::{AuditDir, BatchTime, Days, ReaderLimits};
use auditfs::view::{Node, Recorded, Ttl, View, ViewError, Wait};
use auditfs::write::{
    Compression, DiskSessionLogger, Making, OwnDirectory, SessionOptions, SessionPosition,
    SyncPolicy,
};

use crate::harness::*;

const SID: &str = "74a5fc01-4d00-11e8-aee2-0242ac0a0001";
const NOW_NS: i64 = 1_525_161_483_000_000_000;

/// A view that writes as server A, and the time in it, which stands still.
struct Case {
    audit: Audit,
    view: View,
    sid: SessionId,
    namespace: Namespace,
}

impl Case {
    fn new() -> Case {
        let audit = Audit::new();
        let limits = ReaderLimits {
            cache_bytes: 16 << 20,
            unpack_bytes: 1 << 30,
            unpack_dir: std::env::temp_dir(),
            session_idle_ns: 3_600_000_000_000,
            hash_seed: 1,
        };
        let share = Share::open(audit.path()).unwrap();
        let dir = AuditDir::new(Arc::new(share), limits);
        let view = View::new(dir.clone(), Days::new(dir), "here".to_owned(), NOW_NS);
        view.write_as(ServerId::new(A).unwrap());
        let case = Case {
            audit,
            view,
            sid: SessionId::new(SID).unwrap(),
            namespace: Namespace::default(),
        };
        case.refresh();
        case
    }

    fn refresh(&self) {
        let now = EventTime::from_ns(NOW_NS);
        self.view.refresh(BatchTime::new(now, 0));
    }

    fn logger(&self) -> DiskSessionLogger {
        self.logger_of(&self.sid)
    }

    fn logger_of(&self, sid: &SessionId) -> DiskSessionLogger {
        let options = SessionOptions {
            server_id: ServerId::new(A).unwrap(),
            namespace: self.namespace.clone(),
            sid: sid.clone(),
            compression: Compression::None,
            sync: SyncPolicy::Never,
            record_sessions: true,
        };
        let storage = OwnDirectory::open(self.audit.path(), Making::default()).unwrap();
        DiskSessionLogger::open(Arc::new(storage), options, SessionPosition::default()).unwrap()
    }

    fn make(&self) -> Result<Node, ViewError> {
        self.view.make_session(&self.namespace, &self.sid, NOW_NS)
    }

    fn wrote(&self) {
        self.view.wrote_session(&self.namespace, &self.sid).unwrap();
    }

    fn read(&self, path: &str) -> String {
        let node = self.view.resolve(path).unwrap();
        let size = self.view.attr(&node, Wait::Share, NOW_NS).unwrap().size;
        let mut bytes = Vec::new();
        let read = self.view.read(&node, 0, u64::MAX, NOW_NS, &mut bytes);
        read.unwrap();
        assert_eq!(bytes.len() as u64, size, "{path}");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn inos(&self) -> Vec<u64> {
        let part = |name: &str| format!("sessions/{SID}{name}");
        [
            "",
            "/archive.tar",
            "/events.jsonl",
            "/stream",
            "/summary.json",
        ]
        .iter()
        .map(|name| {
            self.view
                .ino(&self.view.resolve(&part(name)).unwrap())
                .unwrap()
        })
        .collect()
    }

    fn names(&self, path: &str) -> Vec<String> {
        let mut names = Vec::new();
        let node = self.view.resolve(path).unwrap();
        let each = |entry: auditfs::view::Entry| {
            names.push(entry.name);
            true
        };
        self.view.list(&node, 0, NOW_NS, each).unwrap();
        names
    }
}

fn event(name: &str) -> EventFields {
    let mut fields = EventFields::new();
    fields.set("event", name);
    fields
}

fn now() -> EventTime {
    EventTime::from_ns(NOW_NS)
}

#[test]
fn a_session_is_there_before_it_has_a_file_and_the_same_after() {
    let case = Case::new();
    case.make().unwrap();
    assert!(matches!(case.make(), Err(ViewError::Exists)));
    let before = case.inos();
    assert_eq!(case.names("sessions"), [SID]);
    assert_eq!(case.read(&format!("sessions/{SID}/stream")), "");
    assert_eq!(case.read(&format!("sessions/{SID}/events.jsonl")), "");
    let summary = case.read(&format!("sessions/{SID}/summary.json"));
    assert!(summary.contains(r#""state": "running""#), "{summary}");
    case.refresh();
    assert_eq!(case.inos(), before);

    let mut logger = case.logger();
    logger.post_print(b"hello", now()).unwrap();
    case.wrote();
    assert_eq!(case.read(&format!("sessions/{SID}/stream")), "hello");
    assert_eq!(
        (case.inos(), case.names("sessions")),
        (before.clone(), vec![SID.to_owned()])
    );
    case.refresh();
    assert_eq!(case.read(&format!("sessions/{SID}/stream")), "hello");
    assert_eq!(
        (case.inos(), case.names("sessions")),
        (before, vec![SID.to_owned()])
    );
    assert!(matches!(case.make(), Err(ViewError::Exists)));
}

#[test]
fn each_write_is_seen_by_the_next_look() {
    let case = Case::new();
    let mut logger = case.logger();
    let mut wanted = String::new();
    for number in 0..40 {
        // New files now and then, as after an idle time.
        if number % 7 == 6 {
            logger.close().unwrap();
        }
        let text = format!("line {number}\n");
        logger.post_print(text.as_bytes(), now()).unwrap();
        wanted.push_str(&text);
        case.wrote();
        assert_eq!(case.read(&format!("sessions/{SID}/stream")), wanted);
        let events = case.read(&format!("sessions/{SID}/events.jsonl"));
        assert_eq!(events.lines().count(), number + 1);
        if number % 5 == 4 {
            case.refresh();
        }
    }
    let node = case
        .view
        .resolve(&format!("sessions/{SID}/stream"))
        .unwrap();
    let attr = case.view.attr(&node, Wait::Share, NOW_NS).unwrap();
    assert_eq!(attr.ttl, Ttl::Unknown);
}

#[test]
fn a_listing_at_the_same_time_hides_nothing() {
    let case = Case::new();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                case.refresh();
            }
        });
        let written = scope.spawn(|| {
            for number in 0..150 {
                let sid = SessionId::new(&format!("{SID}x{number}")).unwrap();
                case.view
                    .make_session(&case.namespace, &sid, NOW_NS)
                    .unwrap();
                let mut logger = case.logger_of(&sid);
                for text in ["one", "onetwo"] {
                    logger
                        .post_print(&text.as_bytes()[text.len() - 3..], now())
                        .unwrap();
                    logger.close().unwrap();
                    case.view.wrote_session(&case.namespace, &sid).unwrap();
                    assert_eq!(case.read(&format!("sessions/{sid}/stream")), text);
                }
                logger.finalize().unwrap();
                case.view.learn_session(&case.namespace, &sid).unwrap();
                assert_eq!(case.names("recordings").len(), number + 1);
                assert_eq!(case.names("sessions").len(), number + 1);
            }
        });
        let written = written.join();
        done.store(true, Ordering::Relaxed);
        written.unwrap();
    });
}

#[test]
fn recordings_lists_what_has_ended_here() {
    let case = Case::new();
    let mut elsewhere = case.audit.record("74a5fc02-4d00-11e8-aee2-0242ac0a0002");
    elsewhere.start("bob").print("b").end().post(B);
    std::fs::write(elsewhere.file(B, ".completed"), "completed").unwrap();
    wait_until(std::time::Duration::from_secs(5), "it is found", || {
        case.refresh();
        !case.names("sessions").is_empty()
    });
    let mut logger = case.logger();
    logger
        .post_event(event("session.start"), now(), "u1")
        .unwrap();
    case.wrote();
    assert_eq!(case.names("recordings"), Vec::<String>::new());
    let dir = case.view.resolve("recordings").unwrap();
    let mtime = || case.view.attr(&dir, Wait::Never, NOW_NS).unwrap().mtime_ns;
    let before = mtime();

    logger
        .post_event(event("session.end"), now(), "u2")
        .unwrap();
    case.view.learn_session(&case.namespace, &case.sid).unwrap();
    assert!(mtime() > before);
    for _ in 0..2 {
        let tar = format!("{SID}.tar");
        assert_eq!(case.names("recordings"), std::slice::from_ref(&tar));
        let recording = format!("recordings/{tar}");
        assert_eq!(
            case.read(&recording),
            case.read(&format!("sessions/{SID}/archive.tar"))
        );
        let node = case.view.resolve(&recording).unwrap();
        let ino = case.view.ino(&node).unwrap();
        assert_eq!(ino, case.view.recording_ino(&case.namespace, &case.sid));
        assert_eq!(case.view.node(ino).unwrap(), node);
        case.refresh();
    }
    let elsewhere = case
        .view
        .resolve("recordings/74a5fc02-4d00-11e8-aee2-0242ac0a0002.tar");
    assert!(matches!(elsewhere, Err(ViewError::NotFound)));
}

#[test]
fn a_made_namespace_holds_sessions_that_are_made() {
    let case = Case::new();
    let prod = Namespace::new("prod").unwrap();
    case.view.make_namespace(&prod, NOW_NS).unwrap();
    assert!(matches!(
        case.view.make_namespace(&prod, NOW_NS),
        Err(ViewError::Exists)
    ));
    case.refresh();
    assert_eq!(case.names("namespaces"), ["prod"]);
    assert_eq!(case.names("namespaces/prod"), ["recordings", "sessions"]);
    case.view.make_session(&prod, &case.sid, NOW_NS).unwrap();
    assert_eq!(case.names("namespaces/prod/sessions"), [SID]);
    assert_eq!(case.names("sessions"), Vec::<String>::new());
}

#[test]
fn who_writes_on_is_told_of_every_event_of_every_server() {
    let case = Case::new();
    let mut session = case.audit.record(SID);
    session.start("alice").print("one").post(B);
    // Not shown yet, as one is missing before it; the next number is behind it all the same.
    session.print("lost").lose().print("three").post(C);
    let told = || {
        let mut position = SessionPosition::default();
        let (namespace, sid) = (&case.namespace, &case.sid);
        let told = case
            .view
            .each_session_event(namespace, sid, NOW_NS, |line| position.pass(line));
        (told.unwrap(), position.next_ei.0, position.next_offset.0)
    };
    // A directory is not listed again at once after a listing.
    wait_until(std::time::Duration::from_secs(5), "both are found", || {
        case.refresh();
        told().1 == 4
    });
    let recorded = Recorded {
        exists: true,
        completed: false,
    };
    assert_eq!(told(), (recorded, 4, 12));
}

#[test]
fn a_mount_that_only_reads_has_no_recordings() {
    let audit = Audit::new();
    let mount = Mount::of(&audit);
    assert!(!mount.at("recordings").exists());
}
