//! Lines appended to `events/current` become events of this server's daily log, or are refused with a reason.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::time::Duration;

use serde_json::Value;

use crate::harness::*;

const DEADLINE: Duration = Duration::from_secs(10);
const EVENT: &str = r#"{"event":"user.login","user":"alice"}"#;

/// The lines of the daily log on the share.
fn log_lines(audit: &Audit) -> Vec<Value> {
    let path = audit.at(&format!("{A}/{}.00:00:00.log", Mount::today()));
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

/// Runs a line of shell at the mountpoint of a fresh mount, and gives both.
#[track_caller]
fn writing(line: &str) -> (Audit, Mount) {
    let audit = Audit::new();
    let mount = Mount::writing(&audit, A, &[]);
    sh(&mount.point(), line).ok();
    (audit, mount)
}

/// Every number from 1 to `count` is the `n` of one event in the log.
#[track_caller]
fn check_numbers(audit: &Audit, count: i64) {
    let mut numbers: Vec<i64> = log_lines(audit)
        .iter()
        .map(|event| event["n"].as_i64().unwrap())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=count).collect::<Vec<_>>());
}

#[test]
fn an_event_is_completed_logged_and_comes_back() {
    let (audit, mount) = writing(&format!("echo '{EVENT}' >> events/current"));
    let lines = log_lines(&audit);
    assert_eq!(lines.len(), 1);
    let event = &lines[0];
    assert_eq!(
        (&event["user"], &event["code"]),
        (&"alice".into(), &"T1000I".into())
    );
    assert_eq!(event["uid"].as_str().unwrap().len(), 36);
    assert!(event["time"].as_str().unwrap().starts_with(&Mount::today()));
    let link = std::fs::read_link(audit.at("events.log")).unwrap();
    assert_eq!(
        link.to_str().unwrap(),
        format!("{A}/{}.00:00:00.log", Mount::today())
    );
    wait_until(DEADLINE, "the event comes back", || {
        mount.text("events/current").lines().count() == 1
    });
    let cat = auditfs(&["cat", audit.path().to_str().unwrap(), "events/current"]);
    assert_eq!(cat.text(), mount.text("events/current"));
}

#[test]
fn today_is_there_before_its_first_event() {
    let audit = Audit::new();
    let mount = Mount::writing(&audit, A, &[]);
    let today = format!("{}.jsonl", Mount::today());
    assert_eq!(mount.names("events"), [today.as_str(), "current"]);
    assert_eq!(mount.read("events/current"), b"");
    let read_only = Mount::of(&Audit::new());
    assert!(read_only.names("events").is_empty());
}

#[test]
fn programs_append_as_they_do() {
    let programs = [
        "for n in $(seq 200); do printf '{\"event\":\"a\",\"n\":%d}\\n' $n; done >> events/current",
        "for n in $(seq 50); do echo \"{\\\"event\\\":\\\"a\\\",\\\"n\\\":$n}\" >> events/current; done",
        "seq 3000 | jq -c '{event:\"a\",n:.}' >> events/current",
        "seq 3000 | awk '{print \"{\\\"event\\\":\\\"a\\\",\\\"n\\\":\" $1 \"}\"}' >> events/current",
        "seq 3000 | perl -ne 'chomp; print qq({\"event\":\"a\",\"n\":$_}\\n)' >> events/current",
        "seq 100 | jq -c '{event:\"a\",n:.}' | tee -a events/current > /dev/null",
        "seq 100 | jq -c '{event:\"a\",n:.}' | socat -u - OPEN:events/current,append",
        "seq 3000 | jq -c '{event:\"a\",n:.}' | dd of=events/current bs=777 oflag=append conv=notrunc status=none",
        "seq 100 | jq -c '{event:\"a\",n:.}' > events/current",
        "exec 3>>events/current; seq 100 | jq -c '{event:\"a\",n:.}' >&3; echo '{\"event\":\"a\",\"n\":101}' >&3",
        "python3 -c 'import json\nwith open(\"events/current\",\"a\") as f:\n  for n in range(1,3001): f.write(json.dumps(dict(event=\"a\",n=n,pad=\"x\"*100))+\"\\n\")'",
    ];
    for line in programs {
        let (audit, mount) = writing(line);
        let count = log_lines(&audit).len() as i64;
        assert!(
            [50, 100, 101, 200, 3000].contains(&count),
            "{line}: {count} events\n{}",
            mount.log()
        );
        check_numbers(&audit, count);
        assert!(!mount.log().contains("refused"), "{line}: {}", mount.log());
    }
}

