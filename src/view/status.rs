//! `.auditfs/status.json`: how the mount and its source are, for people and for monitoring.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::event::EventTime;

use super::tree::View;

/// How long one text serves: stat and read then agree, nanoseconds.
const TEXT_NS: i64 = 1_000_000_000;

const ORPHAN: &str = "the keeper of the mount has ended: the mount will not outlive this process; auditfs umount, then mount again";

/// What the status needs to remember.
#[derive(Debug)]
pub struct Status {
    source: String,
    started_ns: i64,
    text: Mutex<Option<(i64, Arc<str>)>>,
    /// The process that holds the mount, where there is one; else 0.
    keeper_pid: AtomicU32,
    /// There was one.
    is_orphan: AtomicBool,
    passthrough: Mutex<PassthroughUse>,
}

/// Whether the kernel reads files of the spool itself.
#[derive(Clone, Debug)]
pub struct PassthroughUse {
    /// Why it does not; `None` where it does.
    pub refused: Option<String>,
    /// How often a day is open that way now.
    pub open: usize,
}

impl Status {
    pub(super) fn new(source: String, started_ns: i64) -> Self {
        Status {
            source,
            started_ns,
            text: Mutex::default(),
            keeper_pid: AtomicU32::new(0),
            is_orphan: AtomicBool::new(false),
            passthrough: Mutex::new(PassthroughUse {
                refused: Some("there is no mount".into()),
                open: 0,
            }),
        }
    }

    pub(super) fn started_ns(&self) -> i64 {
        self.started_ns
    }
}

impl View {
    /// The process that holds the mount while this one may come and go.
    pub fn is_kept_by(&self, keeper_pid: u32) {
        self.status.keeper_pid.store(keeper_pid, Ordering::Relaxed);
    }

    /// That process has ended, although the mount has not.
    pub fn lost_its_keeper(&self) {
        self.status.keeper_pid.store(0, Ordering::Relaxed);
        self.status.is_orphan.store(true, Ordering::Relaxed);
        tracing::error!("ALARM: {ORPHAN}");
    }

    /// Whether the kernel reads files of the spool itself, now.
    pub fn note_passthrough(&self, now: PassthroughUse) {
        let known = &self.status.passthrough;
        *known.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// The text of status.json; made anew at most once a second.
    pub fn status_text(&self, now_ns: i64) -> Arc<str> {
        self.made_status_text(now_ns).1
    }

    /// The text of status.json, and when it was made, nanoseconds since 1970.
    pub(super) fn made_status_text(&self, now_ns: i64) -> (i64, Arc<str>) {
        let mut known = self
            .status
            .text
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_good = |made_ns: i64| (0..TEXT_NS).contains(&now_ns.saturating_sub(made_ns));
        if let Some(made) = known.as_ref().filter(|(made_ns, _)| is_good(*made_ns)) {
            return made.clone();
        }
        let mut text = serde_json::to_string_pretty(&self.status_value(now_ns)).unwrap_or_default();
        text.push('\n');
        let text: Arc<str> = text.into();
        *known = Some((now_ns, text.clone()));
        (now_ns, text)
    }

    fn status_value(&self, now_ns: i64) -> Value {
        let cache = self.dir.cache().stats();
        let days = self.days.list();
        let growth = self.days.last_growth();
        let servers: Vec<Value> = self
            .dir
            .catalog()
            .servers()
            .into_iter()
            .map(|server| {
                let last = growth
                    .get(&server)
                    .map(|ns| EventTime::from_ns(*ns).to_rfc3339());
                json!({ "server": server.as_str(), "last_growth": last })
            })
            .collect();
        let late: BTreeMap<String, u64> = days
            .iter()
            .filter(|day| day.late() > 0)
            .map(|day| (day.day().to_string(), day.late()))
            .collect();
        let changed: BTreeMap<String, u64> = days
            .iter()
            .filter(|day| day.changed_sources() > 0)
            .map(|day| (day.day().to_string(), day.changed_sources()))
            .collect();
        let away: BTreeMap<String, u64> = self
            .dir
            .disk()
            .away()
            .into_iter()
            .map(|(folder, time)| (folder, time.as_secs()))
            .collect();
        let keeper_pid = self.status.keeper_pid.load(Ordering::Relaxed);
        let is_orphan = self.status.is_orphan.load(Ordering::Relaxed);
        let mut alarms = self.days.alarms();
        alarms.extend(is_orphan.then(|| ORPHAN.to_owned()));
        let passthrough = &self.status.passthrough;
        let passthrough = passthrough
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "keeper_pid": (keeper_pid != 0).then_some(keeper_pid),
            "source": self.status.source,
            "started": EventTime::from_ns(self.status.started_ns).to_rfc3339(),
            "time": EventTime::from_ns(now_ns).to_rfc3339(),
            "servers": servers,
            "sessions": self.dir.catalog().sessions_count(),
            "namespaces": self.dir.catalog().namespaces().iter().map(ToString::to_string).collect::<Vec<_>>(),
            "days": days.len(),
            "late_records": late,
            "changed_sources": changed,
            "spool": {
                "id": format!("{:016x}", self.dir.limits().hash_seed),
                "days": days.iter().filter(|day| day.is_spooled()).count(),
                "bytes": self.days.spool_bytes(),
            },
            "passthrough": {
                "used": passthrough.refused.is_none(), "reason": passthrough.refused, "open": passthrough.open,
            },
            "away": away,
            "alarms": alarms,
            "cache": {
                "hits": cache.hits, "misses": cache.misses, "entries": cache.entries,
                "memory_bytes": cache.memory_bytes, "memory_limit_bytes": self.dir.limits().cache_bytes,
                "unpacked_bytes": cache.disk_bytes, "unpacked_limit_bytes": self.dir.limits().unpack_bytes,
            },
            "errors": *self.errors.lock().unwrap_or_else(PoisonError::into_inner),
        })
    }
}
