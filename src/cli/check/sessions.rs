//! All sessions: their files, their index files, and what is missing or contradicts itself once they are merged.

use std::collections::HashSet;
use std::sync::Arc;

use crate::disk::{DiskError, SessionNo};
use crate::format::{Damage, DataKind, Wound, read_index};
use crate::mount::now_ns;
use crate::reader::{Session, SessionFile};
use crate::view::View;

use super::read_all;
use super::report::{Finding, Report};

/// No index file is nearly as long; what is longer is read up to here.
const INDEX_MAX_BYTES: u64 = 64 << 20;

/// Checks all sessions.
///
/// # Errors
/// Of standard output.
pub fn check(view: &View, report: &mut Report) -> std::io::Result<()> {
    let catalog = view.dir().catalog();
    let mut sessions = Vec::new();
    for namespace in catalog.namespaces() {
        catalog.each_session(&namespace, SessionNo(0), |no, _| {
            sessions.push(no);
            true
        });
    }
    for (done, no) in sessions.iter().enumerate() {
        report.progress("session", done + 1, sessions.len());
        let mut found = Vec::new();
        let checked = view
            .sessions()
            .open(*no, now_ns())
            .and_then(|session| match session {
                Some(session) => check_session(view, &session, &mut found),
                None => Ok(0),
            });
        match checked {
            Ok(bytes) => report.counts.merged_bytes += bytes,
            Err(error) => found.push(Finding::of_error(&error)),
        }
        let name = catalog
            .session(*no)
            .map(|info| format!("{}/{}", info.namespace, info.sid));
        for finding in found {
            let session = name.clone().unwrap_or_default();
            report.found(Finding { session, ..finding })?;
        }
        report.counts.sessions += 1;
    }
    Ok(())
}

/// Reads all of a session; gives how many merged bytes it has.
fn check_session(
    view: &View,
    session: &Session,
    found: &mut Vec<Finding>,
) -> Result<u64, DiskError> {
    let growing = session.is_growing()?;
    for (file, damage) in session.damage()? {
        // The last line of a session that runs may be on its way.
        if !(growing && damage.wound == Wound::TornLine) {
            found.push(in_file(&file, &damage));
        }
    }
    check_indexes(view, session, found)?;
    let (stream, events) = (session.stream()?, session.events()?);
    for gap in stream.gaps() {
        let finding = Finding::of_wound(&Wound::StreamGap, gap.start);
        let (first, next) = (gap.start, gap.end);
        let reason = format!(
            "{}: {} bytes, {first} to {next}",
            finding.reason,
            next - first
        );
        let is_normal = growing;
        found.push(Finding {
            reason,
            is_normal,
            ..finding
        });
    }
    let (conflicts, count) = stream.conflicts()?;
    for conflict in &conflicts {
        let (server, file) = &conflict.hidden;
        let shown = format!("{} of {}", conflict.shown.1, conflict.shown.0);
        let finding = Finding::of_wound(&Wound::OverlapDiffers, conflict.range.start);
        let hidden = session
            .files()
            .iter()
            .find(|f| f.server == *server && f.name == *file);
        let reason = format!("{}; shown is {shown}", finding.reason);
        found.push(Finding {
            server: server.to_string(),
            file: file.to_string(),
            path: hidden.map(|file| file.path.clone()).unwrap_or_default(),
            reason,
            ..finding
        });
    }
    let more = count.saturating_sub(conflicts.len() as u64);
    // Without recording, print events take an `ei` and are not written (FORMAT 3).
    let expected = growing || session.facts()?.prints == 0;
    check_events(&events.merged().gaps, expected, found);
    count_conflicts(events.merged().conflicts + more, found);
    let mut bytes = read_all(stream.len_bytes(), |at, len, out| {
        stream.read_at(at, len, out)
    })?;
    bytes += read_all(events.len_bytes(), |at, len, out| {
        events.read_at(at, len, out)
    })?;
    Ok(bytes)
}

fn check_events(gaps: &[std::ops::Range<i64>], is_normal: bool, found: &mut Vec<Finding>) {
    for gap in gaps {
        let (first, last) = (gap.start, gap.end.saturating_sub(1));
        found.push(Finding {
            kind: "events_missing",
            reason: format!("events with ei {first} to {last} are in no file"),
            is_normal,
            ..Finding::default()
        });
    }
}

/// Conflicts that are not told one by one.
fn count_conflicts(count: u64, found: &mut Vec<Finding>) {
    if count > 0 {
        let finding = Finding::of_wound(&Wound::OverlapDiffers, 0);
        let reason = format!("{count} times {}", finding.reason);
        found.push(Finding { reason, ..finding });
    }
}

/// What each server's index files say against the files that the server has.
fn check_indexes(
    view: &View,
    session: &Session,
    found: &mut Vec<Finding>,
) -> Result<(), DiskError> {
    let mut servers: Vec<Arc<str>> = session
        .files()
        .iter()
        .map(|file| file.server.clone())
        .collect();
    servers.dedup();
    for server in servers {
        let files = || session.files().iter().filter(|file| file.server == server);
        let here: HashSet<&str> = files().map(|file| &*file.name).collect();
        let mut named = HashSet::new();
        for index in files().filter(|file| file.file.name.kind == DataKind::Index) {
            let bytes = match read_file(view, index) {
                Ok(bytes) => bytes,
                Err(error @ DiskError::TimedOut { .. }) => return Err(error),
                // Told as damage of the file already.
                Err(_) => continue,
            };
            let (lines, damage) = read_index(&bytes, &session.info().sid);
            found.extend(damage.iter().map(|damage| in_file(index, damage)));
            for line in lines {
                let name = line.file_name.to_file_name();
                if !here.contains(name.as_str()) {
                    let offset_bytes = line_with(&bytes, &name);
                    let wound = Wound::FileMissing(name.clone());
                    found.push(in_file(index, &Damage::new(wound, offset_bytes)));
                }
                named.insert(name);
            }
        }
        for file in files() {
            let indexed = file.file.name.kind.index_type().is_some();
            if indexed && !named.contains(&*file.name) {
                found.push(in_file(file, &Damage::new(Wound::FileWithoutIndex, 0)));
            }
        }
    }
    Ok(())
}

/// Where the first line that holds `name` begins.
fn line_with(bytes: &[u8], name: &str) -> u64 {
    let at = memchr::memmem::find(bytes, name.as_bytes()).unwrap_or(0);
    let before = bytes.get(..at).unwrap_or_default();
    memchr::memrchr(b'\n', before).map_or(0, |newline| newline as u64 + 1)
}

fn read_file(view: &View, file: &SessionFile) -> Result<Vec<u8>, DiskError> {
    let contents = view.dir().contents(&file.path, file.stat)?;
    let len = contents.len_bytes().min(INDEX_MAX_BYTES);
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    let got = contents.read_at(&mut bytes, 0)?;
    bytes.truncate(got);
    Ok(bytes)
}

fn in_file(file: &SessionFile, damage: &Damage) -> Finding {
    Finding {
        server: file.server.to_string(),
        file: file.name.to_string(),
        path: file.path.clone(),
        ..Finding::of_wound(&damage.wound, damage.offset_bytes)
    }
}
