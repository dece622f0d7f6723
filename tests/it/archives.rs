//! `archive.tar` is the session's recording as one tarball: any tar reads it, another auth server accepts it, and what is
//! accepted shows the same session.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::{Cursor, Write};
use std::path::Path;

use auditfs::event::{Namespace, ServerId, SessionId};
use auditfs::write::{
    Making, OwnDirectory, RecordedBy, RecordingLimits, RecordingPlace, unpack_session_recording,
};

use crate::harness::*;

const SID: &str = "74a5fc01-4d00-11e8-aee2-0242ac0a0001";

/// A server's folder in a directory of its own, with this recording accepted.
fn accepted(archive: &[u8], namespace: &str, sid: &str) -> Audit {
    let audit = Audit::new();
    let storage = OwnDirectory::open(audit.path(), Making::default()).unwrap();
    let place = RecordingPlace {
        storage: &storage,
        server_id: &ServerId::new(C).unwrap(),
        namespace: &Namespace::new(namespace).unwrap(),
    };
    let sid = SessionId::new(sid).unwrap();
    let stored = unpack_session_recording(
        &place,
        &sid,
        &mut Cursor::new(archive),
        &RecordingLimits::default(),
        &RecordedBy::OneServer,
    );
    stored.unwrap_or_else(|error| panic!("{sid}: {error}"));
    audit
}

/// The session is told by its stream, its events and what is missing of it.
fn told(mount: &Mount, session: &str) -> (Vec<u8>, Vec<u8>, String) {
    let summary = mount.json(&format!("{session}/summary.json"));
    (
        mount.read(&format!("{session}/stream")),
        mount.read(&format!("{session}/events.jsonl")),
        summary["completeness"]["gaps"].to_string(),
    )
}

/// Exports the session, has it accepted elsewhere, and compares the two.
#[track_caller]
fn check_comes_back(mount: &Mount, namespace: &str, sid: &str) {
    let session = match namespace {
        "default" => format!("sessions/{sid}"),
        _ => format!("namespaces/{namespace}/sessions/{sid}"),
    };
    let path = format!("{session}/archive.tar");
    let archive = mount.read(&path);
    assert_eq!(archive.len() as u64, mount.size(&path), "{path}");
    let there = accepted(&archive, namespace, sid);
    let elsewhere = Mount::with(there.path(), &["--session-idle", "1ms"]);
    let (ours, theirs) = (told(mount, &session), told(&elsewhere, &session));
    assert_same_bytes(&format!("{sid} stream"), &theirs.0, &ours.0);
    assert_same_bytes(&format!("{sid} events"), &theirs.1, &ours.1);
    assert_eq!(theirs.2, ours.2, "{sid}");
    assert_same_bytes(&path, &elsewhere.read(&path), &archive);
}

#[test]
fn tar_lists_and_unpacks_it() {
    let audit = Audit::new();
    let mut session = audit.record(SID);
    session.start("alice").print("from A, ").post(A);
    session
        .packing(Packing::Gzip)
        .print("from B")
        .end()
        .post(B)
        .close(B);
    let mount = Mount::of(&audit);
    let there = mount.at(&format!("sessions/{SID}"));
    let listed = sh(&there, "tar -tf archive.tar").text();
    assert_eq!(
        listed,
        format!("{SID}.index\n{SID}-0.events\n{SID}-0.chunks\n")
    );
    sh(
        &there,
        &format!(
            "to=$(mktemp -d) && tar -xf archive.tar -C $to && cmp $to/{SID}-0.chunks stream && cmp $to/{SID}-0.events events.jsonl && rm -r $to"
        ),
    )
    .ok();
    assert_eq!(
        mount.read(&format!("sessions/{SID}/stream")),
        session.stream
    );
    let copied = sh(
        &there,
        "copy=$(mktemp) && cp archive.tar $copy && cmp $copy archive.tar && stat -c %s $copy && rm $copy",
    );
    let size = mount.size(&format!("sessions/{SID}/archive.tar"));
    assert_eq!(copied.text(), format!("{size}\n"));
}

#[test]
fn it_is_the_same_after_a_remount_and_without_a_mount() {
    let audit = Audit::new();
    audit
        .record(SID)
        .start("alice")
        .print("hello")
        .end()
        .post(A);
    let path = format!("sessions/{SID}/archive.tar");
    let mount = Mount::of(&audit);
    let before = mount.read(&path);
    let mount = mount.again();
    assert_eq!(mount.read(&path), before);
    let without = auditfs(&["cat", audit.path().to_str().unwrap(), &path]);
    assert_eq!(without.ok(), before);
}

#[test]
fn another_server_accepts_it_with_its_hole() {
    let audit = Audit::new();
    let mut session = audit.record_in("prod", SID);
    session.start("alice").print("before").post(A);
    session.print("lost!").lose().print("after").end().post(B);
    let mount = Mount::of(&audit);
    check_comes_back(&mount, "prod", SID);
    let there = mount.at(&format!("namespaces/prod/sessions/{SID}"));
    let listed = sh(&there, "tar -tf archive.tar | grep chunks").text();
    assert_eq!(listed, format!("{SID}-0.chunks\n{SID}-11.chunks\n"));
}

