//! Names of this server's own sessions that no listing has told yet: those it has just made, and files it has just
//! written. A mount that writes shows them at once.
//!
//! What was learned so stands until a listing that began later speaks of the folder: it is then in that listing, or gone.

use std::collections::{BTreeMap, HashMap};

use crate::event::{Namespace, ServerId, SessionId};
use crate::format::{DataKind, SessionFileName, read_index};

use super::catalog::{Catalog, SessionNo};
use super::catalog_state::State;
use super::disk_error::DiskError;
use super::folder::{Accepts, Folder, FolderNo, Origin};
use super::scan;
use super::table::FileRef;

/// An own index longer than this is read as far as here; a listing tells the rest.
const INDEX_MAX_BYTES: u64 = 16 << 20;

/// See the module text.
#[derive(Debug, Default)]
pub(super) struct OwnNames {
    /// Sessions without a file, and when they were made, nanoseconds since 1970.
    made: HashMap<SessionNo, i64>,
    learned: BTreeMap<SessionNo, Vec<LearnedFile>>,
    /// Rises with everything learned.
    seq: u64,
}

#[derive(Debug)]
struct LearnedFile {
    folder: FolderNo,
    kind: DataKind,
    gz: bool,
    number: u64,
    seq: u64,
}

impl OwnNames {
    /// What a listing that begins now may contradict.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Adds what was learned of a session to `out`.
    pub fn files_of(&self, session: SessionNo, sid: &SessionId, out: &mut Vec<FileRef>) {
        for file in self.learned.get(&session).into_iter().flatten() {
            let name = SessionFileName {
                sid: sid.clone(),
                kind: file.kind,
                number: file.number,
                gz: file.gz,
            };
            out.push(FileRef {
                folder: file.folder,
                name,
            });
        }
    }

    /// Sessions from number `from` on of which the folder has an end mark that no listing has told.
    pub fn completed(
        &self,
        folder: FolderNo,
        from: SessionNo,
    ) -> impl Iterator<Item = SessionNo> + '_ {
        let is_mark =
            move |file: &LearnedFile| file.folder == folder && file.kind == DataKind::Completed;
        self.learned
            .range(from..)
            .filter(move |(_, files)| files.iter().any(is_mark))
            .map(|(session, _)| *session)
    }

    /// A listing of `folder` that began at `seq` has been taken in: gives the sessions that it has nothing more to add to.
    pub fn listed(&mut self, folder: FolderNo, seq: u64) -> Vec<SessionNo> {
        let mut told = Vec::new();
        self.learned.retain(|session, files| {
            files.retain(|file| file.folder != folder || file.seq > seq);
            if files.is_empty() {
                told.push(*session);
            }
            !files.is_empty()
        });
        told
    }

    /// The session has files: it is like others now. Whether it was one without.
    pub fn has_files(&mut self, session: SessionNo) -> bool {
        self.made.remove(&session).is_some()
    }
}

impl State {
    /// Takes in files of a session, whether known already or not. Whether any was new.
    fn learn(
        &mut self,
        folder: &Folder,
        sid: &SessionId,
        hash: u64,
        files: &[SessionFileName],
        mtime_ns: i64,
    ) -> bool {
        let numbers = self
            .folder_no(folder)
            .zip(self.namespace_no(&folder.namespace));
        let Some((folder, namespace)) = numbers else {
            return false;
        };
        let Some(session) = self.session_no(namespace, sid, hash) else {
            return false;
        };
        let mut known = Vec::new();
        if let Some(table) = self.tables.get(usize::from(folder.0)) {
            table.files_of(session, folder, sid, &mut known);
        }
        self.own.files_of(session, sid, &mut known);
        let mut is_new = false;
        for name in files {
            if known
                .iter()
                .any(|file| file.folder == folder && file.name == *name)
            {
                continue;
            }
            is_new = true;
            self.own.seq += 1;
            let seq = self.own.seq;
            if !self.own.learned.contains_key(&session) {
                self.count(session, true, mtime_ns);
            }
            self.own
                .learned
                .entry(session)
                .or_default()
                .push(LearnedFile {
                    folder,
                    kind: name.kind,
                    gz: name.gz,
                    number: name.number,
                    seq,
                });
            if name.kind == DataKind::Completed {
                self.completed_changed(folder, mtime_ns);
            }
        }
        if is_new {
            self.changed.push(session);
            if self.own.has_files(session) {
                self.count(session, false, mtime_ns);
            }
        }
        is_new
    }

