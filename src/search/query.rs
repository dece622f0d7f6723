//! What a search asks of a record's fields, in the URL encoding of the seed document: `event=exec&event=scp&user=bob`.
//!
//! A name given more than once means any of its values; different names must all match; an empty query matches every
//! record. A field matches if its text is exactly the value: a string without its quotes and escapes, and a number,
//! `true`, `false` or `null` as it is spelled in the record. Only fields of the outermost object count.

use std::borrow::Cow;
use std::collections::BTreeMap;

use memchr::memmem::Finder;

use crate::format::scan_object;

use super::encoding::{QueryError, check_encoding};

/// See the module text.
#[derive(Clone, Debug, Default)]
pub struct Query {
    fields: Vec<Field>,
}

/// One name, and the values of which it must have one.
#[derive(Clone, Debug)]
struct Field {
    name: String,
    values: Vec<Value>,
}

#[derive(Clone, Debug)]
struct Value {
    text: String,
    /// Finds the text in a line; only to rule out lines that do not have it.
    finder: Finder<'static>,
}

impl Query {
    /// Reads a URL-encoded query (seed document; Go `url.ParseQuery`): `&` between the pairs, `+` or `%20` for a space.
    ///
    /// # Errors
    /// [`QueryError`] for an escape that is none.
    pub fn parse(query: &str) -> Result<Query, QueryError> {
        check_encoding(query)?;
        let mut values: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for (name, text) in form_urlencoded::parse(query.as_bytes()) {
            let finder = Finder::new(text.as_bytes()).into_owned();
            let text = text.into_owned();
            values
                .entry(name.into_owned())
                .or_default()
                .push(Value { text, finder });
        }
        let fields = values
            .into_iter()
            .map(|(name, values)| Field { name, values });
        Ok(Query {
            fields: fields.collect(),
        })
    }

    /// A query for records of any of these events.
    pub fn of_events(names: &[&str]) -> Query {
        let values = names.iter().map(|name| Value {
            text: (*name).to_owned(),
            finder: Finder::new(name.as_bytes()).into_owned(),
        });
        Query {
            fields: vec![Field {
                name: "event".to_owned(),
                values: values.collect(),
            }],
        }
    }

    /// Does every record match?
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Does this record match? `line` is one JSON object; what is none matches nothing.
    pub fn matches(&self, line: &[u8]) -> bool {
        let mut matching = Matching::new(self);
        self.may_match(line)
            && scan_object(line, |name, value| matching.member(name, value))
            && matching.all()
    }

    /// A quick look that rules most lines out: a text that is not there, and not there with escapes, cannot match.
    pub(super) fn may_match(&self, line: &[u8]) -> bool {
        let has_any = |field: &Field| {
            field
                .values
                .iter()
                .any(|value| value.finder.find(line).is_some())
        };
        self.fields.iter().all(has_any) || memchr::memchr(b'\\', line).is_some()
    }
}

/// How far one record has been compared with a query, while its members are scanned. Of repeated members the last
/// counts, as in Go.
#[derive(Debug)]
pub(super) struct Matching<'q> {
    query: &'q Query,
    /// One bit for each of the first 64 names that matched; the vector for the others.
    first: u64,
    others: Vec<bool>,
}

impl<'q> Matching<'q> {
    /// Nothing has been seen yet.
    pub(super) fn new(query: &'q Query) -> Self {
        let others = query.fields.len().saturating_sub(64);
        Matching {
            query,
            first: 0,
            others: vec![false; others],
        }
    }

    /// Takes in a member as [`scan_object`] gives it.
    pub(super) fn member(&mut self, name: &[u8], value: &[u8]) {
        for (number, field) in self.query.fields.iter().enumerate() {
            if !is_text(name, &field.name) {
                continue;
            }
            let matched = field
                .values
                .iter()
                .any(|wanted| is_value(value, &wanted.text));
            match number.checked_sub(64) {
                None => self.first = self.first & !(1 << number) | u64::from(matched) << number,
                Some(other) => {
                    if let Some(slot) = self.others.get_mut(other) {
                        *slot = matched;
                    }
                }
            }
        }
    }

    /// Have all names matched?
    pub(super) fn all(&self) -> bool {
        let names = self.query.fields.len().min(64);
        self.first.count_ones() as usize == names && self.others.iter().all(|matched| *matched)
    }
}

/// Is the raw JSON value the wanted text?
fn is_value(raw: &[u8], wanted: &str) -> bool {
    match raw
        .strip_prefix(b"\"")
        .and_then(|raw| raw.strip_suffix(b"\""))
    {
        Some(raw) => is_text(raw, wanted),
        None => raw == wanted.as_bytes(),
    }
}

