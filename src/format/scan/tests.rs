//! Holds the scanner against serde_json, on good, cut, mutated, joined and random lines.

#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;

const LINES: [&str; 8] = [
    r#"{"addr.local":"172.10.1.20:3022","addr.remote":"172.10.1.254:52406","ei":0,"event":"session.start","login":"root","namespace":"default","server_id":"node-6","sid":"74a5fc06-4d00-11e8-aee2-0242ac0a0006","size":"80:25","time":"2018-05-03T00:33:38.873Z","user":"alice@example.com"}"#,
    r#"{"error":"access denied: bad \"claims\"\nsecond line \\","event":"user.login","method":"oidc","success":false,"time":"2018-05-01T16:40:08Z","user":"mallory \u003cscript\u003e\u0026"}"#,
    r#"{"time":"2018-05-03T00:33:39.944Z","event":"print","bytes":247,"ms":582,"offset":40,"ei":2,"ci":1}"#,
    r#"{"addr.local":"172.10.1.20:3022","command":"sh -c 'echo 'héllo wörld''","event":"exec","exitCode":"0","user":"élodie"}"#,
    r#" { "argv" : [ "-la" , [ ] , { } , [ { "a" : [ null , true , false , -0.5e+7 , 1E9 , 0 ] } , 12345678901 ] ] , "ei" : 3 } "#,
    "\t{\t\"a\"\r:\n\"b\"\t,\t\"c\":\"\"\t}\t\r",
    r#"{"":"","/\/":"\b\f\n\r\t\ud83d\ude00","x":[[[[]]]]}"#,
    "{}",
];

/// serde_json's opinion. It also refuses lone surrogates and numbers beyond f64, which are no matter of grammar: so the
/// `d` of `\ud8..` and the digits of an exponent become `0` first, which changes the grammar of no text.
fn naive(line: &[u8]) -> bool {
    let mut line = line.to_vec();
    let mut in_exponent = false;
    for at in 0..line.len() {
        match line[at] {
            b'd' | b'D' if line[..at].ends_with(b"\\u") => line[at] = b'0',
            b'e' | b'E' => in_exponent = true,
            b'+' | b'-' if in_exponent => (),
            b'0'..=b'9' if in_exponent => line[at] = b'0',
            _ => in_exponent = false,
        }
    }
    serde_json::from_slice::<serde_json::Value>(&line).is_ok_and(|value| value.is_object())
}

fn check(line: &[u8]) {
    let ours = scan_object(line, |_, _| ());
    assert_eq!(ours, naive(line), "{:?}", String::from_utf8_lossy(line));
}

fn members(line: &str) -> Vec<(&str, &str)> {
    let mut members = Vec::new();
    let text = |bytes| std::str::from_utf8(bytes).unwrap();
    assert!(
        scan_object(line.as_bytes(), |key, value| members
            .push((text(key), text(value)))),
        "{line}"
    );
    members
}

