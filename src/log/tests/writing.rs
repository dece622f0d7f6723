//! The writing half: what an auth server writes, and what it and the others read of it at once.

use crate::event::{EventName, SessionChunk, SessionSlice};
use crate::log::{DiscardAuditLog, FileLog, MultiLog, SessionRecording};

use super::servers::{SID, Servers, session_events, slice, stream};
use super::*;

fn v2(chunks: Vec<SessionChunk>) -> SessionSlice {
    slice(SessionSlice::V2, chunks)
}

fn index_line(name: &str, kind: &str, index: i64, offset: i64) -> String {
    format!(
        "{{\"file_name\":\"{SID}-{name}\",\"type\":\"{kind}\",\"index\":{index},\"offset\":{offset}}}\n"
    )
}

fn line(name: &str, code: &str, ei: i64, at: &str) -> String {
    format!(
        "{{\"code\":\"{code}\",\"ei\":{ei},\"event\":\"{name}\",\"server_id\":\"node-1\",\"sid\":\"{SID}\",\"time\":\"{at}\",\"uid\":\"u\"}}\n"
    )
}

#[test]
fn the_seed_documents_single_server() {
    let servers = Servers::new();
    let log = servers.server("a1");
    log.post_session_slice(&v2(vec![
        servers.event(0, EventName::SessionStart),
        servers.event(1, EventName::Resize),
        servers.print(2, 0, 0, 0, &"x".repeat(40)),
    ]))
    .unwrap();
    let folder = format!("a1/sessions/default/{SID}");
    let (start, resize) = (
        line("session.start", "T2000I", 0, "2018-05-01T07:58:03Z"),
        line("resize", "T2002I", 1, "2018-05-01T07:58:03Z"),
    );
    let print = "{\"time\":\"2018-05-01T07:58:03Z\",\"event\":\"print\",\"bytes\":40,\"ms\":0,\"offset\":0,\"ei\":2,\"ci\":0}\n";
    assert_eq!(
        servers.text(&format!("{folder}.index")),
        index_line("0.events", "events", 0, 0) + &index_line("0.chunks", "chunks", 0, 0)
    );
    assert_eq!(
        servers.text(&format!("{folder}-0.events")),
        [start.as_str(), &resize, print].concat()
    );
    assert_eq!(servers.text(&format!("{folder}-0.chunks")), "x".repeat(40));
    assert_eq!(
        servers.text("a1/2018-05-01.00:00:00.log"),
        [start, resize].concat()
    );
    assert_eq!(stream(&log), "x".repeat(40));
    assert_eq!(ints(&session_events(&log), "ei"), [0, 1, 2]);
}

#[test]
fn the_seed_documents_two_servers() {
    let servers = Servers::new();
    let (first, second) = (servers.server("a1"), servers.server("a2"));
    first
        .post_session_slice(&v2(vec![
            servers.event(0, EventName::SessionStart),
            servers.event(1, EventName::Resize),
            servers.print(2, 0, 0, 0, &"x".repeat(40)),
        ]))
        .unwrap();
    servers.pass_ms(713);
    let failover = v2(vec![servers.print(3, 1, 40, 713, &"y".repeat(15))]);
    second.post_session_slice(&failover).unwrap();
    let folder = format!("a2/sessions/default/{SID}");
    assert_eq!(
        servers.text(&format!("{folder}.index")),
        index_line("3.events", "events", 3, 0) + &index_line("40.chunks", "chunks", 0, 40)
    );
    assert_eq!(
        servers.text(&format!("{folder}-3.events")),
        "{\"time\":\"2018-05-01T07:58:03.713Z\",\"event\":\"print\",\"bytes\":15,\"ms\":713,\"offset\":40,\"ei\":3,\"ci\":1}\n"
    );
    assert_eq!(servers.text(&format!("{folder}-40.chunks")), "y".repeat(15));
    for log in [&first, &second] {
        log.refresh();
        assert_eq!(stream(log), "x".repeat(40) + &"y".repeat(15));
        assert_eq!(ints(&session_events(log), "ei"), [0, 1, 2, 3]);
    }
    // The slice whose answer was lost comes again, and is there once.
    second.post_session_slice(&failover).unwrap();
    assert_eq!(ints(&session_events(&second), "ei"), [0, 1, 2, 3]);
}

