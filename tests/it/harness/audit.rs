//! An audit directory made to measure, in a temporary directory of its own.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::recorder::Recorder;

/// Three auth servers, in the order of their IDs.
pub const A: &str = "0a11ce00-0000-4000-8000-00000000000a";
/// See [`A`].
pub const B: &str = "0b0b0000-0000-4000-8000-00000000000b";
/// See [`A`].
pub const C: &str = "0ca20100-0000-4000-8000-00000000000c";

/// See the module text.
pub struct Audit {
    dir: tempfile::TempDir,
}

impl Audit {
    /// An empty one.
    pub fn new() -> Self {
        Audit {
            dir: tempfile::Builder::new().prefix("audit").tempdir().unwrap(),
        }
    }

    /// One that `auditfs generate` fills.
    pub fn generated(args: &[&str]) -> Self {
        let audit = Audit::new();
        let mut all = vec!["generate", audit.path().to_str().unwrap()];
        all.extend(args);
        super::auditfs(&all).ok();
        audit
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A path in it.
    pub fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// Writes a whole file, with the directories it needs.
    pub fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.at(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// Appends to a file in one write, as a server does.
    pub fn append(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.at(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.unwrap().write_all(bytes.as_ref()).unwrap();
    }

    /// Appends lines to a server's daily log of `day`, named as Teleport names it.
    pub fn daily(&self, server: &str, day: &str, lines: impl AsRef<[u8]>) {
        self.append(&format!("{server}/{day}.00:00:00.log"), lines);
    }

    /// Records a session of the namespace `default`.
    pub fn record(&self, sid: &str) -> Recorder {
        self.record_in("default", sid)
    }

    /// Records a session.
    pub fn record_in(&self, namespace: &str, sid: &str) -> Recorder {
        Recorder::new(self.path(), namespace, sid)
    }
}
