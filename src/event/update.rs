//! What the auth server does to an event before it is stored: complete it, and refuse it if it speaks for another.
//!
//! Both are pure: the clock and the source of ids belong to the caller.

use super::{EventCode, EventFields, EventName, EventTime, ServerId, field_name};

/// What kind of event is being stored (the seed's `Event`): its name and, where it has one, its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The value for `event`, where the fields have none.
    pub name: &'a str,
    /// The value for `code`; empty leaves the field as it is.
    pub code: &'a str,
}

/// A field has a value that an event from this auth server must not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidField {
    /// `server_id` names another server, or is no text at all.
    #[error("field server_id: {found} is not this server's id, {expected:?}")]
    ServerId {
        /// The value as JSON, shortened.
        found: String,
        /// The server the event comes from.
        expected: String,
    },
    /// `namespace` is not one or more ASCII letters and digits.
    #[error("field namespace: {found} is not a namespace (ASCII letters and digits only)")]
    Namespace {
        /// The value as JSON, shortened.
        found: String,
    },
}

impl From<EventName> for Event<'static> {
    fn from(name: EventName) -> Event<'static> {
        Event {
            name: name.as_str(),
            code: "",
        }
    }
}

impl From<EventCode> for Event<'static> {
    fn from(code: EventCode) -> Event<'static> {
        Event {
            name: code.event_name().as_str(),
            code: code.as_str(),
        }
    }
}

/// Completes an event (the seed's `UpdateEventFields`, FORMAT 4): `event`, `uid` and `time` are set only where they are
/// empty or no time can be read; `code` is set whenever the event has one. `time` becomes `now` in whole seconds.
pub fn update_event_fields(event: Event<'_>, fields: &mut EventFields, now: EventTime, uid: &str) {
    if fields.get_type().is_empty() {
        fields.set(field_name::EVENT, event.name);
    }
    if fields.get_id().is_empty() {
        fields.set(field_name::UID, uid);
    }
    if fields.get_timestamp().is_zero() {
        fields.set(field_name::TIME, now.round_to_s().to_rfc3339());
    }
    if !event.code.is_empty() {
        fields.set(field_name::CODE, event.code);
    }
}

/// Checks that an event may come from that auth server (the seed's `ValidateEvent`, FORMAT 4): a `server_id`, where
/// present, is its own, and a `namespace`, where present, is a valid name.
///
/// # Errors
/// [`InvalidField`] says which field and why.
pub fn validate_event(fields: &EventFields, server_id: &ServerId) -> Result<(), InvalidField> {
    if fields.has_field(field_name::SERVER_ID)
        && fields.get_string(field_name::SERVER_ID) != server_id.as_str()
    {
        return Err(InvalidField::ServerId {
            found: shown(fields, field_name::SERVER_ID),
            expected: server_id.to_string(),
        });
    }
    if fields.has_field(field_name::NAMESPACE)
        && !is_valid_namespace(fields.get_string(field_name::NAMESPACE))
    {
        return Err(InvalidField::Namespace {
            found: shown(fields, field_name::NAMESPACE),
        });
    }
    Ok(())
}

/// Teleport `lib/services/namespace.go`: `^[A-Za-z0-9]+$`. Stricter than [`super::Namespace`], which also takes the
/// folder names that other programs made.
fn is_valid_namespace(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// A field's value for an error: its JSON, at most 80 characters of it.
fn shown(fields: &EventFields, key: &str) -> String {
    fields
        .get(key)
        .map(|value| value.to_string().chars().take(80).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "1984-04-04T00:00:00.4Z";

    #[track_caller]
    fn check_update(event: Event<'_>, before: &str, after: &str) {
        let mut fields = EventFields::from_json(before.as_bytes()).unwrap();
        update_event_fields(
            event,
            &mut fields,
            EventTime::parse_rfc3339(NOW.as_bytes()).unwrap(),
            "u-1",
        );
        assert_eq!(fields.to_json(), after);
    }

    #[track_caller]
    fn check_valid(event: &str, error: &str) {
        let fields = EventFields::from_json(event.as_bytes()).unwrap();
        let found = validate_event(&fields, &ServerId::new("node-1").unwrap());
        assert_eq!(
            found.map_or_else(|error| error.to_string(), |()| String::new()),
            error
        );
    }

    #[test]
    fn what_is_missing_is_filled_in() {
        // Teleport `api_test.go`, TestUpdateFields.
        check_update(
            Event {
                name: "test.event",
                code: "TEST0001I",
            },
            r#"{"user":"test@example.com","method":"oidc"}"#,
            r#"{"code":"TEST0001I","event":"test.event","method":"oidc","time":"1984-04-04T00:00:00Z","uid":"u-1","user":"test@example.com"}"#,
        );
    }

    #[test]
    fn what_is_there_stays_but_for_the_code() {
        check_update(
            EventCode::Exec.into(),
            r#"{"code":"X","event":"mine","time":"2018-05-01T07:58:03.5Z","uid":"u-0"}"#,
            r#"{"code":"T3002I","event":"mine","time":"2018-05-01T07:58:03.5Z","uid":"u-0"}"#,
        );
    }

    #[test]
    fn a_kind_without_code_leaves_the_code() {
        check_update(
            EventName::Exec.into(),
            r#"{"code":"X","event":"","time":"yesterday","uid":7}"#,
            r#"{"code":"X","event":"exec","time":"1984-04-04T00:00:00Z","uid":"u-1"}"#,
        );
    }

    #[test]
    fn an_event_without_these_fields_is_valid() {
        check_valid("{}", "");
        check_valid(r#"{"server_id":"node-1","namespace":"default"}"#, "");
    }

    #[test]
    fn an_event_of_another_server_is_refused() {
        check_valid(
            r#"{"server_id":"node-2"}"#,
            r#"field server_id: "node-2" is not this server's id, "node-1""#,
        );
        check_valid(
            r#"{"server_id":null}"#,
            r#"field server_id: null is not this server's id, "node-1""#,
        );
    }

    #[test]
    fn a_namespace_that_is_a_path_is_refused() {
        let why = "is not a namespace (ASCII letters and digits only)";
        check_valid(
            r#"{"namespace":"../x"}"#,
            &format!(r#"field namespace: "../x" {why}"#),
        );
        check_valid(
            r#"{"namespace":""}"#,
            &format!(r#"field namespace: "" {why}"#),
        );
        check_valid(
            r#"{"namespace":"é"}"#,
            &format!(r#"field namespace: "é" {why}"#),
        );
    }
}
