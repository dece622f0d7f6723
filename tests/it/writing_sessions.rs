//! Sessions are made, recorded and ended through the mount, also where another server began them.

use std::fs::OpenOptions;
use std::io::Write;
use std::time::Duration;

use serde_json::Value;

use crate::harness::*;

const SID: &str = "74a5fc01-4d00-11e8-aee2-0242ac0a0001";

/// A mount that writes, and a session made there.
struct Case {
    audit: Audit,
    mount: Mount,
}

impl Case {
    fn new(options: &[&str]) -> Case {
        let audit = Audit::new();
        let mount = Mount::writing(&audit, A, options);
        std::fs::create_dir(mount.at(&format!("sessions/{SID}"))).unwrap();
        Case { audit, mount }
    }

    /// Runs a line of shell in the session's directory.
    fn sh(&self, line: &str) -> Ran {
        sh(&self.mount.at(&format!("sessions/{SID}")), line)
    }

    fn stream(&self) -> String {
        self.mount.text(&format!("sessions/{SID}/stream"))
    }

    fn events(&self) -> Vec<Value> {
        let text = self.mount.text(&format!("sessions/{SID}/events.jsonl"));
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Names in this server's folder of sessions.
    fn files(&self) -> Vec<String> {
        let folder = self.audit.at(&format!("{A}/sessions/default"));
        let names = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[test]
fn every_program_records_what_it_writes() {
    let case = Case::new(&[]);
    let mut expected = String::new();
    for (line, bytes) in [
        ("echo hello >> stream", "hello\n"),
        ("printf 'a\\0b' >> stream", "a\0b"),
        ("echo tee | tee -a stream > /dev/null", "tee\n"),
        ("echo socat | socat -u - OPEN:stream,append", "socat\n"),
        ("seq 3 | cat >> stream", "1\n2\n3\n"),
        (
            "echo dd | dd of=stream oflag=append conv=notrunc status=none",
            "dd\n",
        ),
    ] {
        case.sh(line).ok();
        expected += bytes;
        // What was written is seen at once.
        assert_eq!(case.stream(), expected, "{line}");
    }
    let prints = case.events();
    let numbers = prints
        .iter()
        .map(|event| (event["ei"].as_i64(), event["ci"].as_i64()));
    let counted = (0..prints.len() as i64).map(|n| (Some(n), Some(n)));
    assert_eq!(numbers.collect::<Vec<_>>(), counted.collect::<Vec<_>>());
    let bytes: i64 = prints
        .iter()
        .map(|event| event["bytes"].as_i64().unwrap())
        .sum();
    assert_eq!(bytes as usize, expected.len());
    assert_eq!(
        case.files(),
        [
            format!("{SID}-0.chunks"),
            format!("{SID}-0.events"),
            format!("{SID}.index")
        ]
    );
}

#[test]
fn script_records_a_terminal() {
    let case = Case::new(&[]);
    case.sh("script -q -f -c 'echo one; sleep 0.1; echo two' stream")
        .ok();
    let stream = case.stream();
    assert!(stream.contains("one\r\ntwo\r\n"), "{stream:?}");
    let prints = case.events();
    assert!(prints.len() >= 3, "{prints:?}");
    let last_ms = prints
        .last()
        .and_then(|event| event["ms"].as_i64())
        .unwrap();
    assert!(last_ms >= 100, "{prints:?}");
    case.sh("script -q -f -a -c 'echo three' stream").ok();
    assert!(case.stream().contains("three"));
}

#[test]
fn one_write_is_one_print_event() {
    let case = Case::new(&[]);
    let path = case.mount.at(&format!("sessions/{SID}/stream"));
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    let large = "x".repeat(300_000);
    for bytes in ["a", "bc", &large] {
        assert_eq!(file.write(bytes.as_bytes()).unwrap(), bytes.len());
    }
    let bytes: Vec<_> = case
        .events()
        .iter()
        .map(|event| event["bytes"].as_u64().unwrap())
        .collect();
    assert_eq!(bytes, [1, 2, 300_000]);
}

#[test]
fn a_session_has_events_and_an_end() {
    let case = Case::new(&[]);
    case.sh("echo '{\"event\":\"session.start\",\"user\":\"alice\"}' >> events.jsonl")
        .ok();
    case.sh("echo hello >> stream").ok();
    case.sh("echo '{\"event\":\"session.end\"}' >> events.jsonl")
        .ok();
    let events = case.events();
    let told: Vec<_> = events
        .iter()
        .map(|event| {
            (
                event["ei"].as_i64().unwrap(),
                event["event"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [(0, "session.start"), (1, "print"), (2, "session.end")]
    );
    assert_eq!(
        std::fs::read(
            case.audit
                .at(&format!("{A}/sessions/default/{SID}.completed"))
        )
        .unwrap(),
        b"completed"
    );
    let log = std::fs::read_to_string(
        case.audit
            .at(&format!("{A}/{}.00:00:00.log", Mount::today())),
    )
    .unwrap();
    assert_eq!(
        log.lines().count(),
        2,
        "print events are not in the daily log"
    );
    let summary = case.mount.json(&format!("sessions/{SID}/summary.json"));
    assert_eq!(summary["completeness"]["complete"], true, "{summary}");
    for line in [
        "echo x >> stream",
        "echo '{\"event\":\"exec\"}' >> events.jsonl",
    ] {
        let ran = case.sh(line);
        assert!(
            ran.stderr().contains("not permitted"),
            "{line}: {}",
            ran.told()
        );
    }
    assert!(
        case.mount
            .log()
            .contains("has ended: nothing can be added to it")
    );
    // What is written is read back the same without the mount.
    for part in ["stream", "events.jsonl"] {
        let path = format!("sessions/{SID}/{part}");
        let cat = auditfs(&["cat", case.audit.path().to_str().unwrap(), &path]);
        assert_eq!(cat.text(), case.mount.text(&path));
    }
}

#[test]
fn lines_that_a_session_does_not_take_are_refused_whole() {
    let case = Case::new(&[]);
    for (line, reason) in [
        ("{\"event\":\"print\"}", "the line is a print event"),
        (
            "{\"event\":\"session.end\"}\n{\"event\":\"exec\"}",
            "has ended",
        ),
        (
            "{\"event\":\"exec\"}\n{}",
            "line 2: the line has no field event",
        ),
    ] {
        let ran = case.sh(&format!("printf '%s\\n' '{line}' | cat >> events.jsonl"));
        assert_ne!(ran.code(), 0, "{line}");
        assert!(
            case.mount.log().contains(reason),
            "{reason}: {}",
            case.mount.log()
        );
    }
    assert!(case.events().is_empty());
    assert!(!case.audit.at(&format!("{A}/sessions")).exists());
}

#[test]
fn a_session_of_another_server_is_continued() {
    let audit = Audit::new();
    let first = Mount::writing(&audit, B, &[]);
    sh(
        &first.point(),
        &format!("mkdir sessions/{SID}; printf 0123456789 >> sessions/{SID}/stream"),
    )
    .ok();
    let second = Mount::writing(&audit, A, &[]);
    let stream = format!("sessions/{SID}/stream");
    sh(&second.point(), &format!("printf abc >> {stream}")).ok();
    assert_eq!(second.text(&stream), "0123456789abc");
    wait_until(Duration::from_secs(10), "the first sees it", || {
        first.text(&stream) == "0123456789abc"
    });
    let index =
        std::fs::read_to_string(audit.at(&format!("{A}/sessions/default/{SID}.index"))).unwrap();
    assert_eq!(
        index,
        format!(
            "{{\"file_name\":\"{SID}-1.events\",\"type\":\"events\",\"index\":1,\"offset\":0}}\n\
             {{\"file_name\":\"{SID}-10.chunks\",\"type\":\"chunks\",\"index\":1,\"offset\":10}}\n"
        )
        .replace("\"index\":1,\"offset\":10", "\"index\":0,\"offset\":10")
        .as_str(),
        "{index}"
    );
}

#[test]
fn sessions_are_made_by_their_ids_in_any_namespace() {
    let audit = Audit::new();
    let mount = Mount::writing(&audit, A, &[]);
    let told = |line: &str| sh(&mount.point(), line).stderr();
    assert!(told("mkdir sessions/100").contains("Invalid argument"));
    assert!(told(&format!("mkdir sessions/{}", SID.to_uppercase())).contains("Invalid argument"));
    assert!(told("mkdir namespaces/a.b").contains("Invalid argument"));
    sh(
        &mount.point(),
        &format!("mkdir -p namespaces/prod/sessions/{SID}"),
    )
    .ok();
    assert!(told(&format!("mkdir namespaces/prod/sessions/{SID}")).contains("File exists"));
    sh(
        &mount.point(),
        &format!("echo hi >> namespaces/prod/sessions/{SID}/stream"),
    )
    .ok();
    assert_eq!(
        mount.text(&format!("namespaces/prod/sessions/{SID}/stream")),
        "hi\n"
    );
    assert!(
        audit
            .at(&format!("{A}/sessions/prod/{SID}-0.chunks"))
            .exists()
    );
    assert!(mount.names("sessions").is_empty());
}

#[test]
fn bytes_of_a_stream_are_only_added() {
    let case = Case::new(&[]);
    case.sh("echo hello > stream").ok();
    for line in [
        "echo x > stream",
        "truncate -s 3 stream",
        "dd if=/dev/zero of=stream bs=1 count=1 conv=notrunc status=none",
        "rm stream",
    ] {
        let ran = case.sh(line);
        assert!(
            ran.stderr().contains("not permitted"),
            "{line}: {}",
            ran.told()
        );
    }
    case.sh("truncate -s 6 stream").ok();
    case.sh("echo more | dd of=stream bs=1 seek=6 conv=notrunc status=none")
        .ok();
    assert_eq!(case.stream(), "hello\nmore\n");
}

#[test]
fn without_recording_print_events_only_take_their_numbers() {
    let case = Case::new(&["--no-record-sessions"]);
    case.sh("echo hello >> stream").ok();
    case.sh("echo '{\"event\":\"session.end\"}' >> events.jsonl")
        .ok();
    assert_eq!(case.stream(), "");
    assert_eq!(case.events()[0]["ei"], 1);
}

#[test]
fn gzip_files_are_whole_when_they_are_closed() {
    let case = Case::new(&["--compression", "gzip"]);
    case.sh("echo hello >> stream").ok();
    assert_eq!(case.stream(), "hello\n");
    case.sh("echo '{\"event\":\"session.end\"}' >> events.jsonl")
        .ok();
    let folder = case.audit.at(&format!("{A}/sessions/default"));
    assert_eq!(
        sh(&folder, "gzip -t *.gz && gzip -dc *.chunks.gz").text(),
        "hello\n"
    );
}
