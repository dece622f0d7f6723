//! Two mounts write one audit directory as two servers: a session goes over from one to the other, and all show the same.

use std::io::Write;
use std::time::Duration;

use serde_json::Value;

use crate::harness::*;

const SID: &str = "74a5fc01-4d00-11e8-aee2-0242ac0a0001";

fn append(mount: &Mount, file: &str, bytes: &[u8]) {
    let path = mount.at(&format!("sessions/{SID}/{file}"));
    let file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path);
    let written = file.unwrap().write(bytes).unwrap();
    assert_eq!(written, bytes.len());
}

fn make(mount: &Mount) {
    if let Err(error) = std::fs::create_dir(mount.at(&format!("sessions/{SID}"))) {
        assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
    }
}

fn event(mount: &Mount, event: &str) {
    append(
        mount,
        "events.jsonl",
        format!("{{\"event\":\"{event}\"}}\n").as_bytes(),
    );
}

fn names_of(audit: &Audit, server: &str) -> Vec<String> {
    let folder = audit.at(&format!("{server}/sessions/default"));
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .file_name()
                .into_string()
                .unwrap()
                .replace(SID, "SID")
        })
        .collect();
    names.sort();
    names
}

fn index_of(audit: &Audit, server: &str) -> String {
    let path = audit.at(&format!("{server}/sessions/default/{SID}.index"));
    std::fs::read_to_string(path).unwrap().replace(SID, "SID")
}

/// All mounts and `auditfs cat` show the session as its files have it.
#[track_caller]
fn check_same(audit: &Audit, mounts: &[&Mount]) -> OnDisk {
    let on_disk = OnDisk::read(audit.path(), &[A, B], SID);
    let source = audit.path().to_str().unwrap();
    let (stream, events) = (
        format!("sessions/{SID}/stream"),
        format!("sessions/{SID}/events.jsonl"),
    );
    for mount in mounts {
        wait_until(
            Duration::from_secs(20),
            "the whole session is shown",
            || {
                mount.read(&stream) == on_disk.stream()
                    && values(&mount.text(&events)) == on_disk.events
            },
        );
    }
    assert_same_bytes(
        "auditfs cat",
        &auditfs(&["cat", source, &stream]).ok(),
        &on_disk.stream(),
    );
    assert_eq!(
        values(&auditfs(&["cat", source, &events]).text()),
        on_disk.events
    );
    let checked = auditfs(&["check", source]);
    assert_eq!(checked.code(), 0, "{}", checked.told());
    on_disk
}

fn values(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn the_seed_documents_single_server() {
    let audit = Audit::new();
    let mount = Mount::writing(&audit, A, &[]);
    make(&mount);
    event(&mount, "session.start");
    event(&mount, "resize");
    append(&mount, "stream", &[b'x'; 40]);
    event(&mount, "session.end");
    let session = check_same(&audit, &[&mount]);
    assert_eq!(session.stream(), [b'x'; 40]);
    assert_eq!(session.events[2]["ei"], 2);
    assert_eq!(session.events[2]["ms"], 0);
    assert_eq!(
        names_of(&audit, A),
        ["SID-0.chunks", "SID-0.events", "SID.completed", "SID.index"]
    );
    assert_eq!(
        index_of(&audit, A),
        "{\"file_name\":\"SID-0.events\",\"type\":\"events\",\"index\":0,\"offset\":0}\n\
         {\"file_name\":\"SID-0.chunks\",\"type\":\"chunks\",\"index\":0,\"offset\":0}\n"
    );
}

#[test]
fn the_seed_documents_two_servers() {
    let audit = Audit::new();
    let (first, second) = (
        Mount::writing(&audit, A, &[]),
        Mount::writing(&audit, B, &[]),
    );
    make(&first);
    event(&first, "session.start");
    event(&first, "resize");
    append(&first, "stream", &[b'x'; 40]);
    make(&second);
    append(&second, "stream", &[b'y'; 15]);
    event(&second, "session.end");
    let session = check_same(&audit, &[&first, &second]);
    assert_eq!(
        session.stream(),
        [[b'x'; 40].as_slice(), &[b'y'; 15]].concat()
    );
    let print = &session.events[3];
    assert_eq!(
        (
            &print["ei"],
            &print["ci"],
            &print["offset"],
            &print["bytes"]
        ),
        (&3.into(), &1.into(), &40.into(), &15.into())
    );
    assert_eq!(
        index_of(&audit, B),
        "{\"file_name\":\"SID-3.events\",\"type\":\"events\",\"index\":3,\"offset\":0}\n\
         {\"file_name\":\"SID-40.chunks\",\"type\":\"chunks\",\"index\":0,\"offset\":40}\n"
    );
    assert_eq!(
        names_of(&audit, B),
        [
            "SID-3.events",
            "SID-40.chunks",
            "SID.completed",
            "SID.index"
        ]
    );
}

#[test]
fn a_session_goes_to_another_server_and_comes_back() {
    let audit = Audit::new();
    let mounts = [
        Mount::writing(&audit, A, &[]),
        Mount::writing(&audit, B, &["--compression", "gzip"]),
    ];
    let mut sent = Vec::new();
    for turn in 0..6_usize {
        let mount = &mounts[turn % 2];
        make(mount);
        for number in 0..5_usize {
            let bytes = format!("turn {turn} number {number}\r\n");
            append(mount, "stream", bytes.as_bytes());
            sent.extend(bytes.as_bytes());
        }
        event(mount, "exec");
    }
    event(&mounts[0], "session.end");
    let session = check_same(&audit, &[&mounts[0], &mounts[1]]);
    assert_same_bytes("the stream", &session.stream(), &sent);
    assert_eq!(session.events.len(), 6 * 6 + 1);
}

#[test]
fn a_session_goes_over_when_its_server_is_killed() {
    let audit = Audit::new();
    let (first, second) = (
        Mount::writing(&audit, A, &["--sync", "always"]),
        Mount::writing(&audit, B, &[]),
    );
    let load = Load::new(&first.point(), Acknowledged::ByWrite, SID);
    load.go();
    load.wait_for_more(60);
    first.signal(rustix::process::Signal::KILL);
    first.wait_for_end();
    load.pause();
    let before = OnDisk::read(audit.path(), &[A], SID);
    check_session(SID, &before, &load.sent().sessions[SID]);
    make(&second);
    append(&second, "stream", b"the other server");
    event(&second, "session.end");
    // The dead one left, at most, bytes of no event, and half a line; the other server has numbers behind them.
    let after = OnDisk::read(audit.path(), &[A, B], SID);
    assert_eq!(after.pieces.len(), before.pieces.len() + 1);
    assert_same_bytes(
        "the stream",
        &second.read(&format!("sessions/{SID}/stream")),
        &after.stream(),
    );
    let again = Mount::writing(&audit, A, &[]);
    assert_same_bytes(
        "the stream",
        &again.read(&format!("sessions/{SID}/stream")),
        &after.stream(),
    );
}
