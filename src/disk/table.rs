//! The session files of one folder by name alone, at a few bytes a file.
//!
//! 100,000 sessions are 450,000 names. A table keeps, per session, a kind and a number for each file: the name is
//! put together again when it is needed (DESIGN 5).

use crate::event::SessionId;
use crate::format::{DataKind, SessionFileName};

use super::catalog::SessionNo;
use super::folder::FolderNo;

/// One session file: where it lies and what its name says.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct FileRef {
    /// The folder.
    pub folder: FolderNo,
    /// What the name says.
    pub name: SessionFileName,
}

/// All session files of one folder, as a complete listing found them.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Sorted: session, and where its files begin in `files`.
    sessions: Vec<(SessionNo, u32)>,
    /// (kind, gz, number in 1 to 10 bytes) of each file.
    files: Vec<u8>,
    /// How many sessions have an end mark, and a hash of which.
    completed: (usize, u64),
}

const KINDS: [DataKind; 9] = [
    DataKind::Index,
    DataKind::Events,
    DataKind::Chunks,
    DataKind::CommandEvents,
    DataKind::DiskEvents,
    DataKind::NetworkEvents,
    DataKind::Completed,
    DataKind::LegacyLog,
    DataKind::LegacyBytes,
];
const GZ: u8 = 0x80;

impl Table {
    /// Packs a listing: (session, kind, gz, number) of each file, in any order.
    pub fn pack(mut listing: Vec<(SessionNo, DataKind, bool, u64)>) -> Self {
        listing.sort_unstable_by_key(|(session, kind, gz, number)| {
            (*session, code(*kind), *gz, *number)
        });
        let mut table = Table::default();
        for (session, kind, gz, mut number) in listing {
            if table.sessions.last().map(|last| last.0) != Some(session) {
                // A folder with more than 4 GiB of packed names would need 500 million files; the listing ends there.
                let Ok(at) = u32::try_from(table.files.len()) else {
                    break;
                };
                table.sessions.push((session, at));
            }
            if kind == DataKind::Completed {
                table.completed.0 += 1;
                table.completed.1 = (table.completed.1 ^ u64::from(session.0))
                    .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                    .rotate_left(29);
            }
            table.files.push(code(kind) | if gz { GZ } else { 0 });
            while number >= 0x80 {
                table.files.push(number as u8 | 0x80);
                number >>= 7;
            }
            table.files.push(number as u8);
        }
        table.sessions.shrink_to_fit();
        table.files.shrink_to_fit();
        table
    }

    /// The sessions that have files here.
    pub fn sessions(&self) -> impl Iterator<Item = SessionNo> + '_ {
        self.sessions.iter().map(|(session, _)| *session)
    }

    /// How many sessions have an end mark here, and a hash of which they are.
    pub fn completed(&self) -> (usize, u64) {
        self.completed
    }

    /// The sessions from number `from` on that have an end mark here.
    pub fn completed_from(&self, from: SessionNo) -> impl Iterator<Item = SessionNo> + '_ {
        let first = self
            .sessions
            .partition_point(|(session, _)| *session < from);
        let sessions = self.sessions.get(first..).unwrap_or_default().iter();
        sessions
            .map(|(session, _)| *session)
            .filter(|session| each_tag(self.packed(*session)).any(|tag| tag == COMPLETED))
    }

    /// Sessions of this table that have other files in `before`, which is an older listing of the same folder.
    pub fn changed_since<'a>(&'a self, before: &'a Table) -> impl Iterator<Item = SessionNo> + 'a {
        self.sessions()
            .filter(|session| self.packed(*session) != before.packed(*session))
    }

    fn packed(&self, session: SessionNo) -> &[u8] {
        let Ok(at) = self.sessions.binary_search_by_key(&session, |(no, _)| *no) else {
            return &[];
        };
        let start = self
            .sessions
            .get(at)
            .map_or(0, |(_, start)| *start as usize);
        let end = self
            .sessions
            .get(at + 1)
            .map_or(self.files.len(), |(_, end)| *end as usize);
        self.files.get(start..end).unwrap_or(&[])
    }

    /// Adds the files of `session` to `out`.
    pub fn files_of(
        &self,
        session: SessionNo,
        folder: FolderNo,
        sid: &SessionId,
        out: &mut Vec<FileRef>,
    ) {
        let mut packed = self.packed(session).iter();
        while let Some(tag) = packed.next() {
            let (mut number, mut shift) = (0_u64, 0_u32);
            for byte in packed.by_ref() {
                number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
                shift += 7;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            let Some(kind) = KINDS.get(usize::from(tag & !GZ)).copied() else {
                break;
            };
            out.push(FileRef {
                folder,
                name: SessionFileName {
                    sid: sid.clone(),
                    kind,
                    number,
                    gz: tag & GZ != 0,
                },
            });
        }
    }
}

/// The code of [`DataKind::Completed`].
const COMPLETED: u8 = 6;

/// The kind and form of each file, from its packed bytes.
fn each_tag(packed: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let mut packed = packed.iter();
    std::iter::from_fn(move || {
        let tag = packed.next().copied();
        // Its number is passed over.
        let _ = packed.find(|byte| **byte & 0x80 == 0);
        tag
    })
}

fn code(kind: DataKind) -> u8 {
    KINDS.iter().position(|k| *k == kind).unwrap_or(0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back() {
        let sid: SessionId = "100".parse().expect("a plain name");
        let listing = vec![
            (SessionNo(7), DataKind::Chunks, true, u64::MAX),
            (SessionNo(3), DataKind::Index, false, 0),
            (SessionNo(7), DataKind::Events, true, 300),
            (SessionNo(7), DataKind::Completed, false, 0),
        ];
        let table = Table::pack(listing);
        let mut files = Vec::new();
        table.files_of(SessionNo(7), FolderNo(1), &sid, &mut files);
        let names: Vec<String> = files.iter().map(|f| f.name.to_file_name()).collect();
        assert_eq!(
            names,
            [
                "100-300.events.gz",
                "100-18446744073709551615.chunks.gz",
                "100.completed"
            ]
        );
        assert_eq!(
            KINDS.get(usize::from(COMPLETED)),
            Some(&DataKind::Completed)
        );
        assert_eq!(
            table.sessions().collect::<Vec<_>>(),
            [SessionNo(3), SessionNo(7)]
        );
        let completed: Vec<SessionNo> = table.completed_from(SessionNo(2)).collect();
        assert_eq!(
            (completed.as_slice(), table.completed().0),
            (&[SessionNo(7)][..], 1)
        );
    }
}
