//! The facade: who is asked when, what a tick closes, and what callers are told of failures.

use std::sync::atomic::AtomicUsize;

use super::*;
use crate::event::EventName;
use crate::write::event_line::complete_event;
use crate::write::faulty_storage::{Fault, FaultyStorage};

const SECOND_NS: i64 = 1_000_000_000;
const DAY_LOG: &str = "a1/2018-05-01.00:00:00.log";

fn at(s: i64) -> EventTime {
    EventTime::from_ns(1_525_161_483_000_000_000 + s * SECOND_NS)
}

/// What another server has of every session, and how often it was asked.
#[derive(Debug, Default)]
struct Elsewhere {
    end: Mutex<SessionPosition>,
    asked: AtomicUsize,
}

impl SessionEnds for Elsewhere {
    fn end_of(&self, _: &Namespace, _: &SessionId) -> io::Result<SessionPosition> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Ok(*self.end.lock().unwrap())
    }
}

struct Case {
    storage: FaultyStorage,
    elsewhere: Arc<Elsewhere>,
    recorder: Recorder,
    ns: Namespace,
    sid: SessionId,
}

fn case_with(change: impl FnOnce(&mut RecorderOptions)) -> Case {
    let storage = FaultyStorage::new();
    let elsewhere = Arc::new(Elsewhere::default());
    let mut options = RecorderOptions::new(ServerId::new("a1").unwrap());
    change(&mut options);
    let recorder = Recorder::over(
        Arc::new(storage.clone()),
        HeldFolder::unlocked(),
        elsewhere.clone(),
        options,
    );
    Case {
        storage,
        elsewhere,
        recorder: recorder.unwrap(),
        ns: Namespace::default(),
        sid: SessionId::new("s1").unwrap(),
    }
}

fn case() -> Case {
    case_with(|_| {})
}

fn event(name: &str) -> EventFields {
    let mut event = EventFields::new();
    event.set("event", name);
    complete_event(&mut event, at(0), "u");
    event
}

impl Case {
    fn print(&self, bytes: &str, s: i64) -> (i64, u64) {
        let posted = self
            .recorder
            .post_print(&self.ns, &self.sid, bytes.as_bytes(), at(s));
        posted.map(|(ei, offset)| (ei.0, offset.0)).unwrap()
    }

    fn asked(&self) -> usize {
        self.elsewhere.asked.load(Ordering::Relaxed)
    }
}

#[test]
fn events_of_a_session_go_to_its_file_and_to_the_daily_log() {
    let case = case();
    let name = EventName::SessionStart.as_str();
    let posted = case
        .recorder
        .post_event(&case.ns, &case.sid, event(name), at(0), "u");
    let line = posted.unwrap().to_json() + "\n";
    assert_eq!(case.storage.text(DAY_LOG), line);
    assert_eq!(case.storage.text("a1/sessions/default/s1-0.events"), line);
    case.print("hello", 1);
    assert_eq!(case.storage.text(DAY_LOG), line);
}

#[test]
fn a_running_session_is_asked_for_once_and_again_after_an_idle_time() {
    let case = case();
    assert_eq!(case.print("hello", 0), (0, 0));
    case.recorder.tick(at(1)).unwrap();
    assert_eq!(case.print("hello", 2), (1, 5));
    assert_eq!(case.asked(), 1);
    case.recorder.tick(at(30)).unwrap();
    *case.elsewhere.end.lock().unwrap() = SessionPosition {
        next_ei: EventIndex(7),
        next_ci: 4,
        next_offset: StreamOffset(100),
        ..SessionPosition::default()
    };
    assert_eq!(case.print("x", 31), (7, 100));
    assert_eq!(case.asked(), 2);
    assert!(
        case.storage
            .contents("a1/sessions/default/s1-100.chunks")
            .is_some()
    );
}

#[test]
fn dropped_print_events_keep_their_numbers_over_an_idle_time() {
    let case = case_with(|options| options.record_sessions = false);
    case.print("hello", 0);
    case.recorder.tick(at(60)).unwrap();
    assert_eq!(case.print("x", 61), (1, 0));
}

