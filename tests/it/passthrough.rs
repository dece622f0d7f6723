//! Days of the spool that are over are read by the kernel itself: whole, right, and also while nobody serves the mount.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::*;

const DAY: &str = "events/2018-05-01.jsonl";
const OPTIONS: [&str; 4] = ["--settle", "0", "--poll", "20ms"];
const GROWS: Duration = Duration::from_secs(10);

fn line(number: usize) -> String {
    let rest = "x".repeat(number * 37 % 3000);
    format!("{{\"event\":\"e{number}\",\"time\":\"2018-05-01T10:00:00Z\",\"x\":\"{rest}\"}}\n")
}

fn worker(mount: &Mount) -> Pid {
    let pid = mount.json(".auditfs/status.json")["pid"].as_i64().unwrap();
    Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}

/// A worker that stands still until the test ends: nobody answers the mount.
struct Stopped(Pid);

impl Stopped {
    fn of(mount: &Mount) -> Stopped {
        let stopped = Stopped(worker(mount));
        kill_process(stopped.0, Signal::STOP).unwrap();
        stopped
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        kill_process(self.0, Signal::CONT).unwrap();
    }
}

/// Appends a line to the day, and waits until it is there. From the first late line on the day is in the spool.
#[track_caller]
fn grow(audit: &Audit, mount: &Mount, number: usize) {
    let size = mount.size(DAY);
    audit.daily(A, "2018-05-01", line(number));
    wait_until(GROWS, "the day grows", || mount.size(DAY) > size);
}

/// A day that was over when it was first seen and has grown after all, and what it has.
fn grown() -> (Audit, Mount, String) {
    let audit = Audit::new();
    audit.daily(A, "2018-05-01", line(0));
    let mount = Mount::with(audit.path(), &OPTIONS);
    grow(&audit, &mount, 1);
    (audit, mount, line(0) + &line(1))
}

fn read_open(file: &File) -> String {
    let mut bytes = vec![0; 1 << 20];
    let read = file.read_at(&mut bytes, 0).unwrap();
    bytes.truncate(read);
    String::from_utf8(bytes).unwrap()
}

/// Opens the day, makes the worker stand still, and reads.
#[track_caller]
fn check_is_passed(mount: &Mount, wanted: &str) {
    let file = File::open(mount.at(DAY)).unwrap();
    let _stopped = Stopped::of(mount);
    // A read that waits for the worker cannot be ended, and must not hang the test.
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || tell.send(read_open(&file)));
    let read = told.recv_timeout(Duration::from_secs(10));
    assert_eq!(read.expect("read while the worker stands still"), wanted);
}

fn open_by_passthrough(mount: &Mount) -> u64 {
    mount.json(".auditfs/status.json")["passthrough"]["open"]
        .as_u64()
        .unwrap()
}

#[test]
fn a_day_is_read_while_the_worker_stands_still() {
    let (_audit, mount, wanted) = grown();
    assert_eq!(
        mount.json(".auditfs/status.json")["passthrough"],
        serde_json::json!({ "used": true, "reason": null, "open": 0 })
    );
    check_is_passed(&mount, &wanted);
}

#[test]
fn growth_shows_through_an_open_file_and_its_mapping() {
    let (audit, mount, mut wanted) = grown();
    let kept = File::open(mount.at(DAY)).unwrap();
    assert_eq!(read_open(&kept), wanted);
    let map = "import mmap,os,sys\nf=open(sys.argv[1],'rb')\nn=os.fstat(f.fileno()).st_size\n\
               sys.stdout.buffer.write(mmap.mmap(f.fileno(),n,access=mmap.ACCESS_READ)[:n])";
    for number in 2..12 {
        grow(&audit, &mount, number);
        wanted += &line(number);
        assert_eq!(read_open(&kept), wanted);
        assert_eq!(kept.metadata().unwrap().size(), wanted.len() as u64);
        let mapped = run(&["python3", "-c", map, mount.at(DAY).to_str().unwrap()]).text();
        assert_eq!(mapped, wanted);
    }
}

