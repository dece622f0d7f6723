//! Slices as 2.5 and 2.6 nodes send them, repeated, moved and lost.

use std::sync::Arc;

use super::*;
use crate::event::ServerId;
use crate::write::faulty_storage::FaultyStorage;
use crate::write::{Compression, LogForm, SessionOptions, SyncPolicy};

const FOLDER: &str = "a1/sessions/default";

fn storage_log_session() -> (FaultyStorage, FileLog, DiskSessionLogger) {
    let storage = FaultyStorage::new();
    let server_id = ServerId::new("a1").unwrap();
    let log = FileLog::new(
        Arc::new(storage.clone()),
        server_id.clone(),
        LogForm::Json,
        SyncPolicy::Always,
    );
    let options = SessionOptions {
        server_id,
        namespace: Namespace::default(),
        sid: SessionId::new("s1").unwrap(),
        compression: Compression::None,
        sync: SyncPolicy::Always,
        record_sessions: true,
    };
    let session = DiskSessionLogger::open(
        Arc::new(storage.clone()),
        options,
        SessionPosition::default(),
    )
    .unwrap();
    (storage, log, session)
}

fn now() -> EventTime {
    EventTime::parse_rfc3339(b"2018-05-01T07:58:03Z").unwrap()
}

fn print(ei: i64, ci: i64, offset: i64, data: &str) -> SessionChunk {
    SessionChunk {
        time_ns: now().as_ns(),
        data: data.into(),
        event_type: "print".into(),
        event_index: ei,
        chunk_index: ci,
        offset_bytes: offset,
        delay_ms: 10 * ci,
    }
}

fn event(ei: i64, name: &str) -> SessionChunk {
    SessionChunk {
        data: b"{\"server_id\":\"node-1\"}".to_vec(),
        event_type: name.into(),
        ..print(ei, 0, 0, "")
    }
}

fn slice(version: i64, chunks: Vec<SessionChunk>) -> SessionSlice {
    SessionSlice {
        namespace: "default".into(),
        session_id: "s1".into(),
        chunks,
        version,
    }
}

fn names(storage: &FaultyStorage) -> Vec<String> {
    let mut names = storage.list(FOLDER).unwrap();
    names.sort();
    names
}

use crate::write::storage::OwnStorage;

#[test]
fn version_2_goes_into_files_and_log_and_version_3_into_the_log_only() {
    for (version, files) in [(SessionSlice::V2, 3), (SessionSlice::V3, 0)] {
        let (storage, mut log, mut session) = storage_log_session();
        let slice = slice(
            version,
            vec![event(0, "session.start"), print(1, 0, 0, "hello")],
        );
        let posted = post_session_slice(&slice, &mut log, Some(&mut session), now(), &mut || {
            "u".into()
        })
        .unwrap();
        assert_eq!(
            posted,
            Posted {
                written: 2,
                repeated: 0
            }
        );
        assert_eq!(
            storage.text("a1/2018-05-01.00:00:00.log"),
            "{\"code\":\"T2000I\",\"ei\":0,\"event\":\"session.start\",\"server_id\":\"node-1\",\"sid\":\"s1\",\"time\":\"2018-05-01T07:58:03Z\",\"uid\":\"u\"}\n"
        );
        assert_eq!(names(&storage).len(), files, "version {version}");
    }
}

#[test]
fn version_1_is_told_to_upgrade() {
    let (_, mut log, mut session) = storage_log_session();
    let refused = |slice: &SessionSlice, log: &mut FileLog, session: &mut DiskSessionLogger| {
        post_session_slice(slice, log, Some(session), now(), &mut String::new)
            .unwrap_err()
            .to_string()
    };
    let old = slice(SessionSlice::V1, vec![print(0, 0, 0, "x")]);
    assert_eq!(
        refused(&old, &mut log, &mut session),
        "audit log rejected 0 log entry, upgrade your components."
    );
    let empty = slice(SessionSlice::V2, vec![]);
    assert_eq!(
        refused(&empty, &mut log, &mut session),
        "session slice: missing session chunks"
    );
    let mut nameless = slice(SessionSlice::V2, vec![print(0, 0, 0, "x")]);
    nameless.namespace.clear();
    assert_eq!(
        refused(&nameless, &mut log, &mut session),
        "session slice: missing parameter Namespace"
    );
    nameless.namespace = "../..".into();
    assert!(refused(&nameless, &mut log, &mut session).contains("namespace"));
}

#[test]
fn a_repeated_slice_is_recognised() {
    let (storage, _, mut session) = storage_log_session();
    let chunks = [print(0, 0, 0, "hello"), print(1, 1, 5, "good")];
    let uid = &mut || "u".to_owned();
    session.post_chunks(&chunks[..1], now(), uid).unwrap();
    assert_eq!(
        session.post_chunks(&chunks, now(), uid).unwrap(),
        Posted {
            written: 1,
            repeated: 1
        }
    );
    session
        .post_chunks(&[event(2, "session.end")], now(), uid)
        .unwrap();
    assert_eq!(
        session.post_chunks(&chunks, now(), uid).unwrap(),
        Posted {
            written: 0,
            repeated: 2
        }
    );
    assert_eq!(storage.text(&format!("{FOLDER}/s1-0.chunks")), "hellogood");
    assert!(session.is_ended());
    assert!(
        session
            .post_chunks(&[print(3, 2, 9, "x")], now(), uid)
            .is_err()
    );
}

#[test]
fn what_does_not_follow_begins_new_files() {
    // As f1 case 02 and 08: slices that went to other servers, or were lost.
    let (storage, _, mut session) = storage_log_session();
    let uid = &mut || "u".to_owned();
    session
        .post_chunks(&[print(0, 0, 0, "hello")], now(), uid)
        .unwrap();
    session
        .post_chunks(
            &[
                print(4, 4, 50, "a"),
                print(5, 5, 51, "b"),
                print(7, 6, 52, "c"),
            ],
            now(),
            uid,
        )
        .unwrap();
    assert_eq!(
        names(&storage),
        [
            "s1-0.chunks",
            "s1-0.events",
            "s1-4.events",
            "s1-50.chunks",
            "s1-7.events",
            "s1.index"
        ]
    );
    assert_eq!(storage.text(&format!("{FOLDER}/s1-50.chunks")), "abc");
}

#[test]
fn chunks_with_no_place_are_refused_before_anything_is_written() {
    let (storage, _, mut session) = storage_log_session();
    let uid = &mut || "u".to_owned();
    for bad in [
        print(-1, 0, 0, "x"),
        print(1, -1, 0, "x"),
        print(1, 1, -1, "x"),
        print(i64::MAX, 1, 1, "x"),
        print(1, 1, i64::MAX, "x"),
        event(1, ""),
    ] {
        assert!(
            session
                .post_chunks(&[print(0, 0, 0, "hello"), bad], now(), uid)
                .is_err()
        );
    }
    assert_eq!(storage.paths(), Vec::<String>::new());
    session
        .post_chunks(&[print(0, 0, 0, "hello")], now(), uid)
        .unwrap();
    let back = session
        .post_chunks(&[print(1, 1, 3, "x")], now(), uid)
        .unwrap_err();
    assert!(
        back.to_string().contains("offset 3 lies before 5"),
        "{back}"
    );
}
