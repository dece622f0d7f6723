//! A full disk is told to whoever writes, costs nothing that was acknowledged, and is over when there is room.

use std::io::Write;
use std::time::Duration;

use crate::harness::*;

const ENOSPC: i32 = 28;
const EIO: i32 = 5;
const SID: &str = "74a5fc01-4d00-11e8-aee2-00000000d15c";
const UPLOADED: &str = "74a5fc01-4d00-11e8-aee2-00000000d15d";

fn mount(disk: &SmallDisk, options: &[&str]) -> Mount {
    let rw = format!("rw,server_id={A}");
    let mut all = vec!["--settle", "0", "--poll", "200ms", "-o", &rw];
    all.extend(options);
    Mount::with(&disk.audit(), &all)
}

fn check_nothing_lost(disk: &SmallDisk, mount: &Mount, load: &Load) -> Counted {
    let sent = load.sent();
    let counted = check_kept(&disk.audit(), A, &sent, |_| false);
    let on_disk = OnDisk::read(&disk.audit(), &[A], SID);
    assert_same_bytes(
        "the stream",
        &mount.read(&format!("sessions/{SID}/stream")),
        &on_disk.stream(),
    );
    counted
}

/// Four writers write while the disk fills, is full, and has room again, three times.
#[track_caller]
fn check(what: &str, options: &[&str], by: Acknowledged) {
    let Some(disk) = SmallDisk::new(what, 16) else {
        return;
    };
    let mount = mount(&disk, options);
    let load = Load::new(&mount.point(), by, SID);
    for _ in 0..3 {
        load.go();
        load.wait_for_more(40);
        let told = load.told(ENOSPC);
        disk.fill();
        wait_until(
            Duration::from_secs(60),
            "writers are told that the disk is full",
            || load.told(ENOSPC) >= told + 20,
        );
        load.pause();
        check_nothing_lost(&disk, &mount, &load);
        disk.free();
    }
    load.go();
    load.wait_for_more(40);
    load.pause();
    let counted = check_nothing_lost(&disk, &mount, &load);
    let errors = load.sent().errors;
    // A descriptor's fsync fails with EIO too: what it wrote may have shared the fate of what failed.
    let known = |errno: &i32| *errno == ENOSPC || *errno == EIO && by == Acknowledged::ByFsync;
    assert!(errors.keys().all(known), "{errors:?}");
    println!("{what}: {counted:?}, lost 0, doubled 0; told: {errors:?}");
    let mut events = std::fs::OpenOptions::new()
        .append(true)
        .open(mount.at(&format!("sessions/{SID}/events.jsonl")))
        .unwrap();
    events.write_all(b"{\"event\":\"session.end\"}\n").unwrap();
    drop(events);
    check_kept(&disk.audit(), A, &load.sent(), |_| true);
    let strange = strange_files(&disk.audit(), A);
    assert!(strange.is_empty(), "{strange:?}");
    let checked = auditfs(&["check", disk.audit().to_str().unwrap()]);
    assert_eq!(checked.code(), 0, "{}", checked.told());
}

#[test]
fn a_full_disk_is_told_by_write_and_writing_goes_on_when_there_is_room() {
    check(
        "full_disk_sync_always",
        &["--sync", "always"],
        Acknowledged::ByWrite,
    );
}

#[test]
fn a_full_disk_is_told_by_write_or_fsync() {
    check(
        "full_disk_fsync",
        &["--sync", "interval"],
        Acknowledged::ByFsync,
    );
}

#[test]
fn a_full_disk_leaves_packed_files_whole() {
    check(
        "full_disk_gzip",
        &["--sync", "always", "--compression", "gzip"],
        Acknowledged::ByWrite,
    );
}

#[test]
fn a_recording_that_does_not_fit_is_refused_and_leaves_nothing() {
    let Some(disk) = SmallDisk::new("full_disk_recording", 16) else {
        return;
    };
    let source = Audit::new();
    let mut recorder = source.record(UPLOADED);
    recorder.start("alice");
    for number in 0..600_u64 {
        recorder.print(number.to_string().repeat(1000));
    }
    recorder.end().post(B).close(B);
    let tar = source.at("recording.tar");
    let folder = source.at(&format!("{B}/sessions/default"));
    sh(&folder, &format!("tar -cf {} *", tar.display())).ok();

    let mount = mount(&disk, &[]);
    sh(&mount.point(), "echo '{\"event\":\"a\"}' >> events/current").ok();
    let listed = || sh(&disk.audit(), "find . -type f -o -type d | sort").text();
    let before = listed();
    disk.fill();
    let copy = format!("cp {} recordings/{UPLOADED}.tar", tar.display());
    let refused = sh(&mount.point(), &copy);
    assert_ne!(refused.code(), 0);
    assert!(
        refused.stderr().contains("No space left on device"),
        "{}",
        refused.stderr()
    );
    wait_until(Duration::from_secs(10), "nothing is left of it", || {
        let now = listed();
        now == before || now == before.replace("./events.log\n", "")
    });
    assert!(
        !mount
            .names("recordings")
            .contains(&format!("{UPLOADED}.tar"))
    );
    disk.free();
    sh(&mount.point(), &copy).ok();
    assert_same_bytes(
        "the stream",
        &mount.read(&format!("sessions/{UPLOADED}/stream")),
        &recorder.stream,
    );
}
