//! The audit directories that Teleport 2.5.8 and 3.1.8 wrote, read through the interface.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::event::EventName;

use super::*;

/// Each fixture's directory, if there are any: `AUDITFS_FIXTURES`, or `../shared/fixtures` from the project's root.
fn fixtures() -> Vec<PathBuf> {
    let named = std::env::var_os("AUDITFS_FIXTURES").map(PathBuf::from);
    let top =
        named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"));
    let Ok(entries) = std::fs::read_dir(top) else {
        eprintln!("SKIPPED: fixtures: no ../shared/fixtures, and AUDITFS_FIXTURES names none");
        return Vec::new();
    };
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("audit").is_dir())
        .collect()
}

fn log(fixture: &Path) -> DiskLog {
    log_of(&fixture.join("audit"), time("2100-01-01T00:00:00Z"))
}

/// Namespace, session and stream of each recording.
fn truths(fixture: &Path) -> Vec<(Namespace, SessionId, Vec<u8>)> {
    let mut truths = Vec::new();
    for entry in std::fs::read_dir(fixture.join("truth")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let parts: Vec<&str> = name.split('.').collect();
        if let [namespace, sid, "stream"] = parts[..] {
            truths.push((
                Namespace::new(namespace).unwrap(),
                SessionId::new(sid).unwrap(),
                std::fs::read(&path).unwrap(),
            ));
        }
    }
    truths
}

/// The lines of a file that the original's reader answered, as a sorted list; without `id`, its place in one file, which
/// is on no disk.
fn answered(fixture: &Path, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(fixture.join("expect-3.1.8").join(name)).unwrap();
    let without_id = |line: &str| {
        let mut map: serde_json::Map<_, _> =
            EventFields::from_json(line.as_bytes()).unwrap().into();
        map.remove("id");
        EventFields::from(map)
    };
    sorted(text.lines().map(without_id))
}

fn sorted(events: impl IntoIterator<Item = EventFields>) -> Vec<String> {
    let mut lines: Vec<String> = events.into_iter().map(|event| event.to_json()).collect();
    lines.sort();
    lines
}

/// The stream in pieces of at most `max_bytes`; holes as zeros, with the count of them.
fn read_stream(
    log: &DiskLog,
    namespace: &Namespace,
    sid: &SessionId,
    max_bytes: usize,
) -> (Vec<u8>, usize) {
    let (mut stream, mut holes) = (Vec::new(), 0);
    loop {
        match log.get_session_chunk(namespace, sid, StreamOffset(stream.len() as u64), max_bytes) {
            Ok(bytes) if bytes.is_empty() => return (stream, holes),
            Ok(bytes) => stream.extend(bytes),
            Err(LogError::Gap { next, .. }) => {
                stream.resize(next.0 as usize, 0);
                holes += 1;
            }
            Err(error) => panic!("{sid}: {error}"),
        }
    }
}

#[test]
fn every_stream_is_its_truth() {
    for fixture in fixtures() {
        let log = log(&fixture);
        for (namespace, sid, truth) in truths(&fixture) {
            let unrecorded = log.get_session_chunk(&namespace, &sid, StreamOffset(0), 1);
            if matches!(unrecorded, Err(LogError::NotFound { .. })) {
                // Recording was off: nothing was kept of what the client sent.
                assert!(
                    sid.as_str().ends_with("05") || sid.as_str().ends_with("17"),
                    "{sid}"
                );
                continue;
            }
            for max_bytes in [64, 1000, usize::MAX] {
                let (stream, holes) = read_stream(&log, &namespace, &sid, max_bytes);
                let lost = sid.as_str().ends_with("08");
                assert_eq!(holes, usize::from(lost), "{sid}");
                let same = |(ours, truth): (&u8, &u8)| ours == truth || lost && *ours == 0;
                assert!(
                    stream.len() == truth.len() && stream.iter().zip(&truth).all(same),
                    "{sid}"
                );
            }
        }
    }
}