#[test]
fn what_one_mount_exports_another_accepts() {
    let (audit, other) = (Audit::new(), Audit::new());
    let mut session = audit.record(SID);
    session.start("alice").print("from A, ").post(A);
    session.print("from B").end().post(B);
    let from = Mount::of(&audit);
    let rw = format!("rw,server_id={C}");
    let to = Mount::with(other.path(), &["-o", &rw]);
    assert_eq!(to.names("recordings"), Vec::<String>::new());
    let (archive, recording) = (
        from.at(&format!("sessions/{SID}/archive.tar")),
        to.at(&format!("recordings/{SID}.tar")),
    );
    run(&[Path::new("cp"), &archive, &recording]).ok();
    assert_eq!(to.names("recordings"), [format!("{SID}.tar")]);
    assert_eq!(to.names("sessions"), [SID]);
    run(&[Path::new("cmp"), &archive, &recording]).ok();
    let dir = format!("sessions/{SID}");
    assert_eq!(told(&to, &dir), told(&from, &dir));
    // It has ended: nothing is added to it.
    let added = std::fs::OpenOptions::new()
        .append(true)
        .open(to.at(&format!("{dir}/stream")))
        .and_then(|mut stream| stream.write_all(b"x"));
    assert_eq!(added.unwrap_err().raw_os_error(), Some(libc::EPERM));
    let to = to.again();
    assert_eq!(to.names("recordings"), [format!("{SID}.tar")]);
    run(&[
        Path::new("cmp"),
        &archive,
        &to.at(&format!("recordings/{SID}.tar")),
    ])
    .ok();
}

#[test]
fn enhanced_events_stay_in_files_of_their_own() {
    let audit = Audit::new();
    let mut session = audit.record(SID);
    session.start("alice").print("$ ls").end().post(A);
    let line = format!(
        "{{\"ei\":0,\"event\":\"session.command\",\"sid\":\"{SID}\",\"time\":\"2018-05-01T10:00:00.02Z\"}}\n"
    );
    let file = session.file(A, "-0.session.command-events");
    std::fs::write(file, line).unwrap();
    let mount = Mount::of(&audit);
    check_comes_back(&mount, "default", SID);
    let there = mount.at(&format!("sessions/{SID}"));
    let enhanced = sh(
        &there,
        "tar -xOf archive.tar --wildcards '*command-events' | jq -r .event",
    );
    assert_eq!(enhanced.text(), "session.command\n");
}

#[test]
fn a_running_session_gives_what_there_is() {
    let audit = Audit::new();
    let mut session = audit.record(SID);
    session.start("alice").print("one").post(A);
    let mount = Mount::of(&audit);
    let path = format!("sessions/{SID}/archive.tar");
    let opened = std::fs::File::open(mount.at(&path)).unwrap();
    let size = mount.size(&path);
    session.print(" two").post(A);
    wait_until(
        std::time::Duration::from_secs(5),
        "the session grows",
        || mount.size(&path) > size || mount.read(&format!("sessions/{SID}/stream")) == b"one two",
    );
    // What was opened before is whole, and of its own moment.
    let mut before = Vec::new();
    std::io::Read::read_to_end(&mut &opened, &mut before).unwrap();
    assert_eq!(before.len() as u64, size);
    let there = accepted(&before, "default", SID);
    let chunks = there.at(&format!("{C}/sessions/default/{SID}-0.chunks"));
    assert_eq!(std::fs::read(chunks).unwrap(), b"one");
    check_comes_back(&mount, "default", SID);
}

#[test]
fn every_recording_of_real_releases_comes_back() {
    let (accepted, of_two_nodes) = (Cell::new(0), Cell::new(0));
    crate::fixtures::each_fixture(|case, mount| {
        for (namespace, sid, _) in crate::fixtures::truths(case) {
            let session = crate::fixtures::dir_of(&namespace, &sid);
            let events = mount.at(&format!("{session}/events.jsonl"));
            let nodes = run(&["jq", "-r", ".server_id // empty", events.to_str().unwrap()]);
            let nodes: BTreeSet<String> = nodes.text().lines().map(str::to_owned).collect();
            // Events of two nodes are a forgery for whoever accepts recordings (the seed's ValidateArchive).
            if nodes.len() > 1 {
                of_two_nodes.set(of_two_nodes.get() + 1);
            } else {
                check_comes_back(mount, &namespace, &sid);
                accepted.set(accepted.get() + 1);
            }
        }
    });
    eprintln!(
        "accepted: {}, of two nodes: {}",
        accepted.get(),
        of_two_nodes.get()
    );
    assert!(accepted.get() >= of_two_nodes.get());
}