#[test]
fn test_sessions_two_auth_servers() {
    let servers = Servers::new();
    let (first, second) = (servers.server("a1"), servers.server("a2"));
    let mut start = servers.event(0, EventName::SessionStart);
    start.time_ns -= 1;
    first
        .post_session_slice(&v2(vec![start, servers.print(1, 0, 0, 0, "hello")]))
        .unwrap();
    servers.pass_ms(40_000);
    first.tick().unwrap();
    let good = servers.print(2, 1, 5, 40_000, "good day");
    second.post_session_slice(&v2(vec![good])).unwrap();
    servers.pass_ms(17);
    second.tick().unwrap();
    let test = vec![
        servers.print(3, 2, 13, 40_017, "test"),
        servers.event(4, EventName::SessionEnd),
    ];
    first.post_session_slice(&v2(test)).unwrap();
    for log in [&first, &second] {
        servers.pass_ms(2000);
        assert_eq!(stream(log), "hellogood daytest");
        let (ns, sid) = (Namespace::default(), SessionId::new(SID).unwrap());
        let after = log.get_session_events(&ns, &sid, EventIndex(0), true);
        let events = after.unwrap();
        assert_eq!(ints(&events, "offset"), [0, 5, 13, 0]);
        assert_eq!(ints(&events, "ms"), [0, 40_000, 40_017, 0]);
    }
    let names = servers.names("a1/sessions/default");
    assert!(names.contains(&format!("{SID}-13.chunks")), "{names:?}");
    let more = v2(vec![servers.print(5, 3, 17, 40_018, "x")]);
    let ended = first.post_session_slice(&more).unwrap_err();
    assert!(ended.to_string().contains("has ended"), "{ended}");
}

#[test]
fn an_old_slice_is_told_to_upgrade_and_a_new_one_is_noted_only() {
    let servers = Servers::new();
    let log = Arc::new(servers.server("a1"));
    let refused = |log: &dyn AuditLog, version| {
        let old = slice(version, vec![servers.print(0, 0, 0, 0, "x")]);
        log.post_session_slice(&old).unwrap_err().to_string()
    };
    let upgrade =
        |version| format!("audit log rejected {version} log entry, upgrade your components.");
    assert_eq!(refused(&*log, SessionSlice::V1), upgrade(0));
    assert_eq!(
        refused(&FileLog::new(log.clone()), SessionSlice::V2),
        upgrade(2)
    );
    let new = slice(
        SessionSlice::V3,
        vec![
            servers.event(0, EventName::SessionStart),
            servers.print(1, 0, 0, 0, "not kept"),
        ],
    );
    log.post_session_slice(&new).unwrap();
    assert_eq!(
        servers.text("a1/2018-05-01.00:00:00.log"),
        line("session.start", "T2000I", 0, "2018-05-01T07:58:03Z")
    );
    assert_eq!(
        stream(&*log),
        format!("session {SID} in namespace default not found")
    );
}

#[test]
fn what_is_emitted_is_found_at_once() {
    let servers = Servers::new();
    let log = servers.server("a1");
    let find = |query: &str| {
        let found = log.search_events(EventTime::ZERO, EventTime::LATEST, query, 0);
        found.unwrap().len()
    };
    for count in 1..20 {
        let mut fields = EventFields::new();
        fields.set("apples?", "yes");
        let joined = crate::event::Event {
            name: "user.joined",
            code: "",
        };
        log.emit_audit_event(joined, &fields).unwrap();
        assert_eq!(find("event=user.joined"), count);
    }
    assert!(servers.text("a1/2018-05-01.00:00:00.log").starts_with(
        "{\"apples?\":\"yes\",\"event\":\"user.joined\",\"time\":\"2018-05-01T07:58:03Z\",\"uid\":\"u\"}\n"
    ));
    let mut foreign = EventFields::new();
    foreign.set("server_id", "a2");
    let refused = log.emit_audit_event(EventName::Exec.into(), &foreign);
    assert!(
        matches!(refused, Err(LogError::BadParameter { .. })),
        "{refused:?}"
    );
    assert_eq!(find(""), 19);
}

