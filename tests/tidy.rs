//! The rules of the house as tests: who knows whom, who may name what, how files begin and how long they grow.
//!
//! A rule is a function from files (path from the top of the repository, text) to complaints, so that
//! `tidy/broken.rs` breaks each rule once with made-up text. `docs/ARCHITECTURE.md` says what the rules are for.

// What these tests cannot read is a failed test.
#![allow(clippy::unwrap_used)]

#[path = "tidy/broken.rs"]
mod broken;
#[path = "tidy/code.rs"]
mod code;

use std::path::Path;
use std::process::Command;

use code::{is_test_file, paths};

/// Which layers each layer may name. Bytes pass the layers in this order; the order is not a loop.
#[rustfmt::skip]
const LAYERS: &[(&str, &[&str])] = &[
    ("event", &[]),
    ("format", &["event"]),
    ("disk", &["event", "format"]),
    ("merge", &["event"]),
    ("spool", &["event"]),
    ("reader", &["event", "format", "disk", "merge", "spool"]),
    ("search", &["event", "format", "disk", "merge", "reader"]),
    ("view", &["event", "format", "disk", "merge", "reader", "spool", "search"]),
    ("write", &["event", "format"]),
    ("log", &["event", "format", "disk", "merge", "reader", "spool", "search", "write"]),
    ("mount", &["event", "view", "write"]),
    ("cli", &["event", "format", "disk", "merge", "reader", "spool", "search", "view", "write", "log", "mount"]),
];

/// Names that only some layers may use outside their tests: a name at the beginning or end of a path, the layers, the way out.
#[rustfmt::skip]
const NAMES: &[(&str, &[&str], &str)] = &[
    ("fuser", &["mount"], "let `view` answer in its own types"),
    ("clap", &["cli"], "take values as arguments"),
    ("std::fs", FILE_LAYERS, "take bytes, or ask `disk`"),
    ("rustix::fs", FILE_LAYERS, "take bytes, or ask `disk`"),
    ("SystemTime::now", &["mount", "cli"], "take `now` as an argument"),
    ("Utc::now", &["mount", "cli"], "take `now` as an argument"),
    ("Local::now", &["mount", "cli"], "take `now` as an argument, in UTC"),
    ("println!", &["cli"], "return the text, or use `tracing`"),
    ("print!", &["cli"], "return the text, or use `tracing`"),
    ("eprintln!", &["cli"], "use `tracing`"),
    ("eprint!", &["cli"], "use `tracing`"),
    ("dbg!", &[], "remove it"),
    ("process::exit", &["cli"], "return an error"),
];
const FILE_LAYERS: &[&str] = &["disk", "spool", "write", "mount", "cli"];

/// The files that may hold `unsafe`, each for system calls that no crate wraps.
const UNSAFE_FILES: &[&str] = &["src/mount/sys.rs"];

/// What may lie at the top of the repository.
#[rustfmt::skip]
const TOP: &[&str] = &[
    ".ci", ".gitignore", "Cargo.lock", "Cargo.toml", "LICENSE", "README.md", "docs", "scripts", "src", "tests",
];

/// Names that say nothing of what is inside.
const EMPTY_NAMES: &[&str] = &["common", "util", "utils", "types", "helpers", "misc"];

const MAX_LINES: usize = 400;

type File = (String, String);

fn layers_know_only_those_before_them(files: &[File]) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, text) in files {
        let Some(layer) = layer_of(path) else {
            continue;
        };
        let Some((_, known)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
            complaints.push(format!("{path}:1: `{layer}` is no layer; put the file into one, or give LAYERS in tests/tidy.rs a line"));
            continue;
        };
        for named in paths(path, text) {
            let words: Vec<&str> = named.path.split("::").collect();
            let line = named.line;
            let supers = words.iter().take_while(|word| **word == "super").count();
            let inline_modules = usize::from(named.in_test && !is_test_file(path));
            if supers >= depth(path) + inline_modules {
                complaints.push(format!(
                    "{path}:{line}: `{}` climbs out of its layer; say `crate::...`",
                    named.path
                ));
            } else if let ["crate", other, ..] = words[..]
                && other != layer
                && LAYERS.iter().any(|(name, _)| *name == other)
                && !known.contains(&other)
            {
                complaints.push(format!("{path}:{line}: `{layer}` may not know `{other}`, only {known:?}; move the code or pass a value"));
            }
        }
    }
    complaints.dedup();
    complaints
}

fn names_stay_where_they_belong(files: &[File]) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, text) in files.iter().filter(|(path, _)| path.starts_with("src/")) {
        let layer = layer_of(path).unwrap_or("");
        for named in paths(path, text).iter().filter(|named| !named.in_test) {
            for (name, layers, advice) in NAMES {
                let said = named.path == *name
                    || named.path.starts_with(&format!("{name}::"))
                    || named.path.ends_with(&format!("::{name}"));
                if said && !layers.contains(&layer) {
                    complaints.push(format!(
                        "{path}:{}: only {layers:?} may name `{name}`; {advice}",
                        named.line
                    ));
                }
            }
        }
    }
    complaints.dedup();
    complaints
}

fn unsafe_stays_in_its_files(files: &[File]) -> Vec<String> {
    let outside = files
        .iter()
        .filter(|(path, _)| !UNSAFE_FILES.contains(&path.as_str()));
    let mut complaints = Vec::new();
    for (path, text) in outside {
        for named in paths(path, text)
            .iter()
            .filter(|named| ["unsafe", "unsafe_code"].contains(&named.path.as_str()))
        {
            complaints.push(format!(
                "{path}:{}: `{}` outside {UNSAFE_FILES:?}; use rustix, or move the call there",
                named.line, named.path
            ));
        }
    }
    complaints
}

