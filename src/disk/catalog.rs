//! The catalog: which sessions and daily logs the share holds, by names alone.
//!
//! Listing 100,000 sessions opens no file. A session gets a number when its name is first seen and keeps it; numbers
//! order the directory listing, so a listing that goes on while sessions appear neither doubles nor misses one.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use crate::event::{Day, Namespace, SessionId};
use crate::format::DataKind;

use super::folder::{Folder, FolderNo, Origin};
use super::lanes::Disk;
use super::scan::{self, Scanner};
use super::table::{FileRef, Table};

/// Sessions copied out of the catalog at a time for a listing.
const LISTED_AT_A_TIME: usize = 256;

/// Number of a session; never used again for another one.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SessionNo(pub u32);

/// What the catalog knows of a session without looking into it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SessionInfo {
    /// Its ID.
    pub sid: SessionId,
    /// Its namespace.
    pub namespace: Namespace,
    /// Hash of both; the view makes inode numbers of it.
    pub hash: u64,
}

/// A daily log.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct DailyFile {
    /// Whose log.
    pub origin: Origin,
    /// File name.
    pub name: String,
    /// Path inside the audit directory.
    pub path: String,
    /// The date in the name.
    pub named_day: Day,
    /// Whether the name ends in `.gz`.
    pub gz: bool,
}

/// Names of everything on the share. Reading it never waits for the share; [`Catalog::refresh`] does.
#[derive(Debug)]
pub struct Catalog {
    disk: Arc<Disk>,
    hash_seed: u64,
    scanner: Mutex<Scanner>,
    state: RwLock<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    folders: Vec<Folder>,
    tables: Vec<Arc<Table>>,
    namespaces: Vec<(Namespace, NamespaceState)>,
    sessions: Vec<SessionEntry>,
    names: Vec<u8>,
    by_hash: HashMap<u64, SessionNo>,
    daily: BTreeMap<String, Vec<DailyFile>>,
    changed: Vec<SessionNo>,
    refreshed: bool,
}

#[derive(Clone, Debug, Default)]
struct NamespaceState {
    live: usize,
    changed_ns: i64,
}

#[derive(Clone, Copy, Debug)]
struct SessionEntry {
    name_at: u32,
    name_len: u8,
    namespace: u8,
    /// Folders that hold files of it other than `.completed`; 0: gone.
    folders: u16,
}

impl Catalog {
    /// An empty catalog; names are hashed with `hash_seed` (the spool id: inode numbers come of it).
    pub fn new(disk: Arc<Disk>, hash_seed: u64) -> Self {
        Catalog {
            disk,
            hash_seed,
            scanner: Mutex::default(),
            state: RwLock::default(),
        }
    }

    /// The share behind it.
    pub fn disk(&self) -> &Arc<Disk> {
        &self.disk
    }

    /// Lists what may have changed. Where a listing fails, what was known stays. Gives the failures.
    pub fn refresh(&self) -> Vec<super::DiskError> {
        let mut scanner = self.scanner.lock().unwrap_or_else(PoisonError::into_inner);
        let errors = scanner.refresh(self);
        self.change(|state| state.refreshed = true);
        errors
    }

    /// Whether a first refresh is done.
    pub fn is_filled(&self) -> bool {
        self.read().refreshed
    }

    /// Sessions that have got or lost files since this was last asked, new ones among them.
    pub fn take_changed(&self) -> Vec<SessionNo> {
        self.change(|state| std::mem::take(&mut state.changed))
    }

    /// The session with this number, unless all its files are gone.
    pub fn session(&self, no: SessionNo) -> Option<SessionInfo> {
        let state = self.read();
        let entry = state
            .sessions
            .get(no.0 as usize)
            .filter(|entry| entry.folders > 0)?;
        let (namespace, _) = state.namespaces.get(usize::from(entry.namespace))?;
        let sid = SessionId::new(state.name(entry)).ok()?;
        let hash = scan::session_hash(self.hash_seed, namespace, &sid);
        Some(SessionInfo {
            sid,
            namespace: namespace.clone(),
            hash,
        })
    }

