//! Each form of a daily log line, as it is read and as it is shown.

#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;
use serde_json::Value;

fn origin() -> LineOrigin<'static> {
    let time = EventTime::parse_rfc3339(b"2018-05-01T07:58:03Z");
    LineOrigin {
        server: "3e79a2d7",
        file: "2018-05-01.00:00:00.log",
        offset_bytes: 380,
        time,
    }
}

/// What the day file shows for the line; its length must be as announced and it must be one JSON object.
fn shown(line: &[u8], origin: &LineOrigin) -> String {
    let form = read_line(line).form;
    let mut out = b"before".to_vec();
    show_line(line, form, origin, &mut out);
    let shown = out.strip_prefix(b"before").unwrap();
    assert_eq!(shown.len(), shown_len(line, form, origin));
    let object = shown.strip_suffix(b"\n").unwrap();
    assert!(
        scan_object(object, |_, _| ()),
        "{line:?} {:?}",
        String::from_utf8_lossy(object)
    );
    String::from_utf8(object.to_vec()).unwrap()
}

fn check(line: &str, form: LineForm, time: &str) {
    let read = read_line(line.as_bytes());
    assert_eq!(read.form, form, "{line}");
    assert_eq!(
        read.time.map(EventTime::to_rfc3339).unwrap_or_default(),
        time,
        "{line}"
    );
    let shown = shown(line.as_bytes(), &origin());
    match form {
        LineForm::Json => assert_eq!(shown, line),
        LineForm::Legacy => assert_eq!(
            read_line(shown.as_bytes()),
            DailyLine {
                form: LineForm::Json,
                time: read.time
            }
        ),
        LineForm::Unparsed => {
            assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()["raw"], *line)
        }
    }
}

#[test]
fn json_is_passed_byte_for_byte_with_its_outermost_time() {
    use LineForm::Json;
    check(
        r#"{"event":"exec","time":"2018-05-01T16:33:22Z","user":"bob"}"#,
        Json,
        "2018-05-01T16:33:22Z",
    );
    check(
        r#"{"time":"2018-05-01T16:33:22.50Z"}"#,
        Json,
        "2018-05-01T16:33:22.5Z",
    );
    check(
        r#"{"a":{"time":"2018-05-01T16:33:22Z"},"timer":"2018-05-01T16:33:22Z"}"#,
        Json,
        "",
    );
    check(
        r#"{"command":"\"time\":\"2018-05-01T16:33:22Z\"","time":"2018-05-02T00:00:00Z"}"#,
        Json,
        "2018-05-02T00:00:00Z",
    );
    check(
        r#"{"time":"2018-05-01T16:33:22Z","time":"2018-05-02T00:00:00Z"}"#,
        Json,
        "2018-05-02T00:00:00Z",
    );
    check(" {} \r", Json, "");
    check(
        "{\"time\":\"2018-05-02T00:00:00Z\"}\r",
        Json,
        "2018-05-02T00:00:00Z",
    );
}

#[test]
fn a_time_that_is_none_leaves_the_line_json() {
    for value in [
        "1525192402",
        "null",
        "\"\"",
        "\"yesterday\"",
        "\"2018-13-01T00:00:00Z\"",
        "[\"2018-05-01T16:33:22Z\"]",
    ] {
        check(&format!("{{\"time\":{value}}}"), LineForm::Json, "");
    }
}

#[test]
fn every_date_of_a_legacy_line_is_read() {
    for (date, time) in [
        ("2018-05-01T16:33:22Z", "2018-05-01T16:33:22Z"),
        ("2018-05-01T18:33:22.25+02:00", "2018-05-01T16:33:22.25Z"),
        ("2018-05-01 16:33:22", "2018-05-01T16:33:22Z"),
        ("2018-05-01 16:33:22.123", "2018-05-01T16:33:22.123Z"),
        ("2018-05-01 16:33:22 UTC", "2018-05-01T16:33:22Z"),
        (
            "2018-05-01 16:33:22.123456789 +0000 UTC",
            "2018-05-01T16:33:22.123456789Z",
        ),
    ] {
        check(
            &format!("{date},session.start,{{\"user\":\"bob\"}}"),
            LineForm::Legacy,
            time,
        );
    }
}

