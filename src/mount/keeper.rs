//! The process that holds `/dev/fuse`, so that a mount outlives the worker that serves it (DESIGN 4.11).
//!
//! The keeper hands the descriptor of the device over to the worker and never reads or writes a request itself, so it
//! costs nothing per read. While it holds the device too, the kernel keeps the connection: when a worker dies, calls on the mount
//! wait. FUSE_NOTIFY_RESEND (Linux 6.9) then puts all unanswered requests back into the queue for the next worker, each
//! with bit 63 set in its unique ID, so that those that change something are recognised and failed, never done twice.
//!
//! Nothing here panics or waits for anyone: one loop, one poll, states in [`Seat`]s.

mod backoff;
mod control;
mod cord;
mod handshake;
mod seat;
mod signals;

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

use super::attach::detach;
use super::mount_error::MountError;

use backoff::Backoff;
use control::Control;
pub use control::{keeper_of, reload};
pub(super) use cord::RESENT;
pub use cord::{Cord, is_resent};
use handshake::{Handshake, RESEND};
use seat::{Heard, Seat, timespec};
use signals::Signals;

/// A worker that served for this long was sound: the next one starts at once.
const SOUND: Duration = Duration::from_secs(1);
/// How long a worker may finish what it does.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long whoever still has a file open keeps it after SIGTERM.
const LEAVING: Duration = Duration::from_secs(2);

/// What a keeper needs to know.
#[derive(Debug)]
pub struct KeeperOptions {
    /// Where it is mounted.
    pub mountpoint: PathBuf,
    /// The program started as worker: looked up again at every start, so that an upgrade is picked up.
    pub program: PathBuf,
    /// Its arguments; they say that it is a worker.
    pub arguments: Vec<OsString>,
    /// The audit directory, opened before the mount covered it.
    pub source: OwnedFd,
}

/// Keeps the mount behind `device` served until it is gone or SIGTERM comes. SIGHUP replaces the worker.
/// `served` is called once, when the first worker serves.
///
/// # Errors
/// [`MountError::NoWorker`] when the first worker ended before it served; [`MountError::Session`] when the keeper
/// could not begin. The mount is detached then.
pub fn keep(
    device: OwnedFd,
    options: KeeperOptions,
    served: &mut dyn FnMut(),
) -> Result<(), MountError> {
    let mountpoint = options.mountpoint.clone();
    let kept = Keeper::begin(device, options).and_then(|mut keeper| keeper.run(served));
    if kept.is_err() {
        drop(detach(&mountpoint));
    }
    kept
}

struct Keeper {
    options: KeeperOptions,
    device: OwnedFd,
    /// A file without a name, handed from worker to worker: what the next one must know. The keeper does not read it.
    notebook: OwnedFd,
    handshake: Handshake,
    /// The worker that has been told to serve.
    serving: Option<Seat>,
    /// A worker that starts, while `serving` goes on or is dead.
    starting: Option<Seat>,
    backoff: Backoff,
    kill_at: Option<Instant>,
    control: Control,
    signals: Signals,
}

impl Keeper {
    fn begin(device: OwnedFd, options: KeeperOptions) -> Result<Self, MountError> {
        let signals = Signals::listen().map_err(MountError::Session)?;
        let notebook = rustix::fs::memfd_create("auditfs", rustix::fs::MemfdFlags::CLOEXEC)
            .map_err(|error| MountError::Session(error.into()))?;
        let handshake = Handshake::receive(&device).map_err(MountError::Session)?;
        let control = Control::listen(&options.mountpoint);
        Ok(Keeper {
            options,
            device,
            notebook,
            handshake,
            serving: None,
            starting: None,
            backoff: Backoff::at_once(),
            kill_at: None,
            control,
            signals,
        })
    }

    fn run(&mut self, served: &mut dyn FnMut()) -> Result<(), MountError> {
        loop {
            self.wait();
            if self.is_mount_gone() {
                self.control.leave();
                self.end_workers();
                say("unmounted");
                return Ok(());
            }
            if self.signals.end() {
                self.leave();
                return Ok(());
            }
            self.control.retry_if_due();
            if self.signals.reload() | self.control.asks_for_reload() {
                self.reload();
            }
            self.bury()?;
            self.start_if_due();
            self.hear(served);
            self.hand_over();
        }
    }

    /// Until something happens or falls due.
    fn wait(&self) {
        let mut fds = Vec::new();
        self.signals.add_to(&mut fds);
        if self.serving.is_none() {
            // No events wanted: an ended connection raises POLLERR all the same. While a worker serves, it is the one
            // that notices; the kernel would wake this poll for every request, which cost 2 us of another CPU each.
            fds.push(PollFd::new(&self.device, PollFlags::empty()));
        }
        self.control.add_to(&mut fds);
        for seat in self.serving.iter().chain(&self.starting) {
            seat.add_to(&mut fds);
        }
        let due = [self.backoff.due(), self.kill_at, self.control.retry_at()];
        let due = due.into_iter().flatten().min();
        let left = due.map(|due| due.saturating_duration_since(Instant::now()));
        // An error (EINTR, no memory) only makes the loop look around once more.
        let _ = poll(&mut fds, left.map(timespec).as_ref());
    }

