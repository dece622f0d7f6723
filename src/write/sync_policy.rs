//! When what was acknowledged is durable (`--sync`), the same for daily logs and sessions.

use crate::event::EventTime;

use super::storage::WriteThrough;

/// When acknowledged records are on the disk. An explicit sync (fsync(2) on the mounted file) always means durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Before the acknowledgement: O_DSYNC.
    Always,
    /// At most this many nanoseconds after it, provided the owner calls `tick` that often.
    Interval {
        /// Nanoseconds, normally 1 s.
        interval_ns: i64,
    },
    /// When the kernel pleases.
    Never,
}

impl Default for SyncPolicy {
    fn default() -> Self {
        SyncPolicy::Interval {
            interval_ns: 1_000_000_000,
        }
    }
}

impl SyncPolicy {
    pub(super) fn through(self) -> WriteThrough {
        match self {
            SyncPolicy::Always => WriteThrough::Yes,
            SyncPolicy::Interval { .. } | SyncPolicy::Never => WriteThrough::No,
        }
    }

    /// Must what was written since `dirty_since` be synced now? A clock that went back says yes.
    pub(super) fn is_due(self, dirty_since: Option<EventTime>, now: EventTime) -> bool {
        match (self, dirty_since) {
            (SyncPolicy::Interval { interval_ns }, Some(since)) => {
                let age_ns = now.as_ns().saturating_sub(since.as_ns());
                !(0..interval_ns).contains(&age_ns)
            }
            _ => false,
        }
    }
}
