//! A bounded pool of threads for requests that need the share.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

type Job = Box<dyn FnOnce() + Send>;

/// See the module text. Jobs wait in order; there are never more than the kernel's background limit.
#[derive(Debug)]
pub struct Pool {
    jobs: Mutex<Sender<Job>>,
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
            jobs: Mutex::new(jobs),
        })
    }

    /// Runs `job` on a thread of the pool. A job that panics is reported and ends; its request is answered with EIO
    /// by the reply that it drops.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if jobs.send(Box::new(job)).is_err() {
            tracing::error!("the pool has ended; a request is dropped");
        }
    }
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