    fn is_mount_gone(&self) -> bool {
        let mut fds = [PollFd::new(&self.device, PollFlags::empty())];
        let polled = poll(&mut fds, Some(&timespec(Duration::ZERO)));
        let [device] = &fds;
        polled.is_ok() && device.revents().contains(PollFlags::ERR)
    }

    /// Dead workers: their unanswered requests go back into the queue at once. Until then a reader whose request the worker had taken
    /// could not even be killed.
    fn bury(&mut self) -> Result<(), MountError> {
        if let Some(how) = self.serving.as_mut().and_then(Seat::ended) {
            let sound = self.serving.take().is_some_and(|seat| seat.lasted(SOUND));
            self.kill_at = None;
            if let Err(error) = rustix::io::write(&self.device, &RESEND) {
                say(&format!("the kernel cannot send requests again: {error}"));
            }
            if !self.handshake.is_done() {
                return Err(MountError::NoWorker(how));
            }
            if self.starting.is_none() {
                say(&format!("the worker ended ({how})"));
                self.backoff.start_later(sound);
            }
        }
        if let Some(how) = self.starting.as_mut().and_then(Seat::ended) {
            self.starting = None;
            if !self.handshake.is_done() {
                return Err(MountError::NoWorker(how));
            }
            say(&format!("a new worker ended before it served ({how})"));
            self.control.answer(&format!(
                "error the new worker ended before it served ({how}); see the log"
            ));
            if self.serving.is_none() {
                self.backoff.start_later(false);
            }
        }
        Ok(())
    }

    fn start_if_due(&mut self) {
        if self.starting.is_some() || !self.backoff.take_due() {
            return;
        }
        match Seat::start(&self.options, &self.device, &self.notebook) {
            Ok(seat) => self.starting = Some(seat),
            Err(error) => {
                say(&format!(
                    "{}: a worker could not be started: {error}",
                    self.options.program.display()
                ));
                self.control.answer(&format!(
                    "error the new worker could not be started: {error}"
                ));
                if self.serving.is_none() {
                    self.backoff.start_later(false);
                }
            }
        }
    }

    fn reload(&mut self) {
        say("replacing the worker");
        self.backoff = Backoff::at_once();
    }

    fn hear(&mut self, served: &mut dyn FnMut()) {
        if let Some(seat) = &mut self.starting {
            seat.hear();
        }
        let Some(seat) = &mut self.serving else {
            return;
        };
        if let Some(Heard::InitReply(reply)) = seat.hear() {
            let first = !self.handshake.is_done();
            if let Err(error) = self.handshake.answer(&self.device, reply) {
                say(&format!("the kernel refused the handshake: {error}"));
                return seat.kill();
            }
            seat.serves_since = Some(Instant::now());
            say(&format!("worker {} serves", seat.pid()));
            self.control.answer(&format!("ok {}", seat.pid()));
            if first {
                served();
            }
        }
    }

    /// A worker that is ready takes the place of the serving one, which ends first.
    fn hand_over(&mut self) {
        if self.kill_at.is_some_and(|at| at <= Instant::now()) {
            self.kill_at = None;
            say("the old worker does not end; killing it");
            if let Some(seat) = &mut self.serving {
                seat.kill();
            }
        }
        if !self.starting.as_ref().is_some_and(|seat| seat.ready) {
            return;
        }
        match &mut self.serving {
            Some(seat) if seat.told_to_end => {}
            Some(seat) => {
                seat.tell_to_end();
                self.kill_at = Instant::now().checked_add(PATIENCE);
            }
            None => {
                self.serving = self.starting.take();
                if let Some(seat) = &mut self.serving {
                    seat.go(&self.handshake.request());
                }
            }
        }
    }

    /// SIGTERM: the mount goes first, so that nobody new comes in.
    fn leave(&mut self) {
        say("ending");
        if let Err(error) = detach(&self.options.mountpoint) {
            say(&format!("could not detach: {error}"));
        }
        self.control.leave();
        let mut fds = [PollFd::new(&self.device, PollFlags::empty())];
        let _ = poll(&mut fds, Some(&timespec(LEAVING)));
        self.end_workers();
    }

    fn end_workers(&mut self) {
        for seat in self.starting.iter_mut().chain(&mut self.serving) {
            // A worker whose mount is gone ends by itself; the signal is for one that does not yet know.
            seat.tell_to_end();
            if !seat.wait(PATIENCE) {
                seat.kill();
                seat.wait(PATIENCE);
            }
        }
    }
}

/// One line in the log. Not by `tracing`, which panics when the disk of the log is full.
fn say(text: &str) {
    let now = super::now_ns();
    let time = crate::event::EventTime::from_ns(now).to_rfc3339();
    let line = format!("{time}  INFO auditfs::keeper: {text}\n");
    let _ = io::Write::write_all(&mut io::stderr(), line.as_bytes());
}