    fn make(
        &mut self,
        namespace: &Namespace,
        sid: &SessionId,
        hash: u64,
        now_ns: i64,
    ) -> Option<(SessionNo, bool)> {
        let namespace = self.namespace_no(namespace)?;
        let session = self.session_no(namespace, sid, hash)?;
        let is_there = self.sessions.get(session.0 as usize)?.folders > 0;
        if !is_there {
            self.own.made.insert(session, now_ns);
            self.count(session, true, now_ns);
        }
        Some((session, !is_there))
    }
}

impl Catalog {
    /// Makes a session known that has no file yet. Gives its number, and whether it was not there; `None` where the
    /// catalog is full. It becomes like others, with the same number, when files of it are found.
    pub fn make(
        &self,
        namespace: &Namespace,
        sid: &SessionId,
        now_ns: i64,
    ) -> Option<(SessionNo, bool)> {
        let hash = self.hash_of(namespace, sid);
        self.change(|state| state.make(namespace, sid, hash, now_ns))
    }

    /// When a session was made of which there is no file yet, nanoseconds since 1970.
    pub fn made_ns(&self, session: SessionNo) -> Option<i64> {
        self.read().own.made.get(&session).copied()
    }

    /// Makes a namespace known that has no sessions yet. `false`: it is there, or the catalog is full.
    pub fn make_namespace(&self, namespace: &Namespace, now_ns: i64) -> bool {
        self.change(|state| {
            let no = state.namespace_no(namespace);
            let found = no.and_then(|no| state.namespaces.get_mut(usize::from(no)));
            found.is_some_and(|(_, ns)| {
                ns.changed_ns = now_ns.max(ns.changed_ns.saturating_add(1));
                !std::mem::replace(&mut ns.made, true) && ns.live == 0
            })
        })
    }

    /// Looks what files this server itself has of one session, without listing a directory: its index and its end mark
    /// say so. Whether there was something new.
    ///
    /// # Errors
    /// Of the share.
    pub fn learn(
        &self,
        server: &ServerId,
        namespace: &Namespace,
        sid: &SessionId,
    ) -> Result<bool, DiskError> {
        let folder = Folder {
            path: format!("{server}/sessions/{namespace}"),
            origin: Origin::Server(server.clone()),
            namespace: namespace.clone(),
            accepts: Accepts::Recordings,
        };
        let file = |kind| SessionFileName {
            sid: sid.clone(),
            kind,
            number: 0,
            gz: false,
        };
        let index = file(DataKind::Index);
        let path = folder.file_path(&index.to_file_name());
        let stat = match self.disk().stat(&path) {
            Err(error) if error.is_not_found() => return Ok(false),
            stat => stat?,
        };
        let open = self.disk().open(&path, &stat)?;
        let mut bytes = vec![0; stat.size.min(INDEX_MAX_BYTES) as usize];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match open.read_at(rest, filled as u64)? {
                0 => break,
                read => filled += read,
            }
        }
        bytes.truncate(filled);
        let mut files = vec![index];
        files.extend(
            read_index(&bytes, sid)
                .0
                .into_iter()
                .map(|line| line.file_name),
        );
        let completed = file(DataKind::Completed);
        match self
            .disk()
            .stat(&folder.file_path(&completed.to_file_name()))
        {
            Ok(_) => files.push(completed),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        let hash = scan::session_hash(self.seed(), namespace, sid);
        Ok(self.change(|state| state.learn(&folder, sid, hash, &files, stat.mtime_ns)))
    }

    /// Calls `each` for the sessions of which `server` itself has an end mark, from number `from` on, until it says stop.
    pub fn each_completed(
        &self,
        server: &ServerId,
        namespace: &Namespace,
        from: SessionNo,
        mut each: impl FnMut(SessionNo, &str) -> bool,
    ) {
        let Some(folder) = self.own_folder(server, namespace) else {
            return;
        };
        let mut next = from;
        loop {
            // As in `each_session`: names are copied out, and `each` runs without the lock.
            let portion = self
                .read()
                .completed(folder, next, super::catalog::LISTED_AT_ONCE);
            let Some((last, _)) = portion.last() else {
                return;
            };
            next = SessionNo(last.0.saturating_add(1));
            if portion.iter().any(|(no, name)| !each(*no, name)) {
                return;
            }
        }
    }

