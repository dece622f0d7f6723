//! Nothing is loaded whole: the daemon's memory stays under 128 MiB and the cache, however large a day or a session is.

use crate::harness::*;

/// Issue 2: RSS under 128 MiB plus the cache.
const LIMIT_BYTES: u64 = (128 + 32) << 20;

/// Reads it all twice, and once from four places at the same time; the daemon must stay within the limit.
#[track_caller]
fn check(audit: &Audit, path: &str, at_least_bytes: u64) {
    let mount = Mount::with(audit.path(), &["--cache-size", "32M"]);
    let size = mount.size(path);
    assert!(size >= at_least_bytes, "{size}");
    for _ in 0..2 {
        let count = sh(&mount.point(), &format!("cat {path} | wc -c")).text();
        assert_eq!(count.trim(), size.to_string());
    }
    let quarter = size / 4;
    let parts = format!(
        "for n in 0 1 2 3; do tail -c +$((n * {quarter} + 1)) {path} | head -c {quarter} | wc -c & done; wait"
    );
    assert_eq!(
        sh(&mount.point(), &parts).text(),
        format!("{quarter}\n").repeat(4)
    );
    let peak = mount.peak_memory_bytes();
    eprintln!("{path}: {} MB, peak {} MiB", size / 1_000_000, peak >> 20);
    assert!(peak < LIMIT_BYTES, "{} MiB", peak >> 20);
}

#[test]
fn a_day_of_200_mb() {
    let audit = Audit::generated(&[
        "--servers",
        "4",
        "--days",
        "1",
        "--events",
        "150000",
        "--sessions",
        "0",
    ]);
    check(&audit, "events/2018-05-01.jsonl", 190_000_000);
}

#[test]
fn a_packed_stream_of_200_mb_on_three_servers() {
    const SID: &str = "74a5fc02-4d00-11e8-aee2-0242ac0a0002";
    // One piece of text, packed once; each of 60 files in turn is that piece at its own offset.
    let mut text = String::new();
    for line in 0_u64.. {
        let number = line.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        text.push_str(&format!(
            "{line:>8} {number:016x} -rw-r--r-- 1 root root\r\n"
        ));
        if text.len() > 3_400_000 {
            break;
        }
    }
    let packed = gzip(&text);
    let audit = Audit::new();
    audit
        .record(SID)
        .start("alice")
        .event("session.end", "")
        .post(A);
    for piece in 0..60 {
        let (server, offset) = ([A, B, C][piece % 3], piece * text.len());
        audit.write(
            &format!("{server}/sessions/default/{SID}-{offset}.chunks.gz"),
            &packed,
        );
    }
    check(&audit, &format!("sessions/{SID}/stream"), 200_000_000);
}
