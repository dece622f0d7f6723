//! The generated directory read back as FORMAT says it is.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use clap::Parser;
use flate2::read::GzDecoder;
use serde_json::Value;

use super::*;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: GenerateArgs,
}

/// Every file with its bytes and mtime.
type Tree = BTreeMap<String, (Vec<u8>, std::time::SystemTime)>;

/// Generates with these arguments and returns the directory.
fn tree(args: &str) -> Tree {
    let dir = tempfile::tempdir().unwrap();
    let dir_arg = [dir.path().as_os_str().to_owned()];
    let words = args.split_whitespace().map(Into::into);
    let words = ["generate".into()].into_iter().chain(words).chain(dir_arg);
    generate(&Command::parse_from(words).args).unwrap();
    let mut tree = Tree::new();
    read_tree(dir.path(), "", &mut tree);
    tree
}

fn read_tree(dir: &Path, prefix: &str, tree: &mut Tree) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().into_string().unwrap());
        if entry.file_type().unwrap().is_dir() {
            read_tree(&entry.path(), &format!("{name}/"), tree);
        } else {
            let mtime = entry.metadata().unwrap().modified().unwrap();
            tree.insert(name, (fs::read(entry.path()).unwrap(), mtime));
        }
    }
}

fn unpacked(bytes: &[u8], gzip: bool) -> Vec<u8> {
    let mut out = Vec::new();
    if gzip {
        GzDecoder::new(bytes).read_to_end(&mut out).unwrap();
    } else {
        out.extend_from_slice(bytes);
    }
    out
}

