//! The machinery of these tests: audit directories made to measure, real mounts of them, real programs on both.

mod audit;
mod kept;
mod load;
mod mount;
mod own_folder;
mod programs;
mod recorder;
mod seed;
mod small_disk;

pub use audit::{A, Audit, B, C};
pub use kept::{Counted, check_kept, check_lines, check_session};
pub use load::{Acknowledged, Load};
pub use mount::{Mount, auditfs};
pub use own_folder::{OnDisk, daily_events, strange_files};
pub use programs::{Ran, is_root, run, sh};
pub use recorder::{Packing, Recorder, gzip};
pub use seed::Seed;
pub use small_disk::SmallDisk;

use std::time::{Duration, Instant};

/// Asks `done` again and again until it says yes; fails with `what` when `deadline` has passed.
#[track_caller]
pub fn wait_until(deadline: Duration, what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(
            start.elapsed() < deadline,
            "{what}: not within {deadline:?}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Bytes that differ tell where; printing all of both helps nobody.
#[track_caller]
pub fn assert_same_bytes(what: &str, got: &[u8], wanted: &[u8]) {
    if got == wanted {
        return;
    }
    let at = got.iter().zip(wanted).take_while(|(a, b)| a == b).count();
    let around = |bytes: &[u8]| {
        let part = bytes.get(at.saturating_sub(40)..bytes.len().min(at + 80));
        String::from_utf8_lossy(part.unwrap_or_default()).into_owned()
    };
    panic!(
        "{what}: {} bytes, wanted {}, first difference at byte {at}:\n got    {:?}\n wanted {:?}",
        got.len(),
        wanted.len(),
        around(got),
        around(wanted)
    );
}