fn a_file_begins_with_a_sentence(files: &[File]) -> Vec<String> {
    let without = |text: &str| {
        let paragraph = text.lines().map_while(|line| line.strip_prefix("//! "));
        !paragraph
            .last()
            .is_some_and(|line| line.trim_end().ends_with(['.', ':', '?']))
    };
    let complaint = |path| {
        format!("{path}:1: the file does not begin with a `//!` sentence; say why it exists")
    };
    files
        .iter()
        .filter(|(_, text)| without(text))
        .map(|(path, _)| complaint(path))
        .collect()
}

fn a_file_is_short(files: &[File]) -> Vec<String> {
    let long = files
        .iter()
        .filter(|(_, text)| text.lines().count() > MAX_LINES);
    long.map(|(path, _)| {
        format!(
            "{path}:{}: longer than {MAX_LINES} lines; look for a seam, one noun a file",
            MAX_LINES + 1
        )
    })
    .collect()
}

fn names_say_something(files: &[File]) -> Vec<String> {
    let empty = |path: &str| {
        path.split('/')
            .any(|part| EMPTY_NAMES.contains(&part.trim_end_matches(".rs")))
    };
    let complaint =
        |path| format!("{path}:1: a name of {EMPTY_NAMES:?} says nothing; name the noun inside");
    files
        .iter()
        .filter(|(path, _)| empty(path))
        .map(|(path, _)| complaint(path))
        .collect()
}

fn the_top_holds_only_what_is_meant(files: &[File]) -> Vec<String> {
    let mut tops: Vec<&str> = files
        .iter()
        .filter_map(|(path, _)| path.split('/').next())
        .collect();
    tops.sort_unstable();
    tops.dedup();
    let strange = tops.into_iter().filter(|top| !TOP.contains(top));
    strange.map(|top| format!("{top}:1: not meant for the top of the repository; move it, or add it to TOP in tests/tidy.rs")).collect()
}

/// Each dependency of the `Cargo.toml` among the files stands in backticks in `docs/ARCHITECTURE.md`.
fn each_dependency_has_a_reason(files: &[File]) -> Vec<String> {
    let text_of = |wanted| {
        files
            .iter()
            .find(|(path, _)| path == wanted)
            .map_or("", |(_, text)| text)
    };
    let reasons = text_of("docs/ARCHITECTURE.md");
    let mut complaints = Vec::new();
    let mut in_table = false;
    for (number, line) in text_of("Cargo.toml").lines().enumerate() {
        if let Some(table) = line.strip_prefix('[') {
            in_table = table
                .trim_end()
                .trim_end_matches(']')
                .ends_with("dependencies");
        } else if in_table && let Some((name, _)) = line.split_once('=') {
            let name = name.split('.').next().unwrap_or(name).trim();
            if !reasons.contains(&format!("`{name}`")) {
                complaints.push(format!("Cargo.toml:{}: no word on `{name}` in docs/ARCHITECTURE.md; say why it is needed", number + 1));
            }
        }
    }
    complaints
}

/// `src/disk/scan.rs` is of `disk`; `src/main.rs` and `src/lib.rs` are of none.
fn layer_of(path: &str) -> Option<&str> {
    path.strip_prefix("src/")?
        .split_once('/')
        .map(|(layer, _)| layer)
}

/// How many `super` lead from the file's module to the crate: `src/disk/scan.rs` 2, `src/disk/mod.rs` 1.
fn depth(path: &str) -> usize {
    path.matches('/').count() - usize::from(path.ends_with("/mod.rs"))
}

/// The Rust files under `src` and `tests` of this repository.
fn sources() -> Vec<File> {
    fn add(top: &Path, folder: &str, files: &mut Vec<File>) {
        for entry in std::fs::read_dir(top.join(folder)).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                add(top, &path, files);
            } else if path.ends_with(".rs") {
                files.push((path, std::fs::read_to_string(entry.path()).unwrap()));
            }
        }
    }
    let mut files = Vec::new();
    for folder in ["src", "tests"] {
        add(Path::new(env!("CARGO_MANIFEST_DIR")), folder, &mut files);
    }
    files.sort();
    files
}

#[track_caller]
fn assert_tidy(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn the_sources_are_tidy() {
    let files = sources();
    let rules = [
        layers_know_only_those_before_them,
        names_stay_where_they_belong,
        unsafe_stays_in_its_files,
        a_file_begins_with_a_sentence,
        a_file_is_short,
        names_say_something,
    ];
    assert_tidy(rules.iter().flat_map(|rule| rule(&files)).collect());
}

#[test]
fn the_top_is_tidy() {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z"])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let Some(list) = git.output().ok().filter(|output| output.status.success()) else {
        eprintln!("SKIPPED: the_top_is_tidy: no git, or no repository");
        return;
    };
    let list = String::from_utf8(list.stdout).unwrap();
    let files: Vec<File> = list
        .split_terminator('\0')
        .map(|path| (path.into(), String::new()))
        .collect();
    assert_tidy(the_top_holds_only_what_is_meant(&files));
}

#[test]
fn the_dependencies_have_reasons() {
    let read = |path: &str| {
        (
            path.into(),
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
                .unwrap_or_default(),
        )
    };
    assert_tidy(each_dependency_has_a_reason(&[
        read("Cargo.toml"),
        read("docs/ARCHITECTURE.md"),
    ]));
}
