//! The session writer: the seed document's examples, continuing, and deaths at every operation.

use std::collections::BTreeMap;

use super::*;
use crate::format::read_session_line;
use crate::write::faulty_storage::{Fault, FaultyStorage};
use crate::write::unpacked::unpack;

const SECOND_NS: i64 = 1_000_000_000;

fn at(ms: i64) -> EventTime {
    EventTime::from_ns(1_525_161_483_000_000_000 + ms * 1_000_000)
}

fn options(server: &str) -> SessionOptions {
    SessionOptions {
        server_id: ServerId::new(server).unwrap(),
        namespace: Namespace::default(),
        sid: SessionId::new("s1").unwrap(),
        compression: Compression::None,
        sync: SyncPolicy::Always,
        record_sessions: true,
    }
}

fn open_with(
    storage: &FaultyStorage,
    options: SessionOptions,
    position: SessionPosition,
) -> DiskSessionLogger {
    DiskSessionLogger::open(Arc::new(storage.clone()), options, position).unwrap()
}

fn open(storage: &FaultyStorage, server: &str, position: SessionPosition) -> DiskSessionLogger {
    open_with(storage, options(server), position)
}

fn event(name: &str) -> EventFields {
    let mut event = EventFields::new();
    event.set("event", name);
    event
}

fn post(logger: &mut DiskSessionLogger, name: &str, ms: i64) -> EventFields {
    logger.post_event(event(name), at(ms), "u").unwrap()
}

fn file(storage: &FaultyStorage, server: &str, name: &str) -> String {
    storage.text(&format!("{server}/sessions/default/{name}"))
}

fn unpacked(packed: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut packed = packed;
    unpack(&mut packed, u64::MAX, &mut |bytes| {
        out.extend_from_slice(bytes);
        Ok(())
    })
    .unwrap();
    out
}

/// The stream as the print events of all own files tell it. Each byte must be told once, each number used once, each
/// file indexed, and no line or byte be more than the print events say.
#[track_caller]
fn stream_of(storage: &FaultyStorage) -> Vec<u8> {
    let mut stream = BTreeMap::new();
    let mut eis = BTreeMap::new();
    let mut chunks = BTreeMap::new();
    let mut covered = BTreeMap::new();
    let paths = storage.paths();
    for path in paths.iter().filter(|path| !path.contains("/.auditfs-")) {
        let Some(name) = crate::format::SessionFileName::parse(path.rsplit('/').next().unwrap())
        else {
            continue;
        };
        let bytes = unpacked(&storage.contents(path).unwrap());
        match name.kind {
            DataKind::Chunks => {
                chunks.insert(
                    (path.split('/').next().unwrap().to_owned(), name.number),
                    bytes,
                );
            }
            DataKind::Events => {
                assert!(bytes.is_empty() || bytes.ends_with(b"\n"), "{path} is torn");
                for line in bytes
                    .split(|&byte| byte == b'\n')
                    .filter(|line| !line.is_empty())
                {
                    let line = read_session_line(line).unwrap();
                    assert_eq!(
                        eis.insert(line.ei.unwrap(), path.clone()),
                        None,
                        "ei twice in {path}"
                    );
                    if let Some(print) = line.print {
                        let server = path.split('/').next().unwrap().to_owned();
                        covered.insert((server, print.offset.unwrap().0), print.bytes.unwrap());
                    }
                }
            }
            DataKind::Index => {
                let text = String::from_utf8(bytes).unwrap();
                for line in text.lines() {
                    let name = line.split('"').nth(3).unwrap();
                    let folder = path.rsplit_once('/').unwrap().0;
                    assert!(
                        paths.contains(&format!("{folder}/{name}")),
                        "{name} is missing"
                    );
                }
            }
            _ => {}
        }
    }
    for ((server, offset), len) in covered {
        let ((_, first), bytes) = chunks
            .range(..=(server.clone(), offset))
            .next_back()
            .unwrap();
        let from = (offset - first) as usize;
        let bytes = &bytes[from..from + len as usize];
        for (at, byte) in bytes.iter().enumerate() {
            assert_eq!(stream.insert(offset + at as u64, *byte), None, "byte twice");
        }
    }
    let holes = stream
        .keys()
        .enumerate()
        .any(|(at, offset)| at as u64 != *offset);
    assert!(!holes, "a hole in the stream");
    let held: usize = chunks.values().map(Vec::len).sum();
    assert_eq!(held, stream.len(), "a chunk without its print event");
    stream.into_values().collect()
}