#[test]
fn many_processes_append_without_mixing() {
    let line = "for p in 0 1 2 3; do (for n in $(seq 100); do \
        printf '{\"event\":\"a\",\"n\":%d,\"pad\":\"%0500d\"}\\n' $((p * 100 + n)) 0; done >> events/current) & done; wait";
    let (audit, _mount) = writing(line);
    check_numbers(&audit, 400);
}

#[test]
fn a_large_write_is_taken_whole() {
    let (audit, mount) = writing("true");
    let line = |n: usize| {
        format!(
            "{{\"event\":\"a\",\"n\":{n},\"pad\":\"{}\"}}\n",
            "x".repeat(1000)
        )
    };
    let lines: String = (1..=3000).map(line).collect();
    let file = OpenOptions::new()
        .append(true)
        .open(mount.at("events/current"));
    file.unwrap().write_all(lines.as_bytes()).unwrap();
    check_numbers(&audit, 3000);
}

#[test]
fn the_legacy_form_is_written_and_read() {
    let audit = Audit::new();
    let mount = Mount::writing(&audit, A, &["--log-format", "legacy", "--sync", "always"]);
    sh(&mount.point(), &format!("echo '{EVENT}' >> events/current")).ok();
    let log = std::fs::read_to_string(audit.at(&format!("{A}/{}.00:00:00.log", Mount::today())));
    let parts: Vec<String> = log.unwrap().splitn(3, ',').map(str::to_owned).collect();
    assert_eq!(parts[1], "user.login");
    wait_until(DEADLINE, "the event comes back", || {
        mount.text("events/current").contains("\"alice\"")
    });
}

/// What a refused write(2) gets, and what the log says. Nothing of it is on the disk, and the next one is taken.
#[track_caller]
fn check_refused(data: &[u8], errno: i32, reason: &str) {
    let audit = Audit::new();
    let mount = Mount::writing(&audit, A, &[]);
    let file = OpenOptions::new()
        .append(true)
        .open(mount.at("events/current"));
    let mut file = file.unwrap();
    let error = file.write_all(data).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(errno), "{reason}");
    assert!(mount.log().contains(reason), "{reason}: {}", mount.log());
    assert_eq!(log_lines(&audit), Vec::<Value>::new(), "{reason}");
    writeln!(file, "{EVENT}").unwrap();
    assert_eq!(log_lines(&audit).len(), 1, "{reason}");
}

