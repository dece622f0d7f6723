//! Writers go on while the worker is replaced: a reload is not noticed, a crash is told and nothing is done twice.

use std::fs::OpenOptions;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::harness::*;

const SID: &str = "74a5fc01-4d00-11e8-aee2-0242ac0a0001";

fn numbers(audit: &Audit) -> Vec<i64> {
    let path = audit.at(&format!("{A}/{}.00:00:00.log", Mount::today()));
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let number = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        event["n"].as_i64().unwrap()
    };
    text.lines().map(number).collect()
}

#[test]
fn a_reload_is_not_noticed_by_writers() {
    let audit = Audit::new();
    let mount = Mount::writing(&audit, A, &[]);
    std::fs::create_dir(mount.at(&format!("sessions/{SID}"))).unwrap();
    std::thread::scope(|scope| {
        let events = scope.spawn(|| {
            let file = OpenOptions::new()
                .append(true)
                .open(mount.at("events/current"));
            let mut file = file.unwrap();
            for n in 0..3000 {
                // Cut within the line: the first half waits with the worker.
                write!(file, "{{\"event\":\"a\",").unwrap();
                writeln!(file, "\"n\":{n}}}").unwrap();
            }
        });
        let stream = scope.spawn(|| {
            let file = OpenOptions::new()
                .write(true)
                .open(mount.at(&format!("sessions/{SID}/stream")));
            let mut file = file.unwrap();
            for n in 0..3000 {
                write!(file, "{n:05}").unwrap();
            }
        });
        while !events.is_finished() || !stream.is_finished() {
            mount.reload();
        }
    });
    assert_eq!(numbers(&audit), (0..3000).collect::<Vec<_>>());
    let expected: String = (0..3000).map(|n| format!("{n:05}")).collect();
    wait_until(Duration::from_secs(10), "the stream is shown", || {
        mount.text(&format!("sessions/{SID}/stream")) == expected
    });
    assert!(!mount.log().contains("refused"), "{}", mount.log());
}

#[test]
fn after_a_crash_nothing_is_lost_that_was_taken_nor_done_twice() {
    let audit = Audit::new();
    let mount = Mount::writing(&audit, A, &[]);
    let stop = AtomicBool::new(false);
    let taken = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let file = OpenOptions::new()
                .append(true)
                .open(mount.at("events/current"));
            let (mut file, mut taken) = (file.unwrap(), Vec::new());
            for n in 0.. {
                let line = format!("{{\"event\":\"a\",\"n\":{n}}}\n");
                if file.write_all(line.as_bytes()).is_ok() {
                    taken.push(n);
                }
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
            taken
        });
        // The keeper waits the longer the more often a young worker dies.
        for _ in 0..5 {
            mount.kill_worker();
        }
        mount.names("events");
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap()
    });
    let found = numbers(&audit);
    assert!(found.is_sorted_by(|a, b| a < b), "one is there twice");
    for n in &taken {
        assert!(found.binary_search(n).is_ok(), "{n} was taken and is lost");
    }
    let untaken = found.len() - taken.len();
    assert!(untaken <= 5, "{untaken} lines are there that were refused");
}

#[test]
fn a_line_that_lost_its_beginning_in_a_crash_is_refused() {
    let audit = Audit::new();
    let mount = Mount::writing(&audit, A, &[]);
    let file = OpenOptions::new()
        .append(true)
        .open(mount.at("events/current"));
    let mut file = file.unwrap();
    file.write_all(b"{\"event\":\"a\",").unwrap();
    let worker = || mount.json(".auditfs/status.json")["pid"].clone();
    let before = worker();
    mount.kill_worker();
    wait_until(Duration::from_secs(10), "another worker serves", || {
        worker() != before
    });
    let error = file.write_all(b"\"n\":1}\n").unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    file.write_all(b"{\"event\":\"a\",\"n\":2}\n").unwrap();
    file.sync_all().unwrap();
    assert_eq!(numbers(&audit), [2]);
}

#[test]
fn a_session_that_was_made_outlives_the_worker() {
    let audit = Audit::new();
    let mount = Mount::writing(&audit, A, &[]);
    let prod = format!("namespaces/prod/sessions/{SID}");
    sh(&mount.point(), &format!("mkdir -p sessions/{SID} {prod}")).ok();
    mount.kill_worker();
    assert_eq!(mount.names("sessions"), [SID]);
    mount.reload();
    sh(&mount.point(), &format!("echo hello >> {prod}/stream")).ok();
    mount.reload();
    assert_eq!(mount.text(&format!("{prod}/stream")), "hello\n");
    assert_eq!(mount.names("sessions"), [SID]);
}

#[test]
fn ending_the_mount_finishes_what_is_open() {
    let audit = Audit::new();
    let mut mount = Mount::writing(&audit, A, &["--compression", "gzip"]);
    let line = format!("mkdir sessions/{SID}; echo hello >> sessions/{SID}/stream");
    sh(&mount.point(), &line).ok();
    mount.end();
    mount.wait_for_end();
    let folder = audit.at(&format!("{A}/sessions/default"));
    assert_eq!(sh(&folder, "gzip -dc *.chunks.gz").text(), "hello\n");
}
