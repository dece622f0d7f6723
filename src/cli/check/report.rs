//! What `auditfs check` prints: each wound with its place, and at the end what was read and how much was wrong.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cli::Outcome;
use crate::format::Wound;

/// Time between two lines of progress on a terminal.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// One wound and where it is. Fields that do not apply are empty.
#[derive(Clone, Debug, Default)]
pub struct Finding {
    /// Server ID, `upload`, or nothing for the root of the audit directory.
    pub server: String,
    /// File name.
    pub file: String,
    /// Path inside the audit directory.
    pub path: String,
    /// `<namespace>/<sid>`.
    pub session: String,
    /// Byte offset: in the file as on disk, or in the stream where no file is named.
    pub offset_bytes: u64,
    /// A short stable word.
    pub kind: &'static str,
    /// One sentence.
    pub reason: String,
    /// Whether it happens in healthy directories and loses nothing.
    pub is_normal: bool,
}

impl Finding {
    /// A wound whose place the caller fills in.
    pub fn of_wound(wound: &Wound, offset_bytes: u64) -> Finding {
        Finding {
            offset_bytes,
            kind: wound.kind(),
            reason: wound.to_string(),
            is_normal: wound.is_normal(),
            ..Finding::default()
        }
    }

    fn to_text(&self) -> String {
        let (offset, reason) = (self.offset_bytes, &self.reason);
        match (self.path.as_str(), self.session.as_str()) {
            ("", "") => reason.clone(),
            ("", session) => format!("session {session}: {reason}"),
            (path, _) => format!("{path}: at byte {offset}: {reason}"),
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "server": self.server, "file": self.file, "path": self.path, "session": self.session,
            "offset": self.offset_bytes, "kind": self.kind, "reason": self.reason, "normal": self.is_normal,
        })
    }
}

/// What has been read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Daily logs.
    pub daily_logs: u64,
    /// Merged days.
    pub days: u64,
    /// Sessions.
    pub sessions: u64,
    /// Bytes of merged days, streams and session events.
    pub merged_bytes: u64,
}

/// Collects and prints. See the module text.
#[derive(Debug)]
pub struct Report {
    /// What has been read so far.
    pub counts: Counts,
    as_json: bool,
    verbose: bool,
    on_terminal: bool,
    shown: Option<Instant>,
    wounds: u64,
    normal: u64,
    kinds: BTreeMap<&'static str, u64>,
}

impl Report {
    /// Nothing is found yet.
    pub fn new(as_json: bool, verbose: bool) -> Self {
        Report {
            counts: Counts::default(),
            as_json,
            verbose,
            on_terminal: std::io::stderr().is_terminal(),
            shown: None,
            wounds: 0,
            normal: 0,
            kinds: BTreeMap::new(),
        }
    }

    /// Prints a finding, or counts it where it is normal and nobody asked for those.
    ///
    /// # Errors
    /// Of standard output.
    pub fn found(&mut self, finding: Finding) -> std::io::Result<()> {
        *self.kinds.entry(finding.kind).or_default() += 1;
        if finding.is_normal {
            self.normal += 1;
        } else {
            self.wounds += 1;
        }
        if finding.is_normal && !self.verbose {
            return Ok(());
        }
        self.clear_progress();
        let mut out = std::io::stdout().lock();
        if self.as_json {
            writeln!(out, "{}", finding.to_json())
        } else {
            writeln!(out, "{}", finding.to_text())
        }
    }

    /// Says on a terminal how far it is; `what` is done `done` of `total`.
    pub fn progress(&mut self, what: &str, done: usize, total: usize) {
        let soon = self.shown.is_some_and(|at| at.elapsed() < PROGRESS_EVERY);
        if !self.on_terminal || soon {
            return;
        }
        let (mib, wounds) = (self.counts.merged_bytes >> 20, self.wounds);
        eprint!("\r\x1b[K{what} {done} of {total}, {mib} MiB read, {wounds} wounds");
        self.shown = Some(Instant::now());
    }

    fn clear_progress(&mut self) {
        if self.shown.take().is_some() {
            eprint!("\r\x1b[K");
        }
    }

    /// Prints the summary.
    ///
    /// # Errors
    /// Of standard output.
    pub fn finish(mut self) -> anyhow::Result<Outcome> {
        self.clear_progress();
        let Counts {
            daily_logs,
            days,
            sessions,
            merged_bytes,
        } = self.counts;
        let (wounds, normal) = (self.wounds, self.normal);
        let mut out = std::io::stdout().lock();
        if self.as_json {
            let summary = json!({"summary": {
                "daily_logs": daily_logs, "days": days, "sessions": sessions, "merged_bytes": merged_bytes,
                "wounds": wounds, "normal": normal, "kinds": self.kinds,
            }});
            writeln!(out, "{summary}")?;
        } else {
            writeln!(
                out,
                "read {daily_logs} daily logs as {days} days, and {sessions} sessions: {merged_bytes} merged bytes"
            )?;
            let more = if normal > 0 && !self.verbose {
                " (--verbose lists those)"
            } else {
                ""
            };
            writeln!(
                out,
                "{wounds} wounds, and {normal} that healthy directories have too{more}"
            )?;
        }
        out.flush()?;
        Ok(if wounds > 0 {
            Outcome::Damage
        } else {
            Outcome::Clean
        })
    }
}
