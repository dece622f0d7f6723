//! All sessions: each looked at when it is asked for, and again when it may have grown.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::disk::{CacheKey, Cost, DiskError, Origin, SessionNo};

use crate::event::{Namespace, ServerId, SessionId};

use super::audit_dir::AuditDir;
use super::session::Session;
use super::session_file::SessionFile;

/// How long a look at the files of a session that may grow is good, nanoseconds.
const FRESH_NS: i64 = 250_000_000;
/// The same for a session whose newest file is older than [`QUIET_NS`].
const FRESH_QUIET_NS: i64 = 2_000_000_000;
/// A session that has been untouched for a day is not expected to grow.
const QUIET_NS: i64 = 24 * 3600 * 1_000_000_000;

/// Sessions whose number is the same modulo this share a count of writes.
const WRITE_COUNTS: usize = 1024;

/// See the module text.
#[derive(Debug)]
pub struct Sessions {
    dir: Arc<AuditDir>,
    /// The server as which this process writes, if it does.
    own_server: OnceLock<ServerId>,
    /// Counts what this process writes; sessions share the counts, at the cost of a look too many.
    writes: [AtomicU64; WRITE_COUNTS],
}

/// A cached session holds its directory, which holds the cache: without this neither would ever be freed.
impl Drop for Sessions {
    fn drop(&mut self) {
        self.dir.cache().clear();
    }
}

impl Sessions {
    /// The sessions of `dir`.
    pub fn new(dir: Arc<AuditDir>) -> Self {
        Sessions {
            dir,
            own_server: OnceLock::new(),
            writes: [const { AtomicU64::new(0) }; WRITE_COUNTS],
        }
    }

    /// This process writes as `server` into the same directory.
    pub fn write_as(&self, server: ServerId) {
        // Said once; a process does not change its server.
        let _ = self.own_server.set(server);
    }

    /// The server as which this process writes, if it does.
    pub fn own_server(&self) -> Option<&ServerId> {
        self.own_server.get()
    }

    /// This process has written to the session: the next look at it is a fresh one, and sees its new files. Quick, but for a
    /// session that was not known: that is looked up on the share.
    ///
    /// # Errors
    /// Of the share.
    pub fn wrote(&self, namespace: &Namespace, sid: &SessionId) -> Result<(), DiskError> {
        match self.dir.catalog().find(namespace, sid.as_str()) {
            Some(no) => {
                self.look_anew(no);
                Ok(())
            }
            None => self.learn(namespace, sid),
        }
    }

    /// The same, and the names of its files are learned now.
    ///
    /// # Errors
    /// Of the share.
    pub fn learn(&self, namespace: &Namespace, sid: &SessionId) -> Result<(), DiskError> {
        if let Some(server) = self.own_server() {
            self.dir.catalog().learn(server, namespace, sid)?;
        }
        if let Some(no) = self.dir.catalog().find(namespace, sid.as_str()) {
            self.look_anew(no);
        }
        Ok(())
    }

    /// The next look at the session is a fresh one.
    pub fn look_anew(&self, no: SessionNo) {
        if let Some(count) = self.writes_of(no) {
            count.fetch_add(1, Ordering::Release);
        }
    }

    fn writes_of(&self, no: SessionNo) -> Option<&AtomicU64> {
        self.writes.get(no.0 as usize % WRITE_COUNTS)
    }

    /// The session as known, if the last look at its files is still good: never waits for the share.
    pub fn known(&self, no: SessionNo, now_ns: i64) -> Option<Arc<Session>> {
        let session = self.dir.cache().get::<Session>(&CacheKey::Session(no))?;
        let good = if is_quiet(&session, now_ns) {
            FRESH_QUIET_NS
        } else {
            FRESH_NS
        };
        if session.writes_seen.load(Ordering::Relaxed) != self.writes_now(no) {
            return None;
        }
        let age_ns = now_ns.saturating_sub(session.checked_ns.load(Ordering::Relaxed));
        if !(0..=good).contains(&age_ns) {
            return None;
        }
        self.charge(&session);
        Some(session)
    }

    /// The session as its files stand now; `None` if it is gone.
    ///
    /// # Errors
    /// Of the share.
    pub fn open(&self, no: SessionNo, now_ns: i64) -> Result<Option<Arc<Session>>, DiskError> {
        if let Some(known) = self.known(no, now_ns) {
            return Ok(Some(known));
        }
        let catalog = self.dir.catalog();
        let Some(info) = catalog.session(no) else {
            return Ok(None);
        };
        // Before anything is looked at: what is written from here on is not seen by this look.
        let writes = self.writes_now(no);
        if let Some(server) = self.own_server.get().filter(|_| writes > 0) {
            catalog.learn(server, &info.namespace, &info.sid)?;
        }
        let mut files = Vec::new();
        for file in catalog.files_of(no) {
            let Some(folder) = catalog.folder(file.folder) else {
                continue;
            };
            let name = file.name.to_file_name();
            let path = folder.file_path(&name);
            match self.dir.disk().stat(&path) {
                Ok(stat) => {
                    let server = folder.origin.as_str().into();
                    let in_upload = folder.origin == Origin::Upload;
                    files.push(SessionFile {
                        file,
                        path,
                        server,
                        in_upload,
                        name: name.into(),
                        stat,
                    });
                }
                // Gone since the listing; the next listing tells the catalog.
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        let made_ns = catalog.made_ns(no);
        if files.is_empty() && made_ns.is_none() {
            return Ok(None);
        }
        let fresh = Arc::new(Session::new(
            self.dir.clone(),
            no,
            info,
            files,
            made_ns,
            now_ns,
        ));
        fresh.writes_seen.store(writes, Ordering::Relaxed);
        let key = CacheKey::Session(no);
        if let Some(before) = self
            .dir
            .cache()
            .get::<Session>(&key)
            .filter(|before| before.same_files(&fresh))
        {
            before.checked_ns.store(now_ns, Ordering::Relaxed);
            before.writes_seen.store(writes, Ordering::Relaxed);
            self.charge(&before);
            return Ok(Some(before));
        }
        self.charge(&fresh);
        Ok(Some(fresh))
    }

    fn writes_now(&self, no: SessionNo) -> u64 {
        self.writes_of(no)
            .map_or(0, |count| count.load(Ordering::Acquire))
    }

    /// Tells the cache what the session holds by now.
    fn charge(&self, session: &Arc<Session>) {
        let memory_bytes = session.cost_bytes();
        if session.charged_bytes.swap(memory_bytes, Ordering::Relaxed) != memory_bytes {
            self.dir.cache().put(
                CacheKey::Session(session.no()),
                session.clone(),
                Cost {
                    memory_bytes,
                    disk_bytes: 0,
                },
            );
        }
    }
}

/// Whether the session has been untouched for a day, and would go on in new files.
pub fn is_quiet(session: &Session, now_ns: i64) -> bool {
    !session.may_grow_in_place() && session.mtime_ns().saturating_add(QUIET_NS) < now_ns
}
