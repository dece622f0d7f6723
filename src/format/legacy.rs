//! The daily log line of the seed document, `utc_date,action,json_fields`, and the JSON object it is shown as.
//!
//! No released Teleport wrote it (FORMAT 2); directories made by the seed document's rules, and ours with
//! `--log-format legacy`, hold it.

use crate::event::EventTime;

use super::daily::time_of_value;
use super::scan::scan_object;
use super::unparsed::put_json_text;

/// One such line, taken apart.
#[derive(Debug)]
pub(super) struct LegacyLine<'a> {
    /// The object's own `time` where that can be read, else `utc_date`: the time that is shown.
    pub(super) time: EventTime,
    action: &'a str,
    /// The object from brace to brace.
    object: &'a [u8],
    /// Members that the object has itself. They are shown as they are, and not a second time.
    has_time: bool,
    has_event: bool,
}

impl<'a> LegacyLine<'a> {
    /// Reads `line`, given without its newline. Spaces around the three parts are allowed.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        let mut parts = line.splitn(3, |&byte| byte == b',').map(<[u8]>::trim_ascii);
        let date = parse_date(parts.next()?)?;
        let action = std::str::from_utf8(parts.next()?).ok()?;
        let object = parts.next()?;
        let (mut time, mut event) = (None, None);
        let is_object = scan_object(object, |key, value| match key {
            b"time" => time = Some(value),
            b"event" => event = Some(value),
            _ => (),
        });
        if action.is_empty() || !is_object {
            return None;
        }
        Some(LegacyLine {
            time: time.and_then(time_of_value).unwrap_or(date),
            action,
            object,
            has_time: time.is_some(),
            has_event: event.is_some(),
        })
    }

    /// Gives the object to `put`, piece by piece: `time`, `event`, then the members as they stand. No newline.
    pub(super) fn show(&self, put: &mut impl FnMut(&[u8])) {
        let members = self.object.strip_prefix(b"{").unwrap_or_default();
        let mut before: &[u8] = b"{";
        if !self.has_time {
            put(before);
            put(b"\"time\":\"");
            put(self.time.to_rfc3339().as_bytes());
            put(b"\"");
            before = b",";
        }
        if !self.has_event {
            put(before);
            put(b"\"event\":");
            put_json_text(self.action, put);
            before = b",";
        }
        if before == b"{" || members.trim_ascii_start() != b"}" {
            put(before);
        }
        put(members);
    }
}

/// No date is as long; a longer text is not copied.
const DATE_BYTES: usize = 64;

/// RFC 3339, or Go's `2006-01-02 15:04:05`, with or without a fraction and ` +0000 UTC` or ` UTC` behind it.
fn parse_date(text: &[u8]) -> Option<EventTime> {
    if let Some(time) = EventTime::parse_rfc3339(text) {
        return Some(time);
    }
    let civil = text.strip_suffix(b" UTC").unwrap_or(text);
    let civil = civil.strip_suffix(b" +0000").unwrap_or(civil);
    let (date, time) = civil.split_at_checked(10)?;
    let time = time.strip_prefix(b" ")?;
    if civil.len() >= DATE_BYTES
        || !time
            .iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b':' | b'.'))
    {
        return None;
    }
    EventTime::parse_rfc3339(&[date, b"T", time, b"Z"].concat())
}
