//! Programs that wait with inotify hear of growth and of new days, also on a read-only mount.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

use crate::harness::*;

const DAY: &str = "events/2018-05-01.jsonl";
const LINE: &str = "{\"event\":\"x\",\"time\":\"2018-05-01T01:00:00Z\"}\n";

/// While `path` is watched, `change` happens; this event with this name must come.
#[track_caller]
fn check(path: &str, change: impl Fn(&Audit), wanted: (ReadFlags, &str)) {
    let audit = Audit::new();
    audit.daily(A, "2018-05-01", LINE);
    let mount = Mount::of(&audit);
    let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
    inotify::add_watch(&watch, mount.at(path), WatchFlags::ALL_EVENTS).unwrap();
    change(&audit);
    let mut seen = Vec::new();
    wait_until(Duration::from_secs(5), "the event comes", || {
        seen.extend(events(&watch));
        seen.iter()
            .any(|(flags, name)| flags.contains(wanted.0) && name == wanted.1)
    });
}

fn events(watch: &OwnedFd) -> Vec<(ReadFlags, String)> {
    let mut space = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(watch, &mut space);
    let mut seen = Vec::new();
    while let Ok(event) = reader.next() {
        let name = event
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        seen.push((event.events(), name.unwrap_or_default()));
    }
    seen
}

#[test]
fn a_watched_file_that_grows_says_modify() {
    check(
        DAY,
        |audit| audit.daily(A, "2018-05-01", LINE),
        (ReadFlags::MODIFY, ""),
    );
}

#[test]
fn a_watched_directory_says_which_file_grew() {
    let day = DAY.trim_start_matches("events/");
    check(
        "events",
        |audit| audit.daily(B, "2018-05-01", LINE),
        (ReadFlags::MODIFY, day),
    );
}

#[test]
fn a_new_day_says_create() {
    let line = LINE.replace("05-01", "05-02");
    let name = "2018-05-02.jsonl";
    check(
        "events",
        |audit| audit.daily(A, "2018-05-02", &line),
        (ReadFlags::CREATE, name),
    );
}

#[test]
fn nobody_else_may_touch() {
    let audit = Audit::new();
    audit.daily(A, "2018-05-01", LINE);
    let mount = Mount::of(&audit);
    let touched = sh(&mount.point(), &format!("touch {DAY} 2>&1 || true")).text();
    assert!(touched.contains("Read-only file system"), "{touched}");
}
