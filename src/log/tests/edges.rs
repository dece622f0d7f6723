//! What the interface promises where the original went wrong: holes, bounds, `after` over several files, odd records.

use crate::event::MAX_CHUNK_BYTES;

use super::*;

fn print(ei: u32, offset: u32, bytes: u32) -> String {
    format!(
        "{{\"time\":\"2018-03-01T10:00:00Z\",\"event\":\"print\",\"bytes\":{bytes},\"ms\":0,\"offset\":{offset},\"ei\":{ei},\"ci\":{ei}}}\n"
    )
}

/// Bytes 0..3 and 8..11 of the stream, prints 0 and 2.
fn with_hole(now: &str) -> Case {
    let index = "{\"file_name\":\"100-0.events\",\"type\":\"events\",\"index\":0,\"offset\":0}\n\
                 {\"file_name\":\"100-0.chunks\",\"type\":\"chunks\",\"index\":0,\"offset\":0}\n\
                 {\"file_name\":\"100-8.chunks\",\"type\":\"chunks\",\"index\":0,\"offset\":8}\n";
    Case::at(
        now,
        &[
            ("a/sessions/default/100.index", index),
            (
                "a/sessions/default/100-0.events",
                &[print(0, 0, 3), print(2, 8, 3)].concat(),
            ),
            ("a/sessions/default/100-0.chunks", "abc"),
            ("a/sessions/default/100-8.chunks", "ijk"),
        ],
    )
}

#[track_caller]
fn check_hole(case: &Case) {
    assert_eq!(case.chunk(0, 100), "abc");
    assert_eq!(case.chunk(1, 1), "b");
    assert_eq!(
        case.chunk(3, 100),
        "no server has byte 3 of the stream; the next byte there is 8"
    );
    assert_eq!(
        case.chunk(7, 1),
        "no server has byte 7 of the stream; the next byte there is 8"
    );
    assert_eq!(case.chunk(8, 2), "ij");
    assert_eq!(case.chunk(11, 100), "");
    assert_eq!(case.chunk(u64::MAX, usize::MAX), "");
}

#[test]
fn a_hole_is_an_error_and_not_the_end() {
    check_hole(&with_hole("2100-01-01T00:00:00Z"));
}

#[test]
fn a_hole_is_one_while_the_session_may_still_grow() {
    // The clock stands long before the files were written, so they are not idle.
    check_hole(&with_hole("2018-03-01T10:00:01Z"));
}

#[test]
fn no_more_is_given_than_one_answer_holds() {
    let long = "x".repeat(MAX_CHUNK_BYTES + 10);
    let index = "{\"file_name\":\"100-0.chunks\",\"type\":\"chunks\",\"index\":0,\"offset\":0}\n";
    let case = Case::new(&[
        ("a/sessions/default/100.index", index),
        ("a/sessions/default/100-0.chunks", &long),
    ]);
    assert_eq!(case.chunk(0, usize::MAX).len(), MAX_CHUNK_BYTES);
    assert_eq!(case.chunk(MAX_CHUNK_BYTES as u64, usize::MAX).len(), 10);
    assert!(case.chunk(0, 0).starts_with("max_bytes is 0"));
}

#[test]
fn after_counts_over_all_files_and_servers() {
    // FORMAT 5.1: the original gave ei 9 first for `after` 5 of such a session.
    let files: Vec<(String, String)> = (0..4_u32)
        .map(|n| {
            let server = if n % 2 == 0 { "a" } else { "b" };
            let lines = (n * 4..n * 4 + 4).map(|ei| print(ei, ei, 1)).collect();
            (
                format!("{server}/sessions/default/100-{}.events", n * 4),
                lines,
            )
        })
        .collect();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    let case = Case::new(&files);
    for after in [-1, 0, 3, 5, 14, 15, 1000] {
        assert_eq!(
            ints(&case.events(after, true).unwrap(), "ei"),
            (after + 1..16).collect::<Vec<_>>()
        );
    }
    assert!(case.events(-1, false).unwrap().is_empty());
}

#[test]
fn an_event_that_serde_refuses_is_still_there() {
    let odd = "{\"ei\":0,\"event\":\"exec\",\"command\":\"\\ud800\",\"sid\":\"100\",\"time\":\"2018-03-01T10:00:00Z\"}\n";
    let case = Case::new(&[
        ("a/2018-03-01.log", odd),
        ("a/sessions/default/100-0.events", odd),
    ]);
    assert_eq!(
        texts(&case.events(-1, true).unwrap(), "command"),
        ["\"\\ud800\""]
    );
    assert_eq!(
        texts(&case.search("event=exec", 0), "command"),
        ["\"\\ud800\""]
    );
}

#[test]
fn what_is_not_there_is_not_found() {
    let case = Case::new(&[("a/sessions/default/101-0.events", &print(0, 0, 1))]);
    assert_eq!(
        case.chunk(0, 1),
        "session 100 in namespace default not found"
    );
    let events = case.events(-1, true).unwrap_err();
    assert!(matches!(events, LogError::NotFound { .. }), "{events}");
}

#[test]
fn arguments_that_cannot_be_are_named() {
    let log = Case::new(&[]).log;
    let (now, later) = (time("2018-03-01T10:00:00Z"), time("2018-03-01T11:00:00Z"));
    for (from, to, query, limit) in [
        (now, later, "a=%", 0),
        (now, later, "", 10_001),
        (later, now, "", 0),
    ] {
        let error = log.search_events(from, to, query, limit).unwrap_err();
        assert!(matches!(error, LogError::BadParameter { .. }), "{error}");
    }
    assert!(
        log.post_session_slice(&Default::default())
            .unwrap_err()
            .is_not_implemented()
    );
}

#[test]
fn what_is_written_between_two_reads_is_seen() {
    let case = Case::at("2018-03-01T12:00:00Z", &[("a/2018-03-01.log", "")]);
    assert!(case.search("", 0).is_empty());
    let late = "{\"event\":\"exec\",\"time\":\"2018-03-01T10:00:00Z\"}\n";
    std::fs::write(case.top.path().join("a/2018-03-01.log"), late).unwrap();
    assert!(case.log.refresh().is_empty());
    assert_eq!(case.search("", 0).len(), 1);
}

#[test]
fn a_log_that_is_let_go_frees_its_directory() {
    let case = with_hole("2100-01-01T00:00:00Z");
    let dir = dir_of(case.top.path());
    let (held, now) = (Arc::downgrade(&dir), time("2100-01-01T00:00:00Z"));
    let reader = DiskLog::new(dir, Arc::new(move || now));
    let read = reader.get_session_chunk(&Namespace::default(), &sid(), StreamOffset(0), 100);
    assert_eq!(read.unwrap(), b"abc");
    drop(reader);
    assert!(held.upgrade().is_none());
}