#[test]
fn the_seed_documents_single_server() {
    let storage = FaultyStorage::new();
    let mut logger = open(&storage, "a1", SessionPosition::default());
    post(&mut logger, "session.start", 0);
    post(&mut logger, "resize", 0);
    logger.post_print(&[b'x'; 40], at(10)).unwrap();
    post(&mut logger, "session.end", 20);
    assert_eq!(
        file(&storage, "a1", "s1.index"),
        "{\"file_name\":\"s1-0.events\",\"type\":\"events\",\"index\":0,\"offset\":0}\n\
         {\"file_name\":\"s1-0.chunks\",\"type\":\"chunks\",\"index\":0,\"offset\":0}\n"
    );
    assert_eq!(
        file(&storage, "a1", "s1-0.events"),
        "{\"code\":\"T2000I\",\"ei\":0,\"event\":\"session.start\",\"sid\":\"s1\",\"time\":\"2018-05-01T07:58:03Z\",\"uid\":\"u\"}\n\
         {\"code\":\"T2002I\",\"ei\":1,\"event\":\"resize\",\"sid\":\"s1\",\"time\":\"2018-05-01T07:58:03Z\",\"uid\":\"u\"}\n\
         {\"time\":\"2018-05-01T07:58:03.01Z\",\"event\":\"print\",\"bytes\":40,\"ms\":0,\"offset\":0,\"ei\":2,\"ci\":0}\n\
         {\"code\":\"T2004I\",\"ei\":3,\"event\":\"session.end\",\"sid\":\"s1\",\"time\":\"2018-05-01T07:58:03.02Z\",\"uid\":\"u\"}\n"
    );
    assert_eq!(file(&storage, "a1", "s1-0.chunks"), "x".repeat(40));
    assert_eq!(file(&storage, "a1", "s1.completed"), "completed");
    assert_eq!(storage.paths().len(), 4);
}

#[test]
fn the_seed_documents_two_servers() {
    let storage = FaultyStorage::new();
    let mut first = open(&storage, "a1", SessionPosition::default());
    post(&mut first, "session.start", 0);
    post(&mut first, "resize", 0);
    first.post_print(&[b'x'; 40], at(10)).unwrap();
    let mut second = open(&storage, "a2", *first.position());
    second.post_print(&[b'y'; 15], at(723)).unwrap();
    post(&mut second, "session.end", 800);
    assert_eq!(
        file(&storage, "a2", "s1.index"),
        "{\"file_name\":\"s1-3.events\",\"type\":\"events\",\"index\":3,\"offset\":0}\n\
         {\"file_name\":\"s1-40.chunks\",\"type\":\"chunks\",\"index\":0,\"offset\":40}\n"
    );
    let events = file(&storage, "a2", "s1-3.events");
    assert_eq!(
        events.lines().next(),
        Some(
            r#"{"time":"2018-05-01T07:58:03.723Z","event":"print","bytes":15,"ms":713,"offset":40,"ei":3,"ci":1}"#
        )
    );
    assert!(
        events
            .lines()
            .nth(1)
            .unwrap()
            .contains("\"ei\":4,\"event\":\"session.end\"")
    );
    assert_eq!(file(&storage, "a2", "s1-40.chunks"), "y".repeat(15));
    assert_eq!(
        stream_of(&storage),
        [[b'x'; 40].as_slice(), &[b'y'; 15]].concat()
    );
}

#[test]
fn a_finished_session_takes_nothing_more() {
    let storage = FaultyStorage::new();
    let mut logger = open(&storage, "a1", SessionPosition::default());
    post(&mut logger, "session.end", 0);
    let ended = |result: Result<_, _>| matches!(result, Err(WriteError::SessionEnded { .. }));
    assert!(ended(logger.post_print(b"x", at(1))));
    logger.finalize().unwrap();
    let mut again = open(&storage, "a1", SessionPosition::default());
    assert!(again.is_ended() && ended(again.post_print(b"x", at(1))));
    assert_eq!(file(&storage, "a1", "s1.completed"), "completed");
}

#[test]
fn without_recording_print_events_only_take_their_ei() {
    let storage = FaultyStorage::new();
    let mut logger = open_with(
        &storage,
        SessionOptions {
            record_sessions: false,
            ..options("a1")
        },
        SessionPosition::default(),
    );
    post(&mut logger, "session.start", 0);
    logger.post_print(b"hello", at(1)).unwrap();
    post(&mut logger, "session.end", 2);
    let events = file(&storage, "a1", "s1-0.events");
    let eis: Vec<_> = events
        .lines()
        .map(|line| read_session_line(line.as_bytes()).unwrap().ei)
        .collect();
    assert_eq!(eis, [Some(EventIndex(0)), Some(EventIndex(2))]);
    assert_eq!(storage.paths().len(), 3, "{:?}", storage.paths());
}

