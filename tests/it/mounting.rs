//! `auditfs mount` and `umount`: ready when they return, one clear line when they fail, nothing left behind.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::*;

const NOBODY: u32 = 65534;
const DAY: &str = "events/2018-05-01.jsonl";
const LINE: &str = "{\"event\":\"x\",\"time\":\"2018-05-01T10:00:00Z\"}\n";

fn audit() -> Audit {
    let audit = Audit::new();
    audit.daily(A, "2018-05-01", LINE);
    audit
}

/// The command must fail with code 2, nothing on standard output, and one line with these words.
#[track_caller]
fn check_refused(ran: &Ran, words: &[&str]) {
    assert_eq!(ran.code(), 2, "{}", ran.told());
    assert_eq!(ran.stdout(), "");
    assert_eq!(ran.stderr().lines().count(), 1, "{}", ran.told());
    assert!(ran.stderr().starts_with("auditfs: "), "{}", ran.told());
    for word in words {
        assert!(ran.stderr().contains(word), "{word}: {}", ran.told());
    }
}

fn umount(mount: &Mount) -> Ran {
    auditfs(&["umount", mount.point().to_str().unwrap()])
}

/// A program run as an ordinary user, with a home of their own.
fn as_nobody(home: &std::path::Path, args: &[String]) -> Command {
    let mut command = Command::new("timeout");
    command.args(["-k", "2", "30"]).args(args).env_clear();
    command.env("PATH", "/usr/bin:/bin").env("HOME", home);
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

#[test]
fn a_mount_is_ready_when_the_command_returns() {
    let audit = audit();
    let mount = Mount::prepared(audit.path(), &[]);
    let ran = mount.try_mount();
    // Before anything else: no waiting.
    assert_eq!(std::fs::read_to_string(mount.at(DAY)).unwrap(), LINE);
    assert_eq!(
        (ran.code(), ran.stdout(), ran.stderr()),
        (0, String::new(), String::new())
    );
    let kind = run(&[
        "findmnt",
        "-n",
        "-o",
        "FSTYPE,SOURCE",
        mount.point().to_str().unwrap(),
    ])
    .text();
    assert_eq!(
        kind.split_whitespace().collect::<Vec<_>>(),
        ["fuse.auditfs", audit.path().to_str().unwrap()]
    );
    let mut mount = mount;
    mount.learn_pid();
}

#[test]
fn a_source_that_is_none_is_refused() {
    let audit = audit();
    check_refused(
        &Mount::prepared(&audit.at("none"), &[]).try_mount(),
        &["/none", "No such file"],
    );
    audit.write("file", "");
    check_refused(
        &Mount::prepared(&audit.at("file"), &[]).try_mount(),
        &["/file", "not a directory"],
    );
}

#[test]
fn a_mountpoint_that_is_none_is_refused() {
    let audit = audit();
    let mount = Mount::prepared(audit.path(), &[]);
    std::fs::remove_dir(mount.point()).unwrap();
    check_refused(&mount.try_mount(), &["/mnt", "No such file"]);
    std::fs::write(mount.point(), "").unwrap();
    check_refused(&mount.try_mount(), &["/mnt", "not a directory"]);
}

#[test]
fn mounting_twice_is_refused_and_harms_nothing() {
    let audit = audit();
    let mount = Mount::of(&audit);
    check_refused(&mount.try_mount(), &["already mounted", "auditfs umount"]);
    assert_eq!(mount.text(DAY), LINE);
}

#[test]
fn the_mount_of_a_killed_daemon_is_replaced_with_a_warning() {
    let audit = audit();
    let mut mount = Mount::of(&audit);
    mount.signal(Signal::KILL);
    mount.wait_for_end();
    assert!(std::fs::read(mount.at(DAY)).is_err());
    let ran = mount.try_mount();
    assert!(
        ran.stderr().contains("warning") && ran.stderr().contains("dead mount"),
        "{}",
        ran.told()
    );
    ran.ok();
    mount.learn_pid();
    assert_eq!(mount.text(DAY), LINE);
    umount(&mount).ok();
    assert!(!mount.is_mounted(), "the dead mount was left below");
}

#[test]
fn the_mount_of_a_killed_daemon_can_be_unmounted() {
    let audit = audit();
    let mount = Mount::of(&audit);
    mount.signal(Signal::KILL);
    mount.wait_for_end();
    umount(&mount).ok();
    assert!(!mount.is_mounted());
}

#[test]
fn mounting_over_the_source_itself_works() {
    let audit = audit();
    let mut mount = Mount::over(audit.path(), &["--settle", "0"]);
    assert_eq!(mount.text(DAY), LINE);
    assert_eq!(
        mount.names(""),
        [
            ".auditfs",
            "README.txt",
            "events",
            "events-by-time",
            "namespaces",
            "sessions"
        ]
    );
    mount.end();
    assert_eq!(std::fs::read_dir(audit.path()).unwrap().count(), 1);
}

#[test]
fn umount_returns_when_the_daemon_is_gone() {
    let audit = audit();
    let mount = Mount::of(&audit);
    let ran = umount(&mount);
    assert!(!mount.is_alive() && !mount.is_mounted());
    assert_eq!(
        (ran.code(), ran.stdout(), ran.stderr()),
        (0, String::new(), String::new())
    );
    check_refused(
        &umount(&mount),
        &["no auditfs is mounted", mount.point().to_str().unwrap()],
    );
}

#[test]
fn umount_ends_a_busy_mount_too() {
    let audit = audit();
    let mount = Mount::of(&audit);
    let open = std::fs::File::open(mount.at(DAY)).unwrap();
    umount(&mount).ok();
    assert!(!mount.is_alive() && !mount.is_mounted());
    drop(open);
}

#[test]
fn sigterm_ends_the_mount() {
    let audit = audit();
    let mount = Mount::of(&audit);
    mount.signal(Signal::TERM);
    mount.wait_for_end();
    assert!(!mount.is_mounted());
}

#[test]
fn a_daemon_in_the_foreground_ends_by_sigterm_with_code_0() {
    let audit = audit();
    let mut mount = Mount::prepared(audit.path(), &["--foreground"]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_auditfs"));
    command
        .args(mount.command())
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let mut daemon = command.spawn().unwrap();
    wait_until(Duration::from_secs(10), "the mount", || {
        mount.at(DAY).exists()
    });
    mount.learn_pid();
    assert_eq!(u32::try_from(mount.keeper_pid()).unwrap(), daemon.id());
    mount.signal(Signal::TERM);
    assert_eq!(daemon.wait().unwrap().code(), Some(0));
    assert!(!mount.is_mounted());
}

#[test]
fn others_come_in_only_when_they_are_let_in() {
    if !is_root() {
        eprintln!(
            "SKIPPED: others_come_in_only_when_they_are_let_in: only root can be another user"
        );
        return;
    }
    let audit = audit();
    let home = tempfile::tempdir().unwrap();
    let read = |mount: &Mount| {
        run(&[
            "chmod",
            "a+rx",
            mount.point().parent().unwrap().to_str().unwrap(),
        ]);
        Ran::of(&mut as_nobody(
            home.path(),
            &["cat".to_owned(), mount.at(DAY).to_str().unwrap().to_owned()],
        ))
    };
    let mount = Mount::of(&audit);
    assert_ne!(read(&mount).code(), 0);
    // allow_other alone is not enough: modes are 0440 and 0550.
    assert_ne!(
        read(&Mount::with(audit.path(), &["--allow-other"])).code(),
        0
    );
    let let_in = Mount::with(audit.path(), &["-o", "allow_other,uid=65534,gid=65534"]);
    assert_eq!(read(&let_in).text(), LINE);
    let meta = std::fs::metadata(let_in.at(DAY)).unwrap();
    assert_eq!((meta.uid(), meta.mode() & 0o777), (NOBODY, 0o440));
}

#[test]
fn without_fuse_the_message_says_so() {
    if !is_root() {
        eprintln!("SKIPPED: without_fuse_the_message_says_so: only root can hide /dev/fuse");
        return;
    }
    let audit = audit();
    let mount = Mount::prepared(audit.path(), &[]);
    let words = mount.command().join(" ");
    let hide = "mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3";
    let line = format!("{hide} && exec {} {words}", env!("CARGO_BIN_EXE_auditfs"));
    check_refused(
        &run(&["unshare", "-m", "sh", "-c", &line]),
        &["/dev/fuse", "fuse module"],
    );
}

#[test]
fn options_that_mount_and_fstab_add_are_taken() {
    let audit = audit();
    let mount = Mount::with(
        audit.path(),
        &[
            "-o",
            "ro,nofail,_netdev",
            "-o",
            "dev,suid,x-systemd.automount,user",
        ],
    );
    assert_eq!(mount.text(DAY), LINE);
    check_refused(
        &Mount::prepared(audit.path(), &["-o", "nonsense"]).try_mount(),
        &["nonsense"],
    );
}
