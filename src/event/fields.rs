//! An event is a JSON object whose fields vary by version, so it stays a map, with getters that cannot fail.
//!
//! Where records are only passed on, nobody needs this: lines are shown byte for byte. [`EventFields`] is for those who
//! ask an event what it says (search, summary) or make one (the writer).

use serde_json::{Map, Value};

use super::{EventIndex, EventTime, field_name};

/// The fields of one event (the seed's `EventFields`). The getters give the zero value for a field that is absent or
/// of another type, as Teleport's do (FORMAT 6, `TestFields`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventFields(Map<String, Value>);

/// The bytes are not one JSON object.
#[derive(Debug, thiserror::Error)]
pub enum FieldsError {
    /// Not JSON, more than one value, or nested deeper than 128.
    #[error("not JSON: {0}")]
    NotJson(#[from] serde_json::Error),
    /// Good JSON, but an array, a string, a number, `true`, `false` or `null`.
    #[error("JSON, but not an object")]
    NotAnObject,
}

impl EventFields {
    /// An event without any field.
    pub fn new() -> EventFields {
        EventFields::default()
    }

    /// Reads one JSON object. Of a field given twice the last one counts.
    ///
    /// # Errors
    /// [`FieldsError`] for anything else. Memory is bounded by a small multiple of the input.
    pub fn from_json(bytes: &[u8]) -> Result<EventFields, FieldsError> {
        match serde_json::from_slice(bytes)? {
            Value::Object(map) => Ok(EventFields(map)),
            _ => Err(FieldsError::NotAnObject),
        }
    }

    /// The event as one line of JSON without newline, as Teleport up to 3.2 writes it (FORMAT 2): keys in byte order,
    /// `<`, `>`, `&`, U+2028 and U+2029 escaped.
    pub fn to_json(&self) -> String {
        as_go_escapes(&Value::Object(self.0.clone()).to_string())
    }

    /// The value of a field.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// Does the event have the field, whatever its value?
    pub fn has_field(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The text of a field; empty if it is absent or not a string.
    pub fn get_string(&self, key: &str) -> &str {
        self.0.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// The whole number in a field, a fraction cut off; 0 if it is absent or not a number.
    pub fn get_int(&self, key: &str) -> i64 {
        let number = self.0.get(key);
        number
            .and_then(Value::as_i64)
            .or_else(|| number.and_then(Value::as_f64).map(|float| float as i64))
            .unwrap_or_default()
    }

    /// The time in a field; [`EventTime::ZERO`] if it is absent or not an RFC 3339 time.
    pub fn get_time(&self, key: &str) -> EventTime {
        EventTime::parse_rfc3339(self.get_string(key).as_bytes()).unwrap_or(EventTime::ZERO)
    }

    /// The event's name (`event`); the seed's `GetType`.
    pub fn get_type(&self) -> &str {
        self.get_string(field_name::EVENT)
    }

    /// The event's unique id (`uid`).
    pub fn get_id(&self) -> &str {
        self.get_string(field_name::UID)
    }

    /// The event's code (`code`).
    pub fn get_code(&self) -> &str {
        self.get_string(field_name::CODE)
    }

    /// When it happened (`time`).
    pub fn get_timestamp(&self) -> EventTime {
        self.get_time(field_name::TIME)
    }

    /// The event index (`ei`); 0 if absent.
    pub fn get_event_index(&self) -> EventIndex {
        EventIndex(self.get_int(field_name::EI))
    }

    /// Sets a field, in place of the value it had.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_owned(), value.into());
    }

    /// All fields, keys in byte order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }
}

impl From<Map<String, Value>> for EventFields {
    fn from(map: Map<String, Value>) -> EventFields {
        EventFields(map)
    }
}

impl From<EventFields> for Map<String, Value> {
    fn from(fields: EventFields) -> Map<String, Value> {
        fields.0
    }
}

/// Changes JSON as serde_json writes it into what Go's `json.Marshal` writes. The characters Go escapes are none of
/// JSON's own marks, so they only occur within strings, where an escape may stand.
fn as_go_escapes(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut chars = json.chars();
    while let Some(char) = chars.next() {
        match char {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            '\\' => match chars.next() {
                Some('b') => out.push_str("\\u0008"),
                Some('f') => out.push_str("\\u000c"),
                Some(escaped) => out.extend(['\\', escaped]),
                None => out.push('\\'),
            },
            char => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> EventFields {
        EventFields::from_json(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn getters_give_the_value_or_zero() {
        // Teleport `api_test.go`, TestFields.
        let event = fields(json!({"one": 1, "name": "vincent", "time": "2018-05-01T07:58:00Z"}));
        assert_eq!((event.get_int("one"), event.get_int("two")), (1, 0));
        assert_eq!(
            (event.get_string("name"), event.get_string("city")),
            ("vincent", "")
        );
        assert_eq!(event.get_time("time").to_rfc3339(), "2018-05-01T07:58:00Z");
        assert_eq!(event.get_time("noon"), EventTime::ZERO);
    }

    #[test]
    fn a_field_of_another_type_counts_as_absent_but_is_there() {
        let event = fields(json!({"event": 7, "sid": null, "ei": "4", "time": 1525161480}));
        assert_eq!(
            (
                event.get_type(),
                event.get_string("sid"),
                event.get_int("ei")
            ),
            ("", "", 0)
        );
        assert!(event.get_timestamp().is_zero());
        assert!(event.has_field("sid") && !event.has_field("uid"));
    }

    #[test]
    fn the_named_getters_ask_the_right_fields() {
        let event = fields(
            json!({"event": "exec", "uid": "u", "code": "T3002I", "time": "2018-05-01T07:58:03.5Z", "ei": 4}),
        );
        assert_eq!(
            (event.get_type(), event.get_id(), event.get_code()),
            ("exec", "u", "T3002I")
        );
        assert_eq!(event.get_timestamp().to_rfc3339(), "2018-05-01T07:58:03.5Z");
        assert_eq!(event.get_event_index(), EventIndex(4));
    }

    #[test]
    fn numbers_of_any_size_are_ints() {
        let event = fields(
            json!({"a": 2.9, "b": -2.9, "c": 1e300, "d": u64::MAX, "e": 9007199254740993i64}),
        );
        assert_eq!((event.get_int("a"), event.get_int("b")), (2, -2));
        assert_eq!(
            (event.get_int("c"), event.get_int("d")),
            (i64::MAX, i64::MAX)
        );
        assert_eq!(event.get_int("e"), 9007199254740993);
    }

    #[test]
    fn only_one_object_is_an_event() {
        for text in ["", "[]", "null", "1", "{}{}", "{\"a\":1", "{\"a\":\u{0}}"] {
            assert!(EventFields::from_json(text.as_bytes()).is_err(), "{text}");
        }
        assert!(EventFields::from_json("[".repeat(1 << 20).as_bytes()).is_err());
        assert!(EventFields::from_json(b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn json_is_written_as_go_writes_it() {
        let event = fields(
            json!({"event": "exec", "apples?": "yes", "command": "a <b> & \u{8}\u{c}\n\"\\b\u{2028}é\u{1}"}),
        );
        assert_eq!(
            event.to_json(),
            r#"{"apples?":"yes","command":"a \u003cb\u003e \u0026 \u0008\u000c\n\"\\b\u2028é\u0001","event":"exec"}"#
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(key: String, text: String, number: i64) {
            let mut event = EventFields::new();
            event.set(&key, text);
            event.set("number", number);
            prop_assert_eq!(EventFields::from_json(event.to_json().as_bytes()).unwrap(), event);
        }
    }
}
