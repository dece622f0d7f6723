//! summary.json of a session: who, when, where, how much, and what of it can be trusted.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::disk::DiskError;
use crate::event::{EventFields, EventTime, field_name};

use super::session::Session;

/// Entries of each list in the summary; what is beyond is counted.
const LISTED_MAX: usize = 200;

/// The text of summary.json, with a newline. Reads the whole session where copies overlap.
///
/// # Errors
/// Of the share.
pub fn summary(session: &Session) -> Result<String, DiskError> {
    let (facts, stream, events) = (session.facts()?, session.stream()?, session.events()?);
    let (conflicts, conflicts_count) = stream.conflicts()?;
    let damage = session.damage()?;
    let growing = session.is_growing()?;
    let start = facts
        .start_line
        .as_ref()
        .and_then(|line| EventFields::from_json(line).ok())
        .unwrap_or_default();
    let mut out = Map::new();
    out.insert("sid".into(), json!(session.info().sid.as_ref()));
    out.insert("namespace".into(), json!(session.info().namespace.as_ref()));
    let state = match (growing, facts.has_end || session.is_completed()) {
        (true, _) => "running",
        (false, true) => "ended",
        (false, false) => "idle",
    };
    out.insert("state".into(), json!(state));
    for (key, field) in [
        ("user", field_name::USER),
        ("login", field_name::LOGIN),
        ("server_id", field_name::SERVER_ID),
        ("addr_local", field_name::ADDR_LOCAL),
        ("addr_remote", field_name::ADDR_REMOTE),
        ("terminal_size", field_name::SIZE),
    ] {
        out.insert(key.into(), start.get(field).cloned().unwrap_or(Value::Null));
    }
    out.insert("participants".into(), json!(facts.users));
    out.insert("started".into(), time(facts.first_time));
    out.insert("ended".into(), time(facts.ended));
    out.insert("last_event".into(), time(facts.last_time));
    out.insert("recorded_ms".into(), json!(facts.last_ms));
    out.insert("stream_bytes".into(), json!(stream.len_bytes()));
    out.insert("events_bytes".into(), json!(events.len_bytes()));
    out.insert("print_events".into(), json!(facts.prints));
    out.insert("servers".into(), servers(session));
    let merged = events.merged();
    let gaps: Vec<Value> = stream
        .gaps()
        .iter()
        .take(LISTED_MAX)
        .map(|g| json!({"offset": g.start, "bytes": g.end - g.start}))
        .collect();
    let missing: Vec<Value> = merged
        .gaps
        .iter()
        .take(LISTED_MAX)
        .map(|gap| json!({"ei": gap.start, "count": gap.end.saturating_sub(gap.start)}))
        .collect();
    let differing: Vec<Value> = conflicts
        .iter()
        .take(LISTED_MAX)
        .map(|c| {
            let place = |(server, file): &(std::sync::Arc<str>, std::sync::Arc<str>)| json!({"server": &**server, "file": &**file});
            json!({"offset": c.range.start, "bytes": c.range.end - c.range.start, "shown": place(&c.shown), "hidden": place(&c.hidden)})
        })
        .collect();
    let wounds: Vec<Value> = damage
        .iter()
        .take(LISTED_MAX)
        .map(|(file, damage)| {
            json!({
                "server": &*file.server, "file": &*file.name, "offset": damage.offset_bytes,
                "what": damage.wound.to_string(), "normal": damage.wound.is_normal(),
            })
        })
        .collect();
    let whole = stream.gaps().is_empty()
        && conflicts_count == 0
        && merged.conflicts == 0
        && damage.iter().all(|(_, damage)| damage.wound.is_normal());
    out.insert(
        "completeness".into(),
        json!({
            "complete": whole && !growing,
            "gaps": gaps,
            "gaps_count": stream.gaps().len(),
            "missing_events": missing,
            "conflicts": differing,
            "conflicts_count": conflicts_count,
            "event_conflicts": merged.conflicts,
            "duplicate_events": merged.duplicates,
            "duplicate_stream_bytes": stream.doubled_bytes(),
            "damage": wounds,
            "damage_count": damage.len(),
            "held_back_bytes": stream.end() - stream.len_bytes(),
        }),
    );
    let mut text = serde_json::to_string_pretty(&Value::Object(out)).unwrap_or_default();
    text.push('\n');
    Ok(text)
}

fn servers(session: &Session) -> Value {
    let mut servers: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for file in session.files() {
        let (files, bytes) = servers.entry(&file.server).or_default();
        *files += 1;
        *bytes += file.stat.size;
    }
    let listed = servers.into_iter().map(|(server, (files, bytes))| json!({"server": server, "files": files, "bytes_on_disk": bytes}));
    Value::Array(listed.collect())
}

fn time(time: Option<EventTime>) -> Value {
    time.map_or(Value::Null, |time| Value::String(time.to_rfc3339()))
}
