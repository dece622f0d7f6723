//! Searches over directories written by hand, and against the naive way: read every line, filter, sort, cut.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use tempfile::TempDir;

use crate::disk::Share;
use crate::event::{EventFields, EventTime};
use crate::reader::{AuditDir, BatchTime, Days, ReaderLimits, Sessions};

use super::*;

/// Long after everything in these tests.
const NOW: &str = "2020-01-01T00:00:00Z";

struct Dir {
    top: TempDir,
    dir: Arc<AuditDir>,
    days: Days,
}

impl Dir {
    fn new(files: &[(&str, &str)]) -> Dir {
        let top = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = top.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let dir = open(top.path());
        let days = Days::new(dir.clone());
        assert!(dir.catalog().refresh().is_empty());
        assert!(days.refresh(BatchTime::new(time(NOW), 0)).1.is_empty());
        Dir { top, dir, days }
    }

    fn search(&self, from: &str, to: &str, query: &str, limit: usize) -> Vec<EventFields> {
        let to = if to.is_empty() {
            EventTime::LATEST
        } else {
            time(to)
        };
        let from = if from.is_empty() {
            EventTime::ZERO
        } else {
            time(from)
        };
        let request = Request::new(from, to, Query::parse(query).unwrap(), limit).unwrap();
        let lines = search_events(&self.days, &request)
            .unwrap()
            .all_lines()
            .unwrap();
        lines
            .iter()
            .map(|line| EventFields::from_json(line).unwrap())
            .collect()
    }

    #[track_caller]
    fn check(&self, from: &str, to: &str, query: &str, limit: usize, marks: &str) {
        assert_eq!(marks_of(&self.search(from, to, query, limit)), marks);
    }
}

fn open(top: &Path) -> Arc<AuditDir> {
    let limits = ReaderLimits {
        cache_bytes: 16 << 20,
        unpack_bytes: 1 << 30,
        unpack_dir: std::env::temp_dir(),
        session_idle_ns: 3_600_000_000_000,
        hash_seed: 1,
    };
    AuditDir::new(Arc::new(Share::open(top).unwrap()), limits)
}

fn time(text: &str) -> EventTime {
    EventTime::parse_rfc3339(text.as_bytes()).unwrap()
}

