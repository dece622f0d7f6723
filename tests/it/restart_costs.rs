//! What the keeper costs a reader, and how long nobody serves while a worker is replaced.
//!
//! Measurements, not tests: `scripts/measure-shippers` runs them and docs/PERFORMANCE.md has the results.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::*;

const STREAM_BYTES: usize = 200 << 20;
const TURNS: usize = 15;

#[test]
#[ignore = "a measurement; scripts/measure-shippers runs it"]
fn keeper_cost() {
    let stream_bytes = STREAM_BYTES.to_string();
    let args = [
        "--servers",
        "1",
        "--days",
        "1",
        "--events",
        "0",
        "--sessions",
        "1",
    ];
    let audit = Audit::generated(&[&args[..], &["--stream-bytes", &stream_bytes]].concat());
    let mut results = [1 << 20, 128 << 10, 4 << 10].map(|block| (block, [Vec::new(), Vec::new()]));
    for _ in 0..TURNS {
        // A worker lives on without its keeper: the same worker is measured with it and without.
        let mount = Mount::of(&audit);
        let stream = format!("sessions/{}/stream", mount.names("sessions")[0]);
        us_per_read(&mount, &stream, 1 << 20);
        for kept in [1, 0] {
            for (block, turns) in &mut results {
                turns[kept].push(us_per_read(&mount, &stream, *block));
            }
            if kept == 1 {
                kill_process(Pid::from_raw(mount.keeper_pid()).unwrap(), Signal::KILL).unwrap();
            }
        }
        kill_process(Pid::from_raw(mount.worker_pid()).unwrap(), Signal::KILL).unwrap();
    }
    for (block, turns) in results {
        let [without, with] = turns.map(|mut turns| {
            turns.sort_by(f64::total_cmp);
            format!("{:.1} ({:.1})", turns[turns.len() / 2], turns[0])
        });
        println!(
            "RESULT O_DIRECT read of {} KiB, us median (min) of {TURNS} turns: without keeper {without}, with {with}",
            block >> 10
        );
    }
}

/// Of a sequential read past the page cache.
fn us_per_read(mount: &Mount, path: &str, block_bytes: usize) -> f64 {
    // A quarter of a second is enough of the small ones.
    let most = if block_bytes < 64 << 10 {
        10_000
    } else {
        usize::MAX
    };
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECT)
        .open(mount.at(path))
        .unwrap();
    let mut space = vec![0; block_bytes + 4096];
    let first = space.as_ptr().align_offset(4096);
    let block = &mut space[first..first + block_bytes];
    let (start, mut reads) = (Instant::now(), 0);
    while reads < most && file.read(block).unwrap() > 0 {
        reads += 1;
    }
    start.elapsed().as_secs_f64() * 1e6 / reads as f64
}

#[test]
#[ignore = "a measurement; scripts/measure-shippers runs it"]
fn gap_of_a_reload() {
    let args = [
        "--servers",
        "3",
        "--days",
        "3",
        "--events",
        "2000",
        "--sessions",
        "20000",
    ];
    let audit = Audit::generated(&[&args[..], &["--split", "--stream-bytes", "500"]].concat());
    // Now and then is enough for the looks at the share: they are not what is measured.
    let mount = Mount::with(audit.path(), &["--settle", "0", "--poll", "1s"]);
    let day = File::open(mount.at("events/2018-05-01.jsonl")).unwrap();
    mount.names("sessions");
    let (mut gaps, mut reloads) = (Vec::new(), Vec::new());
    for turn in 0..10 {
        let over = AtomicBool::new(false);
        let gap = std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                longest(&over, || {
                    // Made anew by each worker, so no cache of the kernel has it.
                    let mut byte = [0];
                    File::open(mount.at("README.txt"))
                        .unwrap()
                        .read_exact_at(&mut byte, 0)
                        .unwrap();
                    day.metadata().unwrap();
                })
            });
            std::thread::sleep(Duration::from_millis(300));
            let start = Instant::now();
            auditfs(&["reload", mount.point().to_str().unwrap()]).ok();
            reloads.push(start.elapsed());
            std::thread::sleep(Duration::from_millis(300));
            over.store(true, Ordering::Relaxed);
            reader.join().unwrap()
        });
        println!(
            "reload {turn}: {:?}, longest call {gap:?}",
            reloads.last().unwrap()
        );
        gaps.push(gap);
    }
    gaps.sort();
    reloads.sort();
    println!(
        "RESULT reload with 20,000 sessions: nobody serves for {:?} (median; most {:?}), the command takes {:?}",
        gaps[gaps.len() / 2],
        gaps[gaps.len() - 1],
        reloads[reloads.len() / 2]
    );
}

/// How long the longest of many calls took.
fn longest(over: &AtomicBool, call: impl Fn()) -> Duration {
    let mut longest = Duration::ZERO;
    while !over.load(Ordering::Relaxed) {
        let start = Instant::now();
        call();
        longest = longest.max(start.elapsed());
    }
    longest
}
