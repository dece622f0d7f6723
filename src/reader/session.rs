//! One session as its files stand at one moment: stream, events and facts, each worked out when first asked for.

use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{CacheKey, Contents, DiskError, SessionInfo, SessionNo};
use crate::format::DataKind;

use super::audit_dir::AuditDir;
use super::event_scan::{EventScan, SessionFacts};
use super::session_archive::SessionArchive;
use super::session_events::{EventsFile, SessionEvents};
use super::session_file::{SessionFile, group_of};
use super::stream::{ChunksFile, Stream};
use super::summary::summary;

/// See the module text.
#[derive(Debug)]
pub struct Session {
    dir: Arc<AuditDir>,
    no: SessionNo,
    info: SessionInfo,
    files: Vec<SessionFile>,
    mtime_ns: i64,
    idle: bool,
    /// When its files were last looked at, nanoseconds since 1970.
    pub(super) checked_ns: AtomicI64,
    /// How many writes of this process the last look saw.
    pub(super) writes_seen: AtomicU64,
    /// What the cache was last told that it costs.
    pub(super) charged_bytes: AtomicUsize,
    worked_out: Mutex<WorkedOut>,
}

/// What is worked out of a session when first asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WorkedOutPart {
    /// [`Session::stream`].
    Stream,
    /// [`Session::events`].
    Events,
    /// [`Session::summary`].
    Summary,
    /// [`Session::archive`].
    Archive,
}

#[derive(Debug, Default)]
struct WorkedOut {
    stream: Option<Arc<Stream>>,
    events: Option<Arc<SessionEvents>>,
    summary: Option<Arc<str>>,
    archive: Option<Arc<SessionArchive>>,
    growing: Option<bool>,
}

impl Session {
    pub(super) fn new(
        dir: Arc<AuditDir>,
        no: SessionNo,
        info: SessionInfo,
        files: Vec<SessionFile>,
        made_ns: Option<i64>,
        now_ns: i64,
    ) -> Self {
        let mtimes = files.iter().map(|file| file.stat.mtime_ns);
        let mtime_ns = mtimes.max().or(made_ns).unwrap_or(0);
        let idle = mtime_ns.saturating_add(dir.limits().session_idle_ns) < now_ns;
        Session {
            dir,
            no,
            info,
            files,
            mtime_ns,
            idle,
            checked_ns: AtomicI64::new(now_ns),
            writes_seen: AtomicU64::new(0),
            charged_bytes: AtomicUsize::new(0),
            worked_out: Mutex::default(),
        }
    }

    /// Its number in the catalog.
    pub fn no(&self) -> SessionNo {
        self.no
    }

    /// Its ID and namespace.
    pub fn info(&self) -> &SessionInfo {
        &self.info
    }

    /// Its files, in (server ID, file name) order.
    pub fn files(&self) -> &[SessionFile] {
        &self.files
    }

    /// Newest modification of any of its files, or when it was made if it has none; nanoseconds since 1970.
    pub fn mtime_ns(&self) -> i64 {
        self.mtime_ns
    }

    /// Whether none of its files has grown for longer than `--session-idle`.
    pub fn is_idle(&self) -> bool {
        self.idle
    }

    /// Whether its files are written in place for as long as it runs, however long it pauses: a recording under `upload/`
    /// that nothing has ended. Elsewhere a session that goes on after a pause does so in new files (FORMAT 3).
    pub fn may_grow_in_place(&self) -> bool {
        !self.is_completed() && self.files.iter().any(|file| file.in_upload)
    }

    /// Whether a `.completed` file ends it.
    pub fn is_completed(&self) -> bool {
        self.files
            .iter()
            .any(|file| file.file.name.kind == DataKind::Completed)
    }

    /// Whether more may come: neither idle, nor completed, nor a `session.end` seen.
    ///
    /// # Errors
    /// Of the share: the events files may have to be looked through.
    pub fn is_growing(&self) -> Result<bool, DiskError> {
        if self.idle || self.is_completed() {
            return Ok(false);
        }
        if let Some(known) = self.lock().growing {
            return Ok(known);
        }
        let growing = !self.facts()?.has_end;
        self.lock().growing = Some(growing);
        Ok(growing)
    }

    /// Whether it has not changed since the `other` look at it.
    pub(super) fn same_files(&self, other: &Session) -> bool {
        let same = |(a, b): (&SessionFile, &SessionFile)| a.file == b.file && a.stat == b.stat;
        self.idle == other.idle
            && self.files.len() == other.files.len()
            && self.files.iter().zip(&other.files).all(same)
    }

    /// The merged terminal stream.
    ///
    /// # Errors
    /// Of the share.
    pub fn stream(&self) -> Result<Arc<Stream>, DiskError> {
        if let Some(known) = self.lock().stream.clone() {
            return Ok(known);
        }
        let mut files = Vec::new();
        for file in self.of_kind(|kind| matches!(kind, DataKind::Chunks | DataKind::LegacyBytes)) {
            let Some(contents) = self.readable(file, self.contents(file))? else {
                continue;
            };
            let offset = file.file.name.number;
            let (server, name) = (file.server.clone(), file.name.clone());
            files.push(ChunksFile {
                contents,
                offset,
                server,
                file: name,
                covered: Vec::new(),
            });
        }
        if Stream::overlaps(&files) {
            self.cover(&mut files)?;
        }
        let mut stream = Stream::lay_out(files);
        if stream.len_bytes() < stream.end() && !self.is_growing()? {
            stream = stream.with_everything();
        }
        let stream = Arc::new(stream);
        self.lock().stream = Some(stream.clone());
        Ok(stream)
    }

