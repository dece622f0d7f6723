//! SearchSessionEvents: which sessions began and ended, each end with its start.

use std::collections::{HashMap, HashSet};

use crate::disk::DiskError;
use crate::event::{
    EventFields, EventName, Namespace, TimeAndIndex, field_name, sort_by_time_and_index,
};
use crate::reader::{AuditDir, Days, Sessions};

use super::event_of_line::event_of_line;
use super::events::search_events;
use super::query::Query;
use super::request::{ANSWER_BYTES_MAX, Request};
use super::search_error::SearchError;

/// The `session.start` and `session.end` events in the range of `request`, whose query is not looked at, newest first and
/// at most `request.limit()` of them. An end whose start lies before the range, or beyond the limit, is paired: the
/// session itself is opened at `now_ns` and its start is added to the answer, in its place by time. The limit counts added
/// starts too, pair by pair from the newest on, so that only the last pair of a full answer may lack its start. An end
/// whose start no file holds any more is given alone. (The original drops every such end, FORMAT 5.7.)
///
/// # Errors
/// As [`search_events`]; [`SearchError::AnswerTooLong`].
pub fn search_session_events(
    dir: &AuditDir,
    days: &Days,
    sessions: &Sessions,
    request: &Request,
    now_ns: i64,
) -> Result<Vec<EventFields>, SearchError> {
    let query = Query::of_events(&[
        EventName::SessionStart.as_str(),
        EventName::SessionEnd.as_str(),
    ]);
    let request = request.with_query(query);
    let mut in_range = Vec::new();
    for line in search_events(days, &request)?.all_lines()? {
        in_range.push(event_of_line(&line));
    }
    let mut bytes = 0_usize;
    let added = |event: &EventFields| -> Result<Option<EventFields>, SearchError> {
        let start = start_of_session(dir, sessions, event, now_ns)?;
        bytes += start.as_ref().map_or(0, Vec::len);
        if bytes > ANSWER_BYTES_MAX {
            return Err(SearchError::AnswerTooLong);
        }
        Ok(start.map(|line| event_of_line(&line)))
    };
    let mut answer = pair(in_range, request.limit(), added)?;
    sort_by_time_and_index(&mut answer, TimeAndIndex::of);
    answer.reverse();
    Ok(answer)
}

/// Cuts `events`, which are newest first, to `limit` of them, starts included that only `find_start` knows.
fn pair(
    events: Vec<EventFields>,
    limit: usize,
    mut find_start: impl FnMut(&EventFields) -> Result<Option<EventFields>, SearchError>,
) -> Result<Vec<EventFields>, SearchError> {
    // Of a start recorded twice the older one counts.
    let mut starts: HashMap<(Namespace, String), usize> = HashMap::new();
    for (number, event) in events
        .iter()
        .enumerate()
        .filter(|(_, event)| is(event, EventName::SessionStart))
    {
        starts.insert(session_of(event), number);
    }
    let mut taken: HashSet<usize> = HashSet::new();
    let mut found: HashMap<(Namespace, String), Option<EventFields>> = HashMap::new();
    let mut added = Vec::new();
    for (number, event) in events.iter().enumerate() {
        if taken.len() + added.len() >= limit {
            break;
        }
        taken.insert(number);
        if !is(event, EventName::SessionEnd) || taken.len() + added.len() >= limit {
            continue;
        }
        match starts.get(&session_of(event)) {
            Some(start) => {
                taken.insert(*start);
            }
            None if found.contains_key(&session_of(event)) => {}
            None => {
                let start = find_start(event)?;
                added.extend(start.clone());
                found.insert(session_of(event), start);
            }
        }
    }
    let in_range = events
        .into_iter()
        .enumerate()
        .filter(|(number, _)| taken.contains(number))
        .map(|(_, event)| event);
    Ok(in_range.chain(added).collect())
}

fn is(event: &EventFields, name: EventName) -> bool {
    event.get_type() == name.as_str()
}

/// An event without a namespace, or with one that cannot be, is of the default one.
fn session_of(event: &EventFields) -> (Namespace, String) {
    let namespace = Namespace::new(event.get_string(field_name::NAMESPACE)).unwrap_or_default();
    (namespace, event.get_string(field_name::SID).to_owned())
}

/// The `session.start` line in the session's own events files.
fn start_of_session(
    dir: &AuditDir,
    sessions: &Sessions,
    end: &EventFields,
    now_ns: i64,
) -> Result<Option<Vec<u8>>, DiskError> {
    let (namespace, sid) = session_of(end);
    let Some(no) = dir.catalog().find(&namespace, &sid) else {
        return Ok(None);
    };
    match sessions.open(no, now_ns)? {
        Some(session) => Ok(session.facts()?.start_line),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `e1` is the end of session 1, `s1` its start; a start of the sessions in `elsewhere` can be looked up.
    #[track_caller]
    fn check(events: &str, limit: usize, elsewhere: &str, expected: &str) {
        let event = |brief: &str| {
            let (name, sid) = brief.split_at(1);
            let name = if name == "e" {
                EventName::SessionEnd
            } else {
                EventName::SessionStart
            };
            let mut event = EventFields::new();
            event.set(field_name::EVENT, name.as_str());
            event.set(field_name::SID, sid);
            event
        };
        let events = events.split_whitespace().map(event).collect();
        let find = |end: &EventFields| {
            let sid = end.get_string(field_name::SID);
            Ok(elsewhere.contains(sid).then(|| event(&format!("s{sid}"))))
        };
        let brief = |event: &EventFields| {
            let name = if is(event, EventName::SessionEnd) {
                "e"
            } else {
                "s"
            };
            format!("{name}{}", event.get_string(field_name::SID))
        };
        let found: Vec<String> = pair(events, limit, find)
            .unwrap()
            .iter()
            .map(brief)
            .collect();
        assert_eq!(found.join(" "), expected);
    }

    #[test]
    fn pairs_in_range_are_given_as_they_are() {
        check("e2 e1 s2 s1", 9, "", "e2 e1 s2 s1");
        check("s2 s1", 9, "12", "s2 s1");
    }

    #[test]
    fn a_start_before_the_range_is_looked_up() {
        check("e2 e1 s1", 9, "2", "e2 e1 s1 s2");
        check("e1 e1", 9, "1", "e1 e1 s1");
    }

    #[test]
    fn an_end_without_start_is_not_dropped() {
        check("e2 e1 s1", 9, "", "e2 e1 s1");
    }

    #[test]
    fn the_limit_counts_pairs_from_the_newest_on() {
        check("e2 e1 s2 s1", 2, "", "e2 s2");
        check("e2 e1 s2 s1", 3, "", "e2 e1 s2");
        check("e3 e2 e1", 4, "123", "e3 e2 s3 s2");
        check("e1 s1", 1, "", "e1");
    }
}
