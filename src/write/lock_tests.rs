//! Locks between processes: this test binary starts itself again as the other holder.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::*;
use crate::write::Making;

const FOLDER: &str = "AUDITFS_TEST_LOCK_FOLDER";

fn directory(path: &Path) -> OwnDirectory {
    OwnDirectory::open(path, Making::default()).unwrap()
}

fn server() -> ServerId {
    ServerId::new("a1").unwrap()
}

fn start() -> EventTime {
    EventTime::parse_rfc3339(b"2018-05-01T07:58:03Z").unwrap()
}

/// Not a test of its own: the other process, which holds the lock until it is killed.
#[test]
fn the_other_holder() {
    let Ok(path) = std::env::var(FOLDER) else {
        return;
    };
    let lock = FolderLock::take(&directory(Path::new(&path)), &server(), start());
    std::fs::write(
        Path::new(&path).join("ready"),
        format!("{:?}", lock.is_ok()),
    )
    .unwrap();
    println!("\nready");
    let _ = std::io::stdin().read_line(&mut String::new());
}

/// Starts the other holder, and waits until it has the lock.
fn other_holder(path: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "write::lock::tests::the_other_holder",
            "--nocapture",
        ])
        .env(FOLDER, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(
        lines
            .map_while(Result::ok)
            .any(|line| line.ends_with("ready"))
    );
    assert_eq!(std::fs::read_to_string(path.join("ready")).unwrap(), "true");
    child
}

#[test]
fn the_second_holder_is_told_of_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = other_holder(dir.path());
    let error = FolderLock::take(&directory(dir.path()), &server(), start()).unwrap_err();
    let words = format!(
        "pid {} on host {}",
        child.id(),
        Holder::this_process(start()).host
    );
    assert!(error.to_string().contains(&words), "{error}");
    assert!(
        error.to_string().contains("since 2018-05-01T07:58:03Z"),
        "{error}"
    );
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_dead_holder_does_not_block() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = other_holder(dir.path());
    child.kill().unwrap();
    child.wait().unwrap();
    let own = directory(dir.path());
    let lock = FolderLock::take(&own, &server(), start()).unwrap();
    lock.check(&own).unwrap();
    let line = std::fs::read_to_string(dir.path().join("a1/.auditfs.lock"));
    // Not read through another descriptor while the lock is held elsewhere: here it is ours and this closes it.
    assert_eq!(
        Holder::from_line(&line.unwrap()),
        Some(Holder::this_process(start()))
    );
}

#[test]
fn a_broken_lock_is_lost_to_its_holder() {
    let dir = tempfile::tempdir().unwrap();
    let own = directory(dir.path());
    assert_eq!(break_lock(&own, &server()).unwrap(), None);
    let mut child = other_holder(dir.path());
    assert_eq!(
        break_lock(&own, &server()).unwrap().unwrap().pid,
        child.id()
    );
    let lock = FolderLock::take(&own, &server(), start()).unwrap();
    lock.check(&own).unwrap();
    std::fs::remove_file(dir.path().join("a1/.auditfs.lock")).unwrap();
    assert!(matches!(lock.check(&own), Err(LockError::Lost { .. })));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn one_process_holds_a_folder_once() {
    let dir = tempfile::tempdir().unwrap();
    let own = directory(dir.path());
    let lock = FolderLock::take(&own, &server(), start()).unwrap();
    let error = FolderLock::take(&directory(dir.path()), &server(), start()).unwrap_err();
    assert!(
        matches!(
            error,
            LockError::Held {
                holder: Some(_),
                ..
            }
        ),
        "{error}"
    );
    assert!(matches!(
        break_lock(&own, &server()),
        Err(LockError::Held { .. })
    ));
    // The refused one did not give up the lock of the first.
    let other = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "write::lock::tests::the_other_holder"])
        .env(FOLDER, dir.path())
        .stdin(Stdio::null())
        .output();
    assert!(other.unwrap().status.success());
    assert_eq!(
        std::fs::read_to_string(dir.path().join("ready")).unwrap(),
        "false"
    );
    drop(lock);
    FolderLock::take(&own, &server(), start()).unwrap();
}
