//! What servers write shows in the mount while they write it: soon, only at the end, never a NUL, never a torn line.

use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::harness::*;

const SID: &str = "74a5fc02-4d00-11e8-aee2-0242ac0a0002";
const STREAM: &str = "sessions/74a5fc02-4d00-11e8-aee2-0242ac0a0002/stream";
/// How soon a session and a live day must grow, and how soon something new must appear (issue 2).
const GROWS: Duration = Duration::from_secs(2);
const APPEARS: Duration = Duration::from_secs(5);

/// Today and now, as the machine's clock says.
fn now() -> (String, String) {
    let text = run(&["date", "-u", "+%Y-%m-%d %Y-%m-%dT%H:%M:%S.%3NZ"]).text();
    let (day, time) = text.trim().split_once(' ').unwrap();
    (day.to_owned(), time.to_owned())
}

fn line(event: &str) -> String {
    format!("{{\"event\":\"{event}\",\"time\":\"{}\"}}\n", now().1)
}

/// A mount as an admin makes it, but for the settle window: these tests have no late servers unless they say so.
fn mount(audit: &Audit) -> Mount {
    Mount::with(audit.path(), &["--settle", "0"])
}

/// A program that follows a file, with its output in another; ends with the test.
struct Follower {
    program: Child,
    output: PathBuf,
    _dir: tempfile::TempDir,
}

impl Follower {
    fn tail(mount: &Mount, path: &str) -> Follower {
        let dir = tempfile::tempdir().unwrap();
        let output = dir.path().join("output");
        let program = Command::new("tail")
            .args(["-c", "+1", "-s", "0.1", "-f"])
            .arg(mount.at(path))
            .stdout(std::fs::File::create(&output).unwrap())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Follower {
            program,
            output,
            _dir: dir,
        }
    }

