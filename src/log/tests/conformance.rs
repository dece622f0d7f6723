//! Teleport's own tests of the audit log (FORMAT 6), as far as they read. What they write through the interface is here
//! written by hand, as the releases named there leave it on disk.

use std::time::Duration;

use super::*;

const START: &str = "{\"ei\":0,\"event\":\"session.start\",\"login\":\"bob\",\"sid\":\"100\",\"time\":\"2018-03-01T10:00:00Z\"}\n";

fn print(ei: u32, ci: u32, offset: u32, bytes: u32, ms: u32) -> String {
    format!(
        "{{\"time\":\"2018-03-01T10:00:{:02}Z\",\"event\":\"print\",\"bytes\":{bytes},\"ms\":{ms},\"offset\":{offset},\"ei\":{ei},\"ci\":{ci}}}\n",
        ms / 1000
    )
}

fn end(ei: u32, time: &str) -> String {
    format!(
        "{{\"ei\":{ei},\"event\":\"session.end\",\"sid\":\"100\",\"time\":\"{time}\",\"user\":\"bob\"}}\n"
    )
}

fn index(lines: &[(&str, &str, u32, u32)]) -> String {
    let line = |(name, kind, index, offset): &(&str, &str, u32, u32)| {
        format!(
            "{{\"file_name\":\"100-{name}\",\"type\":\"{kind}\",\"index\":{index},\"offset\":{offset}}}\n"
        )
    };
    lines.iter().map(line).collect()
}

#[test]
fn test_new() {
    let case = Case::new(&[]);
    assert!(case.log.wait_for_delivery(Duration::ZERO).is_ok());
    assert!(case.log.close().is_ok());
    assert!(case.log.close().is_ok());
    assert!(matches!(case.events(-1, true), Err(LogError::Closed)));
}

#[test]
fn test_sessions_on_one_auth_server() {
    let end = end(2, "2018-03-01T10:00:01Z");
    let case = Case::new(&[
        (
            "one/sessions/default/100.index",
            &index(&[("0.events", "events", 0, 0), ("0.chunks", "chunks", 0, 0)]),
        ),
        (
            "one/sessions/default/100-0.events",
            &[START, &print(1, 0, 0, 5, 0), &end].concat(),
        ),
        ("one/sessions/default/100-0.chunks", "hello"),
    ]);
    let events = case.events(-1, true).unwrap();
    assert_eq!(
        texts(&events, "event"),
        ["session.start", "print", "session.end"]
    );
    assert_eq!(
        (events[1].get_int("offset"), events[1].get_int("ms")),
        (0, 0)
    );
    assert_eq!(
        (case.chunk(0, 5_000_000), case.chunk(2, 5_000_000)),
        ("hello".into(), "llo".into())
    );
}

#[test]
fn test_sessions_two_auth_servers() {
    // Slices to server one, two, one again, with 40 s idle between.
    let one = [
        ("0.events", "events", 0, 0),
        ("0.chunks", "chunks", 0, 0),
        ("3.events", "events", 3, 0),
        ("13.chunks", "chunks", 0, 13),
    ];
    let last = [print(3, 2, 13, 4, 40_017), end(4, "2018-03-01T10:01:00Z")].concat();
    let case = Case::new(&[
        ("one/sessions/default/100.index", &index(&one)),
        (
            "one/sessions/default/100-0.events",
            &[START, &print(1, 0, 0, 5, 0)].concat(),
        ),
        ("one/sessions/default/100-0.chunks", "hello"),
        ("one/sessions/default/100-3.events", &last),
        ("one/sessions/default/100-13.chunks", "test"),
        (
            "two/sessions/default/100.index",
            &index(&[("2.events", "events", 2, 0), ("5.chunks", "chunks", 0, 5)]),
        ),
        (
            "two/sessions/default/100-2.events",
            &print(2, 1, 5, 8, 40_000),
        ),
        ("two/sessions/default/100-5.chunks", "good day"),
    ]);
    // The original's `after` 1 leaves one line out and gives four events; here 0 does: the events after ei 0.
    let events = case.events(0, true).unwrap();
    assert_eq!(
        texts(&events, "event"),
        ["print", "print", "print", "session.end"]
    );
    assert_eq!(ints(&events[..3], "offset"), [0, 5, 13]);
    assert_eq!(ints(&events[..3], "ms"), [0, 40_000, 40_017]);
    let stream = "hellogood daytest";
    for offset in [0, 2, 5, 6, 13, 17] {
        assert_eq!(case.chunk(offset as u64, 5_000_000), stream[offset..]);
    }
}

