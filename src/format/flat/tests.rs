//! Holds the masks against the walk: on good, cut, mutated, joined and random lines they say the same or nothing.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::event::EventTime;
use crate::format::daily::time_of_value;
use crate::format::{read_line, read_lines, scan_object};
use proptest::prelude::*;

const LINES: [&str; 4] = [
    r#"{"addr.local":"172.10.1.20:3022","addr.remote":"172.10.1.254:52406","ei":0,"event":"session.start","login":"root","namespace":"default","sid":"74a5fc06-4d00-11e8-aee2-0242ac0a0006","size":"80:25","time":"2018-05-03T00:33:38.873Z","user":"alice@example.com"}"#,
    r#"{"error":"access denied: bad \"claims\"\nsecond line \\","event":"user.login","method":"oidc","success":false,"time":"2018-05-01T16:40:08Z","user":"mallory \u003cscript\u003e\u0026"}"#,
    r#"{"time":"2018-05-03T00:33:39.944Z","event":"print","bytes":247,"ms":582,"offset":40,"ei":-2.5e+7,"ci":null}"#,
    r#"{"command":"echo 'héllo wörld'","event":"exec","exitCode":"0","user":"élodie","time":17,"code":"T3002I","time":"x"}"#,
];

/// What the walk says of a line: the time of its last `time` member, if it is one object.
fn walked(line: &[u8]) -> Option<Option<EventTime>> {
    let mut time: &[u8] = b"";
    scan_object(line, |key, value| {
        if key == b"time" {
            time = value;
        }
    })
    .then(|| time_of_value(time))
}

/// Holds each line that the masks know of `text` against the walk; gives how many that are, from the first.
fn check(text: &[u8]) -> usize {
    let mut lines = text.split(|byte| *byte == b'\n');
    let (mut count, mut at) = (0, 0);
    let until = flat_lines(text, |line, time| {
        let shown = String::from_utf8_lossy(line);
        assert_eq!(Some(line), lines.next());
        assert_eq!(walked(line), Some(time_of_value(time)), "{shown}");
        (count, at) = (count + 1, at + line.len() + 1);
        true
    });
    assert_eq!(until, Flat::Until(at));
    count
}

/// Whether the masks know the line, wherever blocks begin, with a good line before it and behind it.
fn is_known(line: &[u8]) -> bool {
    let good = LINES[0].as_bytes();
    let mut known = Vec::new();
    for shift in 0..BLOCK_BYTES {
        let first = format!("{{\"{}\":1}}", "a".repeat(shift + 1));
        let text = [first.as_bytes(), line, good, good, b""].join(&b'\n');
        let count = check(&text);
        assert_ne!(count, 2);
        known.push(count >= 3);
    }
    assert!(
        known.iter().all(|each| *each == known[0]),
        "{}",
        String::from_utf8_lossy(line)
    );
    known[0]
}

