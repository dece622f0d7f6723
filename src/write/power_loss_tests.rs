//! Anything is written, the disk fails or the process dies anywhere, the power goes, and any part of what was not synced is
//! lost: what was acknowledged as durable stays, nothing is there twice, and writing goes on with the right numbers.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use proptest::prelude::*;

use super::event_line::complete_event;
use super::faulty_storage::{Fault, FaultyStorage};
use super::held_folder::HeldFolder;
use super::position::SessionPosition;
use super::unpacked::unpack;
use super::{Compression, Recorder, RecorderOptions, SessionEnds, SyncPolicy};
use crate::event::{EventFields, EventTime, Namespace, ServerId, SessionId};
use crate::format::{DataKind, SessionFileName, read_session_line};

const SECOND_NS: i64 = 1_000_000_000;
const SIDS: [&str; 2] = ["s1", "s2"];
const FOLDER: &str = "a1/sessions/default/";

#[derive(Clone, Debug)]
enum Step {
    /// A piece of this length for a session.
    Print(usize, usize),
    /// An event of a session.
    Event(usize),
    /// So many events for the daily log.
    Emit(usize),
    SyncSession(usize),
    SyncLog,
    /// So many milliseconds pass.
    Tick(i64),
    /// The operation so many ahead fails with this errno, with half of a write done or nothing.
    Fails(u64, i32, bool),
    /// The process dies at the operation so many ahead.
    Dies(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let session = 0..SIDS.len();
    let errno = prop_oneof![Just(libc::ENOSPC), Just(libc::EIO), Just(libc::EDQUOT)];
    prop_oneof![
        8 => (session.clone(), 1..300_usize).prop_map(|(session, len)| Step::Print(session, len)),
        3 => session.clone().prop_map(Step::Event),
        4 => (1..4_usize).prop_map(Step::Emit),
        3 => session.prop_map(Step::SyncSession),
        2 => Just(Step::SyncLog),
        2 => prop_oneof![Just(300), Just(1500), Just(25_000)].prop_map(Step::Tick),
        1 => (0..12_u64, errno, any::<bool>()).prop_map(|(ahead, errno, half)| Step::Fails(ahead, errno, half)),
        1 => (0..40_u64).prop_map(Step::Dies),
    ]
}

/// No other server has anything.
struct Nowhere;

impl SessionEnds for Nowhere {
    fn end_of(&self, _: &Namespace, _: &SessionId) -> io::Result<SessionPosition> {
        Ok(SessionPosition::default())
    }
}

/// What was sent with one call, which is numbered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sent {
    acknowledged: bool,
    durable: bool,
    failures_before: u64,
}

struct Case {
    storage: FaultyStorage,
    recorder: Recorder,
    sync: SyncPolicy,
    now_ns: i64,
    /// By session: pieces and their lengths; events; and last of all the events of the daily log.
    pieces: [Vec<(Sent, usize)>; 2],
    events: [Vec<Sent>; 2],
    emitted: Vec<Sent>,
}

fn recorder(storage: &FaultyStorage, sync: SyncPolicy, gzip: bool) -> Recorder {
    let mut options = RecorderOptions::new(ServerId::new("a1").unwrap());
    options.sync = sync;
    if gzip {
        options.compression = Compression::Gzip;
    }
    let folder = HeldFolder::unlocked();
    Recorder::over(
        Arc::new(storage.clone()),
        folder,
        Arc::new(Nowhere),
        options,
    )
    .unwrap()
}

fn sid(session: usize) -> SessionId {
    SessionId::new(SIDS[session]).unwrap()
}

fn event(number: usize) -> EventFields {
    let mut event = EventFields::new();
    event.set("event", "exec");
    event.set("number", number as i64);
    complete_event(&mut event, EventTime::from_ns(0), "u");
    event
}

/// Piece number n of a stream.
fn piece(number: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| (number + at * 7) as u8).collect()
}

impl Case {
    fn now(&self) -> EventTime {
        EventTime::from_ns(1_525_161_483 * SECOND_NS + self.now_ns)
    }