    /// The number of a session by name.
    pub fn find(&self, namespace: &Namespace, sid: &str) -> Option<SessionNo> {
        let sid = SessionId::new(sid).ok()?;
        let no = self.find_hash(scan::session_hash(self.hash_seed, namespace, &sid))?;
        self.session(no)
            .filter(|info| info.sid == sid && info.namespace == *namespace)?;
        Some(no)
    }

    /// The number of a session by the hash of its name.
    pub fn find_hash(&self, hash: u64) -> Option<SessionNo> {
        let state = self.read();
        let no = state.by_hash.get(&hash).copied()?;
        state
            .sessions
            .get(no.0 as usize)
            .filter(|entry| entry.folders > 0)
            .map(|_| no)
    }

    /// The hash of a session's name.
    pub fn hash_of(&self, namespace: &Namespace, sid: &SessionId) -> u64 {
        scan::session_hash(self.hash_seed, namespace, sid)
    }

    /// Calls `each` for the sessions of a namespace from number `from` on, until it says stop.
    pub fn each_session(
        &self,
        namespace: &Namespace,
        from: SessionNo,
        mut each: impl FnMut(SessionNo, &str) -> bool,
    ) {
        let mut next = from.0 as usize;
        loop {
            let batch = self.sessions_from(namespace, next);
            let Some((last, _)) = batch.last() else {
                return;
            };
            next = last.0 as usize + 1;
            if !batch.iter().all(|(no, name)| each(*no, name)) {
                return;
            }
        }
    }

    /// The next sessions of a namespace, copied: whoever is shown them asks the catalog more, and a lock that is held
    /// and asked for again waits for ever as soon as a refresh waits between the two.
    fn sessions_from(&self, namespace: &Namespace, first: usize) -> Vec<(SessionNo, String)> {
        let state = self.read();
        let wanted = state.namespaces.iter().position(|(ns, _)| ns == namespace);
        let listed = state
            .sessions
            .iter()
            .enumerate()
            .skip(first)
            .filter(|(_, entry)| entry.folders > 0 && Some(usize::from(entry.namespace)) == wanted);
        listed
            .take(LISTED_AT_A_TIME)
            .map(|(no, entry)| (SessionNo(no as u32), state.name(entry).to_owned()))
            .collect()
    }

