//! `sessions/<sid>/`: one stream, one list of events, one summary, from whichever servers recorded the session.

use serde_json::json;

use crate::harness::*;

const SID: &str = "74a5fc02-4d00-11e8-aee2-0242ac0a0002";
const DIR: &str = "sessions/74a5fc02-4d00-11e8-aee2-0242ac0a0002";

/// Mounts it; the session must show exactly what was recorded.
#[track_caller]
fn check(audit: &Audit, recorded: &Recorder) -> Mount {
    let mount = Mount::of(audit);
    check_session(&mount, DIR, recorded);
    mount
}

#[track_caller]
fn check_session(mount: &Mount, dir: &str, recorded: &Recorder) {
    let (stream, events) = (format!("{dir}/stream"), format!("{dir}/events.jsonl"));
    assert_same_bytes(&stream, &mount.read(&stream), &recorded.stream);
    assert_same_bytes(&events, &mount.read(&events), recorded.events.as_bytes());
    assert_eq!(mount.size(&stream), recorded.stream.len() as u64);
    assert_eq!(mount.size(&events), recorded.events.len() as u64);
}

#[track_caller]
fn completeness(mount: &Mount) -> serde_json::Value {
    mount.json(&format!("{DIR}/summary.json"))["completeness"].clone()
}

/// Three servers take turns.
fn split(audit: &Audit, packing: Packing) -> Recorder {
    let mut session = audit.record(SID);
    session.packing(packing).start("alice").print("$ ").post(A);
    for turn in 0..30 {
        let server = [B, C, A][turn % 3];
        session
            .print(format!("line {turn}\r\n"))
            .print("$ ")
            .post(server);
    }
    session.end().post(B);
    session
}

#[test]
fn a_session_of_one_server_is_whole() {
    let audit = Audit::new();
    let mut session = audit.record(SID);
    session
        .start("alice")
        .print("hello\r\n")
        .print("bye\r\n")
        .end()
        .post(A)
        .close(A);
    let mount = check(&audit, &session);
    assert_eq!(completeness(&mount)["complete"], json!(true));
    assert_eq!(
        mount.names(DIR),
        ["archive.tar", "events.jsonl", "stream", "summary.json"]
    );
}

#[test]
fn a_session_split_over_three_servers_is_one() {
    for packing in [Packing::Plain, Packing::Gzip] {
        let audit = Audit::new();
        let mut session = split(&audit, packing);
        session.close(A).close(B).close(C);
        let mount = check(&audit, &session);
        let summary = mount.json(&format!("{DIR}/summary.json"));
        assert_eq!(summary["servers"].as_array().unwrap().len(), 3);
        assert_eq!(summary["user"], json!("alice"));
        assert_eq!(summary["state"], json!("ended"));
        assert_eq!(summary["completeness"]["complete"], json!(true));
    }
}

#[test]
fn files_without_a_gzip_end_are_read_to_their_last_slice() {
    let audit = Audit::new();
    let session = split(&audit, Packing::Gzip);
    let mount = check(&audit, &session);
    // That is normal (FORMAT 3): it does not make the session incomplete.
    assert_eq!(completeness(&mount)["complete"], json!(true));
    assert!(completeness(&mount)["damage_count"].as_u64().unwrap() > 0);
}

#[test]
fn a_slice_that_two_servers_took_is_shown_once() {
    let audit = Audit::new();
    let mut session = audit.record(SID);
    session
        .packing(Packing::Gzip)
        .start("alice")
        .print("one ")
        .post(A);
    session
        .print("two ")
        .post_to_both(A, B)
        .print("three")
        .end()
        .post(B);
    session.close(A).close(B);
    let mount = check(&audit, &session);
    assert_eq!(completeness(&mount)["duplicate_events"], json!(1));
    assert_eq!(completeness(&mount)["duplicate_stream_bytes"], json!(4));
    assert_eq!(completeness(&mount)["complete"], json!(true));
}

