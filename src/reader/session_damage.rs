//! What of a session's files could not be trusted.

use crate::disk::DiskError;
use crate::format::{Damage, DataKind, Wound};

use super::session::Session;
use super::session_file::{SessionFile, group_of};

impl Session {
    /// What could not be trusted, by server and file.
    ///
    /// # Errors
    /// Of the share, but for files that cannot be opened: those are damage.
    pub fn damage(&self) -> Result<Vec<(SessionFile, Damage)>, DiskError> {
        let mut found = Vec::new();
        for file in self.files() {
            let kind = file.file.name.kind;
            if kind == DataKind::Completed {
                continue;
            }
            match self.contents(file) {
                Ok(contents) => found.extend(
                    contents
                        .damage()
                        .into_iter()
                        .map(|damage| (file.clone(), damage)),
                ),
                Err(error) => {
                    let wound = Wound::Unreadable(error.to_string());
                    found.push((
                        file.clone(),
                        Damage {
                            wound,
                            offset_bytes: 0,
                        },
                    ));
                    continue;
                }
            }
            if group_of(kind).is_some() {
                let scan = self.scan(file)?;
                let (damage, _) = scan.damage();
                found.extend(damage.into_iter().map(|damage| (file.clone(), damage)));
                if scan.whole() < scan.contents().len_bytes() {
                    found.push((
                        file.clone(),
                        Damage {
                            wound: Wound::TornLine,
                            offset_bytes: scan.whole(),
                        },
                    ));
                }
            }
        }
        Ok(found)
    }
}
