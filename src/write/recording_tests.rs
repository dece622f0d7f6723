//! Recordings good, hostile and cut short; and what is left after each.

use std::sync::Arc;

use super::*;
use crate::event::EventTime;
use crate::format::SessionFileName;
use crate::write::archive::{ArchiveMember, new_session_archive};
use crate::write::faulty_storage::{Fault, FaultyStorage};
use crate::write::{Compression, DiskSessionLogger, SessionOptions, SessionPosition, SyncPolicy};

const FOLDER: &str = "a1/sessions/default";
const INDEX: &str =
    "{\"file_name\":\"s1-0.events\",\"type\":\"events\",\"index\":0,\"offset\":0}\n";
const EVENTS: &str = "{\"event\":\"session.start\",\"server_id\":\"node-1\",\"ei\":0}\n";

fn sid() -> SessionId {
    SessionId::new("s1").unwrap()
}

fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, *content).unwrap();
    }
    tar.into_inner().unwrap()
}

fn unpack_with(
    storage: &FaultyStorage,
    archive: &[u8],
    limits: &RecordingLimits,
    by: &RecordedBy,
) -> Result<StoredRecording, RecordingError> {
    let server_id = ServerId::new("a1").unwrap();
    let namespace = Namespace::default();
    let place = RecordingPlace {
        storage,
        server_id: &server_id,
        namespace: &namespace,
    };
    unpack_session_recording(&place, &sid(), &mut &*archive, limits, by)
}

fn unpack_all(storage: &FaultyStorage, archive: &[u8]) -> Result<StoredRecording, RecordingError> {
    unpack_with(
        storage,
        archive,
        &RecordingLimits::default(),
        &RecordedBy::OneServer,
    )
}

fn finish(storage: &FaultyStorage) {
    let server_id = ServerId::new("a1").unwrap();
    let place = RecordingPlace {
        storage,
        server_id: &server_id,
        namespace: &Namespace::default(),
    };
    finish_uploads(&place).unwrap();
}

#[track_caller]
fn check_refused(files: &[(&str, &[u8])], why: &str) {
    let storage = FaultyStorage::new();
    let error = unpack_all(&storage, &tar_of(files)).unwrap_err();
    assert!(error.to_string().contains(why), "{error}");
    assert_eq!(storage.paths(), Vec::<String>::new());
}

#[test]
fn what_one_server_archives_another_takes() {
    for compression in [Compression::None, Compression::Gzip] {
        let options = SessionOptions {
            server_id: ServerId::new("a2").unwrap(),
            namespace: Namespace::default(),
            sid: sid(),
            compression,
            sync: SyncPolicy::Always,
            record_sessions: true,
        };
        let from = FaultyStorage::new();
        let mut session =
            DiskSessionLogger::open(Arc::new(from.clone()), options, SessionPosition::default())
                .unwrap();
        session.post_print(b"hello", EventTime::from_ns(0)).unwrap();
        session.close().unwrap();
        session
            .post_print(b"good day", EventTime::from_ns(1))
            .unwrap();
        session.finalize().unwrap();
        let mut members = Vec::new();
        for path in from
            .paths()
            .iter()
            .filter(|path| !path.ends_with(".completed"))
        {
            let content = from.contents(path).unwrap();
            members.push(ArchiveMember {
                name: SessionFileName::parse(path.rsplit('/').next().unwrap()).unwrap(),
                size_bytes: content.len() as u64,
                mtime_s: 0,
                content: Box::new(io::Cursor::new(content)),
            });
        }
        let mut archive = Vec::new();
        new_session_archive(&sid(), members, &mut archive).unwrap();
        let to = FaultyStorage::new();
        let stored = unpack_all(&to, &archive).unwrap();
        assert_eq!((stored.files.len(), stored.recorded_by), (5, None));
        for path in to.paths() {
            assert_eq!(
                to.contents(&path),
                from.contents(&path.replace("a1/", "a2/")),
                "{path}"
            );
        }
        assert!(matches!(
            unpack_all(&to, &archive),
            Err(RecordingError::Exists(_))
        ));
        assert_eq!(to.paths().len(), 6);
    }
}