#[test]
fn what_is_no_event_is_refused_with_its_reason() {
    let two = |bad: &str| format!("{EVENT}\n{bad}\n{EVENT}\n").into_bytes();
    check_refused(b"hello\n", libc::EINVAL, "line 1: the line is not JSON");
    check_refused(b"\n", libc::EINVAL, "line 1: the line is not JSON");
    check_refused(
        &two("[1]"),
        libc::EINVAL,
        "line 2: the line is JSON, but not an object",
    );
    check_refused(
        &two("{}"),
        libc::EINVAL,
        "line 2: the line has no field event",
    );
    check_refused(
        &two("{\"event\":\"a\0\"}"),
        libc::EINVAL,
        "line 2: the line holds a NUL byte",
    );
    let foreign = format!(r#"{{"event":"exec","server_id":"{B}"}}"#);
    check_refused(&two(&foreign), libc::EINVAL, "line 2: field server_id:");
    check_refused(
        &two(r#"{"event":"exec","namespace":"a/b"}"#),
        libc::EINVAL,
        "line 2: field namespace:",
    );
}

#[test]
fn a_line_too_long_is_refused() {
    let (audit, mount) = writing("true");
    let file = OpenOptions::new()
        .append(true)
        .open(mount.at("events/current"));
    let mut file = file.unwrap();
    let line = |bytes: usize| {
        format!(
            "{{\"event\":\"a\",\"n\":1,\"pad\":\"{}\"}}\n",
            "x".repeat(bytes - 29)
        )
    };
    // It comes as two requests; what was not taken is what the second held.
    let error = file.write_all(line((1 << 20) + 2).as_bytes()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
    assert!(mount.log().contains("at most 1048576 are taken"));
    file.write_all(line(1 << 20).as_bytes()).unwrap();
    check_numbers(&audit, 1);
}

#[test]
fn a_line_without_its_newline_is_refused_at_close() {
    let (audit, mount) = writing("true");
    let line = "import os, sys\n\
        f = os.open('events/current', os.O_WRONLY | os.O_APPEND)\n\
        os.write(f, b'{\"event\":\"a\",\"n\":1}\\n{\"event\":')\n\
        try: os.close(f)\nexcept OSError as e: sys.exit(e.errno)";
    let ran = run(&[
        "bash",
        "-c",
        &format!("cd {} && python3 -c \"$1\"", mount.point().display()),
        "x",
        line,
    ]);
    assert_eq!(ran.code(), libc::EINVAL, "{}", ran.told());
    wait_until(DEADLINE, "the log says why", || {
        mount
            .log()
            .contains("the last line has no newline (9 bytes)")
    });
    check_numbers(&audit, 1);
}

#[test]
fn a_descriptor_closed_within_a_line_keeps_it_for_the_others() {
    let (audit, _mount) = writing(
        "exec 3>>events/current; (printf '{\"event\":\"a\",' >&3) ; printf '\"n\":1}\\n' >&3",
    );
    check_numbers(&audit, 1);
}

#[test]
fn nothing_but_appending_is_allowed() {
    let (audit, mount) = writing(&format!("echo '{EVENT}' >> events/current"));
    wait_until(DEADLINE, "the event comes back", || {
        !mount.read("events/current").is_empty()
    });
    let refused = |line: &str| {
        let ran = sh(&mount.point(), line);
        assert_ne!(ran.code(), 0, "{line}");
        assert!(
            ran.stderr().contains("not permitted"),
            "{line}: {}",
            ran.told()
        );
    };
    for line in [
        "> events/current",
        "truncate -s 5 events/current",
        "rm events/current",
        "rm events/*.jsonl",
        "mv events/*.jsonl events/x",
        "mv README.txt x",
        "chmod 600 events/*.jsonl",
        "chown 1:1 events/*.jsonl",
        "touch events/*.jsonl",
        "ln README.txt y",
        "ln -s README.txt y",
        "rmdir sessions",
        "mkdir x",
        "mkdir events/x",
        "echo > events/2018-05-01.jsonl",
        "echo > x",
        "echo >> README.txt",
        "echo >> .auditfs/status.json",
        "fallocate -l 100000 events/current",
        "dd if=/dev/zero of=events/current bs=1 count=1 conv=notrunc status=none",
    ] {
        refused(line);
    }
    let file = OpenOptions::new()
        .write(true)
        .open(mount.at("events/current"))
        .unwrap();
    let error = file
        .write_all_at(format!("{EVENT}\n").as_bytes(), 3)
        .unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    assert!(
        mount
            .log()
            .contains("a write at byte 3: bytes are only added at the end")
    );
    assert_eq!(log_lines(&audit).len(), 1);
}

#[test]
fn yesterday_is_over() {
    let audit = Audit::new();
    audit.append(
        &format!("{B}/2018-05-01.00:00:00.log"),
        "{\"event\":\"a\",\"time\":\"2018-05-01T07:00:00Z\"}\n",
    );
    let mount = Mount::writing(&audit, A, &[]);
    let ran = sh(
        &mount.point(),
        &format!("echo '{EVENT}' >> events/2018-05-01.jsonl"),
    );
    assert!(ran.stderr().contains("not permitted"), "{}", ran.told());
    assert!(mount.log().contains("2018-05-01 is not today"));
    assert!(log_lines(&audit).is_empty());
    // Other servers' logs of long ago do not lead current away from today.
    let link = std::fs::read_link(mount.at("events/current")).unwrap();
    assert_eq!(link.to_str().unwrap(), format!("{}.jsonl", Mount::today()));
}

#[test]
fn a_mount_that_reads_takes_nothing() {
    let mount = Mount::of(&Audit::generated(&["--days", "1", "--events", "10"]));
    let ran = sh(&mount.point(), "echo >> events/current");
    assert!(ran.stderr().contains("Read-only"), "{}", ran.told());
    assert!(!mount.names("").contains(&"recordings".to_owned()));
}

#[test]
fn fsync_and_synchronous_files_are_durable_files() {
    let (audit, mount) = writing("true");
    for flags in [libc::O_SYNC, libc::O_DSYNC, 0] {
        let mut options = OpenOptions::new();
        let file = options
            .append(true)
            .custom_flags(flags)
            .open(mount.at("events/current"));
        let mut file = file.unwrap();
        writeln!(file, "{EVENT}").unwrap();
        file.sync_all().unwrap();
        file.sync_data().unwrap();
    }
    assert_eq!(log_lines(&audit).len(), 3);
}
