//! One lane with a deadline per auth server, and the open files behind it.
//!
//! On a network file system any call may block for ever, stat and close too. Each server's calls therefore run on a
//! thread of their own; the caller waits for an answer no longer than the deadline, and while a lane is stuck every
//! further call on it fails at once. On a local file system calls are made directly.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;

use super::disk_error::DiskError;
use super::storage::{EntryKind, FileStat, SourceFile, Storage};

/// How long an answer of the share is waited for.
const DEADLINE: Duration = Duration::from_secs(8);
/// Open files kept for reading again.
const OPEN_FILES_MAX: NonZeroUsize = NonZeroUsize::MIN.saturating_add(767);

type Job = Box<dyn FnOnce() + Send>;

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

#[derive(Debug)]
struct Lane {
    jobs: Mutex<Sender<Job>>,
    stuck_until_free: Mutex<Option<Instant>>,
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

    /// The lane of the server that owns `path`: its first name.
    fn lane(&self, path: &str) -> Option<Arc<Lane>> {
        if !self.storage.is_remote() {
            return None;
        }
        let server = path.split('/').next().unwrap_or("");
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

impl Lane {
    fn start(server: &str) -> Self {
        let (jobs, inbox): (Sender<Job>, Receiver<Job>) = channel();
        let spawned = std::thread::Builder::new()
            .name(format!("lane {server}"))
            .spawn(move || {
                for job in inbox {
                    job();
                }
            });
        if let Err(error) = spawned {
            tracing::error!(server, %error, "no thread for this server's lane; its calls will time out");
        }
        Lane {
            jobs: Mutex::new(jobs),
            stuck_until_free: Mutex::new(None),
        }
    }

    fn run<T: Send + 'static>(
        &self,
        path: &str,
        call: impl FnOnce() -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, DiskError> {
        let timed_out = |waited: Duration| DiskError::TimedOut {
            path: path.to_owned(),
            waited_ms: waited.as_millis() as u64,
        };
        if let Some(since) = *lock(&self.stuck_until_free) {
            // One call a second is let through to see whether the server is back; its answer clears the mark.
            if since.elapsed() < Duration::from_secs(1) {
                return Err(timed_out(since.elapsed()));
            }
            *lock(&self.stuck_until_free) = Some(Instant::now());
        }
        let (answer, inbox) = channel();
        let job: Job = Box::new(move || drop(answer.send(call())));
        if lock(&self.jobs).send(job).is_err() {
            return Err(timed_out(Duration::ZERO));
        }
        let stuck = lock(&self.stuck_until_free).is_some();
        let patience = if stuck {
            Duration::from_millis(200)
        } else {
            DEADLINE
        };
        match inbox.recv_timeout(patience) {
            Ok(result) => {
                *lock(&self.stuck_until_free) = None;
                result.map_err(|error| DiskError::io(path, error))
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                *lock(&self.stuck_until_free) = Some(Instant::now());
                Err(timed_out(patience))
            }
        }
    }
}

/// A lock that a panicking thread held is still good here: every section leaves its value whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