    /// Whether `server` itself has an end mark of the session.
    pub fn is_completed_by(
        &self,
        server: &ServerId,
        namespace: &Namespace,
        session: SessionNo,
    ) -> bool {
        let mut found = false;
        self.each_completed(server, namespace, session, |no, _| {
            found = no == session;
            false
        });
        found
    }

    /// When the list that [`Catalog::each_completed`] gives last changed, nanoseconds since 1970; never goes back.
    pub fn completed_changed_ns(&self, server: &ServerId, namespace: &Namespace) -> i64 {
        let folder = self.own_folder(server, namespace);
        let changed_ns =
            folder.and_then(|folder| self.read().completed_changed_ns.get(&folder).copied());
        changed_ns.unwrap_or(0)
    }

    fn own_folder(&self, server: &ServerId, namespace: &Namespace) -> Option<FolderNo> {
        let path = format!("{server}/sessions/{namespace}");
        let state = self.read();
        let at = state
            .folders
            .iter()
            .position(|folder| folder.path == path)?;
        Some(FolderNo(at as u16))
    }
}

impl State {
    /// Up to `most` sessions from number `from` on of which the folder has an end mark.
    fn completed(
        &self,
        folder: FolderNo,
        from: SessionNo,
        most: usize,
    ) -> Vec<(SessionNo, String)> {
        let Some(table) = self.tables.get(usize::from(folder.0)) else {
            return Vec::new();
        };
        let mut numbers: Vec<SessionNo> = table.completed_from(from).take(most).collect();
        numbers.extend(self.own.completed(folder, from).take(most));
        numbers.sort_unstable();
        numbers.dedup();
        numbers.truncate(most);
        let named = |no: SessionNo| {
            let entry = self.sessions.get(no.0 as usize)?;
            Some((no, self.name(entry).to_owned()))
        };
        numbers.into_iter().filter_map(named).collect()
    }

    /// The list of sessions with an end mark in the folder has changed.
    pub fn completed_changed(&mut self, folder: FolderNo, mtime_ns: i64) {
        let changed_ns = self.completed_changed_ns.entry(folder).or_default();
        *changed_ns = mtime_ns.max(changed_ns.saturating_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(state: &State, session: SessionNo, sid: &SessionId) -> usize {
        let mut files = Vec::new();
        state.own.files_of(session, sid, &mut files);
        files.len()
    }

    #[test]
    fn only_a_listing_that_began_later_forgets_what_was_learned() {
        let mut state = State::default();
        let (namespace, sid) = (Namespace::default(), SessionId::new("s").unwrap());
        let folder = Folder {
            path: "a/sessions/default".to_owned(),
            origin: Origin::Server(ServerId::new("a").unwrap()),
            namespace: namespace.clone(),
            accepts: Accepts::Recordings,
        };
        let (session, is_new) = state.make(&namespace, &sid, 0x10, 5).unwrap();
        assert!(is_new);
        let began = state.own.seq();
        let files = ["s.index", "s-0.events", "s.completed"].map(SessionFileName::parse);
        let files: Vec<SessionFileName> = files.into_iter().flatten().collect();
        assert!(state.learn(&folder, &sid, 0x10, &files, 7));
        assert!(!state.learn(&folder, &sid, 0x10, &files, 8));
        let live = |state: &State| state.namespaces[0].1.live;
        // Begun before: it did not see the files.
        state.replace_table(FolderNo(0), Vec::new(), 9, began);
        assert_eq!((shown(&state, session, &sid), live(&state)), (3, 1));
        assert_eq!(state.completed(FolderNo(0), SessionNo(0), 9).len(), 1);
        let listing = files
            .iter()
            .map(|file| (session, file.kind, file.gz, file.number));
        state.replace_table(FolderNo(0), listing.collect(), 10, state.own.seq());
        assert_eq!((shown(&state, session, &sid), live(&state)), (0, 1));
        assert_eq!(state.completed(FolderNo(0), SessionNo(0), 9).len(), 1);
        state.replace_table(FolderNo(0), Vec::new(), 11, state.own.seq());
        assert_eq!((state.sessions[0].folders, live(&state)), (0, 0));
    }
}
