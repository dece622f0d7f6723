//! What the catalog holds: names of sessions in one block of text, numbers for everything else.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::event::{Namespace, SessionId};
use crate::format::DataKind;

use super::catalog::{DailyFile, SessionNo};
use super::folder::{Folder, FolderNo};
use super::own_names::OwnNames;
use super::table::Table;

#[derive(Debug, Default)]
pub(super) struct State {
    pub folders: Vec<Folder>,
    pub tables: Vec<Arc<Table>>,
    pub namespaces: Vec<(Namespace, NamespaceState)>,
    pub sessions: Vec<SessionEntry>,
    pub names: Vec<u8>,
    pub by_hash: HashMap<u64, SessionNo>,
    pub daily: BTreeMap<String, Vec<DailyFile>>,
    pub changed: Vec<SessionNo>,
    /// When the sessions with an end mark in a folder last changed.
    pub completed_changed_ns: HashMap<FolderNo, i64>,
    /// What no listing has told yet.
    pub own: OwnNames,
    pub refreshed: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct NamespaceState {
    pub live: usize,
    /// Shown though it may have no sessions.
    pub made: bool,
    pub changed_ns: i64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct SessionEntry {
    pub name_at: u32,
    pub name_len: u8,
    pub namespace: u8,
    /// Folders that hold files of it other than `.completed`; 0: gone.
    pub folders: u16,
}

impl State {
    pub fn name(&self, entry: &SessionEntry) -> &str {
        let at = entry.name_at as usize;
        let bytes = self
            .names
            .get(at..at + usize::from(entry.name_len))
            .unwrap_or(&[]);
        std::str::from_utf8(bytes).unwrap_or("")
    }

    /// Up to `most` sessions of a namespace from number `from` on, and the number to go on at.
    pub fn listed(
        &self,
        namespace: &Namespace,
        from: u32,
        most: usize,
    ) -> (Vec<(SessionNo, String)>, u32) {
        let Some(wanted) = self.namespaces.iter().position(|(ns, _)| ns == namespace) else {
            return (Vec::new(), from);
        };
        let mut portion = Vec::new();
        let mut next = from;
        for entry in self.sessions.get(from as usize..).unwrap_or(&[]) {
            if portion.len() == most {
                break;
            }
            if entry.folders > 0 && usize::from(entry.namespace) == wanted {
                portion.push((SessionNo(next), self.name(entry).to_owned()));
            }
            next += 1;
        }
        (portion, next)
    }

    /// The number of the folder, a new one if it is not known. `None` when there are 65,535 already.
    pub fn folder_no(&mut self, folder: &Folder) -> Option<FolderNo> {
        if let Some(at) = self.folders.iter().position(|known| known == folder) {
            return Some(FolderNo(at as u16));
        }
        let no = u16::try_from(self.folders.len()).ok()?;
        self.folders.push(folder.clone());
        self.tables.push(Arc::default());
        Some(FolderNo(no))
    }

    /// The number of the namespace, a new one if it is not known. `None` when there are 255 already.
    pub fn namespace_no(&mut self, namespace: &Namespace) -> Option<u8> {
        if let Some(at) = self
            .namespaces
            .iter()
            .position(|(known, _)| known == namespace)
        {
            return Some(at as u8);
        }
        let no = u8::try_from(self.namespaces.len())
            .ok()
            .filter(|no| *no < u8::MAX)?;
        self.namespaces
            .push((namespace.clone(), NamespaceState::default()));
        Some(no)
    }

    /// The number of a session, a new one if its name is not known. `None` for a hash collision or a full catalog.
    pub fn session_no(&mut self, namespace: u8, sid: &SessionId, hash: u64) -> Option<SessionNo> {
        if let Some(no) = self.by_hash.get(&hash).copied() {
            let entry = self.sessions.get(no.0 as usize)?;
            let same = self.name(entry) == sid.as_ref() && entry.namespace == namespace;
            return same.then_some(no);
        }
        let no = SessionNo(u32::try_from(self.sessions.len()).ok()?);
        let name_at = u32::try_from(self.names.len()).ok()?;
        let name_len = u8::try_from(sid.as_ref().len()).ok()?;
        self.names.extend_from_slice(sid.as_ref().as_bytes());
        self.sessions.push(SessionEntry {
            name_at,
            name_len,
            namespace,
            folders: 0,
        });
        self.by_hash.insert(hash, no);
        Some(no)
    }

    /// Replaces what a folder holds by a complete fresh listing, which began when [`OwnNames::seq`] was `seq`.
    pub fn replace_table(
        &mut self,
        no: FolderNo,
        listing: Vec<(SessionNo, DataKind, bool, u64)>,
        mtime_ns: i64,
        seq: u64,
    ) {
        let table = Arc::new(Table::pack(listing));
        let Some(slot) = self.tables.get_mut(usize::from(no.0)) else {
            return;
        };
        let old = std::mem::replace(slot, table.clone());
        if old.sessions().next().is_some() {
            self.changed.extend(table.changed_since(&old));
        }
        if old.completed() != table.completed() {
            self.completed_changed(no, mtime_ns);
        }
        for session in table.sessions() {
            self.count(session, true, mtime_ns);
            if self.own.has_files(session) {
                self.count(session, false, mtime_ns);
            }
        }
        let told = self.own.listed(no, seq);
        for session in old.sessions().chain(told) {
            self.count(session, false, mtime_ns);
        }
    }

    /// Replaces the daily logs found in one directory.
    pub fn replace_daily(&mut self, dir: &str, files: Vec<DailyFile>) {
        if files.is_empty() {
            self.daily.remove(dir);
        } else {
            self.daily.insert(dir.to_owned(), files);
        }
    }

    /// Directories whose folders or daily logs are known, for finding those that are gone.
    pub fn known_dirs(&self) -> Vec<String> {
        let mut dirs: Vec<String> = self
            .folders
            .iter()
            .map(|folder| folder.path.clone())
            .collect();
        dirs.extend(self.daily.keys().cloned());
        dirs
    }

    /// Empties everything known of a directory that a complete listing no longer has.
    pub fn remove_dir(&mut self, dir: &str, mtime_ns: i64, seq: u64) {
        self.daily.remove(dir);
        for at in 0..self.folders.len() {
            if self
                .folders
                .get(at)
                .is_some_and(|folder| folder.path == dir)
            {
                self.replace_table(FolderNo(at as u16), Vec::new(), mtime_ns, seq);
            }
        }
    }

    /// A folder more, or less, has files of the session.
    pub fn count(&mut self, session: SessionNo, up: bool, mtime_ns: i64) {
        let Some(entry) = self.sessions.get_mut(session.0 as usize) else {
            return;
        };
        let before = entry.folders;
        entry.folders = if up {
            before.saturating_add(1)
        } else {
            before.saturating_sub(1)
        };
        let (appeared, vanished) = (before == 0, entry.folders == 0);
        if let Some((_, ns)) = self.namespaces.get_mut(usize::from(entry.namespace)) {
            if up && appeared {
                ns.live += 1;
            } else if !up && vanished {
                ns.live -= 1;
            } else {
                return;
            }
            ns.changed_ns = mtime_ns.max(ns.changed_ns + 1);
        }
    }
}
