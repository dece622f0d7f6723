//! The mount outlives its worker: open files go on through kill -9 and reload, and nothing is left when it ends.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::*;

const DAY: &str = "events/2018-05-01.jsonl";

fn worker(mount: &Mount) -> i32 {
    let pid = mount.json(".auditfs/status.json");
    i32::try_from(pid.get("pid").unwrap().as_i64().unwrap()).unwrap()
}

fn kill_worker(mount: &Mount) {
    let pid = Pid::from_raw(worker(mount)).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

fn reload(mount: &Mount) -> Ran {
    auditfs(&["reload", mount.point().to_str().unwrap()])
}

/// While a file is open and half read, `restart` happens; the rest comes through the same descriptor.
#[track_caller]
fn check(restart: impl Fn(&Mount)) {
    let audit = Audit::generated(&["--days", "2", "--events", "500"]);
    let mount = Mount::of(&audit);
    let whole = mount.read(DAY);
    let open = File::open(mount.at(DAY)).unwrap();
    let (inode, pid) = (open.metadata().unwrap().ino(), worker(&mount));
    for round in 0..3 {
        let mut bytes = vec![0; whole.len()];
        let (begin, rest) = bytes.split_at_mut(whole.len() / 2);
        open.read_exact_at(begin, 0).unwrap();
        restart(&mount);
        open.read_exact_at(rest, begin.len() as u64).unwrap();
        assert_same_bytes(&format!("round {round}"), &bytes, &whole);
        assert_eq!(std::fs::metadata(mount.at(DAY)).unwrap().ino(), inode);
    }
    assert_ne!(worker(&mount), pid);
}

#[test]
fn an_open_file_goes_on_after_kill_9() {
    check(kill_worker);
}

#[test]
fn an_open_file_goes_on_after_a_reload() {
    check(|mount| {
        reload(mount).ok();
    });
}

#[test]
fn a_worker_that_dies_again_and_again_is_started_later_and_the_log_says_so() {
    let audit = Audit::generated(&["--days", "1", "--events", "10"]);
    let mount = Mount::of(&audit);
    for _ in 0..4 {
        kill_worker(&mount);
    }
    assert!(!mount.read(DAY).is_empty());
    assert!(
        mount.log().contains("starting a worker in 200 ms"),
        "{}",
        mount.log()
    );
}

#[test]
fn a_worker_without_its_keeper_goes_on_and_says_so() {
    let audit = Audit::generated(&["--days", "1", "--events", "10"]);
    let mount = Mount::of(&audit);
    kill_process(Pid::from_raw(mount.keeper_pid()).unwrap(), Signal::KILL).unwrap();
    wait_until(Duration::from_secs(10), "status.json tells", || {
        let status = mount.json(".auditfs/status.json");
        let alarms = status["alarms"].to_string();
        status["keeper_pid"].is_null() && alarms.contains("the keeper of the mount has ended")
    });
    assert!(!mount.read(DAY).is_empty());
    let log = mount.log();
    assert!(
        log.contains("ALARM: the keeper of the mount has ended"),
        "{log}"
    );
}

#[test]
fn a_reload_or_an_end_is_no_death_of_the_keeper() {
    let audit = Audit::generated(&["--days", "1", "--events", "10"]);
    let mount = Mount::of(&audit);
    reload(&mount).ok();
    auditfs(&["umount", mount.point().to_str().unwrap()]).ok();
    mount.wait_for_end();
    assert!(!mount.log().contains("ALARM"), "{}", mount.log());
}

#[test]
fn a_mount_without_a_spool_says_what_is_given_up() {
    let audit = Audit::generated(&["--days", "1", "--events", "10"]);
    let mount = Mount::with(audit.path(), &["--no-spool"]);
    let log = mount.log();
    assert!(
        log.contains("log shippers may lose or double records"),
        "{log}"
    );
}

#[test]
fn a_mount_over_its_own_source_survives_too() {
    let audit = Audit::generated(&["--days", "1", "--events", "10"]);
    let dir = tempfile::tempdir().unwrap();
    let (point, state) = (audit.path().to_str().unwrap(), dir.path().to_str().unwrap());
    auditfs(&["mount", point, point, "--state-dir", state]).ok();
    let status = std::fs::read(audit.at(".auditfs/status.json")).unwrap();
    let status: serde_json::Value = serde_json::from_slice(&status).unwrap();
    let pid = i32::try_from(status.get("pid").unwrap().as_i64().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    let read = std::fs::read(audit.at(DAY));
    auditfs(&["umount", point]).ok();
    assert!(!read.unwrap().is_empty());
}

#[test]
fn nothing_stays_when_the_mount_ends() {
    let audit = Audit::generated(&["--days", "1", "--events", "10"]);
    let mount = Mount::of(&audit);
    kill_worker(&mount);
    let pid = worker(&mount);
    auditfs(&["umount", mount.point().to_str().unwrap()]).ok();
    let point = mount.point().to_str().unwrap().to_owned();
    wait_until(Duration::from_secs(5), "every process ends", || {
        !std::path::Path::new(&format!("/proc/{pid}")).exists() && !someone_names(&point)
    });
}

/// Whether a process that runs has `word` among its arguments.
fn someone_names(word: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines.into_iter().any(|line| {
        line.split(|byte| *byte == 0)
            .any(|arg| arg == word.as_bytes())
    })
}