#[test]
fn a_legacy_line_becomes_its_object_with_time_and_event() {
    let show = |line: &str| shown(line.as_bytes(), &origin());
    let date = "2018-05-01 16:33:22 UTC";
    let start = r#"{"time":"2018-05-01T16:33:22Z","event":"exec""#;
    assert_eq!(
        show(&format!(r#"{date},exec,{{"b":1, "a":"x,y"}}"#)),
        format!(r#"{start},"b":1, "a":"x,y"}}"#)
    );
    assert_eq!(
        show(&format!("{date}, exec , {{ }} \r")),
        format!("{start} }}")
    );
    assert_eq!(
        show(&format!("{date},a\"b,{{}}")),
        r#"{"time":"2018-05-01T16:33:22Z","event":"a\"b"}"#
    );
}

#[test]
fn members_that_the_object_has_win_and_are_not_doubled() {
    let show = |object: &str| {
        shown(
            format!("2018-05-01 16:33:22,exec,{object}").as_bytes(),
            &origin(),
        )
    };
    let own = r#"{"time":"2018-05-02T00:00:00Z","event":"scp"}"#;
    assert_eq!(show(own), own);
    assert_eq!(
        show(r#"{"event":"exec"}"#),
        r#"{"time":"2018-05-01T16:33:22Z","event":"exec"}"#
    );
    assert_eq!(show(r#"{"time":7}"#), r#"{"event":"exec","time":7}"#);
    check(
        &format!("2018-05-01 16:33:22,exec,{own}"),
        LineForm::Legacy,
        "2018-05-02T00:00:00Z",
    );
}

#[test]
fn what_is_neither_is_wrapped() {
    for line in [
        "",
        " ",
        "\r",
        "\0\0",
        "42",
        "null",
        "[{}]",
        "{}{}",
        "{\"a\":1",
        "{\"event\":\"a\"}{\"event\":\"b\"}",
        "2018-05-01 16:33:22,exec",
        "2018-05-01 16:33:22,exec,[]",
        "2018-05-01 16:33:22,exec,{}{}",
        "2018-05-01 16:33:22,,{}",
        "2018-05-01,exec,{}",
        "yesterday,exec,{}",
        "2018-05-01 16:33:22 CET,exec,{}",
        "2018-05-01 16:33:22+02:00,exec,{}",
        "a \"quote\" \\ \u{1} é\ttab",
    ] {
        check(line, LineForm::Unparsed, "");
    }
}

#[test]
fn the_wrapping_says_where_the_line_stands() {
    assert_eq!(
        shown(b"a\"\x07", &origin()),
        r#"{"event":"auditfs.unparsed","time":"2018-05-01T07:58:03Z","server":"3e79a2d7","file":"2018-05-01.00:00:00.log","offset":380,"raw":"a\"\u0007"}"#
    );
    let nowhere = LineOrigin {
        server: "",
        file: "\n",
        offset_bytes: u64::MAX,
        time: None,
    };
    assert_eq!(
        shown(b"\xff{}", &nowhere),
        r#"{"event":"auditfs.unparsed","time":null,"server":"","file":"\n","offset":18446744073709551615,"raw":"/3t9","encoding":"base64"}"#
    );
}

proptest! {
    #[test]
    fn nothing_is_lost_and_lengths_are_as_announced(line in prop::collection::vec(any::<u8>(), 0..9000)) {
        let shown: Value = serde_json::from_str(&shown(&line, &origin())).unwrap();
        let raw = shown["raw"].as_str().unwrap();
        match shown.get("encoding") {
            Some(_) => {
                use base64::Engine;
                prop_assert_eq!(base64::engine::general_purpose::STANDARD.decode(raw).unwrap(), line);
            }
            None => prop_assert_eq!(raw.as_bytes(), line),
        }
    }

    #[test]
    fn any_text_is_shown_as_one_object(text in ".{0,40}", date in "2018-0[0-9]-[0-3][0-9][ T]16:33:22(\\.[0-9]{1,3})?( UTC| \\+0000 UTC|Z)?", object in "( ?\\{\"(time|event|a)\":(1|\"x\"|\"2018-05-01T16:33:22Z\")\\}| \\{ \\}|\\{\\}|\\[\\])") {
        shown(text.as_bytes(), &origin());
        shown(format!("{date},{text},{object}").as_bytes(), &origin());
    }
}