#[test]
fn flat_lines_are_known_wherever_blocks_end() {
    for line in LINES {
        for value in ["é\\\"", "x\\\\", "/", "\\u003c\\n"] {
            let line = line.replacen('{', &format!(r#"{{"x":"{value}","n":5,"#), 1);
            assert!(is_known(line.as_bytes()), "{line}");
        }
    }
    for line in [r#"{"a":1}"#, r#"{"":""}"#, r#"{"time":null,"time":"x"}"#] {
        assert!(is_known(line.as_bytes()), "{line}");
    }
}

#[test]
fn other_lines_are_left_to_the_walk() {
    for (key, value) in [
        ("a", "[1]"),
        ("a", "{}"),
        ("a", "{\"b\":1}"),
        ("a", "[1}"),
        ("a", "[1]]"),
        ("a", "[1]2"),
        ("a", "[\"b\":1]"),
        ("a", "{}{}"),
        ("a", "{\"b\",1}"),
        ("a", "[1\n]"),
        ("[1]", "[1]\",1"),
        ("a", " 1"),
        ("a", "1 "),
        ("a", ""),
        ("a", "01"),
        ("a", "1,2"),
        ("a", "1,"),
        ("a", "tru"),
        ("a", "\"\"\"\""),
        ("a", "\"\",\"b\""),
        ("a", "\"\":\"b\""),
        ("a", "1}"),
        ("a", "\"\\x\""),
        ("a", "\"\\u12g4\""),
        ("a", "\"\t\""),
        ("a", "\"\u{1}\""),
        ("a\":\"b", "1"),
        ("a\"b", "1"),
    ] {
        for line in [
            format!(r#"{{"b":1,"{key}":{value}}}"#),
            format!(r#"{{"{key}":{value},"b":1}}"#),
            format!(r#"{{"b":"","{key}":{value},"b":""}}"#),
        ] {
            assert!(!is_known(line.as_bytes()), "{line}");
        }
    }
    for line in [
        "",
        "{",
        "}",
        "{}",
        "{\"\"}",
        "{\"a\":1",
        "\"a\":1}",
        "{\"a\":1}\r",
        "{\"a\":\"}",
        "{\"a}\":1",
    ] {
        assert!(!is_known(line.as_bytes()), "{line}");
    }
    assert!(!is_known(b"{\"a\":\"\xc3\"}"));
}

#[test]
fn every_cut_and_every_changed_byte_is_judged_as_by_the_walk() {
    let behind = [b"\n".as_slice(), LINES[0].as_bytes(), b"\n"].concat();
    let check = |line: &[u8]| {
        check(&[line, &behind].concat());
    };
    for line in LINES {
        for at in 0..line.len() {
            check(&line.as_bytes()[..at]);
            check(&line.as_bytes()[at..]);
            for byte in *b"\"\\{}[],: \t\x0019-+.eEu\n\xc3\x80" {
                let mut line = line.as_bytes().to_vec();
                line[at] = byte;
                check(&line);
                line.insert(at, byte);
                check(&line);
                line.drain(at..at + 2);
                check(&line);
            }
        }
    }
}

#[test]
fn two_lines_run_together_anywhere_are_judged_as_by_the_walk() {
    for (first, second) in LINES.iter().flat_map(|a| LINES.map(|b| (*a, b))) {
        for cut in 0..first.len() {
            check(&[&first.as_bytes()[..cut], second.as_bytes(), b"\n"].concat());
            check(
                &[
                    first.as_bytes(),
                    &second.as_bytes()[cut.min(second.len())..],
                    b"\n",
                ]
                .concat(),
            );
        }
    }
}

/// A member as versions write it, or nearly.
fn member() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        3 => Just("time".to_owned()),
        3 => "[a-z._]{1,9}",
        1 => "[a-zé\\\\\"/:,]{0,6}",
    ];
    let value = prop_oneof![
        2 => Just("\"2018-05-03T00:33:38.873Z\"".to_owned()),
        3 => "\"[a-z0-9/:,{}é-]{0,70}\"",
        2 => "\"([a-z]|\\\\[\"\\\\/bfnrt]|\\\\u[0-9a-f]{4}){0,30}\"",
        3 => "-?(0|[1-9][0-9]{0,12})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?",
        1 => prop::sample::select(vec!["true", "false", "null", "{}", "[]", "", "nul", "1 ", "[1,\"a\\\"]b\",{\"time\":\"x\"}]", "{\"é\":[ ],\"b\":{}}", "[1}"]).prop_map(str::to_owned),
    ];
    (key, value).prop_map(|(key, value)| format!("\"{key}\":{value}"))
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let members = prop::collection::vec(member(), 0..12);
    let line = members.prop_map(|members| format!("{{{}}}", members.join(",")).into_bytes());
    let symbols = b"\"\"\"\"::,,\\{}19-.eun\n".to_vec();
    let byte = prop_oneof![9 => prop::sample::select(symbols), 1 => any::<u8>()];
    prop_oneof![6 => line, 1 => prop::collection::vec(byte, 0..140)]
}

type Edit = (prop::sample::Index, i32, u8);

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let symbols = b"\"\\{}[],: \t\x0019-+.eEu\n".to_vec();
    let byte = prop_oneof![prop::sample::select(symbols), any::<u8>()];
    prop::collection::vec((any::<prop::sample::Index>(), 0..3, byte), 0..4)
}

fn edited(mut text: Vec<u8>, edits: Vec<Edit>) -> Vec<u8> {
    for (at, how, byte) in edits {
        let at = at.index(text.len());
        match how {
            0 => text[at] = byte,
            1 => text.insert(at, byte),
            _ => drop(text.remove(at)),
        }
    }
    text
}

proptest! {
    #[test]
    fn lines_are_judged_as_by_the_walk(lines in prop::collection::vec(line(), 1..8), edits in edits()) {
        check(&edited([lines.join(&b'\n'), b"\n".to_vec()].concat(), edits));
    }

    #[test]
    fn many_lines_are_read_as_one_by_one(lines in prop::collection::vec(line(), 1..8), edits in edits(), stop in 0_usize..20) {
        let text = edited([lines.join(&b'\n'), b"\n".to_vec()].concat(), edits);
        let mut read = Vec::new();
        read_lines(&text, |line, how| {
            read.push((line, how));
            read.len() <= stop
        });
        let mut naive: Vec<_> = text.split(|byte| *byte == b'\n').map(|line| (line, read_line(line))).collect();
        // What is behind the last newline is no whole line.
        naive.pop();
        naive.truncate(stop + 1);
        prop_assert_eq!(read, naive);
    }
}