#[test]
fn a_slice_that_one_server_took_twice_is_shown_once() {
    let audit = Audit::new();
    let mut session = audit.record(SID);
    session
        .packing(Packing::Gzip)
        .start("alice")
        .print("one ")
        .post(A)
        .kill(A);
    // The same slice again opens the same names: a member inside an unfinished one.
    let mut again = audit.record(SID);
    again
        .packing(Packing::Gzip)
        .start("alice")
        .print("one ")
        .post(A);
    again.print("two").end().post(A).close(A);
    check(&audit, &again);
}

#[test]
fn an_ended_session_shows_a_hole_as_zeros_and_says_so() {
    let audit = Audit::new();
    let mut session = audit.record(SID);
    session
        .start("alice")
        .print("before")
        .post(A)
        .print("lost!")
        .lose()
        .print("after")
        .end()
        .post(B);
    let mount = check(&audit, &session);
    assert_eq!(
        completeness(&mount)["gaps"],
        json!([{"offset": 6, "bytes": 5}])
    );
    assert_eq!(
        completeness(&mount)["missing_events"],
        json!([{"ei": 2, "count": 1}])
    );
    assert_eq!(completeness(&mount)["complete"], json!(false));
}

#[test]
fn a_running_session_ends_at_its_first_hole() {
    let audit = Audit::new();
    let mut session = audit.record(SID);
    session
        .start("alice")
        .print("before")
        .post(A)
        .print("on its way")
        .lose()
        .print("after")
        .post(B);
    let mount = Mount::of(&audit);
    assert_eq!(mount.text(&format!("{DIR}/stream")), "before");
    assert_eq!(completeness(&mount)["held_back_bytes"], json!(15));
    assert_eq!(
        mount.json(&format!("{DIR}/summary.json"))["state"],
        json!("running")
    );
    // It is over when nothing has come for so long.
    let idle = Mount::with(audit.path(), &["--session-idle", "0s"]);
    assert_same_bytes(
        "stream",
        &idle.read(&format!("{DIR}/stream")),
        &session.stream,
    );
}

#[test]
fn bytes_that_print_events_cover_win_and_the_conflict_is_counted() {
    let audit = Audit::new();
    let mut session = audit.record(SID);
    session.start("alice").print("right").end().post(B).close(B);
    // A has other bytes at the same place, without any event.
    audit.write(&format!("{A}/sessions/default/{SID}-0.chunks"), "wrong");
    let mount = check(&audit, &session);
    let conflicts = &completeness(&mount)["conflicts"];
    assert_eq!(conflicts[0]["shown"]["server"], json!(B), "{conflicts}");
    assert_eq!(conflicts[0]["hidden"]["server"], json!(A), "{conflicts}");
    assert_eq!(completeness(&mount)["complete"], json!(false));
}

#[test]
fn half_of_a_recording_beside_the_whole_of_it_is_the_whole() {
    let audit = Audit::new();
    let mut whole = audit.record(SID);
    whole
        .start("alice")
        .print("a".repeat(5000))
        .print("b".repeat(5000))
        .end()
        .post(B)
        .close(B);
    let bytes = std::fs::read(whole.file(B, "-0.events")).unwrap();
    audit.write(
        &format!("{A}/sessions/default/{SID}-0.events"),
        &bytes[..bytes.len() - 30],
    );
    audit.write(
        &format!("{A}/sessions/default/{SID}-0.chunks"),
        "a".repeat(300),
    );
    check(&audit, &whole);
}

#[test]
fn the_places_of_the_seed_document_count_too() {
    let audit = Audit::new();
    let mut session = audit.record(SID);
    session
        .start("alice")
        .print("one ")
        .post(A)
        .print("two ")
        .post(B)
        .print("three")
        .end()
        .post(C);
    let seed = |server: &str, to: &str| {
        let to = audit.at(to);
        std::fs::create_dir_all(&to).unwrap();
        let from = audit.at(&format!("{server}/sessions/default"));
        for entry in std::fs::read_dir(&from).unwrap() {
            let entry = entry.unwrap();
            std::fs::rename(entry.path(), to.join(entry.file_name())).unwrap();
        }
    };
    seed(A, A);
    seed(B, &format!("sessions/{B}"));
    check(&audit, &session);
}

