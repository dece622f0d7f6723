//! Whoever can write into the audit directory can neither lead the daemon out of it, nor make it fail, nor fill its memory.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use serde_json::json;

use super::damage::{DAY, DIR, SID, check, check_finds, harmed, line};
use crate::harness::*;

#[test]
fn hostile_names_in_an_index_are_refused_and_reported() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "secret").unwrap();
    let names = [
        secret.path().to_str().unwrap().to_owned(),
        "../../../../../../etc/passwd".to_owned(),
        format!("../default/{SID}-0.chunks.gz"),
        "a\\u0000b".to_owned(),
        "74a5fc99-4d00-11e8-aee2-0242ac0a0099-0.chunks.gz".to_owned(),
        "\\u001b[2J".to_owned(),
    ];
    let (audit, session) = harmed(|audit, _| {
        for name in &names {
            let line = format!(
                "{{\"file_name\":\"{name}\",\"type\":\"chunks\",\"index\":0,\"offset\":0}}\n"
            );
            audit.append(&format!("{A}/sessions/default/{SID}.index"), line);
        }
    });
    let mount = Mount::of(&audit);
    assert_same_bytes(
        "stream",
        &mount.read(&format!("{DIR}/stream")),
        &session.stream,
    );
    let (_, _, summary) = check(&audit);
    assert_eq!(summary["kinds"]["index_bad_name"], json!(names.len()));
    let text = auditfs(&["check", audit.path().to_str().unwrap()]);
    assert!(
        text.code() == 1 && !text.stdout().contains('\u{1b}'),
        "{}",
        text.told()
    );
}

#[test]
fn symlinks_are_not_followed_and_only_regular_files_are_read() {
    let outside_dir = tempfile::tempdir().unwrap();
    let outside = outside_dir.path();
    let (audit, session) = harmed(|audit, _| {
        std::fs::write(outside.join("secret"), line("secret")).unwrap();
        std::fs::create_dir_all(audit.at(&format!("{B}/sessions/default"))).unwrap();
        symlink(
            outside.join("secret"),
            audit.at(&format!("{B}/2018-05-01.00:00:00.log")),
        )
        .unwrap();
        symlink(
            outside.join("secret"),
            audit.at(&format!("{B}/sessions/default/{SID}-0.chunks")),
        )
        .unwrap();
        symlink(outside, audit.at("0ff51de0-0000-4000-8000-000000000000")).unwrap();
        symlink("nowhere", audit.at("events.log")).unwrap();
        run(&[
            "mkfifo",
            audit
                .at(&format!("{B}/2018-05-02.00:00:00.log"))
                .to_str()
                .unwrap(),
        ])
        .ok();
        std::fs::create_dir(audit.at(&format!("{B}/2018-05-03.00:00:00.log"))).unwrap();
        audit.daily(A, "2018-05-01", line("good"));
    });
    let mount = Mount::of(&audit);
    assert_eq!(mount.names("events"), ["2018-05-01.jsonl", "current"]);
    assert_eq!(mount.text(DAY), line("good"));
    assert_same_bytes(
        "stream",
        &mount.read(&format!("{DIR}/stream")),
        &session.stream,
    );
}

#[test]
fn odd_names_in_the_directory_harm_nothing() {
    let (audit, _) = harmed(|audit, _| {
        let names: [&[u8]; 8] = [
            b"\xff\xfe",
            b"new\nline",
            b"-rf",
            b"..x",
            b" ",
            b"\x1b[2J",
            b".hidden",
            b"2018-13-45.00:00:00.log",
        ];
        for name in names {
            let odd = std::ffi::OsStr::from_bytes(name);
            let folder = audit.path().join(odd).join("sessions/default");
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(odd), "x").unwrap();
            std::fs::write(audit.at(&format!("{A}/sessions/default")).join(odd), "x").unwrap();
        }
        let long = "y".repeat(240);
        audit.write(&format!("{A}/sessions/default/{long}-0.chunks"), "long");
        audit.daily(A, "2018-05-01", line("good"));
    });
    let mount = Mount::of(&audit);
    assert!(mount.names("sessions").contains(&SID.to_owned()));
    for name in mount.names("sessions") {
        mount.read(&format!("sessions/{name}/stream"));
        mount.read(&format!("sessions/{name}/summary.json"));
    }
    assert_eq!(mount.text(DAY), line("good"));
    assert!(check(&audit).0 < 2);
}

/// A worker that shows a part of such a line holds the whole of it (8 MiB at most) in two forms; there are 16 workers.
#[track_caller]
fn assert_memory_is_bounded(mount: &Mount) {
    let peak = mount.peak_memory_bytes();
    assert!(peak < 512 << 20, "{} MiB", peak >> 20);
}

#[test]
fn a_line_of_20_mb_is_wrapped_in_parts() {
    let audit = Audit::new();
    let long = "x".repeat(20 << 20);
    audit.daily(
        A,
        "2018-05-01",
        format!("{}{long}\n{}", line("before"), line("after")),
    );
    let mount = Mount::with(audit.path(), &["--settle", "0", "--cache-size", "32M"]);
    let said = sh(
        &mount.point(),
        &format!("jq -r '[.event, (.raw // \"\" | length)] | @tsv' {DAY}"),
    )
    .text();
    let rows: Vec<(&str, usize)> = said
        .lines()
        .map(|row| row.split_once('\t').unwrap())
        .map(|(event, n)| (event, n.parse().unwrap()))
        .collect();
    assert_eq!((rows[0].0, rows[rows.len() - 1].0), ("before", "after"));
    assert_eq!(rows.iter().map(|row| row.1).sum::<usize>(), long.len());
    assert_eq!(mount.size(DAY), mount.read(DAY).len() as u64);
    assert_memory_is_bounded(&mount);
    check_finds(
        &audit,
        "line_too_long",
        "2018-05-01.00:00:00.log",
        line("before").len() as u64,
    );
}

#[test]
fn an_events_file_without_any_newline_fails_nothing() {
    let (audit, session) = harmed(|audit, _| {
        audit.write(
            &format!("{B}/sessions/default/{SID}-5.events"),
            "y".repeat(20 << 20),
        );
    });
    let mount = Mount::with(audit.path(), &["--cache-size", "32M"]);
    assert_same_bytes(
        "stream",
        &mount.read(&format!("{DIR}/stream")),
        &session.stream,
    );
    let events = mount.text(&format!("{DIR}/events.jsonl"));
    let lines: HashSet<&str> = events.lines().collect();
    assert!(session.events.lines().all(|line| lines.contains(line)));
    assert_memory_is_bounded(&mount);
}

#[test]
fn a_file_that_may_not_be_read_is_said() {
    let (audit, session) = harmed(|audit, _| {
        audit.write(&format!("{B}/sessions/default/{SID}-0.chunks"), "other");
        // Root may read everything; a directory in place of a file nobody can.
        let path = audit.at(&format!("{B}/sessions/default/{SID}-7.events"));
        std::fs::create_dir(path).unwrap();
    });
    let mount = Mount::of(&audit);
    let shown = mount.read(&format!("{DIR}/stream"));
    assert_eq!(shown.len(), session.stream.len());
    assert_eq!(check(&audit).0, 1);
}
