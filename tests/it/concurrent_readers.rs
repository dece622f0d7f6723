//! Several readers of what a fast writer grows: never a NUL byte, never a torn line, never a name twice (DESIGN 5).

use std::io::Read;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::live_growth::{APPEARS, line, mount, now};
use crate::harness::*;

const SID: &str = "74a5fc02-4d00-11e8-aee2-0242ac0a0002";
const STREAM: &str = "sessions/74a5fc02-4d00-11e8-aee2-0242ac0a0002/stream";

/// Readers of a file that a fast writer grows: whatever they read is a prefix of what it becomes.
#[track_caller]
fn check_readers(mount: &Mount, path: &str, whole_lines: bool, write: impl Fn(usize) + Sync) {
    let (done, file) = (AtomicBool::new(false), mount.at(path));
    let good = |bytes: &[u8], what: &str| {
        assert!(
            !bytes.contains(&0),
            "{what}: a NUL byte at {:?}",
            bytes.iter().position(|b| *b == 0)
        );
        assert!(
            !whole_lines || bytes.last().is_none_or(|last| *last == b'\n'),
            "{what}: a torn line"
        );
    };
    let mmap = "import mmap,os,sys\nf=open(sys.argv[1],'rb')\nn=os.fstat(f.fileno()).st_size\n\
                sys.stdout.buffer.write(mmap.mmap(f.fileno(),n,access=mmap.ACCESS_READ)[:n] if n else b'')";
    std::thread::scope(|threads| {
        let mut readers = Vec::new();
        for reader in 0..4 {
            let (done, file, good) = (&done, &file, &good);
            readers.push(threads.spawn(move || {
                let mut before: Vec<u8> = Vec::new();
                let mut rounds = 0;
                let kept = std::fs::File::open(file).unwrap();
                while !done.load(Ordering::Relaxed) || rounds == 0 {
                    let mut bytes = Vec::new();
                    match reader {
                        0 => std::fs::File::open(file)
                            .unwrap()
                            .read_to_end(&mut bytes)
                            .map(drop)
                            .unwrap(),
                        1 => bytes = run(&["cat", file.to_str().unwrap()]).ok(),
                        2 => bytes = run(&["python3", "-c", mmap, file.to_str().unwrap()]).ok(),
                        _ => {
                            // Beyond the end there is nothing, never a NUL.
                            let mut block = vec![1; 300_000];
                            let got = kept.read_at(&mut block, before.len() as u64).unwrap();
                            bytes.extend_from_slice(&before);
                            bytes.extend_from_slice(&block[..got]);
                        }
                    }
                    // A direct read may end within what a reader with its own buffer asked for.
                    good(&bytes, ["read", "cat", "mmap", "pread"][reader]);
                    assert!(bytes.len() >= before.len(), "it has shrunk");
                    assert_same_bytes("what was read before", &bytes[..before.len()], &before);
                    before = bytes;
                    rounds += 1;
                }
                before
            }));
        }
        for turn in 0..400 {
            write(turn);
            std::thread::sleep(Duration::from_millis(5));
        }
        done.store(true, Ordering::Relaxed);
        let seen: Vec<Vec<u8>> = readers
            .into_iter()
            .map(|reader| reader.join().unwrap())
            .collect();
        let last = std::fs::read(&file).unwrap();
        for bytes in seen {
            assert_same_bytes("a prefix of the end", &bytes, &last[..bytes.len()]);
        }
    });
}

#[test]
fn readers_of_a_growing_day_never_see_a_nul_or_a_torn_line() {
    let (audit, (today, _)) = (Audit::new(), now());
    audit.daily(A, &today, line("first"));
    let mount = Mount::with(audit.path(), &["--settle", "0", "--poll", "20ms"]);
    let time = now().1;
    check_readers(&mount, &format!("events/{today}.jsonl"), true, |turn| {
        let rest = "x".repeat(turn * 7 % 2000);
        let line = format!("{{\"event\":\"e{turn}\",\"time\":\"{time}\",\"x\":\"{rest}\"}}\n");
        audit.daily([A, B][turn % 2], &today, line);
    });
}

#[test]
fn readers_of_a_growing_stream_never_see_a_nul() {
    let audit = Audit::new();
    audit.record(SID).start("alice").print("first\r\n").post(A);
    let mount = mount(&audit);
    let chunks = format!("{A}/sessions/default/{SID}-0.chunks");
    check_readers(&mount, STREAM, false, |turn| {
        audit.append(
            &chunks,
            format!("{turn} {}\r\n", "x".repeat(turn * 13 % 3000)),
        );
    });
}

#[test]
fn listings_go_on_while_sessions_come() {
    let audit = Audit::generated(&[
        "--sessions",
        "600",
        "--stream-bytes",
        "10",
        "--events",
        "1",
        "--days",
        "1",
    ]);
    let mount = Mount::with(audit.path(), &["--settle", "0", "--poll", "1ms"]);
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let finder = threads.spawn(|| {
            let mut counts = Vec::new();
            while !done.load(Ordering::Relaxed) {
                let found = sh(
                    &mount.point(),
                    "find sessions -mindepth 1 -maxdepth 1 | sort | uniq -c",
                )
                .text();
                assert!(
                    found
                        .lines()
                        .all(|line| line.trim_start().starts_with("1 ")),
                    "a session twice"
                );
                counts.push(found.lines().count());
            }
            counts
        });
        for turn in 0..150 {
            audit
                .record(&format!("74a5fc02-4d00-11e8-aee2-{turn:012x}"))
                .start("alice")
                .post([A, B, C][turn % 3]);
            std::thread::sleep(Duration::from_millis(10));
        }
        done.store(true, Ordering::Relaxed);
        let counts = finder.join().unwrap();
        assert!(
            counts.iter().all(|count| *count >= 600) && counts.is_sorted(),
            "{counts:?}"
        );
    });
    wait_until(APPEARS, "all sessions", || {
        mount.names("sessions").len() == 750
    });
}
