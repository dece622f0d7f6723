//! A directory of the share that may hold session files, and whose they are.
//!
//! FORMAT "Seed document in short": real versions write `<server>/sessions/<namespace>/`; the seed document also shows
//! `<server>/` and `sessions/<server>/`. Before 2.5 all servers wrote `sessions/<namespace>/`. Recordings in progress
//! lie under `upload/sessions/<namespace>/`.

use std::fmt;

use crate::event::{Namespace, ServerId};
use crate::format::DataKind;

/// Whose files a directory holds.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Origin {
    /// The root of the audit directory, where all servers wrote before 2.5.
    Root,
    /// One auth server's folder.
    Server(ServerId),
    /// `upload/`: recordings that run, wait or were abandoned.
    Upload,
}

impl Origin {
    /// The server ID, `upload`, or nothing for the root.
    pub fn as_str(&self) -> &str {
        match self {
            Origin::Root => "",
            Origin::Server(id) => id.as_ref(),
            Origin::Upload => "upload",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Number of a folder; never used again for another path.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FolderNo(pub u16);

/// Which names count in a folder.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Accepts {
    /// Index, events, chunks, enhanced events, `.completed`.
    Recordings,
    /// `.session.log` and `.session.bytes` (before 2.5).
    Legacy,
}

impl Accepts {
    /// Whether a file of this kind counts.
    pub fn kind(self, kind: DataKind) -> bool {
        matches!(kind, DataKind::LegacyLog | DataKind::LegacyBytes) == (self == Accepts::Legacy)
    }
}

/// A directory that may hold session files.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Folder {
    /// Path inside the audit directory.
    pub path: String,
    /// Whose files.
    pub origin: Origin,
    /// The namespace of its sessions.
    pub namespace: Namespace,
    /// Which names count.
    pub accepts: Accepts,
}

impl Folder {
    /// Path of a file in it.
    pub fn file_path(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}/{name}", self.path)
        }
    }
}
