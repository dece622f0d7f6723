//! The thread that keeps the writer's promises about time: what is due to be synced, sessions that are idle.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::desk::Desk;

const TICK: Duration = Duration::from_millis(200);

/// See the module text. Ends when it is dropped.
#[derive(Debug)]
pub struct Ticks {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Ticks {
    /// Starts it.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start(desk: Arc<Desk>) -> std::io::Result<Self> {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let stopped = stop.clone();
        let thread = std::thread::Builder::new()
            .name("ticks".into())
            .spawn(move || {
                while !is_stopped(&stopped) {
                    let ticked =
                        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| desk.tick()));
                    if ticked.is_err() {
                        tracing::error!("a tick of the writer panicked; please report this");
                    }
                }
            })?;
        Ok(Ticks {
            stop,
            thread: Some(thread),
        })
    }
}

fn is_stopped(stop: &(Mutex<bool>, Condvar)) -> bool {
    let stopped = stop.0.lock().unwrap_or_else(PoisonError::into_inner);
    let waited = stop
        .1
        .wait_timeout_while(stopped, TICK, |stopped| !*stopped);
    *waited.unwrap_or_else(PoisonError::into_inner).0
}

impl Drop for Ticks {
    fn drop(&mut self) {
        *self.stop.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.1.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the writer's ticks panicked");
        }
    }
}