#[test]
fn an_idle_session_frees_its_files_and_goes_on_in_new_ones() {
    let storage = FaultyStorage::new();
    let gzip = SessionOptions {
        compression: Compression::Gzip,
        ..options("a1")
    };
    let mut logger = open_with(&storage, gzip, SessionPosition::default());
    logger.post_print(b"hello", at(0)).unwrap();
    logger.tick(at(19_999), 20 * SECOND_NS).unwrap();
    assert!(logger.is_open());
    logger.tick(at(20_000), 20 * SECOND_NS).unwrap();
    assert!(!logger.is_open());
    logger.post_print(b"good day", at(40_000)).unwrap();
    post(&mut logger, "session.end", 40_001);
    let index = file(&storage, "a1", "s1.index");
    let names: Vec<_> = index
        .lines()
        .map(|line| line.split('"').nth(3).unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "s1-0.events.gz",
            "s1-0.chunks.gz",
            "s1-1.events.gz",
            "s1-5.chunks.gz"
        ]
    );
    assert_eq!(stream_of(&storage), b"hellogood day");
    for path in storage.paths().iter().filter(|path| path.ends_with(".gz")) {
        let packed = storage.contents(path).unwrap();
        let mut whole = Vec::new();
        std::io::Read::read_to_end(
            &mut flate2::read::GzDecoder::new(packed.as_slice()),
            &mut whole,
        )
        .unwrap();
    }
}

#[test]
fn what_another_server_took_in_between_is_not_numbered_again() {
    let storage = FaultyStorage::new();
    let mut one = open(&storage, "a1", SessionPosition::default());
    one.post_print(b"one", at(0)).unwrap();
    let mut two = open(&storage, "a2", *one.position());
    two.post_print(b"two", at(5)).unwrap();
    one.continue_from(two.position()).unwrap();
    assert_eq!(
        one.post_print(b"three", at(9)).unwrap(),
        (EventIndex(2), StreamOffset(6))
    );
    assert_eq!(stream_of(&storage), b"onetwothree");
}

#[test]
fn print_events_come_only_from_bytes() {
    let storage = FaultyStorage::new();
    let mut logger = open(&storage, "a1", SessionPosition::default());
    let refused = logger.post_event(event("print"), at(0), "u");
    assert!(matches!(
        refused,
        Err(WriteError::Refused(RefusedLine::Print))
    ));
    assert_eq!(
        logger.post_print(b"", at(0)).unwrap(),
        (EventIndex(0), StreamOffset(0))
    );
    assert_eq!(storage.paths(), Vec::<String>::new());
}

#[test]
fn a_full_disk_is_told_and_writing_goes_on_when_there_is_room() {
    for compression in [Compression::None, Compression::Gzip] {
        for failing in 0..30 {
            for reserves in [true, false] {
                let storage = if reserves {
                    FaultyStorage::new()
                } else {
                    FaultyStorage::new().without_reserve()
                };
                let mut logger = open_with(
                    &storage,
                    SessionOptions {
                        compression,
                        ..options("a1")
                    },
                    SessionPosition::default(),
                );
                storage.fail(failing, Fault::Half(libc::ENOSPC));
                let mut kept = Vec::new();
                for number in 0..6_u8 {
                    let bytes = [b'a' + number; 7];
                    if logger.post_print(&bytes, at(i64::from(number))).is_ok() {
                        kept.extend_from_slice(&bytes);
                    }
                }
                if logger.post_event(event("session.end"), at(9), "u").is_err() {
                    post(&mut logger, "session.end", 9);
                }
                logger.tick(at(10), SECOND_NS).unwrap();
                let context = format!("{compression:?} {failing} {reserves}");
                assert_eq!(stream_of(&storage), kept, "{context}");
                assert_eq!(
                    file(&storage, "a1", "s1.completed"),
                    "completed",
                    "{context}"
                );
            }
        }
    }
}

#[test]
fn whenever_the_writer_dies_what_was_acknowledged_is_there_and_nothing_is_half() {
    for compression in [Compression::None, Compression::Gzip] {
        for sync in [SyncPolicy::Always, SyncPolicy::Never] {
            for death in 0..60 {
                let storage = FaultyStorage::new();
                let options = SessionOptions {
                    compression,
                    sync,
                    ..options("a1")
                };
                storage.fail(death, Fault::Death);
                let mut first = open_with(&storage, options.clone(), SessionPosition::default());
                let mut acknowledged = Vec::new();
                for number in 0..5_u8 {
                    let _ = first.post_event(event("resize"), at(0), "u");
                    let bytes = [b'a' + number; 8];
                    if first.post_print(&bytes, at(i64::from(number))).is_ok() {
                        acknowledged.extend_from_slice(&bytes);
                    }
                    if number == 2 {
                        let _ = first.close();
                    }
                }
                let after = if sync == SyncPolicy::Always {
                    storage.after_power_loss()
                } else {
                    storage.after_kill()
                };
                let mut second = open_with(&after, options, SessionPosition::default());
                second.post_print(b"last", at(9)).unwrap();
                post(&mut second, "session.end", 10);
                acknowledged.extend_from_slice(b"last");
                let stream = stream_of(&after);
                // The one that was being written may be there, whole.
                let without: Vec<u8> = stream.clone();
                let extra = without.len() - acknowledged.len();
                assert!(
                    extra == 0 || extra == 8,
                    "{compression:?} {sync:?} {death}: {extra}"
                );
                assert!(stream.starts_with(&acknowledged[..acknowledged.len() - 4]));
                assert!(stream.ends_with(b"last"));
            }
        }
    }
}
