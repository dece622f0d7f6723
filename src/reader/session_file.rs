//! One file of a session: where it lies, what its name says, how it is.

use std::sync::Arc;

use crate::disk::{FileRef, FileStat};
use crate::format::DataKind;

/// One file of a session.
#[derive(Clone, Debug)]
pub struct SessionFile {
    /// What its name says.
    pub file: FileRef,
    /// Path inside the audit directory.
    pub path: String,
    /// Whose file it is.
    pub server: Arc<str>,
    /// Whether it lies under `upload/`.
    pub in_upload: bool,
    /// Its name.
    pub name: Arc<str>,
    /// Its attributes.
    pub stat: FileStat,
}

/// The kind of the events of each group, see [`group_of`].
pub const GROUP_KINDS: [DataKind; 4] = [
    DataKind::Events,
    DataKind::CommandEvents,
    DataKind::DiskEvents,
    DataKind::NetworkEvents,
];

/// 0 for main events, another number for each kind of enhanced events, none for other files.
pub fn group_of(kind: DataKind) -> Option<usize> {
    match kind {
        DataKind::Events | DataKind::LegacyLog => Some(0),
        DataKind::CommandEvents => Some(1),
        DataKind::DiskEvents => Some(2),
        DataKind::NetworkEvents => Some(3),
        DataKind::Index | DataKind::Chunks | DataKind::Completed | DataKind::LegacyBytes => None,
    }
}