#[test]
fn an_uploaded_recording_is_there_at_once_and_a_bad_one_is_not() {
    let (from, to) = (Servers::new(), Servers::new());
    let log = from.server("a1");
    log.post_session_slice(&v2(vec![
        from.event(0, EventName::SessionStart),
        from.print(1, 0, 0, 0, "hello"),
        from.event(2, EventName::SessionEnd),
    ]))
    .unwrap();
    let folder = from.top.path().join("a1/sessions/default");
    let tar_of = |rests: &[&str]| {
        let mut tar = tar::Builder::new(Vec::new());
        for name in rests.iter().map(|rest| format!("{SID}{rest}")) {
            tar.append_path_with_name(folder.join(&name), &name)
                .unwrap();
        }
        tar.into_inner().unwrap()
    };
    let there = to.server("a2");
    let upload = |tar: Vec<u8>| {
        let mut recording = std::io::Cursor::new(tar);
        there.upload_session_recording(&mut SessionRecording {
            namespace: Namespace::default(),
            session_id: SessionId::new(SID).unwrap(),
            recording: &mut recording,
        })
    };
    let bad = upload(tar_of(&["-0.events"]));
    assert!(matches!(bad, Err(LogError::BadParameter { .. })), "{bad:?}");
    upload(tar_of(&[".index", "-0.events", "-0.chunks"])).unwrap();
    assert_eq!(stream(&there), "hello");
    assert_eq!(session_events(&there), session_events(&log));
    let again = upload(tar_of(&[".index", "-0.events", "-0.chunks"]));
    assert!(matches!(again, Err(LogError::Recording(_))), "{again:?}");
}

#[test]
fn test_session_recording_off() {
    let servers = Servers::new();
    let log = servers.server_with("a1", |options| options.record_sessions = false);
    log.post_session_slice(&v2(vec![
        servers.event(0, EventName::SessionStart),
        servers.print(1, 0, 0, 0, "hello"),
        servers.event(2, EventName::SessionEnd),
    ]))
    .unwrap();
    assert_eq!(ints(&session_events(&log), "ei"), [0, 2]);
    assert!(stream(&log).contains("not found"));
}

#[test]
fn a_file_log_leaves_recordings_to_others() {
    let servers = Servers::new();
    let disk = Arc::new(servers.server("a1"));
    disk.post_session_slice(&v2(vec![servers.print(0, 0, 0, 0, "hello")]))
        .unwrap();
    let file = Arc::new(FileLog::new(disk.clone()));
    assert!(stream(&*file).contains("not implemented"));
    let both = MultiLog::new(vec![file.clone(), disk]);
    assert_eq!(stream(&both), "hello");
    let mut fields = EventFields::new();
    fields.set("user", "alice");
    file.emit_audit_event(EventName::Exec.into(), &fields)
        .unwrap();
    let found = both.search_events(EventTime::ZERO, EventTime::LATEST, "event=exec", 0);
    assert_eq!(texts(&found.unwrap(), "user"), ["alice"]);
}

#[test]
fn a_closed_log_takes_nothing_more() {
    let servers = Servers::new();
    let log = servers.server("a1");
    let print = v2(vec![servers.print(0, 0, 0, 0, "hello")]);
    log.post_session_slice(&print).unwrap();
    log.wait_for_delivery(std::time::Duration::ZERO).unwrap();
    log.close().unwrap();
    log.close().unwrap();
    assert!(matches!(
        log.post_session_slice(&print),
        Err(LogError::Closed)
    ));
    assert_eq!(stream(&log), "the audit log is closed");
}

#[test]
fn a_log_that_only_reads_says_so() {
    let case = Case::new(&[]);
    let error = case.log.post_session_slice(&v2(Vec::new())).unwrap_err();
    assert!(error.is_not_implemented(), "{error}");
}

#[test]
fn the_discarding_log_is_content_with_everything() {
    let servers = Servers::new();
    let print = v2(vec![servers.print(0, 0, 0, 0, "hello")]);
    DiscardAuditLog.post_session_slice(&print).unwrap();
    assert_eq!(stream(&DiscardAuditLog), "");
    assert!(session_events(&DiscardAuditLog).is_empty());
}