#[test]
fn every_event_is_there_once_and_in_order() {
    for fixture in fixtures() {
        let log = log(&fixture);
        for (namespace, sid, _) in truths(&fixture) {
            let name = format!("{namespace}.{sid}.events.jsonl");
            let all = log
                .get_session_events(&namespace, &sid, EventIndex(-1), true)
                .unwrap();
            let numbers = ints(&all, "ei");
            assert!(numbers.is_sorted_by(|a, b| a < b), "{sid}: {numbers:?}");
            if fixture.join("expect-3.1.8").join(&name).exists() {
                // The original lost some and doubled some; all that it found is there.
                let theirs: BTreeSet<String> = answered(&fixture, &name).into_iter().collect();
                let ours: BTreeSet<String> = sorted(all.clone()).into_iter().collect();
                assert!(
                    theirs.is_subset(&ours),
                    "{sid}: {:#?}",
                    theirs.difference(&ours).collect::<Vec<_>>()
                );
            }
            for after in [0, 1, 5, 13, 1000] {
                let later: Vec<i64> = numbers.iter().copied().filter(|ei| *ei > after).collect();
                let found = log
                    .get_session_events(&namespace, &sid, EventIndex(after), true)
                    .unwrap();
                assert_eq!(ints(&found, "ei"), later, "{sid} after {after}");
            }
            let silent = log
                .get_session_events(&namespace, &sid, EventIndex(-1), false)
                .unwrap();
            assert!(!texts(&silent, "event").contains(&"print"), "{sid}");
        }
    }
}

#[test]
fn a_search_for_everything_finds_what_the_original_finds() {
    for fixture in fixtures() {
        let found = log(&fixture)
            .search_events(EventTime::ZERO, EventTime::LATEST, "", 10_000)
            .unwrap();
        assert!(found.is_sorted_by(|a, b| a.get_timestamp() >= b.get_timestamp()));
        assert_eq!(
            sorted(found),
            answered(&fixture, "search.all.jsonl"),
            "{}",
            fixture.display()
        );
    }
}

#[test]
fn a_search_for_two_events_finds_these_and_no_line_that_speaks_of_them() {
    for fixture in fixtures() {
        let log = log(&fixture);
        let found = log
            .search_events(
                EventTime::ZERO,
                EventTime::LATEST,
                "event=session.start&event=session.end",
                0,
            )
            .unwrap();
        let theirs =
            std::fs::read_to_string(fixture.join("expect-3.1.8/search.start+end.jsonl")).unwrap();
        let events = theirs
            .lines()
            .map(|line| EventFields::from_json(line.as_bytes()).unwrap());
        let wanted = [
            EventName::SessionStart.as_str(),
            EventName::SessionEnd.as_str(),
        ];
        assert_eq!(
            sorted(found),
            sorted(events.filter(|event| wanted.contains(&event.get_type())))
        );
    }
}

#[test]
fn a_search_for_sessions_drops_nothing() {
    for fixture in fixtures() {
        let log = log(&fixture);
        let all = log
            .search_session_events(EventTime::ZERO, EventTime::LATEST, 0)
            .unwrap();
        let theirs: BTreeSet<String> = answered(&fixture, "search.sessions.jsonl")
            .into_iter()
            .collect();
        let ours: BTreeSet<String> = sorted(all.clone()).into_iter().collect();
        assert!(
            theirs.is_subset(&ours),
            "{:#?}",
            theirs.difference(&ours).collect::<Vec<_>>()
        );
        // From just after each start on, its end still comes with that start.
        for end in all.iter().filter(|event| event.get_type() == "session.end") {
            let from = EventTime::from_ns(end.get_timestamp().as_ns());
            let found = log.search_session_events(from, from, 0).unwrap();
            let of_session =
                |event: &&EventFields| event.get_string("sid") == end.get_string("sid");
            let names: Vec<&str> = found
                .iter()
                .filter(of_session)
                .map(|event| event.get_type())
                .collect();
            assert!(
                names.ends_with(&["session.start"]) && names.starts_with(&["session.end"]),
                "{end:?} {names:?}"
            );
        }
    }
}
