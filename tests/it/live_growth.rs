//! What servers write shows in the mount while they write it: soon, and only at the end.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::harness::*;

const SID: &str = "74a5fc02-4d00-11e8-aee2-0242ac0a0002";
const STREAM: &str = "sessions/74a5fc02-4d00-11e8-aee2-0242ac0a0002/stream";
/// How soon a session and a live day must grow, and how soon something new must appear (issue 2).
const GROWS: Duration = Duration::from_secs(2);
pub(super) const APPEARS: Duration = Duration::from_secs(5);

/// Today and now, as the machine's clock says.
pub(super) fn now() -> (String, String) {
    let text = run(&["date", "-u", "+%Y-%m-%d %Y-%m-%dT%H:%M:%S.%3NZ"]).text();
    let (day, time) = text.trim().split_once(' ').unwrap();
    (day.to_owned(), time.to_owned())
}

pub(super) fn line(event: &str) -> String {
    format!("{{\"event\":\"{event}\",\"time\":\"{}\"}}\n", now().1)
}

/// A mount as an admin makes it, but for the settle window: these tests have no late servers unless they say so.
pub(super) fn mount(audit: &Audit) -> Mount {
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
        std::fs::read_link(mount.at("events/current"))
            .unwrap()
            .to_str()
            == Some("2018-05-02.jsonl")
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