#[test]
fn a_bad_archive_leaves_nothing_behind() {
    let index = ("s1.index", INDEX.as_bytes());
    let events = ("s1-0.events", EVENTS.as_bytes());
    check_refused(&[events], "no index file s1.index");
    check_refused(&[index], "s1-0.events is not in the archive");
    check_refused(
        &[index, events, ("s2-0.chunks", b"")],
        "\"s2-0.chunks\" is no file of session s1",
    );
    check_refused(
        &[index, events, ("s1.completed", b"")],
        "\"s1.completed\" is no file of session s1",
    );
    check_refused(
        &[index, events, events],
        "s1-0.events is in the archive twice",
    );
    check_refused(
        &[
            index,
            events,
            (
                "s1-1.events.gz",
                b"\x1f\x8b\x08\0\0\0\0\0\x04\xff\xff\xff\xff",
            ),
        ],
        "s1-1.events.gz",
    );
    check_refused(
        &[
            (
                "s1.index",
                b"{\"file_name\":\"../x\",\"type\":\"events\"}\n",
            ),
            events,
        ],
        "the index: ",
    );
}

#[test]
fn each_event_is_checked() {
    let check = |lines: &str, why: &str| {
        check_refused(
            &[
                ("s1.index", INDEX.as_bytes()),
                ("s1-0.events", lines.as_bytes()),
            ],
            why,
        );
    };
    check(
        &format!("{EVENTS}[]\n"),
        "s1-0.events, line 2: JSON, but not an object",
    );
    check(
        &format!("{EVENTS}{{\"event\":\"exec\",\"server_id\":\"node-2\"}}\n"),
        "line 2: field server_id: \"node-2\" is not",
    );
    check(
        "{\"event\":\"exec\",\"namespace\":\"a/b\"}\n",
        "line 1: field namespace",
    );
    check(
        "{\"event\":\"exec\",\"sid\":\"s2\"}\n",
        "line 1: field sid: \"s2\" is another session",
    );
    check(EVENTS.trim_end(), "its last line is cut");
}

#[test]
fn a_node_speaks_for_itself_only() {
    let archive = tar_of(&[
        ("s1.index", INDEX.as_bytes()),
        ("s1-0.events", EVENTS.as_bytes()),
    ]);
    let by = |node: &str| {
        let by = RecordedBy::Node(ServerId::new(node).unwrap());
        unpack_with(
            &FaultyStorage::new(),
            &archive,
            &RecordingLimits::default(),
            &by,
        )
    };
    assert!(matches!(by("node-2"), Err(RecordingError::BadEvent { .. })));
    assert_eq!(by("node-1").unwrap().recorded_by.as_deref(), Some("node-1"));
}

#[test]
fn sizes_are_bounded_before_they_are_reached() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    io::Write::write_all(&mut packed, &vec![0; 10 << 20]).unwrap();
    let bomb = packed.finish().unwrap();
    let archive = tar_of(&[
        ("s1.index", INDEX.as_bytes()),
        ("s1-0.events", EVENTS.as_bytes()),
        ("s1-0.chunks.gz", &bomb),
    ]);
    let check = |limits: RecordingLimits, why: &str| {
        let storage = FaultyStorage::new();
        let error = unpack_with(&storage, &archive, &limits, &RecordedBy::OneServer).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
        assert_eq!(storage.paths(), Vec::<String>::new());
    };
    let limits = RecordingLimits::default();
    check(
        RecordingLimits {
            unpacked_bytes: 1 << 20,
            ..limits.clone()
        },
        "1048576 bytes unpacked",
    );
    check(
        RecordingLimits {
            members: 2,
            ..limits.clone()
        },
        "2 files",
    );
    check(
        RecordingLimits {
            packed_bytes: 100,
            ..limits
        },
        "100 bytes",
    );
    assert!(unpack_all(&FaultyStorage::new(), &archive).is_ok());
}

#[test]
fn whenever_it_dies_the_recording_is_there_whole_or_not_at_all() {
    let archive = tar_of(&[
        ("s1.index", INDEX.as_bytes()),
        ("s1-0.events", EVENTS.as_bytes()),
        ("s1-0.chunks", &[b'x'; 300_000]),
    ]);
    let mut whole = 0;
    for death in 0..44 {
        let storage = FaultyStorage::new();
        storage.fail(death, Fault::Death);
        let acknowledged = unpack_all(&storage, &archive).is_ok();
        let after = storage.after_kill();
        finish(&after);
        match after.paths().len() {
            0 => assert!(!acknowledged, "{death}"),
            4 => {
                assert_eq!(after.text(&format!("{FOLDER}/s1.index")), INDEX);
                assert_eq!(
                    after
                        .contents(&format!("{FOLDER}/s1-0.chunks"))
                        .unwrap()
                        .len(),
                    300_000
                );
                whole += 1;
            }
            _ => panic!("{death}: {:?}", after.paths()),
        }
    }
    assert!(whole > 5, "{whole}");
}
