//! What the writer writes, the reader reads: sessions of any shape, over servers, restarts and both compressions.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use auditfs::disk::Share;
use auditfs::event::{EventFields, EventTime, Namespace, ServerId, SessionId};
use auditfs::format::read_session_line;
use auditfs::reader::{AuditDir, ReaderLimits, Session, Sessions};
use auditfs::write::{
    Compression, DiskSessionLogger, Making, OwnDirectory, RecordedBy, RecordingLimits,
    RecordingPlace, SessionOptions, SessionPosition, SyncPolicy, finish_uploads,
    unpack_session_recording,
};

const SID: &str = "74a5fc01-4d00-11e8-aee2-0242ac0a0001";

/// What happens to a session.
#[derive(Clone, Debug)]
enum Step {
    Print(Vec<u8>),
    Event(String),
    /// The next steps reach this server.
    Server(usize),
    /// The files are closed as after an idle time.
    Idle,
    /// The writer dies and starts again.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => proptest::collection::vec(any::<u8>(), 1..200).prop_map(Step::Print),
        1 => Just(Step::Print(vec![0; 70_000])),
        3 => "[a-z<>&\u{e9}\"\\\\]{1,12}".prop_map(Step::Event),
        1 => (0..3_usize).prop_map(Step::Server),
        1 => Just(Step::Idle),
        1 => Just(Step::Restart),
    ]
}

fn at(step: usize) -> EventTime {
    EventTime::from_ns(1_525_161_483_000_000_000 + step as i64 * 7_000_000)
}

fn logger(dir: &Path, server: usize, gzip: bool, position: SessionPosition) -> DiskSessionLogger {
    let options = SessionOptions {
        server_id: ServerId::new(&format!("a{server}")).unwrap(),
        namespace: Namespace::default(),
        sid: SessionId::new(SID).unwrap(),
        compression: if gzip {
            Compression::Gzip
        } else {
            Compression::None
        },
        sync: SyncPolicy::Never,
        record_sessions: true,
    };
    let storage = OwnDirectory::open(dir, Making::default()).unwrap();
    DiskSessionLogger::open(Arc::new(storage), options, position).unwrap()
}

fn session(dir: &Path, unpack: &Path) -> Arc<Session> {
    let limits = ReaderLimits {
        cache_bytes: 16 << 20,
        unpack_bytes: 1 << 30,
        unpack_dir: unpack.to_owned(),
        session_idle_ns: i64::MAX,
        hash_seed: 1,
    };
    let audit = AuditDir::new(Arc::new(Share::open(dir).unwrap()), limits);
    assert!(audit.catalog().refresh().is_empty());
    let number = audit.catalog().find(&Namespace::default(), SID).unwrap();
    Sessions::new(audit).open(number, 0).unwrap().unwrap()
}

fn stream(session: &Session) -> Vec<u8> {
    let stream = session.stream().unwrap();
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < stream.len_bytes() {
        stream
            .read_at(bytes.len() as u64, 1 << 20, &mut bytes)
            .unwrap();
    }
    bytes
}

fn events(session: &Session) -> String {
    let events = session.events().unwrap();
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < events.len_bytes() {
        events
            .read_at(bytes.len() as u64, 1 << 20, &mut bytes)
            .unwrap();
    }
    String::from_utf8(bytes).unwrap()
}

/// Where the session goes on, as a caller computes it from the merge.
fn position(session: &Session) -> SessionPosition {
    let mut position = SessionPosition::default();
    for line in events(session).lines() {
        position.pass(&read_session_line(line.as_bytes()).unwrap());
    }
    position
}

fn has_files(dir: &Path) -> bool {
    std::fs::read_dir(dir).unwrap().next().is_some()
}

/// The recording of the merged session, as one archive, read in odd pieces.
fn archive(session: &Session) -> Vec<u8> {
    let archive = session.archive().unwrap();
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < archive.len_bytes() {
        archive
            .read_at(bytes.len() as u64, 777, &mut bytes)
            .unwrap();
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_session_is_read_as_it_was_written(steps in proptest::collection::vec(step(), 1..40), gzip: bool) {
        let (dir, unpack) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut writer = logger(dir.path(), 0, gzip, SessionPosition::default());
        let (mut sent, mut lines, mut server) = (Vec::new(), Vec::new(), 0);
        let mut end = EventFields::new();
        end.set("event", "session.end");
        for (number, step) in steps.iter().enumerate() {
            match step {
                Step::Print(bytes) => {
                    prop_assert_eq!(writer.post_print(bytes, at(number)).unwrap().1.0, sent.len() as u64);
                    sent.extend_from_slice(bytes);
                    lines.push("print".to_owned());
                }
                Step::Event(name) => {
                    let mut event = EventFields::new();
                    event.set("event", name.as_str());
                    writer.post_event(event, at(number), "u").unwrap();
                    lines.push(name.clone());
                }
                Step::Idle => writer.close().unwrap(),
                Step::Server(_) | Step::Restart => {
                    if let Step::Server(other) = step {
                        server = *other;
                    }
                    let from = match has_files(dir.path()) {
                        true => position(&session(dir.path(), unpack.path())),
                        false => SessionPosition::default(),
                    };
                    prop_assert_eq!(&from, writer.position());
                    writer = logger(dir.path(), server, gzip, from);
                }
            }
        }
        writer.post_event(end, at(steps.len()), "u").unwrap();
        lines.push("session.end".to_owned());
        let read = session(dir.path(), unpack.path());
        prop_assert_eq!(&stream(&read), &sent);
        let events = events(&read);
        let names: Vec<_> = events.lines().map(|line| EventFields::from_json(line.as_bytes()).unwrap().get_type().to_owned()).collect();
        prop_assert_eq!(names, lines);
        for (ei, line) in events.lines().enumerate() {
            prop_assert_eq!(read_session_line(line.as_bytes()).unwrap().ei.unwrap().0, ei as i64);
        }
        let damage: Vec<_> = read.damage().unwrap().into_iter().filter(|(_, damage)| !damage.is_normal()).collect();
        prop_assert!(damage.is_empty(), "{damage:?}");
        prop_assert!(read.stream().unwrap().conflicts().unwrap().0.is_empty());
        prop_assert!(read.is_completed() && !read.is_growing().unwrap());

        // And what one mount exports, another takes and shows the same.
        let other = tempfile::tempdir().unwrap();
        let storage = OwnDirectory::open(other.path(), Making::default()).unwrap();
        let (server_id, namespace) = (ServerId::new("b1").unwrap(), Namespace::default());
        let place = RecordingPlace { storage: &storage, server_id: &server_id, namespace: &namespace };
        let sid = SessionId::new(SID).unwrap();
        unpack_session_recording(&place, &sid, &mut archive(&read).as_slice(), &RecordingLimits::default(), &RecordedBy::OneServer).unwrap();
        finish_uploads(&place).unwrap();
        let copy = session(other.path(), unpack.path());
        prop_assert_eq!(stream(&copy), stream(&read));
        let copied = crate::events(&copy);
        prop_assert_eq!(copied, events);
        let left: Vec<_> = std::fs::read_dir(other.path().join("b1/sessions/default")).unwrap().collect();
        // An index, the events, the end mark, and chunks if there were any.
        prop_assert_eq!(left.len(), 3 + usize::from(!sent.is_empty()));
        prop_assert_eq!(archive(&copy), archive(&read));
    }
}
