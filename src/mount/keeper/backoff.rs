//! When the next worker is started: at once, or later and later if workers do not last.

use std::time::{Duration, Instant};

const FIRST_DELAY_MS: u64 = 100;
const LONGEST_DELAY_MS: u64 = 30_000;

/// See the module text.
#[derive(Debug)]
pub struct Backoff {
    start_at: Option<Instant>,
    delay_ms: u64,
}

impl Backoff {
    /// A worker is due now; what was before is forgotten.
    pub fn at_once() -> Self {
        Backoff {
            start_at: Some(Instant::now()),
            delay_ms: 0,
        }
    }

    /// When a worker is due.
    pub fn due(&self) -> Option<Instant> {
        self.start_at
    }

    /// Whether a worker is due, which is then on its way.
    pub fn take_due(&mut self) -> bool {
        self.start_at.take_if(|at| *at <= Instant::now()).is_some()
    }

    /// A worker has ended; if it was `sound` the next one is due at once.
    pub fn start_later(&mut self, sound: bool) {
        if sound {
            self.delay_ms = 0;
        }
        super::say(&format!("starting a worker in {} ms", self.delay_ms));
        self.start_at = Instant::now().checked_add(Duration::from_millis(self.delay_ms));
        self.delay_ms = (self.delay_ms * 2).clamp(FIRST_DELAY_MS, LONGEST_DELAY_MS);
    }
}