    /// Namespaces that have sessions.
    pub fn namespaces(&self) -> Vec<Namespace> {
        self.read()
            .namespaces
            .iter()
            .filter(|(_, ns)| ns.live > 0)
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Number of sessions of a namespace, and when its list last changed (nanoseconds since 1970; never goes back).
    pub fn namespace_stat(&self, namespace: &Namespace) -> (usize, i64) {
        let state = self.read();
        let found = state.namespaces.iter().find(|(ns, _)| ns == namespace);
        found.map_or((0, 0), |(_, ns)| (ns.live, ns.changed_ns))
    }

    /// Number of sessions in all namespaces.
    pub fn sessions_count(&self) -> usize {
        self.read().namespaces.iter().map(|(_, ns)| ns.live).sum()
    }

    /// The files of a session, in (server ID, file name) order of their folders.
    pub fn files_of(&self, no: SessionNo) -> Vec<FileRef> {
        let state = self.read();
        let Some(sid) = state
            .sessions
            .get(no.0 as usize)
            .and_then(|entry| SessionId::new(state.name(entry)).ok())
        else {
            return Vec::new();
        };
        let mut files = Vec::new();
        for (at, table) in state.tables.iter().enumerate() {
            table.files_of(no, FolderNo(at as u16), &sid, &mut files);
        }
        files.sort_by_cached_key(|file| {
            let origin = state
                .folders
                .get(usize::from(file.folder.0))
                .map(|folder| folder.origin.as_str().to_owned());
            (origin, file.name.to_file_name())
        });
        files
    }

    /// The folder with this number.
    pub fn folder(&self, no: FolderNo) -> Option<Folder> {
        self.read().folders.get(usize::from(no.0)).cloned()
    }

    /// All daily logs, in (server ID, file name) order.
    pub fn daily_files(&self) -> Vec<DailyFile> {
        let mut files: Vec<DailyFile> = self.read().daily.values().flatten().cloned().collect();
        files.sort_by(|a, b| (a.origin.as_str(), &a.name).cmp(&(b.origin.as_str(), &b.name)));
        files
    }

    /// Auth servers that have daily logs or sessions.
    pub fn servers(&self) -> Vec<Origin> {
        let state = self.read();
        let with_sessions = state
            .folders
            .iter()
            .zip(&state.tables)
            .filter(|(_, t)| t.sessions().next().is_some());
        let mut servers: Vec<Origin> = with_sessions
            .map(|(folder, _)| folder.origin.clone())
            .collect();
        servers.extend(
            state
                .daily
                .values()
                .flatten()
                .map(|file| file.origin.clone()),
        );
        servers.retain(|origin| matches!(origin, Origin::Server(_)));
        servers.sort();
        servers.dedup();
        servers
    }

    pub(super) fn seed(&self) -> u64 {
        self.hash_seed
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn name(&self, entry: &SessionEntry) -> &str {
        let at = entry.name_at as usize;
        let bytes = self
            .names
            .get(at..at + usize::from(entry.name_len))
            .unwrap_or(&[]);
        std::str::from_utf8(bytes).unwrap_or("")
    }

    /// The number of the folder, a new one if it is not known. `None` when there are 65,535 already.
    pub(super) fn folder_no(&mut self, folder: &Folder) -> Option<FolderNo> {
        if let Some(at) = self.folders.iter().position(|known| known == folder) {
            return Some(FolderNo(at as u16));
        }
        let no = u16::try_from(self.folders.len()).ok()?;
        self.folders.push(folder.clone());
        self.tables.push(Arc::default());
        Some(FolderNo(no))
    }

    /// The number of the namespace, a new one if it is not known. `None` when there are 255 already.
    pub(super) fn namespace_no(&mut self, namespace: &Namespace) -> Option<u8> {
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
    pub(super) fn session_no(
        &mut self,
        namespace: u8,
        sid: &SessionId,
        hash: u64,
    ) -> Option<SessionNo> {
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

    /// Replaces what a folder holds by a complete fresh listing.
    pub(super) fn replace_table(
        &mut self,
        no: FolderNo,
        listing: Vec<(SessionNo, DataKind, bool, u64)>,
        mtime_ns: i64,
    ) {
        let table = Arc::new(Table::pack(listing));
        let Some(slot) = self.tables.get_mut(usize::from(no.0)) else {
            return;
        };
        let old = std::mem::replace(slot, table.clone());
        if old.sessions().next().is_some() {
            self.changed.extend(table.changed_since(&old));
        }
        for session in table.sessions() {
            self.count(session, true, mtime_ns);
        }
        for session in old.sessions() {
            self.count(session, false, mtime_ns);
        }
    }

    /// Replaces the daily logs found in one directory.
    pub(super) fn replace_daily(&mut self, dir: &str, files: Vec<DailyFile>) {
        if files.is_empty() {
            self.daily.remove(dir);
        } else {
            self.daily.insert(dir.to_owned(), files);
        }
    }

    /// Directories whose folders or daily logs are known, for finding those that are gone.
    pub(super) fn known_dirs(&self) -> Vec<String> {
        let mut dirs: Vec<String> = self
            .folders
            .iter()
            .map(|folder| folder.path.clone())
            .collect();
        dirs.extend(self.daily.keys().cloned());
        dirs
    }

    /// Empties everything known of a directory that a complete listing no longer has.
    pub(super) fn remove_dir(&mut self, dir: &str, mtime_ns: i64) {
        self.daily.remove(dir);
        for at in 0..self.folders.len() {
            if self
                .folders
                .get(at)
                .is_some_and(|folder| folder.path == dir)
            {
                self.replace_table(FolderNo(at as u16), Vec::new(), mtime_ns);
            }
        }
    }

    fn count(&mut self, session: SessionNo, up: bool, mtime_ns: i64) {
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
