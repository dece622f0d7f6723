//! The share behind its lanes, one for each auth server whose calls may hang, and its open files.
//!
//! On a local file system calls are made directly. A folder of the share may be a mount of its own: then its calls have a lane
//! although the others' have none.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lru::LruCache;

use super::disk_error::DiskError;
use super::lane::Lane;
use super::storage::{EntryKind, FileStat, SourceFile, Storage};

/// A folder whose call has been without an answer for this long is called away.
const AWAY_AFTER: Duration = Duration::from_secs(2);
/// Open files kept for reading again.
const OPEN_FILES_MAX: NonZeroUsize = NonZeroUsize::MIN.saturating_add(767);

/// The names of a directory in one block: 100,000 names must not be 100,000 pieces of memory.
#[derive(Debug, Default)]
pub struct Listing {
    names: Vec<u8>,
    /// Where each name ends, and what it is.
    entries: Vec<(usize, EntryKind)>,
}

impl Listing {
    fn push(&mut self, name: &[u8], kind: EntryKind) {
        self.names.extend_from_slice(name);
        self.entries.push((self.names.len(), kind));
    }

    /// The names that are text, in the order of the directory.
    pub fn iter(&self) -> impl Iterator<Item = (&str, EntryKind)> {
        let mut first = 0;
        self.entries.iter().filter_map(move |(next, kind)| {
            let name = self
                .names
                .get(std::mem::replace(&mut first, *next)..*next)?;
            Some((std::str::from_utf8(name).ok()?, *kind))
        })
    }
}

/// The share behind its lanes.
#[derive(Debug)]
pub struct Disk {
    storage: Arc<dyn Storage>,
    lanes: Mutex<HashMap<String, Arc<Lane>>>,
    open_files: Mutex<LruCache<String, Arc<OpenFile>>>,
}

/// An open file of the share; reads go through its server's lane.
#[derive(Debug)]
pub struct OpenFile {
    path: String,
    /// Attributes at the time of opening.
    pub opened: FileStat,
    file: Arc<dyn SourceFile>,
    lane: Option<Arc<Lane>>,
}

impl Disk {
    /// The share, with lanes where its calls may hang.
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Disk {
            storage,
            lanes: Mutex::default(),
            open_files: Mutex::new(LruCache::new(OPEN_FILES_MAX)),
        }
    }

    /// Every entry of `dir`, freshly listed.
    ///
    /// # Errors
    /// Of the share, and [`DiskError::TimedOut`].
    pub fn list(&self, dir: &str) -> Result<Listing, DiskError> {
        let (storage, path) = (self.storage.clone(), dir.to_owned());
        run(self.lane(dir).as_deref(), dir, move || {
            let mut entries = Listing::default();
            storage.list(&path, &mut |name, kind| entries.push(name, kind))?;
            Ok(entries)
        })
    }

    /// Fresh attributes of `path`.
    ///
    /// # Errors
    /// Of the share, and [`DiskError::TimedOut`].
    pub fn stat(&self, path: &str) -> Result<FileStat, DiskError> {
        let (storage, name) = (self.storage.clone(), path.to_owned());
        run(self.lane(path).as_deref(), path, move || {
            storage.stat(&name)
        })
    }

    /// Opens `path`, or gives the descriptor that is open already if it is still the file of that name.
    ///
    /// # Errors
    /// Of the share, and [`DiskError::TimedOut`].
    pub fn open(&self, path: &str, now: &FileStat) -> Result<Arc<OpenFile>, DiskError> {
        let known = lock(&self.open_files).get(path).cloned();
        if let Some(file) = known.filter(|file| file.opened.identity == now.identity) {
            return Ok(file);
        }
        let (storage, name) = (self.storage.clone(), path.to_owned());
        let lane = self.lane(path);
        let (file, opened) = run(lane.as_deref(), path, move || {
            let file = storage.open(&name)?;
            let stat = file.stat()?;
            Ok((file, stat))
        })?;
        let file = Arc::new(OpenFile {
            path: path.to_owned(),
            opened,
            file,
            lane,
        });
        lock(&self.open_files).put(path.to_owned(), file.clone());
        Ok(file)
    }

    /// Total, free and available bytes of the share's file system.
    ///
    /// # Errors
    /// Of the share, and [`DiskError::TimedOut`].
    pub fn space_bytes(&self) -> Result<(u64, u64, u64), DiskError> {
        let storage = self.storage.clone();
        run(self.lane("").as_deref(), "", move || storage.space_bytes())
    }

    /// The folders below the root whose calls get no answer at present, and for how long; `""` is the root itself.
    pub fn away(&self) -> Vec<(String, Duration)> {
        let lanes = lock(&self.lanes);
        let waiting = lanes
            .iter()
            .filter_map(|(server, lane)| Some((server.clone(), lane.waits_since()?.elapsed())));
        waiting.filter(|(_, time)| *time >= AWAY_AFTER).collect()
    }

    /// The lane of the server that owns `path`: its first name.
    fn lane(&self, path: &str) -> Option<Arc<Lane>> {
        let server = path.split('/').next().unwrap_or("");
        if !self.storage.is_remote(server) {
            return None;
        }
        let mut lanes = lock(&self.lanes);
        Some(
            lanes
                .entry(server.to_owned())
                .or_insert_with(|| Arc::new(Lane::start(server)))
                .clone(),
        )
    }
}

impl OpenFile {
    /// Path inside the audit directory.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Reads at `offset_bytes`; fewer bytes than asked mean the end of the file.
    ///
    /// # Errors
    /// Of the share, and [`DiskError::TimedOut`].
    pub fn read_at(&self, buf: &mut [u8], offset_bytes: u64) -> Result<usize, DiskError> {
        let Some(lane) = &self.lane else {
            return self
                .file
                .read_at(buf, offset_bytes)
                .map_err(|e| DiskError::io(&self.path, e));
        };
        let (file, wanted) = (self.file.clone(), buf.len());
        let bytes = run(Some(lane), &self.path, move || {
            let mut bytes = vec![0; wanted];
            let read = file.read_at(&mut bytes, offset_bytes)?;
            bytes.truncate(read);
            Ok(bytes)
        })?;
        if let Some(to) = buf.get_mut(..bytes.len()) {
            to.copy_from_slice(&bytes);
        }
        Ok(bytes.len())
    }
}

/// Runs `call` on the lane, or here where there is none.
fn run<T: Send + 'static>(
    lane: Option<&Lane>,
    path: &str,
    call: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, DiskError> {
    match lane {
        None => call().map_err(|error| DiskError::io(path, error)),
        Some(lane) => lane.run(path, call),
    }
}

/// A lock that a panicking thread held is still good here: every section leaves its value whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
