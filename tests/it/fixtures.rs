//! Directories written by real Teleport releases (`../shared/fixtures` or `AUDITFS_FIXTURES`): every stream equals its truth,
//! every event and every daily record is there once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::*;

/// Calls `check` with each fixture and a mount of it. Every session there is over, however fresh this copy of its files is:
/// a clone has the mtimes of today.
pub fn each_fixture(check: impl Fn(&Path, &Mount)) {
    let named = std::env::var_os("AUDITFS_FIXTURES").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures");
    let Ok(cases) = std::fs::read_dir(named.unwrap_or(beside)) else {
        eprintln!("SKIPPED: fixtures: no ../shared/fixtures, and AUDITFS_FIXTURES names none");
        return;
    };
    let mut count = 0;
    for case in cases {
        let case = case.unwrap().path();
        if case.join("audit").is_dir() {
            let args = ["--session-idle", "1ms"];
            check(&case, &Mount::with(&case.join("audit"), &args));
            count += 1;
        }
    }
    assert!(count > 0, "the directory of fixtures has none");
}

/// Namespace, session ID and truth of each session.
pub fn truths(case: &Path) -> Vec<(String, String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(case.join("truth")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if let Some((namespace, sid)) = name.strip_suffix(".stream").and_then(|n| n.split_once('.'))
        {
            found.push((
                namespace.to_owned(),
                sid.to_owned(),
                std::fs::read(entry.path()).unwrap(),
            ));
        }
    }
    found
}

pub fn dir_of(namespace: &str, sid: &str) -> String {
    if namespace == "default" {
        format!("sessions/{sid}")
    } else {
        format!("namespaces/{namespace}/sessions/{sid}")
    }
}

fn objects(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn every_stream_equals_its_truth() {
    each_fixture(|case, mount| {
        for (namespace, sid, mut truth) in truths(case) {
            let stream = format!("{}/stream", dir_of(&namespace, &sid));
            match &sid[6..8] {
                // Recording was off: nothing of it is on disk.
                "05" | "17" => truth.clear(),
                // A slice was lost: the session has ended, so its bytes read as zeros (DESIGN 3).
                "08" => truth[346..771].fill(0),
                _ => {}
            }
            assert_same_bytes(&stream, &mount.read(&stream), &truth);
            assert_eq!(mount.size(&stream), truth.len() as u64, "{stream}");
        }
    });
}

#[test]
fn the_sessions_are_those_of_the_truth() {
    each_fixture(|case, mount| {
        let mut wanted: Vec<String> = truths(case)
            .iter()
            .map(|(ns, sid, _)| dir_of(ns, sid))
            .collect();
        wanted.sort();
        let mut shown: Vec<String> = mount
            .names("sessions")
            .iter()
            .map(|sid| dir_of("default", sid))
            .collect();
        for ns in mount.names("namespaces") {
            shown.extend(
                mount
                    .names(&format!("namespaces/{ns}/sessions"))
                    .iter()
                    .map(|sid| dir_of(&ns, sid)),
            );
        }
        shown.sort();
        assert_eq!(shown, wanted);
    });
}

#[test]
fn every_ei_is_there_once_and_in_order() {
    each_fixture(|case, mount| {
        for (namespace, sid, _) in truths(case) {
            let dir = dir_of(&namespace, &sid);
            let events = objects(&mount.text(&format!("{dir}/events.jsonl")));
            let eis: Vec<i64> = events
                .iter()
                .map(|event| event["ei"].as_i64().unwrap())
                .collect();
            assert!(
                eis.windows(2).all(|pair| pair[0] < pair[1]),
                "{dir}: {eis:?}"
            );
            let missing: i64 = eis.last().unwrap() + 1 - eis.len() as i64;
            match &sid[6..8] {
                "05" => assert_eq!(eis, [0, 6, 12, 13]),
                "17" => assert!(missing > 0),
                "08" => {
                    let said = mount.json(&format!("{dir}/summary.json"));
                    let counts = said["completeness"]["missing_events"].as_array().unwrap();
                    let said: i64 = counts
                        .iter()
                        .map(|gap| gap["count"].as_i64().unwrap())
                        .sum();
                    assert_eq!(missing, said, "{dir}: {eis:?}");
                }
                _ => assert_eq!(missing, 0, "{dir}: {eis:?}"),
            }
        }
    });
}

#[test]
fn every_event_that_the_original_reader_found_is_there_as_it_was() {
    each_fixture(|case, mount| {
        for (namespace, sid, _) in truths(case) {
            let expected = case.join(format!("expect-3.1.8/{namespace}.{sid}.events.jsonl"));
            let Ok(expected) = std::fs::read_to_string(expected) else {
                continue;
            };
            let shown = objects(&mount.text(&format!("{}/events.jsonl", dir_of(&namespace, &sid))));
            for mut event in objects(&expected) {
                // The cursor that the reader adds.
                event.as_object_mut().unwrap().remove("id");
                assert!(shown.contains(&event), "{sid}: {event}");
            }
        }
    });
}

#[test]
fn every_daily_record_is_there_once_and_on_its_own_date() {
    each_fixture(|case, mount| {
        let mut wanted: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for server in std::fs::read_dir(case.join("audit")).unwrap() {
            let Ok(files) = std::fs::read_dir(server.unwrap().path()) else {
                continue;
            };
            for file in files
                .map(|file| file.unwrap().path())
                .filter(|path| path.extension() == Some("log".as_ref()))
            {
                for line in std::fs::read_to_string(file).unwrap().lines() {
                    let record: Value = serde_json::from_str(line).unwrap();
                    let date = record["time"].as_str().unwrap()[..10].to_owned();
                    wanted.entry(date).or_default().push(line.to_owned());
                }
            }
        }
        let mut shown: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for name in mount
            .names("events")
            .iter()
            .filter(|name| *name != "current")
        {
            let lines = mount
                .text(&format!("events/{name}"))
                .lines()
                .map(str::to_owned)
                .collect();
            shown.insert(name.trim_end_matches(".jsonl").to_owned(), lines);
        }
        wanted
            .values_mut()
            .chain(shown.values_mut())
            .for_each(|lines| lines.sort());
        assert_eq!(shown, wanted);
    });
}

#[test]
fn what_is_damaged_in_the_fixtures_is_known() {
    each_fixture(|case, mount| {
        for (namespace, sid, _) in truths(case) {
            let summary = mount.json(&format!("{}/summary.json", dir_of(&namespace, &sid)));
            let whole = !matches!(&sid[6..8], "05" | "08" | "17" | "1a" | "1c");
            // Seen on the machine that these tests were written on: 19 was cut short on A, but is whole on B.
            let complete = summary["completeness"]["complete"].as_bool().unwrap();
            assert!(
                complete || !whole || &sid[6..8] == "19",
                "{sid}: {summary:#}"
            );
            let gaps = summary["completeness"]["gaps_count"].as_u64().unwrap();
            assert_eq!(gaps, u64::from(&sid[6..8] == "08"), "{sid}: {summary:#}");
        }
    });
}