    fn step(&mut self, step: &Step) {
        let (ns, always) = (Namespace::default(), self.sync == SyncPolicy::Always);
        let now = self.now();
        let sent = |acknowledged, failures_before| Sent {
            acknowledged,
            durable: acknowledged && always,
            failures_before,
        };
        let recorder = &self.recorder;
        match *step {
            Step::Print(session, len) => {
                let before = recorder.session_failures(&ns, &sid(session));
                let bytes = piece(self.pieces[session].len(), len);
                let posted = recorder.post_print(&ns, &sid(session), &bytes, now);
                self.pieces[session].push((sent(posted.is_ok(), before), len));
            }
            Step::Event(session) => {
                let before = recorder.session_failures(&ns, &sid(session));
                let event = event(self.events[session].len());
                let posted = recorder.post_event(&ns, &sid(session), event, now, "u");
                self.events[session].push(sent(posted.is_ok(), before));
            }
            Step::Emit(count) => {
                let before = recorder.log_failures();
                let first = self.emitted.len();
                // Those of sessions are in the same log.
                let events: Vec<_> = (first..first + count)
                    .map(|number| event(1_000_000 + number))
                    .collect();
                let emitted = recorder.emit(&events, now).is_ok();
                self.emitted.extend(vec![sent(emitted, before); count]);
            }
            Step::SyncSession(session) => {
                let synced = recorder.sync_session(&ns, &sid(session)).is_ok();
                let failures = recorder.session_failures(&ns, &sid(session));
                let pieces = self.pieces[session].iter_mut().map(|(sent, _)| sent);
                for sent in pieces.chain(&mut self.events[session]) {
                    sent.durable |= synced && sent.acknowledged && sent.failures_before == failures;
                }
            }
            Step::SyncLog => {
                let synced = recorder.sync_log().is_ok();
                let failures = recorder.log_failures();
                for sent in &mut self.emitted {
                    sent.durable |= synced && sent.acknowledged && sent.failures_before == failures;
                }
            }
            Step::Tick(ms) => {
                self.now_ns += ms * 1_000_000;
                let _ = self.recorder.tick(self.now());
            }
            Step::Fails(ahead, errno, half) => {
                let fault = if half {
                    Fault::Half(errno)
                } else {
                    Fault::Errno(errno)
                };
                self.storage.fail(ahead, fault);
            }
            Step::Dies(ahead) => self.storage.fail(ahead, Fault::Death),
        }
    }
}

/// A session as its files have it. Fails where a number is used twice or an indexed file misses.
#[derive(Default)]
struct OnDisk {
    /// By `ei`: number of the event, or the bytes of the piece; fewer than the print event says if they were lost.
    events: BTreeMap<i64, Result<i64, Vec<u8>>>,
    loose_bytes: usize,
}

fn on_disk(storage: &FaultyStorage, sid: &str, whole: bool) -> OnDisk {
    let paths = storage.paths();
    let index = storage.text(&format!("{FOLDER}{sid}.index"));
    // A file that is not in the index was begun by a process that died before anything in it counted.
    let names = index.lines().filter_map(|line| line.split('"').nth(3));
    let indexed: Vec<_> = names.map(|name| format!("{FOLDER}{name}")).collect();
    for path in &indexed {
        assert!(paths.contains(path), "{path} is missing");
    }
    let mut chunks = BTreeMap::new();
    let mut lines = Vec::new();
    for path in &indexed {
        let name = path.strip_prefix(FOLDER).and_then(SessionFileName::parse);
        let Some(name) = name.filter(|name| name.sid.as_str() == sid) else {
            continue;
        };
        let mut content = Vec::new();
        let take = &mut |bytes: &[u8]| {
            content.extend_from_slice(bytes);
            Ok(())
        };
        unpack(
            &mut storage.contents(path).unwrap().as_slice(),
            u64::MAX,
            take,
        )
        .unwrap();
        match name.kind {
            DataKind::Chunks => {
                // Packed and plain, where one of them was begun and nothing in it was acknowledged.
                let there: &mut Vec<u8> = chunks.entry(name.number).or_default();
                assert!(
                    there.is_empty() || content.is_empty(),
                    "{path}: bytes twice"
                );
                there.extend(content);
            }
            DataKind::Events => {
                assert!(
                    !whole || content.is_empty() || content.ends_with(b"\n"),
                    "{path} is torn"
                );
                lines.extend(
                    content
                        .split(|byte| *byte == b'\n')
                        .filter(|line| !line.is_empty())
                        .map(<[u8]>::to_vec),
                );
            }
            _ => {}
        }
    }
    let mut found = OnDisk::default();
    let mut covered = 0;
    let mut told = BTreeMap::new();
    for line in lines {
        // Of files that are never synced any part may be lost; the numbers that are left are used once all the same.
        let Some(read) = read_session_line(&line) else {
            assert!(!whole, "{:?}", String::from_utf8_lossy(&line));
            continue;
        };
        let event = match read.print {
            None => Ok(EventFields::from_json(&line).unwrap().get_int("number")),
            Some(print) => {
                let (offset, len) = (print.offset.unwrap().0, print.bytes.unwrap());
                assert_eq!(told.insert(offset, len), None, "offset {offset} twice");
                let nothing = (&offset, &Vec::new());
                let (first, content) = chunks.range(..=offset).next_back().unwrap_or(nothing);
                let from = content.len().min((offset - first) as usize);
                let until = content.len().min((offset - first + len) as usize);
                covered += until - from;
                Err(content[from..until].to_vec())
            }
        };
        let ei = read.ei.unwrap().0;
        assert!(found.events.insert(ei, event).is_none(), "ei {ei} twice");
    }
    let ends: Vec<_> = told.iter().map(|(offset, len)| offset + len).collect();
    assert!(
        !whole
            || told
                .keys()
                .skip(1)
                .zip(ends)
                .all(|(next, end)| *next == end),
        "{told:?}"
    );
    found.loose_bytes = chunks.values().map(Vec::len).sum::<usize>() - covered;
    found
}