fn marks_of(events: &[EventFields]) -> String {
    events
        .iter()
        .map(|event| event.get_string("m"))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Three days of two servers; the mark says what is what.
fn three_days() -> Dir {
    Dir::new(&[
        (
            "a/2018-05-01.log",
            "{\"event\":\"exec\",\"m\":\"a1\",\"time\":\"2018-05-01T10:00:00Z\"}\n\
             {\"event\":\"scp\",\"m\":\"a2\",\"time\":\"2018-05-01T10:00:00.5Z\"}\n\
             {\"event\":\"exec\",\"m\":\"early\",\"time\":\"2018-05-02T00:00:01Z\"}\n",
        ),
        (
            "b/2018-05-01.00:00:00.log",
            "2018-05-01T09:00:00Z,exec,{\"m\":\"b1\"}\nnot json\n",
        ),
        (
            "b/2018-05-02.00:00:00.log",
            "{\"event\":\"exec\",\"m\":\"b2\",\"time\":\"2018-05-02T00:00:00Z\"}\n\
             {\"event\":\"exec\",\"m\":\"timeless\"}\n\
             {\"event\":\"exec\",\"m\":\"late\",\"time\":\"2018-05-01T23:59:59Z\"}\n",
        ),
        (
            "a/2018-05-03.log",
            "{\"event\":\"exec\",\"m\":\"a3\",\"time\":\"2018-05-03T12:00:00Z\"}\n",
        ),
    ])
}

#[test]
fn the_newest_come_first_whatever_file_holds_them() {
    three_days().check(
        "",
        "",
        "event=exec&event=scp",
        0,
        "a3 early b2 late a2 a1 b1 timeless",
    );
}

#[test]
fn the_limit_counts_from_the_newest_on() {
    for (limit, marks) in [
        (1, "a3"),
        (2, "a3 early"),
        (3, "a3 early b2"),
        (4, "a3 early b2 late"),
    ] {
        three_days().check("", "", "event=exec", limit, marks);
    }
}

#[test]
fn the_range_is_of_the_events_not_of_the_files() {
    let dir = three_days();
    dir.check(
        "2018-05-01T10:00:00Z",
        "2018-05-01T23:59:59Z",
        "event=exec",
        0,
        "late a1",
    );
    dir.check(
        "2018-05-02T00:00:00Z",
        "2018-05-02T23:59:59Z",
        "",
        0,
        "early b2",
    );
    dir.check(
        "2018-05-01T10:00:00.5Z",
        "2018-05-01T10:00:00.5Z",
        "",
        0,
        "a2",
    );
    dir.check("2019-05-01T00:00:00Z", "", "", 0, "");
}

#[test]
fn a_line_that_could_not_be_read_is_found_by_its_own_name_only() {
    let dir = three_days();
    let found = dir.search("", "", "event=auditfs.unparsed", 0);
    assert_eq!(
        found
            .iter()
            .map(|event| event.get_string("raw"))
            .collect::<Vec<_>>(),
        ["not json"]
    );
    assert_eq!(found[0].get_timestamp(), time("2018-05-01T09:00:00Z"));
    assert_eq!(dir.search("", "", "", 0).len(), 9);
}

#[test]
fn one_time_on_two_servers_is_in_the_order_of_the_session() {
    // Teleport `auditlog_test.go`, TestSearchTwoAuthServersSameTime.
    let line = |event: &str, ei: u32| {
        format!(
            "{{\"ei\":{ei},\"event\":\"session.{event}\",\"m\":\"{event}\",\"sid\":\"100\",\"time\":\"2018-05-01T10:00:00Z\"}}\n"
        )
    };
    let dir = Dir::new(&[
        ("a/2018-05-01.log", &line("end", 1)),
        ("b/2018-05-01.log", &line("start", 0)),
    ]);
    dir.check("", "", "", 0, "end start");
    dir.check("", "", "", 1, "end");
    dir.check("", "", "foo=bar", 0, "");
    dir.check("2018-05-01T11:00:00Z", "2018-05-02T11:00:00Z", "", 0, "");
}

#[test]
fn an_end_is_paired_with_a_start_that_only_the_session_has() {
    let start = "{\"ei\":0,\"event\":\"session.start\",\"m\":\"start\",\"sid\":\"100\",\"time\":\"2018-05-01T10:00:00Z\"}\n";
    let end = "{\"ei\":1,\"event\":\"session.end\",\"m\":\"end\",\"namespace\":\"default\",\"sid\":\"100\",\"time\":\"2018-05-03T10:00:00Z\"}\n";
    let orphan = "{\"ei\":9,\"event\":\"session.end\",\"m\":\"orphan\",\"sid\":\"101\",\"time\":\"2018-05-03T11:00:00Z\"}\n";
    let dir = Dir::new(&[
        ("b/sessions/default/100-0.events", start),
        (
            "b/sessions/default/100.index",
            "{\"file_name\":\"100-0.events\",\"type\":\"events\",\"index\":0,\"offset\":0}\n",
        ),
        ("b/2018-05-03.log", &[end, orphan].concat()),
    ]);
    let sessions = Sessions::new(dir.dir.clone());
    let request = Request::new(
        time("2018-05-03T00:00:00Z"),
        time("2018-05-04T00:00:00Z"),
        Query::default(),
        0,
    )
    .unwrap();
    let found =
        search_session_events(&dir.dir, &dir.days, &sessions, &request, time(NOW).as_ns()).unwrap();
    assert_eq!(marks_of(&found), "orphan end start");
}

#[test]
fn a_day_whose_file_went_away_is_an_error_not_an_empty_answer() {
    let dir = three_days();
    std::fs::remove_file(dir.top.path().join("a/2018-05-03.log")).unwrap();
    let request = Request::new(EventTime::ZERO, EventTime::LATEST, Query::default(), 0).unwrap();
    let error = search_events(&dir.days, &request).unwrap_err();
    assert!(
        error.to_string().starts_with("a/2018-05-03.log: "),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn reading_sorting_and_cutting_everything_is_the_same(
        records in prop::collection::vec((0..2_u8, 1..4_u8, 0..72_i64, "[st]?", 0..3_i64), 0..60),
        range in (0..72_i64, 0..72_i64),
        limit in 1..30_usize,
    ) {
        let at = |hour: i64| EventTime::from_ns(time("2018-05-01T00:00:00Z").as_ns() + hour * 3_600_000_000_000);
        let (from, to) = (at(range.0.min(range.1)), at(range.0.max(range.1)));
        let mut files = std::collections::BTreeMap::<String, String>::new();
        let mut naive = Vec::new();
        for (server, day, hour, sid, ei) in &records {
            // A record lies in the file of its day or of the one before or after it.
            let day = i64::from(*day).clamp(1 + hour / 24 - 1, 1 + hour / 24 + 1);
            let line = format!("{{\"ei\":{ei},\"event\":\"exec\",\"sid\":\"{sid}\",\"time\":\"{}\"}}\n", at(*hour));
            files.entry(format!("s{server}/2018-05-{day:02}.log")).or_default().push_str(&line);
            if (from..=to).contains(&at(*hour)) {
                naive.push((at(*hour), sid.clone(), *ei));
            }
        }
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let found = Dir::new(&files).search(&from.to_rfc3339(), &to.to_rfc3339(), "event=exec", limit);
        let key = |event: &EventFields| (event.get_timestamp(), event.get_string("sid").to_owned(), event.get_event_index().0);
        naive.sort_by(|a, b| b.cmp(a));
        naive.truncate(limit);
        prop_assert_eq!(found.iter().map(key).collect::<Vec<_>>(), naive);
    }
}
