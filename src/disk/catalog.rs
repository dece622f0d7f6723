//! The catalog: which sessions and daily logs the share holds, by names alone.
//!
//! Listing 100,000 sessions opens no file. A session gets a number when its name is first seen and keeps it; numbers
//! order the directory listing, so a listing that goes on while sessions appear neither doubles nor misses one.

use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use crate::event::{Day, Namespace, SessionId};

use super::catalog_state::State;
use super::folder::{Folder, FolderNo, Origin};
use super::lanes::Disk;
use super::scan::{self, Scanner};
use super::table::FileRef;

/// Names copied out of the catalog at a time.
pub(super) const LISTED_AT_ONCE: usize = 512;

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
        self.refresh_with(false)
    }

    /// The same, and what has changed is listed however short ago it was listed before, and however long that took.
    pub fn refresh_at_once(&self) -> Vec<super::DiskError> {
        self.refresh_with(true)
    }

    fn refresh_with(&self, at_once: bool) -> Vec<super::DiskError> {
        let mut scanner = self.scanner.lock().unwrap_or_else(PoisonError::into_inner);
        let errors = scanner.refresh(self, at_once);
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
    ///
    /// Names are copied out in portions and `each` runs without the lock: it may ask the catalog again, and a second
    /// read lock on one thread waits for ever once a writer waits between the two.
    pub fn each_session(
        &self,
        namespace: &Namespace,
        from: SessionNo,
        mut each: impl FnMut(SessionNo, &str) -> bool,
    ) {
        let mut next = from.0;
        loop {
            let (portion, behind) = self.read().listed(namespace, next, LISTED_AT_ONCE);
            next = behind;
            if portion.is_empty() {
                return;
            }
            if portion.iter().any(|(no, name)| !each(*no, name)) {
                return;
            }
        }
    }

    /// Namespaces that have sessions, or were made.
    pub fn namespaces(&self) -> Vec<Namespace> {
        self.read()
            .namespaces
            .iter()
            .filter(|(_, ns)| ns.live > 0 || ns.made)
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
        state.own.files_of(no, &sid, &mut files);
        files.sort_by_cached_key(|file| {
            let origin = state
                .folders
                .get(usize::from(file.folder.0))
                .map(|folder| folder.origin.as_str().to_owned());
            (origin, file.name.to_file_name())
        });
        // A listing may have told meanwhile what was learned.
        files.dedup();
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

    pub(super) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}
