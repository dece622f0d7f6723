//! Reads one line of a daily log, and shows it as every line of a day file must be: one JSON object.
//!
//! Valid JSON is passed byte for byte, since keys, escapes and unknown fields differ from version to version. The other two
//! forms are rewritten, so that `jq` never fails on a day and nothing that a server wrote is lost (DESIGN 4.5).

use crate::event::EventTime;

use super::flat::{Flat, flat_lines};
use super::legacy::LegacyLine;
use super::scan::scan_object;
use super::unparsed::show_unparsed;

/// The longest line that is read as one, newline not counted. The caller wraps, cuts or skips what is longer; the functions
/// here take any length.
pub const MAX_LINE_BYTES: usize = 8 << 20;

/// In which of the forms found on disk a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LineForm {
    /// One JSON object: what every released version writes (FORMAT 2). Shown byte for byte, a carriage return included.
    Json,
    /// `utc_date,action,json_fields` (seed document). Shown as the object, with `time` and `event` added.
    Legacy,
    /// Anything else: an empty line, an array, a cut line, two objects on one line. Shown wrapped.
    Unparsed,
}

/// What the merge has to know about a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DailyLine {
    /// How it must be shown.
    pub form: LineForm,
    /// When it happened: the time that the shown line carries, or the `utc_date` of a legacy line whose object has an
    /// unreadable one. `None` where there is none; such a line stays behind its predecessor (DESIGN 4).
    pub time: Option<EventTime>,
}

/// Where a line stands on disk, for the wrapping of a line that cannot be read.
#[derive(Clone, Copy, Debug)]
pub struct LineOrigin<'a> {
    /// Folder name of the auth server; empty for files in the root of the audit directory.
    pub server: &'a str,
    /// Name of the daily log.
    pub file: &'a str,
    /// Where the line begins in that file, unpacked.
    pub offset_bytes: u64,
    /// The time to say, which is the predecessor's; `None` is shown as `null`.
    pub time: Option<EventTime>,
}

/// Reads `line`, given without its newline. Never fails: what cannot be read is [`LineForm::Unparsed`].
#[inline]
pub fn read_line(line: &[u8]) -> DailyLine {
    let (is_json, time) = daily_time(line);
    if is_json {
        return DailyLine {
            form: LineForm::Json,
            time,
        };
    }
    read_other_line(line)
}

/// Reads the whole lines of `text` and calls `each(line, read)` for them, as [`read_line`] reads each; much faster where most
/// of them are of the common form. `line` is without its newline. Ends when `each` says stop.
#[inline]
pub fn read_lines<'a>(text: &'a [u8], mut each: impl FnMut(&'a [u8], DailyLine) -> bool) {
    let mut rest = text;
    loop {
        let flat = flat_lines(rest, |line, time| {
            let form = LineForm::Json;
            let time = time_of_value(time);
            each(line, DailyLine { form, time })
        });
        let Flat::Until(at) = flat else { return };
        rest = rest.get(at..).unwrap_or_default();
        let Some(newline) = memchr::memchr(b'\n', rest) else {
            return;
        };
        let (line, behind) = rest.split_at(newline);
        if !each(line, read_line(line)) {
            return;
        }
        rest = behind.get(1..).unwrap_or_default();
    }
}

#[cold]
fn read_other_line(line: &[u8]) -> DailyLine {
    match LegacyLine::parse(line) {
        Some(legacy) => DailyLine {
            form: LineForm::Legacy,
            time: Some(legacy.time),
        },
        None => DailyLine {
            form: LineForm::Unparsed,
            time: None,
        },
    }
}

/// Proves that `line` is one JSON object and finds its time, in one pass: is it one, and its outermost `time` member if
/// that is an RFC 3339 text.
///
/// Of repeated `time` members the last counts, as in Go and jq. One whose key or value is spelled with escapes is not
/// recognised; no version writes such.
#[inline]
pub fn daily_time(line: &[u8]) -> (bool, Option<EventTime>) {
    let mut time: &[u8] = b"";
    let is_json = scan_object(line, |key, value| {
        if key == b"time" {
            time = value;
        }
    });
    (is_json, if is_json { time_of_value(time) } else { None })
}

/// The time in a raw JSON value.
#[inline]
pub(super) fn time_of_value(value: &[u8]) -> Option<EventTime> {
    EventTime::parse_rfc3339(value.strip_prefix(b"\"")?.strip_suffix(b"\"")?)
}

/// How many bytes [`show_line`] appends for the same arguments, the newline included. For [`LineForm::Json`] this costs
/// nothing and `origin` is not looked at.
#[inline]
pub fn shown_len(line: &[u8], form: LineForm, origin: &LineOrigin) -> usize {
    let mut len = 0;
    show(line, form, origin, &mut |part| len += part.len());
    len
}

/// Appends to `out` what the day file shows for `line`, newline included: one JSON object on one line. `form` is what
/// [`read_line`] said of the very same bytes.
#[inline]
pub fn show_line(line: &[u8], form: LineForm, origin: &LineOrigin, out: &mut Vec<u8>) {
    show(line, form, origin, &mut |part| out.extend_from_slice(part));
}

/// Both of the above, so that they cannot differ.
#[inline]
fn show(line: &[u8], form: LineForm, origin: &LineOrigin, put: &mut impl FnMut(&[u8])) {
    match form {
        LineForm::Json => put(line),
        LineForm::Legacy => match LegacyLine::parse(line) {
            Some(legacy) => legacy.show(put),
            None => show_unparsed(line, origin, put),
        },
        LineForm::Unparsed => show_unparsed(line, origin, put),
    }
    put(b"\n");
}

#[cfg(test)]
mod tests;
