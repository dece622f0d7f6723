//! Damage is normal: every byte that can be trusted is shown, the rest is said, and one bad file never takes its neighbours along.

use serde_json::{Value, json};

use crate::harness::*;

pub(super) const SID: &str = "74a5fc02-4d00-11e8-aee2-0242ac0a0002";
pub(super) const DIR: &str = "sessions/74a5fc02-4d00-11e8-aee2-0242ac0a0002";
pub(super) const DAY: &str = "events/2018-05-01.jsonl";

pub(super) fn line(event: &str) -> String {
    format!("{{\"event\":\"{event}\",\"time\":\"2018-05-01T10:00:00Z\"}}\n")
}

/// A session on A, packed and whole; then `harm` comes.
pub(super) fn harmed(harm: impl Fn(&Audit, &Recorder)) -> (Audit, Recorder) {
    let audit = Audit::new();
    let mut session = audit.record(SID);
    session.packing(Packing::Gzip).start("alice");
    for turn in 0..200 {
        session
            .print(format!("line {turn} of the session\r\n"))
            .post(A);
    }
    session.end().post(A).close(A);
    harm(&audit, &session);
    (audit, session)
}

/// What `auditfs check --json` says: its exit code, the wounds, the summary.
#[track_caller]
pub(super) fn check(audit: &Audit) -> (i32, Vec<Value>, Value) {
    let ran = auditfs(&[
        "check",
        "--json",
        "--verbose",
        audit.path().to_str().unwrap(),
    ]);
    assert!(ran.code() < 2, "{}", ran.told());
    let said = ran.stdout();
    let mut objects: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let summary = objects.pop().unwrap();
    (ran.code(), objects, summary["summary"].clone())
}

/// `check` must find this wound, and end with code 1.
#[track_caller]
pub(super) fn check_finds(audit: &Audit, kind: &str, file: &str, offset: u64) {
    let (code, wounds, summary) = check(audit);
    let found = wounds
        .iter()
        .find(|wound| wound["kind"] == kind && wound["file"] == file);
    let found = found.unwrap_or_else(|| panic!("no {kind} of {file} in {wounds:#?}"));
    assert_eq!(
        (found["server"].as_str(), found["offset"].as_u64()),
        (Some(A), Some(offset)),
        "{found:#}"
    );
    assert!(!found["reason"].as_str().unwrap().is_empty());
    assert_eq!(
        (code, summary["kinds"][kind].as_u64() > Some(0)),
        (1, true),
        "{summary:#}"
    );
}

/// The stream must begin with the first `bytes` of what was recorded.
#[track_caller]
fn check_stream(audit: &Audit, session: &Recorder, bytes: usize) -> Mount {
    let mount = Mount::of(audit);
    let shown = mount.read(&format!("{DIR}/stream"));
    assert!(shown.len() >= bytes, "{} of {bytes}", shown.len());
    assert_same_bytes("stream", &shown[..bytes], &session.stream[..bytes]);
    let said = sh(
        &mount.point(),
        &format!("jq -e '.completeness.complete | not' {DIR}/summary.json"),
    );
    assert_eq!(said.text().trim(), "true");
    mount
}

#[test]
fn a_sound_directory_has_no_wounds() {
    let audit = Audit::generated(&["--split", "--gzip", "--sessions", "10", "--events", "200"]);
    let (code, wounds, summary) = check(&audit);
    assert_eq!((code, wounds), (0, vec![]));
    assert_eq!(summary["sessions"], json!(10));
    assert_eq!(summary["days"], json!(3));
    let text = auditfs(&["check", audit.path().to_str().unwrap()]);
    assert_eq!((text.code(), text.stderr()), (0, String::new()));
    assert!(
        text.stdout()
            .ends_with("0 wounds, and 0 that healthy directories have too\n"),
        "{}",
        text.told()
    );
}

#[test]
fn what_healthy_directories_have_is_told_but_no_failure() {
    let audit = Audit::new();
    let mut session = audit.record(SID);
    session
        .packing(Packing::Gzip)
        .start("alice")
        .print("x")
        .end()
        .post(A)
        .kill(A);
    std::fs::remove_file(session.file(A, ".index")).unwrap();
    let (code, wounds, summary) = check(&audit);
    assert_eq!(code, 0, "{wounds:#?}");
    assert_eq!(
        summary["kinds"],
        json!({"gzip_no_end": 2, "file_without_index": 2})
    );
    assert!(wounds.iter().all(|wound| wound["normal"] == true));
    let quiet = auditfs(&["check", audit.path().to_str().unwrap()]).text();
    assert_eq!(quiet.lines().count(), 2, "{quiet}");
}

#[test]
fn flipped_bytes_of_a_gzip_file_cost_only_what_is_behind_them() {
    let (audit, session) = harmed(|_, session| {
        let path = session.file(A, "-0.chunks.gz");
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 40].fill(0xff);
        std::fs::write(path, bytes).unwrap();
    });
    let mount = check_stream(&audit, &session, session.stream.len() / 4);
    assert_eq!(mount.text(&format!("{DIR}/events.jsonl")), session.events);
    let (code, wounds, _) = check(&audit);
    let named =
        |wound: &&Value| wound["file"] == format!("{SID}-0.chunks.gz") && wound["normal"] == false;
    assert!(
        code == 1 && wounds.iter().any(|wound| named(&wound)),
        "{wounds:#?}"
    );
}