#[test]
fn a_session_that_ended_takes_nothing_more() {
    let case = case();
    let post = |name: &str| {
        case.recorder
            .post_event(&case.ns, &case.sid, event(name), at(0), "u")
    };
    post("session.end").unwrap();
    assert!(matches!(post("exec"), Err(WriteError::SessionEnded { .. })));
    case.recorder.tick(at(60)).unwrap();
    assert!(case.recorder.is_ended(&case.ns, &case.sid, at(61)).unwrap());
    assert_eq!(
        case.storage.text("a1/sessions/default/s1.completed"),
        "completed"
    );
}

#[test]
fn a_sync_that_failed_is_remembered_and_counted() {
    let case = case();
    case.print("hello", 0);
    case.storage.fail(0, Fault::Errno(libc::EIO));
    assert!(case.recorder.tick(at(2)).is_err());
    case.recorder.tick(at(3)).unwrap();
    case.print("x", 3);
    case.storage.fail(0, Fault::Errno(libc::ENOSPC));
    let failed = case.recorder.sync_session(&case.ns, &case.sid);
    assert!(failed.is_err());
    case.recorder.tick(at(300)).unwrap();
    assert!(case.recorder.session_failures(&case.ns, &case.sid) > 0);
}

#[test]
fn what_an_earlier_process_did_not_sync_is_durable_after_the_first_tick() {
    let case = case_with(|options| options.sync = SyncPolicy::default());
    case.recorder.emit(&[event("user.login")], at(0)).unwrap();
    let storage = case.storage.after_kill();
    let recorder = Recorder::over(
        Arc::new(storage.clone()),
        HeldFolder::unlocked(),
        case.elsewhere.clone(),
        case.recorder.options.clone(),
    );
    let recorder = recorder.unwrap();
    assert_eq!(storage.after_power_loss().text(DAY_LOG), "");
    recorder.sync_log().unwrap();
    assert_eq!(storage.after_power_loss().text(DAY_LOG).lines().count(), 1);
}

#[test]
fn after_closing_everything_is_durable_and_nothing_is_taken() {
    let case = case();
    case.recorder.emit(&[event("user.login")], at(0)).unwrap();
    case.print("hello", 0);
    case.recorder.close().unwrap();
    let disk = case.storage.after_power_loss();
    assert_eq!(disk.text(DAY_LOG).lines().count(), 1);
    assert_eq!(disk.text("a1/sessions/default/s1-0.chunks"), "hello");
    let refused = case.recorder.emit(&[event("user.login")], at(1));
    assert!(matches!(refused, Err(WriteError::Closed)));
}

#[test]
fn many_threads_write_without_mixing() {
    let case = case();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (recorder, ns) = (&case.recorder, &case.ns);
            scope.spawn(move || {
                let sid = SessionId::new(&format!("t{thread}")).unwrap();
                for _ in 0..50 {
                    recorder.emit(&[event("user.login")], at(0)).unwrap();
                    recorder.post_print(ns, &sid, b"abcd", at(0)).unwrap();
                    let _ = recorder.tick(at(0));
                }
            });
        }
    });
    assert_eq!(case.storage.text(DAY_LOG).lines().count(), 200);
    for thread in 0..4 {
        let chunks = case
            .storage
            .text(&format!("a1/sessions/default/t{thread}-0.chunks"));
        assert_eq!(chunks, "abcd".repeat(50));
    }
}

#[test]
fn a_folder_taken_by_two_names_its_holder() {
    let dir = tempfile::tempdir().unwrap();
    let open = || {
        let directory = OwnDirectory::open(dir.path(), Default::default()).unwrap();
        let options = RecorderOptions::new(ServerId::new("a1").unwrap());
        Recorder::open(directory, Arc::new(Elsewhere::default()), options, at(0))
    };
    let first = open().unwrap();
    let second = open().err().unwrap().to_string();
    assert!(
        second.contains(&format!("pid {}", std::process::id())),
        "{second}"
    );
    drop(first);
    open().unwrap().tick(at(10)).unwrap();
}

#[test]
fn a_session_that_another_server_took_up_is_asked_for_at_once() {
    let case = case();
    assert_eq!(case.print("hello", 0), (0, 0));
    case.storage
        .put("b1/sessions/default/s1.index", b"a line\n");
    *case.elsewhere.end.lock().unwrap() = SessionPosition {
        next_ei: EventIndex(3),
        next_ci: 2,
        next_offset: StreamOffset(9),
        ..SessionPosition::default()
    };
    assert_eq!(case.print("x", 2), (3, 9));
    assert_eq!(case.print("y", 4), (4, 10));
    assert_eq!(case.asked(), 2);
}