fn json_lines(bytes: &[u8]) -> Vec<Value> {
    let lines = std::str::from_utf8(bytes).unwrap().lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Reads every session of the directory and checks that its numbers fit; returns how many servers each was on.
fn check_sessions(args: &str, gzip: bool) -> Vec<usize> {
    let tree = tree(args);
    let mut events: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut chunks: BTreeMap<String, BTreeMap<u64, usize>> = BTreeMap::new();
    let mut servers: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let mut indexed = 0;
    for (path, (index, _)) in tree.iter().filter(|(path, _)| path.ends_with(".index")) {
        let (folder, name) = path.rsplit_once('/').unwrap();
        let sid = name.trim_end_matches(".index").to_owned();
        servers.entry(sid.clone()).or_default().insert(folder);
        for line in json_lines(index) {
            indexed += 1;
            let file_name = line["file_name"].as_str().unwrap();
            let bytes = unpacked(&tree[&format!("{folder}/{file_name}")].0, gzip);
            let suffix = if gzip { ".gz" } else { "" };
            if line["type"] == "events" {
                let lines = json_lines(&bytes);
                assert_eq!(lines[0]["ei"], line["index"]);
                assert_eq!(file_name, format!("{sid}-{}.events{suffix}", line["index"]));
                events.entry(sid.clone()).or_default().extend(lines);
            } else {
                let offset = &line["offset"];
                assert_eq!(
                    (&line["type"], &line["index"]),
                    (&"chunks".into(), &0.into())
                );
                assert_eq!(file_name, format!("{sid}-{offset}.chunks{suffix}"));
                let of_session = chunks.entry(sid.clone()).or_default();
                of_session.insert(offset.as_u64().unwrap(), bytes.len());
            }
        }
    }
    let data_files = tree.keys().filter(|path| path.contains("/sessions/"));
    assert_eq!(
        data_files.filter(|path| !path.ends_with(".index")).count(),
        indexed
    );
    for (sid, mut lines) in events {
        lines.sort_by_key(|line| line["ei"].as_u64());
        let mut next = (0, 0, 0); // ei, ci, offset
        for line in &lines {
            assert_eq!(line["ei"], next.0);
            next.0 += 1;
            if line["event"] == "print" {
                assert_eq!(
                    (&line["ci"], &line["offset"]),
                    (&next.1.into(), &next.2.into())
                );
                next.1 += 1;
                next.2 += line["bytes"].as_u64().unwrap();
            } else {
                assert_eq!(line["sid"], *sid);
            }
        }
        assert_eq!(lines.first().unwrap()["event"], "session.start");
        assert_eq!(lines.last().unwrap()["event"], "session.end");
        let mut next_offset = 0;
        for (&offset, &bytes) in chunks.get(&sid).into_iter().flatten() {
            assert_eq!(offset, next_offset);
            next_offset += bytes as u64;
        }
        assert_eq!(next_offset, next.2);
    }
    servers.values().map(BTreeSet::len).collect()
}

#[test]
fn the_same_arguments_give_the_same_bytes_and_mtimes() {
    let args = "--servers 2 --days 2 --events 50 --sessions 5 --split --gzip";
    assert!(tree(args) == tree(args));
    assert!(tree(args) != tree(&format!("{args} --seed 2")));
}

#[test]
fn a_plain_session_is_whole_on_one_server() {
    assert_eq!(check_sessions("--events 0 --sessions 4", false), [1; 4]);
}

#[test]
fn split_sessions_lie_on_every_server_that_took_part() {
    let args = "--events 0 --sessions 4 --split --gzip";
    let mut servers = check_sessions(args, true);
    servers.sort_unstable();
    assert_eq!(servers, [1, 1, 2, 2]);
    assert_eq!(check_sessions(&format!("{args} --pieces 7"), true), [3; 4]);
}

#[test]
fn restarts_of_one_server_give_pieces_in_one_folder() {
    let args = "--events 0 --sessions 2 --pieces 5 --stream-bytes 3000";
    assert_eq!(check_sessions(args, false), [1; 2]);
    let tree = tree(args);
    assert_eq!(
        tree.keys().filter(|path| path.ends_with(".chunks")).count(),
        10
    );
}

#[test]
fn a_session_without_prints_has_no_chunks_file() {
    let args = "--events 0 --sessions 1 --stream-bytes 0 --pieces 3";
    check_sessions(args, false);
    assert!(!tree(args).keys().any(|path| path.ends_with(".chunks")));
}

#[test]
fn a_daily_log_has_the_events_of_its_date_and_the_mtime_of_its_last() {
    let tree =
        tree("--servers 2 --days 3 --events 300 --sessions 40 --split --last-day 2018-05-03");
    let logs: Vec<_> = tree
        .iter()
        .filter(|(path, _)| path.ends_with(".log"))
        .collect();
    assert_eq!(logs.len(), 6);
    let (mut starts, mut backward) = (0, 0);
    for (path, (bytes, mtime)) in logs {
        let date = &path.rsplit_once('/').unwrap().1[..10];
        let lines = json_lines(bytes);
        let times: Vec<_> = lines
            .iter()
            .map(|line| line["time"].as_str().unwrap())
            .collect();
        assert!(times.iter().all(|time| time.starts_with(date)), "{path}");
        let times = times
            .iter()
            .map(|time| crate::event::EventTime::parse_rfc3339(time.as_bytes()).unwrap());
        let times: Vec<_> = times.collect();
        backward += times.windows(2).filter(|pair| pair[1] < pair[0]).count();
        starts += lines
            .iter()
            .filter(|line| line["event"] == "session.start")
            .count();
        let mtime = mtime
            .duration_since(std::time::SystemTime::UNIX_EPOCH)
            .unwrap();
        let after_ms = mtime.as_millis() as i64 - times.last().unwrap().as_ns() / 1_000_000;
        assert!((0..1_000).contains(&after_ms), "{path}: {after_ms}");
    }
    assert_eq!(starts, 40);
    assert!(backward > 0 && backward < 200, "{backward}");
}

#[test]
fn a_directory_with_something_in_it_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("precious"), "x").unwrap();
    let words = ["generate".as_ref(), dir.path().as_os_str()];
    let error = generate(&Command::parse_from(words).args).unwrap_err();
    assert!(error.to_string().contains("\"precious\""), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}
