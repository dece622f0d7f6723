//! What several servers write in turn, the reader reads: sessions that go from server to server and back, daemons that die
//! and start again with other options, idle times. Numbers are used once and everything comes back in order.
#![allow(clippy::unwrap_used)]

use std::io;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use auditfs::disk::Share;
use auditfs::event::{EventFields, EventTime, Namespace, ServerId, SessionId};
use auditfs::format::read_session_line;
use auditfs::reader::{AuditDir, ReaderLimits, Session, Sessions};
use auditfs::write::{
    Compression, Making, OwnDirectory, Recorder, RecorderOptions, SessionEnds, SessionPosition,
};

const SERVERS: usize = 3;
const SESSIONS: usize = 2;
/// More than a hand-over takes that is not noticed.
const STEP_NS: i64 = 7_000_000;

#[derive(Clone, Debug)]
enum Step {
    Print(Vec<u8>),
    Event(String),
    /// The next steps reach this server.
    Server(usize),
    /// The next steps are for this session.
    Session(usize),
    /// A server is only asked where the session ends, as `ls -l` asks.
    Ask(usize),
    /// Nobody writes for a minute.
    Idle,
    /// The server dies and starts again, packing and recording or not.
    Restart(bool, bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => proptest::collection::vec(any::<u8>(), 1..50).prop_map(Step::Print),
        4 => "[a-z<>&\u{e9}\"\\\\]{1,12}".prop_map(Step::Event),
        4 => (0..SERVERS).prop_map(Step::Server),
        2 => (0..SESSIONS).prop_map(Step::Session),
        2 => (0..SERVERS).prop_map(Step::Ask),
        1 => Just(Step::Idle),
        1 => (any::<bool>(), proptest::bool::weighted(0.8)).prop_map(|(gzip, records)| Step::Restart(gzip, records)),
    ]
}

fn sid(session: usize) -> SessionId {
    SessionId::new(&format!("74a5fc01-4d00-11e8-aee2-{session:012x}")).unwrap()
}

/// Reads the merged session, everything looked at anew.
fn read(dir: &Path, unpack: &Path, sid: &SessionId) -> Option<Arc<Session>> {
    let limits = ReaderLimits {
        cache_bytes: 16 << 20,
        unpack_bytes: 1 << 30,
        unpack_dir: unpack.to_owned(),
        session_idle_ns: i64::MAX,
        hash_seed: 1,
    };
    let audit = AuditDir::new(Arc::new(Share::open(dir).unwrap()), limits);
    assert!(audit.catalog().refresh().is_empty());
    let number = audit.catalog().find(&Namespace::default(), sid.as_str())?;
    Sessions::new(audit).open(number, 0).unwrap()
}

struct Ends(tempfile::TempDir, std::path::PathBuf);

