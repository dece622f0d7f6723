//! One writer a server: who may write as whom, and what the lock says.

use crate::harness::*;

fn try_mount(mount: &Mount) -> String {
    let ran = mount.try_mount();
    assert_ne!(ran.code(), 0, "{}", ran.told());
    assert!(!mount.is_mounted());
    ran.stderr()
}

fn prepared(audit: &Audit, options: &str) -> Mount {
    Mount::prepared(audit.path(), &["-o", options])
}

#[test]
fn a_second_daemon_is_told_who_writes() {
    let audit = Audit::new();
    let first = Mount::writing(&audit, A, &[]);
    let second = prepared(&audit, &format!("rw,server_id={A}"));
    let told = try_mount(&second);
    let worker = first.json(".auditfs/status.json")["pid"].to_string();
    assert!(told.contains(&format!("pid {worker} on host ")), "{told}");
    assert!(told.contains("--break-lock"), "{told}");
    // As another server, and read-only, it may.
    let mut other = Mount::writing(&audit, B, &[]);
    let mut reading = Mount::with(audit.path(), &[]);
    let line = "echo '{\"event\":\"a\"}' >> events/current";
    sh(&other.point(), line).ok();
    sh(&first.point(), line).ok();
    wait_until(std::time::Duration::from_secs(15), "both are seen", || {
        let current = std::fs::read(reading.at("events/current")).unwrap_or_default();
        current.iter().filter(|byte| **byte == b'\n').count() == 2
    });
    other.end();
    reading.end();
}

#[test]
fn a_dead_daemon_does_not_block() {
    let audit = Audit::new();
    let first = Mount::writing(&audit, A, &[]);
    first.signal(rustix::process::Signal::KILL);
    first.wait_for_end();
    let second = Mount::writing(&audit, A, &[]);
    sh(
        &second.point(),
        "echo '{\"event\":\"a\"}' >> events/current",
    )
    .ok();
}

#[test]
fn a_restarted_worker_has_the_lock() {
    let audit = Audit::new();
    let mount = Mount::writing(&audit, A, &[]);
    for restart in [Mount::kill_worker, Mount::reload] {
        restart(&mount);
        sh(&mount.point(), "echo '{\"event\":\"a\"}' >> events/current").ok();
        let lock = std::fs::read_to_string(audit.at(&format!("{A}/.auditfs.lock"))).unwrap();
        let worker = mount.json(".auditfs/status.json")["pid"].to_string();
        assert!(lock.contains(&format!("\"pid\":{worker}")), "{lock}");
    }
}

#[test]
fn it_must_be_said_as_whom_to_write() {
    let audit = Audit::new();
    let told = |options: &str| try_mount(&prepared(&audit, options));
    assert!(told("rw").contains("server_id=UUID"));
    assert!(told(&format!("server_id={A}")).contains("add -o rw"));
    assert!(told("rw,server_id=upload").contains("no server's"));
    assert!(told("rw,server_id=../x").contains("not allowed"));
    assert!(told("rw,host_uuid=/none").contains("/none"));
    assert!(told(&format!("rw,server_id={A},compression=lzma")).contains("compression"));
}

#[test]
fn the_server_is_read_from_a_host_uuid_file() {
    let audit = Audit::new();
    audit.write("host_uuid", format!("{C}\n"));
    std::fs::create_dir(audit.at("log")).unwrap();
    let options = format!("rw,host_uuid={}", audit.at("host_uuid").display());
    let mut mount = Mount::with(&audit.at("log"), &["-o", &options]);
    sh(&mount.point(), "echo '{\"event\":\"a\"}' >> events/current").ok();
    mount.kill_worker();
    sh(&mount.point(), "echo '{\"event\":\"a\"}' >> events/current").ok();
    let log =
        std::fs::read_to_string(audit.at(&format!("log/{C}/{}.00:00:00.log", Mount::today())));
    assert_eq!(log.unwrap().lines().count(), 2);
    mount.end();
}

#[test]
fn modes_and_owners_are_as_asked_for() {
    let audit = Audit::new();
    let mount = Mount::writing(&audit, A, &["--dir-mode", "750"]);
    sh(&mount.point(), "echo '{\"event\":\"a\"}' >> events/current").ok();
    let line = format!(
        "stat -c %a {A} {A}/*.log; stat -c %a {}/events/current/.. {0}/README.txt",
        mount.point().display()
    );
    assert_eq!(
        sh(audit.path(), &line.replace("/current/..", "")).text(),
        "750\n640\n750\n640\n"
    );
}
