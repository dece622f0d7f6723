//! A line of a merged file as an event's fields, whatever is inside: a record that was found is never left out.

use serde_json::Value;

use crate::event::EventFields;
use crate::format::scan_object;

use super::query::unescaped;

/// The fields of `line`, a JSON object as merged files have them. Where a value is good JSON, but none that the program can
/// hold (a lone surrogate in a string, a number beyond all floats), its raw text stands for it, as a string.
pub fn event_of_line(line: &[u8]) -> EventFields {
    EventFields::from_json(line).unwrap_or_else(|_| member_by_member(line))
}

#[cold]
fn member_by_member(line: &[u8]) -> EventFields {
    let mut fields = EventFields::new();
    let lossy = |raw: &[u8]| String::from_utf8_lossy(raw).into_owned();
    scan_object(line, |name, value| {
        let name = unescaped(name).map_or_else(|| lossy(name), |name| name.into_owned());
        let value = serde_json::from_slice(value).unwrap_or_else(|_| Value::String(lossy(value)));
        fields.set(&name, value);
    });
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &str) {
        assert_eq!(event_of_line(line.as_bytes()).to_json(), expected);
    }

    #[test]
    fn a_good_line_is_its_fields() {
        check(r#"{"b":1,"a":"\u0062"}"#, r#"{"a":"b","b":1}"#);
    }

    #[test]
    fn a_value_that_cannot_be_held_is_its_text() {
        check(
            r#"{"event":"exec","x":"\ud800","y":1e999}"#,
            r#"{"event":"exec","x":"\"\\ud800\"","y":"1e999"}"#,
        );
    }

    #[test]
    fn deep_nesting_is_its_text() {
        let deep = format!("{}{}", "[".repeat(127), "]".repeat(127));
        assert_eq!(
            event_of_line(format!(r#"{{"m":"1","x":{deep}}}"#).as_bytes()).get_string("m"),
            "1"
        );
    }
}
