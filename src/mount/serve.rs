//! Serving a mount from the first request to the last: the session, the look at the share every second, the end.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use fuser::{Config, INodeNo, Notifier};

use crate::event::Day;
use crate::view::{BatchTime, Changes, Node, SessionPart, View};

use super::answers::{Ownership, now_ns};
use super::fs::AuditFs;
use super::keeper::Cord;
use super::mount_error::MountError;
use super::mount_table::find_mount;
use super::passthrough::Passthrough;
use super::pool::Pool;
use super::touch::Toucher;

const FUSE_THREADS: usize = 2;
const WORKERS: usize = 16;
const READAHEAD_KB: &str = "1024";

/// How a mount is served.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Where it is mounted.
    pub mountpoint: PathBuf,
    /// Owner and modes of its files.
    pub owner: Ownership,
    /// How old a record must be before it is published.
    pub settle: Duration,
    /// Time between two looks at the share.
    pub poll: Duration,
}

/// A served mount.
#[derive(Debug)]
pub struct Service {
    session: fuser::BackgroundSession,
    stop: Arc<(Mutex<bool>, Condvar)>,
    poller: std::thread::JoinHandle<()>,
}

/// A moment of looking at the share.
pub fn batch_time(settle: Duration) -> BatchTime {
    BatchTime {
        now_ns: now_ns(),
        settle_ns: i64::try_from(settle.as_nanos()).unwrap_or(i64::MAX),
    }
}

/// Starts serving `view` on the mount behind `cord`, whose turn has come; the view has been refreshed once.
///
/// # Errors
/// [`MountError::Session`].
pub fn serve(
    cord: Cord,
    view: Arc<View>,
    toucher: Arc<Toucher>,
    options: &ServeOptions,
) -> Result<Service, MountError> {
    let pool = Pool::start(WORKERS).map_err(MountError::Session)?;
    let passthrough = begin_passthrough(&cord, &view).map_err(MountError::Session)?;
    let fs = AuditFs::new(
        view.clone(),
        options.owner,
        pool,
        toucher.clone(),
        passthrough.clone(),
    );
    let mut config = Config::default();
    config.n_threads = Some(FUSE_THREADS);
    // The kernel decides who may come in (allow_other); fuser need not ask again.
    let session = cord.session(fs, config)?;
    view.note_passthrough(passthrough.in_use());
    let notifier = session.notifier();
    let session = session.spawn().map_err(MountError::Session)?;
    raise_readahead(&options.mountpoint);
    let stop = Arc::new((Mutex::new(false), Condvar::new()));
    let (stop_poller, options) = (stop.clone(), options.clone());
    let poller = std::thread::Builder::new()
        .name("poll".into())
        .spawn(move || {
            let after_each = || {
                passthrough.tidy(&view);
                view.note_passthrough(passthrough.in_use());
            };
            poll(
                &view,
                &notifier,
                &toucher,
                &options,
                &stop_poller,
                after_each,
            );
        })
        .map_err(MountError::Session)?;
    Ok(Service {
        session,
        stop,
        poller,
    })
}

impl Service {
    /// Waits until the mount has been ended and all its files are closed.
    ///
    /// # Errors
    /// [`MountError::Session`].
    pub fn join(self) -> Result<(), MountError> {
        let ended = self.session.join();
        *self.stop.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.1.notify_all();
        if self.poller.join().is_err() {
            tracing::error!("the poller panicked");
        }
        ended.map_err(MountError::Session)
    }
}

/// The time to the next look at the share: longer when nothing has happened for long, but never so long that what is new
/// stays unseen for 5 s.
fn pause(poll: Duration, idle_rounds: u32) -> Duration {
    let factor = match idle_rounds {
        0..60 => 1,
        60..300 => 2,
        _ => 3,
    };
    (poll * factor).min(poll.max(Duration::from_secs(3)))
}

fn poll(
    view: &View,
    notifier: &Notifier,
    toucher: &Toucher,
    options: &ServeOptions,
    stop: &(Mutex<bool>, Condvar),
    after_each: impl Fn(),
) {
    // What grew while no worker served, and what the worker before published and did not live to touch.
    let days = view.days().list();
    let mut known: BTreeSet<Day> = days.iter().map(|day| day.day()).collect();
    for day in days.iter().filter(|day| day.is_live()) {
        toucher.touch(&day_path(day.day()));
    }
    drop(days);
    let mut idle_rounds = 0_u32;
    loop {
        after_each();
        let stopped = stop.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited =
            stop.1
                .wait_timeout_while(stopped, pause(options.poll, idle_rounds), |stopped| {
                    !*stopped
                });
        if *waited.unwrap_or_else(PoisonError::into_inner).0 {
            return;
        }
        let looked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            view.refresh(batch_time(options.settle))
        }));
        match looked {
            Ok(changes) => {
                let idle = changes == Changes::default();
                idle_rounds = if idle {
                    idle_rounds.saturating_add(1)
                } else {
                    0
                };
                tell_kernel(view, notifier, &changes);
                for day in &changes.days {
                    if known.insert(*day) {
                        toucher.create(&day_path(*day));
                    } else {
                        toucher.touch(&day_path(*day));
                    }
                }
            }
            Err(_) => tracing::error!("looking at the share panicked; please report this"),
        }
    }
}

/// What the kernel may read itself: the state of it is handed from worker to worker with the cord.
fn begin_passthrough(cord: &Cord, view: &View) -> std::io::Result<Arc<Passthrough>> {
    let (device, notebook) = (cord.device.try_clone()?, cord.notebook.try_clone()?);
    let passthrough = Passthrough::new(device, notebook, view.days().has_spool());
    Ok(Arc::new(passthrough))
}

fn day_path(day: Day) -> String {
    format!("events/{day}.jsonl")
}

/// Attributes that the kernel was told to believe for hours are not true any more. Attributes only, never a byte range:
/// that waits for reads in progress, which wait for us (DESIGN 5).
fn tell_kernel(view: &View, notifier: &Notifier, changes: &Changes) {
    let days = changes.days.iter().map(|day| Node::Day(*day));
    let sessions = changes.sessions.iter().flat_map(|no| {
        let parts = SessionPart::ALL
            .into_iter()
            .map(|part| Node::SessionFile(*no, part));
        std::iter::once(Node::Session(*no)).chain(parts)
    });
    for node in days.chain(sessions) {
        if let Ok(ino) = view.ino(&node) {
            // The kernel answers ENOENT for a number it does not remember.
            drop(notifier.inval_inode(INodeNo(ino), -1, 0));
        }
    }
}

/// Large sequential reads want a larger window than the default 128 KiB; only root may widen it.
fn raise_readahead(mountpoint: &Path) {
    let Ok(Some(entry)) = find_mount(mountpoint) else {
        return;
    };
    let knob = format!("/sys/class/bdi/{}/read_ahead_kb", entry.device);
    if let Err(error) = std::fs::write(&knob, READAHEAD_KB) {
        tracing::debug!(%error, knob, "readahead stays as it is");
    }
}