    fn has(&self, wanted: &[u8]) -> bool {
        std::fs::read(&self.output).unwrap() == wanted
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

#[test]
fn a_running_session_grows_and_tail_follows_it() {
    for packing in [Packing::Plain, Packing::Gzip] {
        let audit = Audit::new();
        let mut session = audit.record(SID);
        session
            .packing(packing)
            .start("alice")
            .print("hello\r\n")
            .post(A);
        let mount = mount(&audit);
        let tail = Follower::tail(&mount, STREAM);
        wait_until(GROWS, "the beginning", || tail.has(&session.stream));
        for turn in 0..5 {
            session.print(format!("line {turn}\r\n")).post(A);
            wait_until(GROWS, "tail sees the next line", || {
                tail.has(&session.stream)
            });
            assert_eq!(mount.size(STREAM), session.stream.len() as u64);
        }
        // Another server takes over.
        session
            .print("on B\r\n")
            .post(B)
            .print("still on B\r\n")
            .post(B);
        wait_until(GROWS, "tail sees what the second server has", || {
            tail.has(&session.stream)
        });
        session.print("bye\r\n").end().post(B);
        wait_until(GROWS, "tail sees the end", || tail.has(&session.stream));
        let events = format!("sessions/{SID}/events.jsonl");
        wait_until(GROWS, "the events are whole", || {
            mount.text(&events) == session.events
        });
    }
}

#[test]
fn what_fills_a_hole_is_shown_in_order() {
    let audit = Audit::new();
    let mut session = audit.record(SID);
    session.start("alice").print("one ").post(A);
    let mount = mount(&audit);
    let tail = Follower::tail(&mount, STREAM);
    wait_until(GROWS, "the beginning", || tail.has(b"one "));
    // The slice that B has comes to the share before the one that C has.
    let mut late = audit.record(SID);
    late.start("alice")
        .print("one ")
        .lose()
        .print("two ")
        .print("three")
        .lose();
    session.print("two ").lose().print("three").post(B);
    wait_until(GROWS, "what is beyond the hole is held back", || {
        let summary = mount.json(&format!("sessions/{SID}/summary.json"));
        summary["completeness"]["held_back_bytes"] == serde_json::json!(9)
    });
    assert!(tail.has(b"one "));
    audit.write(&format!("{C}/sessions/default/{SID}-4.chunks"), "two ");
    wait_until(GROWS, "all of it", || tail.has(b"one two three"));
}

#[test]
fn new_sessions_servers_and_days_appear() {
    let audit = Audit::new();
    audit.daily(A, "2018-05-01", line("old"));
    let mount = mount(&audit);
    assert!(mount.names("sessions").is_empty());
    let mut session = audit.record(SID);
    session.start("alice").print("hello").post(A);
    wait_until(APPEARS, "a new session", || {
        mount.names("sessions") == [SID]
    });
    assert_eq!(mount.text(STREAM), "hello");
    let other = "74a5fc03-4d00-11e8-aee2-0242ac0a0003";
    audit.record(other).start("bob").print("new server").post(B);
    wait_until(APPEARS, "a session of a new server", || {
        mount.names("sessions") == [SID, other]
    });
    audit.daily(
        C,
        "2018-05-02",
        "{\"event\":\"x\",\"time\":\"2018-05-02T10:00:00Z\"}\n",
    );
    wait_until(APPEARS, "a new day of a new server", || {
        mount
            .names("events")
            .contains(&"2018-05-02.jsonl".to_owned())
    });
    wait_until(APPEARS, "current is the new day", || {
        std::fs::read_link(mount.at("events/current")).unwrap() == PathBuf::from("2018-05-02.jsonl")
    });
    audit.record_in("prod", SID).start("eve").print("x").post(A);
    wait_until(APPEARS, "a new namespace", || {
        mount.names("namespaces") == ["prod"]
    });
    let servers = || {
        mount.json(".auditfs/status.json")["servers"]
            .as_array()
            .unwrap()
            .len()
    };
    wait_until(APPEARS, "status.json names all servers", || servers() == 3);
}

#[test]
fn a_live_day_only_grows_at_its_end() {
    let (audit, (today, _)) = (Audit::new(), now());
    let day = format!("events/{today}.jsonl");
    audit.daily(A, &today, line("a0"));
    audit.daily(B, &today, line("b0"));
    let mount = mount(&audit);
    let tail = Follower::tail(&mount, &day);
    let mut seen = mount.read(&day);
    assert_eq!(seen.iter().filter(|byte| **byte == b'\n').count(), 2);
    let inode = |mount: &Mount| run(&["stat", "-c", "%i", mount.at(&day).to_str().unwrap()]).text();
    let first_inode = inode(&mount);
    for turn in 0..8 {
        let late = format!("{{\"event\":\"late{turn}\",\"time\":\"{today}T00:00:00Z\"}}\n");
        let added = if turn % 4 == 3 {
            late
        } else {
            line(&format!("e{turn}"))
        };
        audit.daily([A, B, C][turn % 3], &today, &added);
        wait_until(GROWS, "the day grows", || {
            mount.size(&day) > seen.len() as u64
        });
        let now = mount.read(&day);
        seen.extend_from_slice(added.as_bytes());
        assert_same_bytes(
            "what was published stays, what is new is at the end",
            &now,
            &seen,
        );
    }
    wait_until(GROWS, "tail has it all", || tail.has(&seen));
    assert_eq!(inode(&mount), first_inode);
    let late = || mount.json(".auditfs/status.json")["late_records"][&today].as_u64();
    wait_until(GROWS, "late records are counted", || {
        late().is_some_and(|count| count >= 2)
    });
}

#[test]
fn half_a_line_waits_for_its_other_half() {
    let (audit, (today, _)) = (Audit::new(), now());
    let day = format!("events/{today}.jsonl");
    audit.daily(A, &today, line("whole"));
    let mount = mount(&audit);
    let (whole, next) = (mount.read(&day), line("cut"));
    let (left, right) = next.split_at(20);
    audit.daily(A, &today, left);
    audit.daily(B, &today, line("other"));
    wait_until(GROWS, "the other server's line", || {
        mount.size(&day) > whole.len() as u64
    });
    assert!(mount.text(&day).ends_with("\"}\n") && !mount.text(&day).contains("cut"));
    audit.daily(A, &today, right);
    wait_until(GROWS, "the line is whole", || {
        mount.text(&day).ends_with(&next)
    });
}

#[test]
fn records_wait_for_the_settle_window() {
    let (audit, (today, _)) = (Audit::new(), now());
    let day = format!("events/{today}.jsonl");
    audit.daily(A, &today, line("first"));
    let mount = Mount::with(audit.path(), &["--settle", "2s", "--poll", "100ms"]);
    let first = mount.read(&day);
    // B's record is older, but reaches the share later: within the window it still takes its place.
    let older = line("older");
    let newer = line("newer");
    audit.daily(A, &today, &newer);
    audit.daily(B, &today, &older);
    wait_until(Duration::from_secs(6), "both are published", || {
        mount.size(&day) == (first.len() + older.len() + newer.len()) as u64
    });
    assert!(
        mount.text(&day).ends_with(&format!("{older}{newer}")),
        "{}",
        mount.text(&day)
    );
}

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