    /// The merged events.
    ///
    /// # Errors
    /// Of the share.
    pub fn events(&self) -> Result<Arc<SessionEvents>, DiskError> {
        if let Some(known) = self.lock().events.clone() {
            return Ok(known);
        }
        let files = self.events_files()?;
        let events = Arc::new(SessionEvents::merge(&files, self.is_growing()?)?);
        self.lock().events = Some(events.clone());
        Ok(events)
    }

    /// The recording as a tarball.
    ///
    /// # Errors
    /// Of the share.
    pub fn archive(&self) -> Result<Arc<SessionArchive>, DiskError> {
        if let Some(known) = self.lock().archive.clone() {
            return Ok(known);
        }
        let archive = Arc::new(SessionArchive::of(self)?);
        self.lock().archive = Some(archive.clone());
        Ok(archive)
    }

    /// The text of summary.json.
    ///
    /// # Errors
    /// Of the share.
    pub fn summary(&self) -> Result<Arc<str>, DiskError> {
        if let Some(known) = self.lock().summary.clone() {
            return Ok(known);
        }
        let text: Arc<str> = summary(self)?.into();
        self.lock().summary = Some(text.clone());
        Ok(text)
    }

    /// Which of its files are worked out, so that asking for them does not wait for the share.
    pub fn has_worked_out(&self, what: WorkedOutPart) -> bool {
        let worked_out = self.lock();
        match what {
            WorkedOutPart::Stream => worked_out.stream.is_some(),
            WorkedOutPart::Events => worked_out.events.is_some(),
            WorkedOutPart::Summary => worked_out.summary.is_some(),
            WorkedOutPart::Archive => worked_out.archive.is_some(),
        }
    }

    /// Who, when and what, from the main events files.
    ///
    /// # Errors
    /// Of the share.
    pub fn facts(&self) -> Result<SessionFacts, DiskError> {
        let mut facts = SessionFacts::default();
        for file in self.events_files()? {
            facts.add(&file.scan.facts());
        }
        Ok(facts)
    }

    fn of_kind(&self, wanted: impl Fn(DataKind) -> bool) -> impl Iterator<Item = &SessionFile> {
        self.files
            .iter()
            .filter(move |file| wanted(file.file.name.kind))
    }

    pub(super) fn events_files(&self) -> Result<Vec<EventsFile>, DiskError> {
        let mut files = Vec::new();
        for file in &self.files {
            let Some(group) = group_of(file.file.name.kind) else {
                continue;
            };
            let Some(scan) = self.readable(file, self.scan(file))? else {
                continue;
            };
            files.push(EventsFile {
                scan,
                group,
                server: file.server.clone(),
                file: file.name.clone(),
            });
        }
        Ok(files)
    }

    /// One bad file never fails the whole session: it is damage. A share that does not answer does fail it.
    fn readable<T>(
        &self,
        file: &SessionFile,
        read: Result<T, DiskError>,
    ) -> Result<Option<T>, DiskError> {
        match read {
            Ok(value) => Ok(Some(value)),
            Err(error @ (DiskError::TimedOut { .. } | DiskError::TooLarge { .. })) => Err(error),
            Err(error) if matches!(error.kind(), "EIO" | "ESTALE") => Err(error),
            Err(error) => {
                tracing::warn!(sid = %self.info.sid, server = %file.server, %error, "a file of this session is left out");
                Ok(None)
            }
        }
    }

    pub(super) fn contents(&self, file: &SessionFile) -> Result<Arc<Contents>, DiskError> {
        let contents = self.dir.contents(&file.path, file.stat)?;
        if self.idle {
            contents.settle()?;
        }
        Ok(contents)
    }

    pub(super) fn scan(&self, file: &SessionFile) -> Result<Arc<EventScan>, DiskError> {
        let contents = self.contents(file)?;
        let key = CacheKey::Events(file.path.clone());
        let known = self
            .dir
            .cache()
            .get::<EventScan>(&key)
            .filter(|scan| Arc::ptr_eq(scan.contents(), &contents));
        let scan = known.unwrap_or_else(|| Arc::new(EventScan::new(contents)));
        let before = scan.whole();
        scan.advance(group_of(file.file.name.kind).unwrap_or(0))?;
        if before == 0 || before != scan.whole() {
            self.dir.cache().put(key, scan.clone(), scan.cost());
        }
        Ok(scan)
    }

    /// Learns what the print events of each server cover.
    fn cover(&self, files: &mut [ChunksFile]) -> Result<(), DiskError> {
        for events in self.events_files()?.iter().filter(|file| file.group == 0) {
            let covered = events.scan.covered();
            for file in files.iter_mut().filter(|file| file.server == events.server) {
                file.covered.extend(covered.iter().cloned());
            }
        }
        for file in files.iter_mut() {
            file.covered.sort_by_key(|range| range.start);
        }
        Ok(())
    }

    /// What it holds in memory.
    pub(super) fn cost_bytes(&self) -> usize {
        let files: usize = self
            .files
            .iter()
            .map(|f| size_of::<SessionFile>() + f.path.len() + 160)
            .sum();
        let worked_out = self.lock();
        let stream = worked_out
            .stream
            .as_ref()
            .map_or(0, |stream| stream.cost_bytes());
        let events = worked_out
            .events
            .as_ref()
            .map_or(0, |events| events.cost_bytes());
        let summary = worked_out.summary.as_ref().map_or(0, |text| text.len());
        let archive = worked_out.archive.as_ref();
        let archive = archive.map_or(0, |archive| archive.cost_bytes());
        size_of::<Self>() + files + stream + events + summary + archive
    }

    fn lock(&self) -> MutexGuard<'_, WorkedOut> {
        self.worked_out
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
