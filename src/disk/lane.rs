//! The thread on which the calls to one auth server's folder are made, so that a call that hangs holds up nobody else.
//!
//! On a network file system any call may block for ever, stat and close too. A caller waits for an answer no longer than the
//! deadline; while one call has been without an answer for that long, every further one fails at once. When the answer comes after
//! all, the lane is free again, however slow the server is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::disk_error::DiskError;

/// How long an answer of the share is waited for.
const DEADLINE: Duration = Duration::from_secs(8);

type Job = Box<dyn FnOnce() + Send>;

/// See the module text.
#[derive(Debug)]
pub(super) struct Lane {
    server: String,
    jobs: Mutex<Sender<Job>>,
    call: Arc<Call>,
    deadline: Duration,
}

/// The call that is being made.
#[derive(Debug, Default)]
struct Call {
    began: Mutex<Option<Instant>>,
    /// The log has been told that there is no answer.
    is_told: AtomicBool,
}

impl Lane {
    /// Starts the thread of the lane for the folder of `server`.
    pub fn start(server: &str) -> Self {
        Self::with_deadline(server, DEADLINE)
    }

    fn with_deadline(server: &str, deadline: Duration) -> Self {
        let (jobs, inbox): (Sender<Job>, Receiver<Job>) = channel();
        let call = Arc::new(Call::default());
        let (calls, name) = (call.clone(), server.to_owned());
        let spawned = std::thread::Builder::new()
            .name(format!("lane {server}"))
            .spawn(move || {
                for job in inbox {
                    calls.make(&name, job);
                }
            });
        if let Err(error) = spawned {
            tracing::error!(server, %error, "no thread for this server's lane; its calls will time out");
        }
        Lane {
            server: server.to_owned(),
            jobs: Mutex::new(jobs),
            call,
            deadline,
        }
    }

    /// When the call began that is being made now.
    pub fn waits_since(&self) -> Option<Instant> {
        *lock(&self.call.began)
    }

    /// Makes `call` on the lane's thread.
    ///
    /// # Errors
    /// Of the call, and [`DiskError::TimedOut`].
    pub fn run<T: Send + 'static>(
        &self,
        path: &str,
        call: impl FnOnce() -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, DiskError> {
        let timed_out = |waited: Duration| DiskError::TimedOut {
            path: path.to_owned(),
            waited_ms: waited.as_millis() as u64,
        };
        let waited = self.waits_since().map(|since| since.elapsed());
        if let Some(waited) = waited.filter(|waited| *waited >= self.deadline) {
            return Err(timed_out(waited));
        }
        let (answer, inbox) = channel();
        let given_up = Arc::new(AtomicBool::new(false));
        let is_given_up = given_up.clone();
        let job: Job = Box::new(move || {
            // What waited behind a call that hung is not wanted any more.
            if !is_given_up.load(Ordering::Relaxed) {
                drop(answer.send(call()));
            }
        });
        if lock(&self.jobs).send(job).is_err() {
            return Err(timed_out(Duration::ZERO));
        }
        match inbox.recv_timeout(self.deadline) {
            Ok(result) => result.map_err(|error| DiskError::io(path, error)),
            Err(_) => {
                given_up.store(true, Ordering::Relaxed);
                if !self.call.is_told.swap(true, Ordering::Relaxed) {
                    let server = self.server.as_str();
                    tracing::warn!(
                        server,
                        path,
                        "the server or the network hangs: no answer within {:?}",
                        self.deadline
                    );
                }
                Err(timed_out(self.deadline))
            }
        }
    }
}

impl Call {
    fn make(&self, server: &str, job: Job) {
        let began = Instant::now();
        *lock(&self.began) = Some(began);
        // The caller gets no answer then, which it takes for a server that hangs; the lane lives on.
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).is_err() {
            tracing::error!(server, "a call on the share panicked; please report this");
        }
        *lock(&self.began) = None;
        if self.is_told.swap(false, Ordering::Relaxed) {
            tracing::info!(server, "answers again, after {:?}", began.elapsed());
        }
    }
}

/// A lock that a panicking thread held is still good here: every section leaves its value whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A lane whose call hangs until the answer is dropped; one caller has given up already.
    fn stuck_lane() -> (Lane, Sender<()>) {
        let lane = Lane::with_deadline("a", Duration::from_millis(20));
        let (free, hangs) = channel::<()>();
        let given_up = lane.run("a/x", move || {
            let _ = hangs.recv();
            Ok(())
        });
        assert!(matches!(given_up, Err(DiskError::TimedOut { .. })));
        (lane, free)
    }

    #[test]
    fn while_a_call_hangs_others_fail_at_once_and_are_never_made() {
        let (lane, free) = stuck_lane();
        let made = Arc::new(AtomicBool::new(false));
        let makes = made.clone();
        let refused = lane.run("a/y", move || {
            makes.store(true, Ordering::Relaxed);
            Ok(())
        });
        assert!(matches!(refused, Err(DiskError::TimedOut { .. })));
        drop(free);
        while lane.run("a/z", || Ok(())).is_err() {}
        assert!(!made.load(Ordering::Relaxed));
    }

    #[test]
    fn a_call_that_panics_does_not_end_the_lane() {
        let lane = Lane::with_deadline("a", Duration::from_secs(60));
        let panicked = lane.run("a/x", || -> std::io::Result<()> { panic!("made to panic") });
        assert!(matches!(panicked, Err(DiskError::TimedOut { .. })));
        assert_eq!(lane.run("a/z", || Ok(1)).unwrap(), 1);
    }
}
