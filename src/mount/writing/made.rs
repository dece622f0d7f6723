//! Sessions that were made and have no file yet: noted in the state directory, so that they outlive the worker.
//!
//! One line each, `<nanoseconds since 1970> <namespace> <session ID>`. Those that nobody has written into for a day are
//! forgotten when a worker begins.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::event::{Namespace, SessionId};
use crate::view::View;

const FILE: &str = "made-sessions";
/// Some 100,000 sessions.
const MAX_BYTES: u64 = 8 << 20;
const KEPT_NS: i64 = 24 * 3600 * 1_000_000_000;

/// See the module text.
#[derive(Debug)]
pub struct MadeList(Mutex<Option<File>>);

impl MadeList {
    /// Shows in `view` what earlier workers noted and what is still without a file.
    pub fn open(state_dir: &Path, view: &View, now_ns: i64) -> Self {
        let path = state_dir.join(FILE);
        let mut text = String::new();
        if let Ok(file) = File::open(&path)
            && let Err(error) = file.take(MAX_BYTES).read_to_string(&mut text)
        {
            tracing::warn!(path = %path.display(), %error, "sessions without a file are forgotten");
        }
        let mut kept = String::new();
        for line in text.lines() {
            if let Some((made_ns, namespace, sid)) = read(line)
                && (0..KEPT_NS).contains(&now_ns.saturating_sub(made_ns))
                && show(view, &namespace, &sid, made_ns)
            {
                kept.push_str(line);
                kept.push('\n');
            }
        }
        let begin = || {
            // Whole or not at all: a worker may die here too.
            let fresh = path.with_extension("new");
            std::fs::write(&fresh, &kept)?;
            std::fs::rename(&fresh, &path)?;
            File::options().append(true).open(&path)
        };
        let file = begin().inspect_err(|error| {
            tracing::warn!(path = %path.display(), %error, "sessions that are made are forgotten with the worker");
        });
        MadeList(Mutex::new(file.ok()))
    }

    /// Notes one.
    pub fn add(&self, namespace: &Namespace, sid: &SessionId, now_ns: i64) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &mut *file
            && let Err(error) = file.write_all(format!("{now_ns} {namespace} {sid}\n").as_bytes())
        {
            tracing::warn!(%sid, %error, "this session is forgotten with the worker if nothing is written into it");
        }
    }
}

fn read(line: &str) -> Option<(i64, Namespace, SessionId)> {
    let mut words = line.split(' ');
    let made_ns = words.next()?.parse().ok()?;
    let namespace = Namespace::new(words.next()?).ok()?;
    let sid = SessionId::new(words.next()?).ok()?;
    (sid.is_uuid() && words.next().is_none()).then_some((made_ns, namespace, sid))
}

/// Whether it is still without a file.
fn show(view: &View, namespace: &Namespace, sid: &SessionId, made_ns: i64) -> bool {
    // It may be there already: then nothing is to be done.
    let _ = view.make_namespace(namespace, made_ns);
    view.make_session(namespace, sid, made_ns).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_a_session_or_nothing() {
        let sid = "74a5fc01-4d00-11e8-aee2-0242ac0a0001";
        assert!(read(&format!("5 default {sid}")).is_some());
        for line in [
            "",
            "5",
            "5 default",
            "5 default 100",
            "x default 1",
            "5 ../x 1",
        ] {
            assert!(read(line).is_none(), "{line}");
        }
        assert!(read(&format!("5 default {sid} x")).is_none());
    }
}