#[test]
fn test_search_two_auth_servers() {
    let end = end(1, "2018-03-01T10:00:40Z");
    let case = Case::new(&[
        ("one/2018-03-01.00:00:00.log", START),
        ("two/2018-03-01.00:00:00.log", &end),
    ]);
    let future = case.log.search_events(
        time("2018-04-01T00:00:00Z"),
        time("2018-05-01T00:00:00Z"),
        "",
        3,
    );
    assert!(future.unwrap().is_empty());
    assert!(case.search("foo=bar", 3).is_empty());
    assert_eq!(
        texts(&case.search("event=session.start", 3), "event"),
        ["session.start"]
    );
    // Newest first, as the seed document has it; Teleport's test sees its reader's order, oldest first.
    assert_eq!(
        texts(&case.search("", 3), "event"),
        ["session.end", "session.start"]
    );
    assert_eq!(case.search("", 1).len(), 1);
}

#[test]
fn test_search_two_auth_servers_same_time() {
    let end = end(1, "2018-03-01T10:00:00Z");
    for (one, two) in [(START, end.as_str()), (end.as_str(), START)] {
        let case = Case::new(&[
            ("one/2018-03-01.00:00:00.log", one),
            ("two/2018-03-01.00:00:00.log", two),
        ]);
        assert_eq!(
            texts(&case.search("", 3), "event"),
            ["session.end", "session.start"]
        );
    }
}

#[test]
fn test_session_recording_off() {
    let both = [START, &end(2, "2018-03-01T10:00:40Z")].concat();
    let case = Case::new(&[
        ("one/2018-03-01.00:00:00.log", &both),
        (
            "one/sessions/default/100.index",
            &index(&[("0.events", "events", 0, 0)]),
        ),
        ("one/sessions/default/100-0.events", &both),
    ]);
    assert_eq!(
        texts(&case.search("", 3), "event"),
        ["session.end", "session.start"]
    );
    assert_eq!(
        texts(&case.events(-1, true).unwrap(), "event"),
        ["session.start", "session.end"]
    );
    assert_eq!(
        case.chunk(0, 5_000_000),
        "a recording of session 100 in namespace default not found"
    );
}

#[test]
fn test_migrations_to_v2() {
    // The pre-2.5 directory itself: this reader needs no migration.
    let print = "{\"bytes\":5,\"event\":\"print\",\"ms\":0,\"offset\":0,\"time\":\"2018-01-15T10:00:01Z\"}\n";
    let start = START.replace("2018-03-01", "2018-01-15");
    let end = end(1, "2018-01-15T10:00:02Z");
    let login = "{\"event\":\"user.login\",\"time\":\"2018-01-15T09:00:00Z\",\"user\":\"bob\"}\n";
    let case = Case::new(&[
        ("2018-01-15.00:00:00.log", &[login, &start, &end].concat()),
        (
            "sessions/default/100.session.log",
            &[&start, print, &end].concat(),
        ),
        ("sessions/default/100.session.bytes", "hello"),
    ]);
    assert_eq!(
        texts(&case.events(-1, true).unwrap(), "event"),
        ["session.start", "print", "session.end"]
    );
    assert_eq!(
        texts(&case.search("", 0), "event"),
        ["session.end", "session.start", "user.login"]
    );
    assert_eq!(case.chunk(0, 5_000_000), "hello");
}

#[test]
fn session_events_crud() {
    // Teleport `test/suite.go`, EventsSuite.
    let login = "{\"event\":\"user.login\",\"method\":\"saml\",\"success\":true,\"time\":\"2018-03-01T09:00:00Z\",\"user\":\"bob\"}\n";
    let all = [login, START, &end(1, "2018-03-01T10:05:00Z")].concat();
    let case = Case::new(&[("one/2018-03-01.log", &all)]);
    assert_eq!(
        texts(&case.search("event=user.login", 100), "user"),
        ["bob"]
    );
    let sessions = |to| {
        case.log
            .search_session_events(time("2018-03-01T09:00:00Z"), time(to), 0)
            .unwrap()
    };
    assert_eq!(
        texts(&sessions("2018-03-01T11:00:00Z"), "event"),
        ["session.end", "session.start"]
    );
    assert_eq!(
        texts(&sessions("2018-03-01T10:04:59Z"), "event"),
        ["session.start"]
    );
}
