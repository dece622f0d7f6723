//! All daily logs line by line, and all days as they are merged.

use std::time::Duration;

use crate::disk::{Contents, DailyFile, DiskError};
use crate::format::{LineForm, Wound, read_line};
use crate::reader::{Line, LineEnd, each_line};
use crate::view::View;

use super::read_all;
use super::report::{Finding, Report};

/// A day is scanned however long it takes.
const PATIENCE: Duration = Duration::from_secs(365 * 24 * 3600);

/// Checks all days.
///
/// # Errors
/// Of standard output.
pub fn check(view: &View, report: &mut Report) -> std::io::Result<()> {
    let files = view.dir().catalog().daily_files();
    for (done, file) in files.iter().enumerate() {
        report.progress("daily log", done + 1, files.len());
        check_file(view, file, report)?;
        report.counts.daily_logs += 1;
    }
    let days = view.days().list();
    for (done, day) in days.iter().enumerate() {
        report.progress("day", done + 1, days.len());
        let read = day
            .prepare(PATIENCE)
            .and_then(|_| read_all(day.len_bytes()?, |at, len, out| day.read_at(at, len, out)));
        match read {
            Ok(bytes) => report.counts.merged_bytes += bytes,
            Err(error) => report.found(Finding::of_error(&error))?,
        }
        report.counts.days += 1;
    }
    Ok(())
}

fn check_file(view: &View, file: &DailyFile, report: &mut Report) -> std::io::Result<()> {
    let place = Finding {
        server: file.origin.as_str().to_owned(),
        file: file.name.clone(),
        path: file.path.clone(),
        ..Finding::default()
    };
    let mut printed = Ok(());
    let read = view.dir().contents_now(&file.path).and_then(|contents| {
        for damage in contents
            .damage()
            .iter()
            .filter(|damage| damage.wound != Wound::EmptyFile)
        {
            let found = Finding::of_wound(&damage.wound, damage.offset_bytes);
            printed = report.found(at(&place, found));
            if printed.is_err() {
                return Ok(());
            }
        }
        let may_grow = view
            .days()
            .get(file.named_day)
            .is_some_and(|day| day.is_live());
        each_wound(&contents, may_grow, |wound, offset_bytes| {
            printed = report.found(at(&place, Finding::of_wound(&wound, offset_bytes)));
            printed.is_ok()
        })
    });
    printed?;
    match read {
        Ok(()) => Ok(()),
        Err(error) => report.found(at(&place, Finding::of_error(&error))),
    }
}

/// The finding in this file.
fn at(place: &Finding, found: Finding) -> Finding {
    Finding {
        offset_bytes: found.offset_bytes,
        kind: found.kind,
        reason: found.reason,
        is_normal: found.is_normal,
        ..place.clone()
    }
}

/// Calls `each` for every line that a day file shows wrapped, until it says stop. Offsets count unpacked bytes.
fn each_wound(
    contents: &Contents,
    may_grow: bool,
    mut each: impl FnMut(Wound, u64) -> bool,
) -> Result<(), DiskError> {
    each_line(contents, 0, contents.len_bytes(), |line| {
        match wound_of(&line) {
            Some(Wound::TornLine) if may_grow => true,
            Some(wound) => each(wound, line.offset),
            None => true,
        }
    })
}

fn wound_of(line: &Line<'_>) -> Option<Wound> {
    match line.end {
        LineEnd::TooLong => return Some(Wound::LineTooLong),
        LineEnd::Torn => return Some(Wound::TornLine),
        LineEnd::Newline => {}
    }
    match read_line(line.bytes).form {
        LineForm::Json | LineForm::Legacy => None,
        LineForm::Unparsed if line.bytes.contains(&0) => Some(Wound::NulBytes),
        LineForm::Unparsed => Some(match serde_json::from_slice(line.bytes) {
            Ok(serde_json::Value::Object(_)) | Err(_) => Wound::NotJson,
            Ok(_) => Wound::NotAnObject,
        }),
    }
}
