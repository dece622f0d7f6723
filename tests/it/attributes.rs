//! Sizes, times, links, inode numbers and holes are what they seem, and nothing of it can be changed.

use std::os::unix::fs::MetadataExt;

use rustix::fs::{SeekFrom, seek};

use super::unix_tools::{everything, files};
use crate::harness::*;

const SID: &str = "74a5fc02-4d00-11e8-aee2-0242ac0a0002";
const DAY: &str = "events/2018-05-01.jsonl";

#[test]
fn every_size_is_exact_before_and_after_reading() {
    let (audit, _) = everything();
    let mount = Mount::of(&audit);
    for (name, bytes) in files(&mount.point()) {
        if name != ".auditfs/status.json" {
            assert_eq!(mount.size(&name), bytes.len() as u64, "{name}");
        }
    }
    // Nobody has read the sessions of a second mount: sizes are right all the same.
    let fresh = Mount::of(&audit);
    let sizes = sh(
        &fresh.point(),
        "find sessions namespaces -type f -printf '%p %s\\n'",
    )
    .text();
    let wanted = files(&mount.point());
    assert!(sizes.lines().count() > 30);
    for line in sizes.lines() {
        let (name, size) = line.rsplit_once(' ').unwrap();
        assert_eq!(size, wanted[name].len().to_string(), "{name}");
    }
}

#[test]
fn inode_numbers_links_and_times_are_the_same_after_a_remount() {
    let (audit, _) = everything();
    let mount = Mount::of(&audit);
    let look = |mount: &Mount| {
        sh(
            &mount.point(),
            "find events sessions namespaces README.txt -printf '%p %i %n %y\\n' | sort",
        )
        .text()
    };
    let times = |mount: &Mount| {
        sh(
            &mount.point(),
            "find events sessions -type f -printf '%p %T@\\n' | sort",
        )
        .text()
    };
    let (before, before_times) = (look(&mount), times(&mount));
    let mount = mount.again();
    assert_eq!(look(&mount), before);
    assert_eq!(times(&mount), before_times);
    let inodes: Vec<&str> = before
        .lines()
        .map(|line| line.rsplit(' ').nth(2).unwrap())
        .collect();
    let mut apart = inodes.clone();
    apart.sort();
    apart.dedup();
    assert_eq!(apart.len(), inodes.len(), "two names with one number");
    assert!(
        before
            .lines()
            .filter(|line| line.ends_with(" f"))
            .all(|line| line.ends_with(" 1 f"))
    );
}

#[test]
fn mtime_is_that_of_the_newest_source() {
    let audit = Audit::new();
    audit.daily(
        A,
        "2018-05-01",
        "{\"event\":\"a\",\"time\":\"2018-05-01T10:00:00Z\"}\n",
    );
    audit.daily(
        B,
        "2018-05-01",
        "{\"event\":\"b\",\"time\":\"2018-05-01T10:00:00Z\"}\n",
    );
    let mut session = audit.record(SID);
    session.start("alice").print("x").post(A).end().post(B);
    sh(audit.path(), &format!("find . -type f -exec touch -d 2018-05-01T12:00:00Z {{}} + && touch -d 2018-05-01T13:00:00Z {B}/*.log {A}/sessions/default/*.chunks")).ok();
    let mount = Mount::of(&audit);
    for path in [
        DAY,
        &format!("sessions/{SID}/stream"),
        &format!("sessions/{SID}/events.jsonl"),
    ] {
        assert_eq!(
            std::fs::metadata(mount.at(path)).unwrap().mtime(),
            1_525_179_600,
            "{path}"
        );
    }
}

#[test]
fn holes_are_told_by_seek_hole() {
    let audit = Audit::new();
    let mut session = audit.record(SID);
    session
        .start("alice")
        .print("before")
        .post(A)
        .print("lost!")
        .lose()
        .print("after")
        .end()
        .post(B);
    let mount = Mount::of(&audit);
    let file = std::fs::File::open(mount.at(&format!("sessions/{SID}/stream"))).unwrap();
    assert_eq!(seek(&file, SeekFrom::Hole(0)), Ok(6));
    assert_eq!(seek(&file, SeekFrom::Data(6)), Ok(11));
    assert_eq!(seek(&file, SeekFrom::Hole(11)), Ok(16));
    assert!(seek(&file, SeekFrom::Data(16)).is_err());
    // cp looks for holes with it, and must not lose what is behind one.
    let copy = tempfile::tempdir().unwrap();
    sh(
        copy.path(),
        &format!(
            "cp --sparse=always {}/sessions/{SID}/stream .",
            mount.point().display()
        ),
    )
    .ok();
    assert_same_bytes(
        "copy",
        &std::fs::read(copy.path().join("stream")).unwrap(),
        &session.stream,
    );
}

#[test]
fn nothing_can_be_changed() {
    let (audit, _) = everything();
    let mount = Mount::of(&audit);
    let day = mount.text(DAY);
    for line in [
        "echo x >> F",
        "echo x > F",
        "truncate -s 0 F",
        "rm -f F",
        "mv F events/other",
        "touch F",
        "mkdir sessions/x",
        "ln F events/link",
        "chmod 777 F",
    ] {
        let ran = sh(&mount.point(), &line.replace('F', DAY));
        assert_ne!(ran.code(), 0, "{line}");
        assert!(
            ran.stderr().contains("Read-only file system"),
            "{line}: {}",
            ran.told()
        );
    }
    assert_eq!(mount.text(DAY), day);
}
