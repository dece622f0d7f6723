//! Holds the masks against the walk: on good, cut, mutated, joined and random lines they say the same or nothing.

#![allow(clippy::unwrap_used)]

use super::super::scan_object;
use super::*;
use crate::format::daily::time_of_value;
use proptest::prelude::*;

const LINES: [&str; 4] = [
    r#"{"addr.local":"172.10.1.20:3022","addr.remote":"172.10.1.254:52406","ei":0,"event":"session.start","login":"root","namespace":"default","sid":"74a5fc06-4d00-11e8-aee2-0242ac0a0006","size":"80:25","time":"2018-05-03T00:33:38.873Z","user":"alice@example.com"}"#,
    r#"{"error":"access denied: bad \"claims\"\nsecond line \\","event":"user.login","method":"oidc","success":false,"time":"2018-05-01T16:40:08Z","user":"mallory \u003cscript\u003e\u0026"}"#,
    r#"{"time":"2018-05-03T00:33:39.944Z","event":"print","bytes":247,"ms":582,"offset":40,"ei":-2.5e+7,"ci":null}"#,
    r#"{"command":"echo 'héllo wörld'","event":"exec","exitCode":"0","user":"élodie","time":17,"code":"T3002I","time":"x"}"#,
];

/// What the walk says: the raw value of the last `time`, if the line is one object.
fn walked(line: &[u8]) -> Option<&[u8]> {
    let mut time: &[u8] = b"";
    scan_object(line, |key, value| {
        if key == b"time" {
            time = value;
        }
    })
    .then_some(time)
}

/// Whether the masks know the line; if they do the walk must say the same.
fn check(line: &[u8]) -> bool {
    let Some(time) = time_of_flat(line) else {
        return false;
    };
    let text = String::from_utf8_lossy(line);
    let walked = walked(line);
    assert!(walked.is_some(), "not JSON: {text}");
    assert_eq!(
        time_of_value(time),
        walked.and_then(time_of_value),
        "{text}"
    );
    true
}

#[test]
fn flat_lines_are_known_wherever_blocks_end() {
    for line in LINES {
        for more in 0..2 * BLOCK_BYTES {
            for value in ["é\\\"", "x\\\\", "/"] {
                let pad = "a".repeat(more);
                let line =
                    line.replacen('{', &format!(r#"{{"{pad}":"{value}{pad}","n":{more},"#), 1);
                assert!(check(line.as_bytes()), "{line}");
            }
        }
    }
}

#[test]
fn other_lines_are_left_to_the_walk() {
    let pad = "a".repeat(100);
    for (key, value) in [
        ("a", "[1]"),
        ("a", "{}"),
        ("a", "{\"b\":1}"),
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
        ("a\":\"b", "1"),
        ("a\"b", "1"),
    ] {
        let line = format!(r#"{{"{pad}":1,"{key}":{value}}}"#);
        assert!(!check(line.as_bytes()), "{line}");
        let line = format!(r#"{{"{key}":{value},"{pad}":1}}"#);
        assert!(!check(line.as_bytes()), "{line}");
    }
}

#[test]
fn every_cut_and_every_changed_byte_is_judged_as_by_the_walk() {
    for line in LINES {
        for at in 0..line.len() {
            check(&line.as_bytes()[..at]);
            check(&line.as_bytes()[at..]);
            for byte in *b"\"\\{}[],: \t\x0019-+.eEu\xc3\x80" {
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
            check(&[&first.as_bytes()[..cut], second.as_bytes()].concat());
            check(
                &[
                    first.as_bytes(),
                    &second.as_bytes()[cut.min(second.len())..],
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
        1 => prop::sample::select(vec!["true", "false", "null", "{}", "[]", "", "nul", "1 "]).prop_map(str::to_owned),
    ];
    (key, value).prop_map(|(key, value)| format!("\"{key}\":{value}"))
}

proptest! {
    #[test]
    fn lines_of_members_are_judged_as_by_the_walk(members in prop::collection::vec(member(), 0..12)) {
        check(format!("{{{}}}", members.join(",")).as_bytes());
    }

    #[test]
    fn mutated_lines_are_judged_as_by_the_walk(members in prop::collection::vec(member(), 3..12), edits in prop::collection::vec((any::<prop::sample::Index>(), 0..3, prop_oneof![prop::sample::select(b"\"\\{}[],: \t\x0019-+.eEu".to_vec()), any::<u8>()]), 1..4)) {
        let mut line = format!("{{{}}}", members.join(",")).into_bytes();
        for (at, how, byte) in edits {
            let at = at.index(line.len());
            match how {
                0 => line[at] = byte,
                1 => line.insert(at, byte),
                _ => drop(line.remove(at)),
            }
        }
        check(&line);
    }

    #[test]
    fn random_bytes_are_judged_as_by_the_walk(line in prop::collection::vec(prop_oneof![9 => prop::sample::select(b"\"\"\"\"::,,\\{}19-.eun".to_vec()), 1 => any::<u8>()], 60..140)) {
        check(&[b"{\"", &*line, b"\"}"].concat());
    }
}