/// Is the text between the quotes of a JSON string the wanted one?
fn is_text(raw: &[u8], wanted: &str) -> bool {
    raw == wanted.as_bytes() && memchr::memchr(b'\\', raw).is_none()
        || memchr::memchr(b'\\', raw).is_some() && unescaped(raw).is_some_and(|text| text == wanted)
}

/// The text between the quotes of a JSON string with its escapes resolved; `None` for a lone surrogate, which is no text.
pub(super) fn unescaped(raw: &[u8]) -> Option<Cow<'_, str>> {
    if memchr::memchr(b'\\', raw).is_none() {
        return std::str::from_utf8(raw).ok().map(Cow::Borrowed);
    }
    let quoted = [b"\"", raw, b"\""].concat();
    serde_json::from_slice::<String>(&quoted)
        .ok()
        .map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, line: &str, matches: bool) {
        assert_eq!(
            Query::parse(query).unwrap().matches(line.as_bytes()),
            matches,
            "{query} {line}"
        );
    }

    #[test]
    fn an_empty_query_matches_every_object_and_nothing_else() {
        check("", "{}", true);
        check("&&", r#"{"event":"exec"}"#, true);
        check("", "[]", false);
    }

    #[test]
    fn one_name_twice_is_or() {
        for (event, matches) in [
            ("exec", true),
            ("scp", true),
            ("port", false),
            ("exec2", false),
        ] {
            check(
                "event=exec&event=scp",
                &format!(r#"{{"event":"{event}"}}"#),
                matches,
            );
        }
    }

    #[test]
    fn different_names_are_and() {
        check(
            "event=exec&user=bob",
            r#"{"user":"bob","event":"exec"}"#,
            true,
        );
        check(
            "event=exec&user=bob",
            r#"{"user":"carol","event":"exec"}"#,
            false,
        );
        check("event=exec&user=bob", r#"{"event":"exec"}"#, false);
    }

    #[test]
    fn a_text_elsewhere_in_the_line_is_no_match() {
        // FORMAT 5.7: the original took all three.
        check(
            "event=session.start",
            r#"{"event":"exec","command":"grep session.start"}"#,
            false,
        );
        check(
            "event=session.start",
            r#"{"event":"exec","x":{"event":"session.start"}}"#,
            false,
        );
        check(
            "event=session.start",
            r#"{"event":"auditfs.unparsed","raw":"{\"event\":\"session.start\""}"#,
            false,
        );
        check(
            "event=auditfs.unparsed",
            r#"{"event":"auditfs.unparsed","raw":"x"}"#,
            true,
        );
    }

    #[test]
    fn values_that_are_no_strings_match_as_they_are_spelled() {
        check("success=true", r#"{"success":true}"#, true);
        check("success=true", r#"{"success":"true"}"#, true);
        check("exitCode=1", r#"{"exitCode":"1"}"#, true);
        check("ei=1", r#"{"ei":1}"#, true);
        check("ei=1", r#"{"ei":10}"#, false);
        check("x=%22a%22", r#"{"x":"a"}"#, false);
    }

    #[test]
    fn escapes_of_either_side_are_resolved() {
        check(
            "command=a+%3C%26+b%3D%22%C3%A9%22",
            r#"{"command":"a \u003c\u0026 b=\"é\""}"#,
            true,
        );
        check("command=a%20b", r#"{"command":"a b"}"#, true);
        check("addr.local=x", r#"{"addr\u002elocal":"\u0078"}"#, true);
        check(r"x=a%5Cu0062", r#"{"x":"a\u0062"}"#, false);
        check(r"x=a%5Cnb", r#"{"x":"a\nb"}"#, false);
        check("x=a", r#"{"x":"\ud800"}"#, false);
    }

    #[test]
    fn of_a_field_given_twice_the_last_counts() {
        check("a=1", r#"{"a":1,"a":2}"#, false);
        check("a=2", r#"{"a":1,"a":2}"#, true);
    }

    #[test]
    fn an_absent_field_is_not_an_empty_one() {
        check("user=", r#"{"event":"exec"}"#, false);
        check("user", r#"{"user":""}"#, true);
    }

    #[test]
    fn more_than_64_names_must_all_match() {
        let (names, mut members): (Vec<_>, Vec<_>) = (0..70)
            .map(|n| (format!("f{n}=v"), format!(r#""f{n}":"v""#)))
            .unzip();
        check(
            &names.join("&"),
            &format!("{{{}}}", members.join(",")),
            true,
        );
        members.pop();
        check(
            &names.join("&"),
            &format!("{{{}}}", members.join(",")),
            false,
        );
    }
}