#[test]
fn a_cut_gzip_file_is_shown_to_its_end() {
    let (audit, session) = harmed(|_, session| {
        let path = session.file(A, "-0.chunks.gz");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() * 2 / 3]).unwrap();
    });
    let mount = Mount::of(&audit);
    let shown = mount.read(&format!("{DIR}/stream"));
    assert!(shown.len() > session.stream.len() / 2);
    assert_same_bytes("stream", &shown, &session.stream[..shown.len()]);
}

#[test]
fn garbage_behind_the_gzip_end_is_passed_over() {
    let (audit, session) = harmed(|audit, _| {
        audit.append(
            &format!("{A}/sessions/default/{SID}-0.chunks.gz"),
            [0x55; 300],
        );
    });
    check_stream(&audit, &session, session.stream.len());
    let packed = std::fs::metadata(session.file(A, "-0.chunks.gz"))
        .unwrap()
        .len()
        - 300;
    check_finds(
        &audit,
        "gzip_trailing_garbage",
        &format!("{SID}-0.chunks.gz"),
        packed,
    );
}

#[test]
fn a_file_of_garbage_takes_nothing_along() {
    let (audit, session) = harmed(|audit, _| {
        let beside = format!("{B}/sessions/default/{SID}");
        audit.write(&format!("{beside}-0.events.gz"), [0xaa; 5000]);
        audit.write(
            &format!("{beside}-90000.chunks.gz"),
            b"\x1f\x8b\x08\x00garbage",
        );
        audit.write(&format!("{beside}.index"), [0; 4096]);
        audit.write(&format!("{C}/sessions/default/{SID}-0.events.gz"), "");
        audit.write(&format!("{C}/sessions/default/{SID}-0.chunks.gz"), "");
    });
    let mount = check_stream(&audit, &session, session.stream.len());
    let events = mount.text(&format!("{DIR}/events.jsonl"));
    assert_eq!(
        sh(
            &mount.point(),
            &format!("jq -c 'select(.ei)' {DIR}/events.jsonl | wc -l")
        )
        .text()
        .trim(),
        "202"
    );
    assert!(session.events.lines().all(|line| events.contains(line)));
    assert_eq!(check(&audit).0, 1);
}

#[test]
fn torn_and_unknown_index_lines_cost_nothing() {
    let (audit, session) = harmed(|audit, session| {
        let index = session.file(A, ".index");
        let good = std::fs::read_to_string(&index).unwrap();
        let unknown = format!(
            "{{\"file_name\":\"{SID}-0.holograms.gz\",\"type\":\"holograms\",\"index\":0,\"offset\":0}}\n"
        );
        audit.write(
            &format!("{A}/sessions/default/{SID}.index"),
            format!("{{\"file_na\n{unknown}{good}{good}{{\"file_name\":\"cut"),
        );
    });
    let mount = Mount::of(&audit);
    assert_same_bytes(
        "stream",
        &mount.read(&format!("{DIR}/stream")),
        &session.stream,
    );
    let index = format!("{SID}.index");
    check_finds(&audit, "not_json", &index, 0);
    check_finds(&audit, "index_unknown_type", &index, 10);
    check_finds(
        &audit,
        "torn_line",
        &index,
        std::fs::metadata(session.file(A, ".index")).unwrap().len() - 17,
    );
}

#[test]
fn a_file_that_the_index_names_and_nobody_has_is_reported() {
    let (audit, session) =
        harmed(|_, session| std::fs::remove_file(session.file(A, "-0.chunks.gz")).unwrap());
    let mount = Mount::of(&audit);
    assert_eq!(mount.size(&format!("{DIR}/stream")), 0);
    assert_eq!(mount.text(&format!("{DIR}/events.jsonl")), session.events);
    let index = std::fs::read_to_string(session.file(A, ".index")).unwrap();
    let offset = index.find('\n').unwrap() as u64 + 1;
    check_finds(&audit, "file_missing", &format!("{SID}.index"), offset);
}

#[test]
fn daily_logs_with_nuls_garbage_and_a_torn_end_keep_their_good_lines() {
    let audit = Audit::new();
    let bad = [
        line("one").as_bytes(),
        &[0; 4096],
        b"\n",
        line("two").as_bytes(),
        b"\xff\xfe garbage\n",
        line("three").as_bytes(),
        b"{\"event\":\"to",
    ]
    .concat();
    audit.daily(A, "2018-05-01", &bad);
    audit.daily(B, "2018-05-01", line("other"));
    let mount = Mount::of(&audit);
    // Its day has long been over, so the torn line is shown too.
    let events = sh(
        &mount.point(),
        &format!("jq -r .event {DAY} | sort | uniq -c"),
    )
    .text();
    let counts: Vec<String> = events
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        counts,
        ["3 auditfs.unparsed", "1 one", "1 other", "1 three", "1 two"]
    );
    assert!(!mount.read(DAY).contains(&0));
    assert_eq!(mount.size(DAY), mount.read(DAY).len() as u64);
    let log = "2018-05-01.00:00:00.log";
    let first = line("one").len() as u64;
    check_finds(&audit, "nul_bytes", log, first);
    check_finds(&audit, "torn_line", log, bad.len() as u64 - 12);
    check_finds(
        &audit,
        "not_json",
        log,
        first + 4097 + line("two").len() as u64,
    );
}

#[test]
fn check_refuses_what_is_no_directory() {
    let ran = auditfs(&["check", "/none/such"]);
    assert_eq!(
        (ran.code(), ran.stdout().as_str()),
        (2, ""),
        "{}",
        ran.told()
    );
}
