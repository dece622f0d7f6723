//! The audit directories written by real releases, for the tests of this layer.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

/// The fixture directory: `AUDITFS_FIXTURES`, or `../shared/fixtures` from the project's root; `None` if it is not there.
fn fixtures() -> Option<PathBuf> {
    let named = std::env::var_os("AUDITFS_FIXTURES").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures");
    named.or(Some(beside)).filter(|dir| dir.is_dir())
}

/// Calls `act` with every file of every fixture's `audit` directory. False if there are no fixtures.
pub(super) fn each_fixture_file(act: &mut dyn FnMut(&Path)) -> bool {
    let Some(dir) = fixtures() else {
        eprintln!("SKIPPED: fixtures: no ../shared/fixtures, and AUDITFS_FIXTURES names none");
        return false;
    };
    for case in std::fs::read_dir(dir).unwrap() {
        let audit = case.unwrap().path().join("audit");
        if audit.is_dir() {
            each_file(&audit, act);
        }
    }
    true
}

fn each_file(dir: &Path, act: &mut dyn FnMut(&Path)) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => each_file(&path, act),
            false => act(&path),
        }
    }
}