#[test]
fn a_recording_under_upload_is_a_session_too() {
    let audit = Audit::new();
    let mut session = audit.record(SID);
    session
        .packing(Packing::Gzip)
        .start("alice")
        .print("not uploaded")
        .end()
        .post("upload")
        .close("upload");
    audit.write(
        &format!("upload/sessions/default/{SID}.completed"),
        "completed",
    );
    let mount = check(&audit, &session);
    assert_eq!(mount.names("sessions"), [SID]);
    assert_eq!(completeness(&mount)["complete"], json!(true));
}

#[test]
fn what_lies_in_playbacks_and_records_is_no_session() {
    let audit = Audit::new();
    audit.record(SID).start("alice").end().post(A);
    for cache in ["playbacks", "records", ".snapshot"] {
        let name =
            format!("{cache}/sessions/default/74a5fc99-4d00-11e8-aee2-0242ac0a0099-0.chunks");
        audit.write(&name, "unpacked by a reader");
    }
    assert_eq!(Mount::of(&audit).names("sessions"), [SID]);
}

#[test]
fn sessions_of_other_namespaces_stand_beside() {
    let audit = Audit::new();
    audit
        .record(SID)
        .start("alice")
        .print("default")
        .end()
        .post(A);
    let mut session = audit.record_in("prod", SID);
    session.start("bob").print("prod").end().post(A);
    let mount = Mount::of(&audit);
    assert_eq!(mount.names("namespaces"), ["prod"]);
    check_session(&mount, &format!("namespaces/prod/{DIR}"), &session);
    assert_eq!(mount.text(&format!("{DIR}/stream")), "default");
}

#[test]
fn the_layout_before_2_5_is_read() {
    let audit = Audit::new();
    let log = "{\"event\":\"session.start\",\"sid\":\"100\",\"time\":\"2017-05-01T10:00:00Z\",\"user\":\"alice\"}\n\
               {\"time\":\"2017-05-01T10:00:01Z\",\"event\":\"print\",\"bytes\":5,\"ms\":0,\"offset\":0}\n\
               {\"event\":\"session.end\",\"sid\":\"100\",\"time\":\"2017-05-01T10:00:02Z\"}\n";
    audit.write("sessions/default/100.session.log", log);
    audit.write("sessions/default/100.session.bytes", "hello");
    let mount = Mount::of(&audit);
    assert_eq!(mount.text("sessions/100/stream"), "hello");
    assert_eq!(mount.text("sessions/100/events.jsonl"), log);
}

#[test]
fn enhanced_events_come_in_time_order_among_the_others() {
    let audit = Audit::new();
    let mut session = audit.record(SID);
    session
        .start("alice")
        .print("$ ls\r\n")
        .print("a b\r\n")
        .end()
        .post(A);
    let command = format!(
        "{{\"ei\":0,\"event\":\"session.command\",\"path\":\"/bin/ls\",\"sid\":\"{SID}\",\"time\":\"2018-05-01T10:00:00.02Z\"}}\n"
    );
    let name = format!("{A}/sessions/default/{SID}-0.session.command-events.gz");
    audit.write(&name, gzip(&command));
    let mount = Mount::of(&audit);
    let mut lines: Vec<&str> = session.events.split_inclusive('\n').collect();
    lines.insert(2, &command);
    assert_eq!(mount.text(&format!("{DIR}/events.jsonl")), lines.concat());
}

#[test]
fn a_session_without_recording_has_events_and_an_empty_stream() {
    let audit = Audit::new();
    let mut session = audit.record(SID);
    session
        .start("alice")
        .print("never written")
        .lose()
        .end()
        .post(A);
    session.stream.clear();
    check(&audit, &session);
}