/// While a file is open by passthrough another worker takes over, which opens it again.
#[track_caller]
fn check_next_worker(replace: impl Fn(&Mount)) {
    let (audit, mount, mut wanted) = grown();
    let kept = File::open(mount.at(DAY)).unwrap();
    for number in 2..6 {
        replace(&mount);
        // Through another backing file than that of `kept` this would be EIO.
        assert_eq!(mount.text(DAY), wanted);
        grow(&audit, &mount, number);
        wanted += &line(number);
        assert_eq!(read_open(&kept), wanted);
        check_is_passed(&mount, &wanted);
    }
    wait_until(GROWS, "every other is closed", || {
        open_by_passthrough(&mount) == 1
    });
    drop(kept);
    wait_until(GROWS, "all are closed", || open_by_passthrough(&mount) == 0);
}

#[test]
fn the_worker_after_kill_9_opens_what_is_open() {
    check_next_worker(|mount| {
        let pid = worker(mount);
        kill_process(pid, Signal::KILL).unwrap();
        wait_until(GROWS, "another worker", || worker(mount) != pid);
    });
}

#[test]
fn the_worker_after_a_reload_opens_what_is_open() {
    check_next_worker(|mount| {
        auditfs(&["reload", mount.point().to_str().unwrap()]).ok();
    });
}

#[test]
fn a_day_that_is_open_through_the_page_cache_when_it_grows_is_opened_all_the_same() {
    let audit = Audit::new();
    audit.daily(A, "2018-05-01", line(0));
    let mount = Mount::with(audit.path(), &OPTIONS);
    let cached = File::open(mount.at(DAY)).unwrap();
    assert_eq!(read_open(&cached), line(0));
    grow(&audit, &mount, 1);
    let wanted = line(0) + &line(1);
    for turn in 0..3 {
        assert_eq!(mount.text(DAY), wanted, "turn {turn}");
        assert_eq!(read_open(&cached), wanted, "turn {turn}");
        kill_process(worker(&mount), Signal::KILL).unwrap();
    }
    drop(cached);
    wait_until(GROWS, "the kernel reads it itself", || {
        let _file = File::open(mount.at(DAY)).unwrap();
        wait_for_status(&mount);
        open_by_passthrough(&mount) > 0
    });
    check_is_passed(&mount, &wanted);
}

/// The text of status.json is made anew once a second.
fn wait_for_status(mount: &Mount) {
    let time = || mount.json(".auditfs/status.json")["time"].clone();
    let before = time();
    wait_until(GROWS, "status.json is made anew", || time() != before);
}

#[test]
fn readers_of_a_day_that_grows_see_no_nul_and_no_byte_change() {
    let (audit, mount, begun) = grown();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| {
                let kept = File::open(mount.at(DAY)).unwrap();
                let mut before = begun.clone();
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let now = read_open(&kept);
                    // What is told after a read is never less than what was read: a follower would begin anew.
                    assert!(kept.metadata().unwrap().size() >= now.len() as u64);
                    assert!(now.starts_with(&before) && !now.contains('\0'));
                    before = now;
                    let size = kept.metadata().unwrap().size();
                    let whole = read_open(&kept);
                    let told = whole.get(..usize::try_from(size).unwrap());
                    assert!(
                        told.is_some_and(|told| told.ends_with("}\n")),
                        "the size ends a line"
                    );
                }
            });
        }
        for number in 2..60 {
            audit.daily(A, "2018-05-01", line(number));
            std::thread::sleep(Duration::from_millis(10));
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn without_a_spool_it_is_not_used_and_status_json_says_why() {
    let audit = Audit::generated(&["--days", "1", "--events", "10"]);
    let mount = Mount::with(audit.path(), &["--no-spool"]);
    let passthrough = mount.json(".auditfs/status.json")["passthrough"].clone();
    assert_eq!(passthrough["used"], serde_json::json!(false));
    assert_eq!(
        passthrough["reason"],
        serde_json::json!("there is no spool")
    );
}
