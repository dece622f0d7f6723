//! Serving a mount from the first request to the last: the session, the look at the share every second, the end.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use fuser::{Config, INodeNo, Notifier};

use crate::event::Day;
use crate::view::{BatchTime, Changes, Node, SessionPart, View};

use super::answers::{Ownership, Shared, day_path, now_ns};
use super::keeper::Cord;
use super::mount_error::MountError;
use super::mount_table::find_mount;
use super::passthrough::Passthrough;
use super::pool::Pool;
use super::requests::AuditFs;
use super::touch::Toucher;
use super::writing::{Desk, Ticks, Writer};

const FUSE_THREADS: usize = 2;
const WORKERS: usize = 16;
const READAHEAD_KB: &str = "1024";

/// How a mount is served.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Where it is mounted.
    pub mountpoint: PathBuf,
    /// How old a record must be before it is published.
    pub settle: Duration,
    /// Time between two looks at the share.
    pub poll: Duration,
}

/// What a worker answers with.
#[derive(Debug)]
pub struct Serving {
    shared: Arc<Shared>,
    desk: Option<Arc<Desk>>,
}

impl Serving {
    /// From `view`, for the mount behind `cord`, which only reads.
    ///
    /// # Errors
    /// [`MountError::Session`].
    pub fn new(
        cord: &Cord,
        view: Arc<View>,
        owner: Ownership,
        toucher: Arc<Toucher>,
    ) -> Result<Self, MountError> {
        let passthrough = begin_passthrough(cord, &view).map_err(MountError::Session)?;
        Ok(Serving {
            shared: Arc::new(Shared::new(view, owner, toucher, passthrough)),
            desk: None,
        })
    }

    /// With a writer; uploads wait in `state_dir`, which this worker has to itself.
    pub fn with_writer(&mut self, writer: Arc<Writer>, state_dir: PathBuf) {
        self.desk = Some(Arc::new(Desk::new(self.shared.clone(), writer, state_dir)));
    }
}

/// A served mount.
#[derive(Debug)]
pub struct Service {
    session: fuser::BackgroundSession,
    pool: Pool,
    stop: Arc<(Mutex<bool>, Condvar)>,
    poller: std::thread::JoinHandle<()>,
    ticks: Option<Ticks>,
    desk: Option<Arc<Desk>>,
}

/// A moment of looking at the share.
pub fn batch_time(settle: Duration) -> BatchTime {
    BatchTime {
        now_ns: now_ns(),
        settle_ns: i64::try_from(settle.as_nanos()).unwrap_or(i64::MAX),
    }
}

/// Starts serving on the mount behind `cord`, whose turn has come; the view has been refreshed once.
///
/// # Errors
/// [`MountError::Session`].
pub fn serve(cord: Cord, serving: Serving, options: &ServeOptions) -> Result<Service, MountError> {
    let pool = Pool::start(WORKERS).map_err(MountError::Session)?;
    let Serving { shared, desk } = serving;
    let fs = AuditFs::new(shared.clone(), pool.clone(), desk.clone());
    let ticks = desk.as_ref().map(|desk| Ticks::start(desk.clone()));
    let ticks = ticks.transpose().map_err(MountError::Session)?;
    let mut config = Config::default();
    config.n_threads = Some(FUSE_THREADS);
    // The kernel decides who may come in (allow_other); fuser need not ask again.
    let session = cord.session(fs, config)?;
    shared.view.note_passthrough(shared.passthrough.in_use());
    let notifier = session.notifier();
    let session = session.spawn().map_err(MountError::Session)?;
    raise_readahead(&options.mountpoint);
    let stop = Arc::new((Mutex::new(false), Condvar::new()));
    let (stop_poller, options) = (stop.clone(), options.clone());
    let poller = std::thread::Builder::new()
        .name("poll".into())
        .spawn(move || {
            let passthrough = &shared.passthrough;
            let after_each = || {
                passthrough.tidy(&shared.view);
                shared.view.note_passthrough(passthrough.in_use());
            };
            poll(&shared, &notifier, &options, &stop_poller, after_each);
        })
        .map_err(MountError::Session)?;
    Ok(Service {
        session,
        pool,
        stop,
        poller,
        ticks,
        desk,
    })
}

impl Service {
    /// What a worker that is told to end calls: `end` runs when what it has begun is finished, or after `patience`, and what
    /// it has written is closed.
    pub fn finisher(&self) -> impl Fn(Duration, &dyn Fn()) + Send + 'static {
        let (pool, desk) = (self.pool.clone(), self.desk.clone());
        move |patience, end| {
            pool.finish(patience, || {
                if let Some(desk) = &desk {
                    desk.close();
                }
                end();
            });
        }
    }

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
        drop(self.ticks);
        if let Some(desk) = self.desk {
            desk.close();
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
    shared: &Shared,
    notifier: &Notifier,
    options: &ServeOptions,
    stop: &(Mutex<bool>, Condvar),
    after_each: impl Fn(),
) {
    let (view, toucher) = (&*shared.view, &*shared.toucher);
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
                    // That of a mount that writes was there before its first record.
                    if known.insert(*day) && !shared.announced.has(*day) {
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