impl SessionEnds for Ends {
    fn end_of(&self, _: &Namespace, sid: &SessionId) -> io::Result<SessionPosition> {
        let mut position = SessionPosition::default();
        if let Some(session) = read(&self.1, self.0.path(), sid) {
            session.each_event(|event| position.pass(event)).unwrap();
        }
        Ok(position)
    }
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

fn recorder(dir: &Path, server: usize, gzip: bool, records: bool, now: EventTime) -> Recorder {
    let mut options = RecorderOptions::new(ServerId::new(&format!("a{server}")).unwrap());
    options.record_sessions = records;
    if gzip {
        options.compression = Compression::Gzip;
    }
    let ends = Ends(tempfile::tempdir().unwrap(), dir.to_owned());
    let directory = OwnDirectory::open(dir, Making::default()).unwrap();
    Recorder::open(directory, Arc::new(ends), options, now).unwrap()
}

/// What a session must come back as.
#[derive(Default)]
struct Wanted {
    stream: Vec<u8>,
    events: Vec<String>,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_several_servers_write_in_turn_is_read_in_order(steps in proptest::collection::vec(step(), 1..60)) {
        let (dir, unpack) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let ns = Namespace::default();
        let mut now = EventTime::from_ns(1_525_161_483_000_000_000);
        let mut servers: Vec<_> = (0..SERVERS).map(|server| Some(recorder(dir.path(), server, false, true, now))).collect();
        let mut records = [true; SERVERS];
        let mut wanted: [Wanted; SESSIONS] = Default::default();
        let (mut server, mut session) = (0, 0);
        for step in &steps {
            now = EventTime::from_ns(now.as_ns() + STEP_NS);
            let sid = sid(session);
            let at = |server: usize| servers[server].as_ref().unwrap();
            match step {
                Step::Print(bytes) => {
                    at(server).post_print(&ns, &sid, bytes, now).unwrap();
                    if records[server] {
                        wanted[session].stream.extend_from_slice(bytes);
                        wanted[session].events.push("print".to_owned());
                    }
                }
                Step::Event(name) => {
                    let mut event = EventFields::new();
                    event.set("event", name.as_str());
                    at(server).post_event(&ns, &sid, event, now, "u").unwrap();
                    wanted[session].events.push(name.clone());
                }
                Step::Server(other) => server = *other,
                Step::Session(other) => session = *other,
                Step::Ask(other) => {
                    let end = at(*other).position(&ns, &sid, now).unwrap().next_offset.0;
                    prop_assert_eq!(end, wanted[session].stream.len() as u64);
                }
                Step::Idle => {
                    now = EventTime::from_ns(now.as_ns() + 60_000_000_000);
                    for server in servers.iter().flatten() {
                        server.tick(now).unwrap();
                    }
                }
                Step::Restart(gzip, on) => {
                    // Its lock goes with it.
                    servers[server] = None;
                    records[server] = *on;
                    servers[server] = Some(recorder(dir.path(), server, *gzip, *on, now));
                }
            }
        }
        let always_recorded = !steps.iter().any(|step| matches!(step, Step::Restart(_, false)));
        for (session, wanted) in wanted.iter_mut().enumerate() {
            now = EventTime::from_ns(now.as_ns() + STEP_NS);
            let mut end = EventFields::new();
            end.set("event", "session.end");
            servers[server].as_ref().unwrap().post_event(&ns, &sid(session), end, now, "u").unwrap();
            wanted.events.push("session.end".to_owned());
        }
        for server in servers.iter().flatten() {
            server.close().unwrap();
        }
        for (session, wanted) in wanted.iter().enumerate() {
            let read = read(dir.path(), unpack.path(), &sid(session)).unwrap();
            prop_assert_eq!(&stream(&read), &wanted.stream);
            let text = events(&read);
            let names: Vec<_> = text.lines().map(|line| EventFields::from_json(line.as_bytes()).unwrap().get_type().to_owned()).collect();
            prop_assert_eq!(&names, &wanted.events);
            let lines: Vec<_> = text.lines().map(|line| read_session_line(line.as_bytes()).unwrap()).collect();
            let eis: Vec<_> = lines.iter().map(|line| line.ei.unwrap().0).collect();
            prop_assert!(eis.is_sorted_by(|a, b| a < b), "{eis:?}");
            prop_assert!(!always_recorded || eis.last() == Some(&(eis.len() as i64 - 1)), "{eis:?}");
            let mut next = 0;
            for (ci, print) in lines.iter().filter_map(|line| line.print.as_ref()).enumerate() {
                prop_assert_eq!((print.ci, print.offset.map(|offset| offset.0)), (Some(ci as i64), Some(next)));
                next += print.bytes.unwrap();
            }
            let damage: Vec<_> = read.damage().unwrap().into_iter().filter(|(_, damage)| !damage.is_normal()).collect();
            prop_assert!(damage.is_empty(), "{damage:?}");
            prop_assert!(read.stream().unwrap().conflicts().unwrap().0.is_empty());
            prop_assert!(read.is_completed());
        }
    }
}
