//! A bounded pool of threads for requests that need the share or a disk.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

type Job = Box<dyn FnOnce() + Send>;

/// See the module text. Jobs wait in order; there are never more than the kernel's background limit.
#[derive(Clone, Debug)]
pub struct Pool {
    jobs: Arc<Mutex<Sender<Job>>>,
    unfinished: Arc<Unfinished>,
}

/// Jobs that have been taken and are not done.
#[derive(Debug, Default)]
struct Unfinished {
    count: Mutex<usize>,
    /// Nothing is left; or so it was for a moment.
    none: Condvar,
}

impl Pool {
    /// Starts `threads` threads.
    ///
    /// # Errors
    /// If none could be started.
    pub fn start(threads: usize) -> std::io::Result<Self> {
        let (jobs, inbox) = channel::<Job>();
        let inbox = Arc::new(Mutex::new(inbox));
        for number in 0..threads {
            let inbox = inbox.clone();
            std::thread::Builder::new()
                .name(format!("worker {number}"))
                .spawn(move || work(&inbox))?;
        }
        Ok(Pool {
            jobs: Arc::new(Mutex::new(jobs)),
            unfinished: Arc::default(),
        })
    }

    /// Ends the process of a worker: what it has begun is finished first, for at most `patience`. `end` runs while nothing can
    /// begin; whatever is taken meanwhile is sent again to the next worker.
    pub fn finish(&self, patience: Duration, end: impl FnOnce()) {
        let due = Instant::now().checked_add(patience);
        let mut count = lock(&self.unfinished.count);
        while *count > 0 {
            let left = due.map(|due| due.saturating_duration_since(Instant::now()));
            let left = left.unwrap_or(patience);
            if left.is_zero() {
                tracing::warn!(unfinished = *count, "requests are left to the next worker");
                break;
            }
            let waited = self.unfinished.none.wait_timeout(count, left);
            count = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        end();
    }

    /// Runs `job` on a thread of the pool. A job that panics is reported and ends; its request is answered with EIO
    /// by the reply that it drops.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) {
        // While the process ends this waits for ever, so that the request is not begun.
        *lock(&self.unfinished.count) += 1;
        let done = Done(self.unfinished.clone());
        let job = Box::new(move || {
            let _done = done;
            job();
        });
        if lock(&self.jobs).send(job).is_err() {
            tracing::error!("the pool has ended; a request is dropped");
        }
    }
}

/// A job is done however it ends: this goes with it.
struct Done(Arc<Unfinished>);

impl Drop for Done {
    fn drop(&mut self) {
        let mut count = lock(&self.0.count);
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.0.none.notify_all();
        }
    }
}

/// Every section leaves its value whole, so a lock that a panicking thread held is good.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn work(inbox: &Mutex<Receiver<Job>>) {
    loop {
        let job = inbox.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("a request panicked; please report this");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn what_has_begun_is_finished_before_the_end() {
        let pool = Pool::start(2).unwrap();
        let (begun, begins) = channel();
        let finished = Arc::new(AtomicBool::new(false));
        let finishes = finished.clone();
        pool.run(move || {
            begun.send(()).unwrap();
            for _ in 0..1000 {
                std::thread::yield_now();
            }
            finishes.store(true, Ordering::Relaxed);
        });
        begins.recv().unwrap();
        let mut was_finished = false;
        pool.finish(Duration::from_secs(60), || {
            was_finished = finished.load(Ordering::Relaxed);
        });
        assert!(was_finished);
    }

    #[test]
    fn what_does_not_finish_is_not_waited_for_for_ever() {
        let pool = Pool::start(1).unwrap();
        let (free, hangs) = channel::<()>();
        pool.run(move || {
            let _ = hangs.recv();
        });
        let mut ended = false;
        pool.finish(Duration::from_millis(1), || ended = true);
        drop(free);
        assert!(ended);
    }
}
