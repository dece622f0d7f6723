//! How long a record takes from the append of its server to readers of the mount, and to what rsyslog delivers.
//!
//! A measurement, not a test: `scripts/measure-shippers latency` runs it and docs/PERFORMANCE.md has the result.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::{SecondsFormat, Utc};

use super::shipper::{Kind, Shipper};
use super::{count, dates, random};
use crate::harness::*;

const LOOK_EVERY: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
#[ignore = "a measurement of 3 minutes; scripts/measure-shippers runs it"]
fn latency_at_default_settings() {
    measure(&[], 400..1000);
}

#[test]
#[ignore = "a measurement of a minute; scripts/measure-shippers runs it"]
fn latency_at_low_latency_settings() {
    measure(&["--settle", "0", "--poll", "200ms"], 100..400);
}

/// Appends marked records, with such pauses between them, and prints what happened to them.
fn measure(options: &[&str], pauses_ms: std::ops::Range<u64>) {
    let appends = count("AUDITFS_APPENDS", 200);
    let (audit, today) = (Audit::new(), dates().today);
    append(&audit, 0, &today);
    let mount = Mount::with(audit.path(), options);
    let day = mount.at(&format!("events/{today}.jsonl"));
    wait_until(PATIENCE, "the day", || day.exists());
    let home = tempfile::tempdir().unwrap();
    let mut rsyslog = Shipper::new(Kind::RsyslogInotify, home.path().join("r"), &mount.point());
    rsyslog.start();
    let (visible, delivered) = (Sightings::of(day), Sightings::of(rsyslog.delivered_file()));
    wait_until(PATIENCE, "rsyslog begins", || delivered.look() > 0);
    let mut appended = HashMap::new();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for place in [&visible, &delivered] {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    place.look();
                    std::thread::sleep(LOOK_EVERY);
                }
            });
        }
        for number in 1..=appends {
            // At any phase of the daemon's own clock.
            std::thread::sleep(Duration::from_millis(random(&pauses_ms)));
            appended.insert(number, Instant::now());
            append(&audit, number, &today);
        }
        let start = Instant::now();
        while delivered.count() <= appends && start.elapsed() < PATIENCE {
            std::thread::sleep(LOOK_EVERY);
        }
        over.store(true, Ordering::Relaxed);
    });
    let settings = match options {
        [] => "defaults (--settle 5s --poll 1s)".to_owned(),
        options => options.join(" "),
    };
    visible.report(&format!("append to visible, {settings}"), &appended);
    delivered.report(
        &format!("append to rsyslog's output, {settings}"),
        &appended,
    );
    rsyslog.stop();
}

/// The servers take turns. The record is as old as its append: the settle window goes by the time in the record.
fn append(audit: &Audit, number: usize, day: &str) {
    let time = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
    let line = format!("{{\"event\":\"exec\",\"marker\":{number},\"time\":\"{time}\"}}\n");
    audit.daily([A, B, C][number % 3], day, line);
}

/// When each marker was first seen in a file that grows.
struct Sightings {
    path: PathBuf,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    file: Option<File>,
    offset_bytes: u64,
    /// The beginning of a line that has no end yet.
    rest: Vec<u8>,
    seen: HashMap<usize, Instant>,
}

impl Sightings {
    fn of(path: PathBuf) -> Self {
        Sightings {
            path,
            progress: Mutex::default(),
        }
    }

    /// Reads what is new; gives how many have been seen.
    fn look(&self) -> usize {
        let Progress {
            file,
            offset_bytes,
            rest,
            seen,
        } = &mut *self.progress.lock().unwrap();
        if file.is_none() {
            *file = File::open(&self.path).ok();
        }
        let Some(file) = file else {
            return 0;
        };
        let mut bytes = vec![0; 1 << 16];
        let read = file.read_at(&mut bytes, *offset_bytes).unwrap();
        let now = Instant::now();
        *offset_bytes += read as u64;
        rest.extend_from_slice(&bytes[..read]);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
            let marker = usize::try_from(line["marker"].as_u64().unwrap()).unwrap();
            assert!(seen.insert(marker, now).is_none(), "{marker} came twice");
        }
        seen.len()
    }

    fn count(&self) -> usize {
        self.progress.lock().unwrap().seen.len()
    }

    fn report(&self, what: &str, appended: &HashMap<usize, Instant>) {
        let seen = &self.progress.lock().unwrap().seen;
        let waits = appended
            .iter()
            .filter_map(|(number, at)| Some(seen.get(number)?.duration_since(*at)));
        let mut waits: Vec<u128> = waits.map(|wait| wait.as_millis()).collect();
        waits.sort_unstable();
        let lost = appended.len() - waits.len();
        println!(
            "RESULT {what}: p50 {} ms, p99 {} ms, most {} ms of {} appends, {lost} lost",
            waits[waits.len() / 2],
            waits[(waits.len() * 99).div_ceil(100) - 1],
            waits[waits.len() - 1],
            appended.len(),
        );
        assert_eq!(lost, 0, "{what}");
    }
}