/// Each durable one is there once, each other one at most once, in the order in which they were sent.
fn check_numbers(what: &str, sent: &[Sent], there: &[i64]) {
    assert!(there.is_sorted_by(|a, b| a < b), "{what}: {there:?}");
    for (number, sent) in sent.iter().enumerate() {
        assert!(
            !sent.durable || there.contains(&(number as i64)),
            "{what}: {number} of {there:?} is lost"
        );
    }
}

fn check_pieces(what: &str, sent: &[(Sent, usize)], there: Vec<&Vec<u8>>, all_whole: bool) {
    let mut rest = there.into_iter().peekable();
    for (number, (sent, len)) in sent.iter().enumerate() {
        let whole = piece(number, *len);
        let is_there = rest.next_if(|there| **there == whole).is_some();
        let mut is_part =
            || !all_whole && rest.peek().is_some_and(|there| whole.starts_with(there));
        if !is_there && !sent.durable && is_part() {
            rest.next();
        }
        assert!(
            is_there || !sent.durable,
            "{what}: piece {number} is lost; next is {:?}",
            rest.peek()
        );
    }
    assert_eq!(rest.next(), None, "{what}: never sent, or there twice");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_was_durable_stays_when_the_power_goes(
        steps in proptest::collection::vec(step(), 1..60),
        policy in 0..3_usize,
        gzip: bool,
        reserves: bool,
        with_names: bool,
        lots in proptest::collection::vec(0..=100_usize, 16),
    ) {
        let interval = SyncPolicy::Interval { interval_ns: SECOND_NS };
        let sync = [SyncPolicy::Always, interval, SyncPolicy::Never][policy];
        let storage = if reserves { FaultyStorage::new() } else { FaultyStorage::new().without_reserve() };
        let mut case = Case {
            recorder: recorder(&storage, sync, gzip),
            storage,
            sync,
            now_ns: 0,
            pieces: Default::default(),
            events: Default::default(),
            emitted: Vec::new(),
        };
        for step in &steps {
            case.step(step);
        }
        // What is not synced may go, also from the middle: nothing under `never`, nor what a failed sync gave up.
        let failed = steps.iter().any(|step| matches!(step, Step::Fails(..)));
        let whole = sync == SyncPolicy::Always || sync != SyncPolicy::Never && !failed;
        let mut lots = lots.into_iter().cycle();
        let disk = case.storage.after_some_loss(with_names, |bytes| bytes * lots.next().unwrap() / 100);

        // Another process goes on.
        let (ns, now) = (Namespace::default(), case.now());
        case.recorder = recorder(&disk, sync, !gzip);
        case.storage = disk.clone();
        for session in 0..SIDS.len() {
            case.step(&Step::Event(session));
            case.step(&Step::Print(session, 50));
        }
        case.step(&Step::Emit(1));
        for session in 0..SIDS.len() {
            prop_assert!(case.events[session].last().unwrap().acknowledged);
            prop_assert!(case.pieces[session].last().unwrap().0.acknowledged);
            let mut end = event(9_000_000);
            end.set("event", "session.end");
            case.recorder.post_event(&ns, &sid(session), end, now, "u").unwrap();
        }
        case.recorder.close().unwrap();
        for (session, name) in SIDS.into_iter().enumerate() {
            let found = on_disk(&disk, name, whole);
            let numbers: Vec<_> = found.events.values().filter_map(|event| event.as_ref().ok().copied()).collect();
            check_numbers(name, &case.events[session], &numbers);
            let pieces = found.events.values().filter_map(|event| event.as_ref().err()).collect();
            check_pieces(name, &case.pieces[session], pieces, sync == SyncPolicy::Always);
            prop_assert!(!whole || found.loose_bytes == 0);
            let last = found.events.keys().last().copied();
            prop_assert!(!whole || last.is_some_and(|last| last + 1 == found.events.len() as i64), "a hole: {:?}", found.events.keys());
        }
        let log = disk.text("a1/2018-05-01.00:00:00.log");
        let lines: Vec<_> = log.lines().map(|line| EventFields::from_json(line.as_bytes())).collect();
        let emitted = lines.iter().flatten().map(|event| event.get_int("number") - 1_000_000);
        let emitted: Vec<_> = emitted.filter(|number| (0..1_000_000).contains(number)).collect();
        check_numbers("the daily log", &case.emitted, &emitted);
    }
}