#[test]
fn members_are_those_of_the_outer_object_only() {
    assert_eq!(members("{}"), []);
    assert_eq!(
        members(r#" { "a" : { "a" : 1 } , "b\"" : [ {"c":2} ] , "a" : -1.5e3 } "#),
        [
            ("a", r#"{ "a" : 1 }"#),
            (r#"b\""#, r#"[ {"c":2} ]"#),
            ("a", "-1.5e3")
        ]
    );
    assert_eq!(
        members("{\t\"a\":\t\"b\",\t\"c\":\t\"d\"\t}\r"),
        [("a", r#""b""#), ("c", r#""d""#)]
    );
}

#[test]
fn values_are_byte_for_byte_those_of_serde() {
    for line in LINES {
        let mut whole: serde_json::Map<_, _> = serde_json::from_str(line).unwrap();
        for (key, value) in members(line) {
            let key: String = serde_json::from_str(&format!("\"{key}\"")).unwrap();
            assert_eq!(
                whole.remove(&key),
                Some(serde_json::from_str(value).unwrap()),
                "{line}"
            );
        }
        assert!(whole.is_empty());
    }
}

#[test]
fn what_is_not_one_object_is_refused() {
    for line in [
        "",
        " ",
        "42",
        "null",
        "[1]",
        "\"a\"",
        "{}{}",
        "{} x",
        "{",
        "}",
        "{]",
        "{\"a\":1]",
        "{\"a\":[}",
        "\u{feff}{}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":+1}",
        "{\"a\":-}",
        "{\"a\":1e}",
        "{\"a\":1e+}",
        "{\"a\":nul}",
        "{\"a\":truex}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\\u123",
        "{\"a\":\"\\",
        "{\"a\":\"\0\"}",
        "{\"a\":1}\0",
        "{\"a\":\"\t\"}",
    ] {
        assert!(!scan_object(line.as_bytes(), |_, _| ()), "{line}");
        check(line.as_bytes());
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused_everywhere() {
    for line in [
        &b"{\"a\":\"\xff\"}"[..],
        b"{\"\xc3\":1}",
        b"{\"a\":1}\xa0",
        b"{\"a\":\"\xed\xa0\x80\"}",
        b"{\"a\":[\"\xc0\x80\"]}",
    ] {
        assert!(!scan_object(line, |_, _| ()), "{line:?}");
    }
}

#[test]
fn lone_surrogates_and_huge_numbers_are_grammatical() {
    assert_eq!(members(r#"{"a":"\ud800","b":1e999}"#).len(), 2);
}

#[test]
fn nesting_is_bounded_and_costs_no_stack() {
    let nested = |depth: usize| {
        format!(
            "{{\"a\":{}{}}}",
            "[".repeat(depth - 1),
            "]".repeat(depth - 1)
        )
    };
    assert!(scan_object(
        nested(MAX_DEPTH as usize).as_bytes(),
        |_, _| ()
    ));
    assert!(!scan_object(
        nested(MAX_DEPTH as usize + 1).as_bytes(),
        |_, _| ()
    ));
    let objects = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    assert!(scan_object(
        objects(MAX_DEPTH as usize).as_bytes(),
        |_, _| ()
    ));
    assert!(!scan_object(
        objects(MAX_DEPTH as usize + 1).as_bytes(),
        |_, _| ()
    ));
    assert!(!scan_object(nested(4 << 20).as_bytes(), |_, _| ()));
}

#[test]
fn every_cut_and_every_flipped_byte_is_judged_as_serde_does() {
    for line in LINES {
        let line = line.as_bytes();
        for at in 0..line.len() {
            check(&line[..at]);
            check(&line[at..]);
            for byte in *b"\"\\{}[],: \t\n\0\x01\x1f\x7f\x80\xc3\xff019-+.eEtu/'x" {
                let mut line = line.to_vec();
                line[at] = byte;
                check(&line);
            }
        }
    }
}

#[test]
fn two_lines_run_together_anywhere_are_judged_as_serde_does() {
    for (first, second) in LINES
        .iter()
        .flat_map(|first| LINES.map(|second| (first.as_bytes(), second.as_bytes())))
    {
        check(&[first, second].concat());
        for cut in 0..first.len() {
            check(&[&first[..cut], second].concat());
        }
    }
}

fn json() -> impl Strategy<Value = String> {
    let text =
        "[a-z\"\\\\\t é😀#!\u{1}]{0,80}".prop_map(|text| serde_json::Value::from(text).to_string());
    let number = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        "-?(0|[1-9][0-9]{0,12})(\\.[0-9]{1,9})?([eE][+-]?[0-9]{1,2})?"
    ];
    let leaf = prop_oneof![
        text.clone(),
        number,
        Just("true".to_owned()),
        Just("null".to_owned()),
        Just(r#""\ud8aa\/""#.to_owned())
    ];
    let space = || "[ \t]{0,2}";
    leaf.prop_recursive(5, 40, 6, move |inner| {
        let item = (space(), inner.clone(), space())
            .prop_map(|(before, value, behind)| before + &value + &behind);
        let member = (space(), text.clone(), space(), item.clone())
            .prop_map(|(before, key, behind, value)| before + &key + &behind + ":" + &value);
        prop_oneof![
            prop::collection::vec(item, 0..5).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(member, 0..5)
                .prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn valid_lines_are_accepted(value in json()) {
        let line = format!("{{\"a\":{value},\"time\":\"x\"}}");
        prop_assert_eq!(members(&line), [("a", value.as_str()), ("time", "\"x\"")]);
        check(line.as_bytes());
    }

    #[test]
    fn mutated_lines_are_judged_as_serde_does(value in json(), edits in prop::collection::vec((any::<prop::sample::Index>(), 0..3, prop_oneof![prop::sample::select(b"\"\\{}[],: \t\x0019-+.eEu".to_vec()), any::<u8>()]), 1..4)) {
        let mut line = format!("{{\"a\":{value}}}").into_bytes();
        for (at, kind, byte) in edits {
            let at = at.index(line.len());
            match kind {
                0 => line[at] = byte,
                1 => line.insert(at, byte),
                _ => drop(line.remove(at)),
            }
            check(&line);
        }
    }

    #[test]
    fn random_bytes_are_judged_as_serde_does(line in prop::collection::vec(prop_oneof![3 => prop::sample::select(b"\"\\{}[],: \t\x0019-+.eEu".to_vec()), 1 => any::<u8>()], 0..100)) {
        check(&line);
        check(&[b"{\"a\":\"", &line[..], b"\"}"].concat());
    }
}
