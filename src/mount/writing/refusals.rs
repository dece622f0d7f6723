//! The log of what was refused: the reason of each, but not a line for each of a thousand.

use std::sync::{Mutex, PoisonError};

use fuser::Errno;

use super::desk::Asker;
use super::refused::Refused;
use crate::mount::now_ns;

/// So many lines in so many nanoseconds.
const LINES: u32 = 100;
const WINDOW_NS: i64 = 10_000_000_000;

/// See the module text.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    since_ns: i64,
    told: u32,
    untold: u64,
}

impl Refusals {
    /// Tells of one.
    pub fn tell(&self, path: &str, asker: Asker, errno: Errno, why: &Refused) {
        if self.may_tell(now_ns()) {
            let name = name_of(errno);
            tracing::warn!(
                path,
                uid = asker.uid,
                pid = asker.pid,
                errno = name,
                "refused: {why}"
            );
        }
    }

    fn may_tell(&self, now_ns: i64) -> bool {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !(0..WINDOW_NS).contains(&now_ns.saturating_sub(window.since_ns)) {
            if window.untold > 0 {
                tracing::warn!("{} more requests were refused", window.untold);
            }
            *window = Window {
                since_ns: now_ns,
                ..Window::default()
            };
        }
        if window.told < LINES {
            window.told += 1;
            true
        } else {
            window.untold += 1;
            false
        }
    }
}

fn name_of(errno: Errno) -> String {
    let error = std::io::Error::from_raw_os_error(errno.code());
    match errno.code() {
        libc::EPERM => "EPERM".to_owned(),
        libc::EINVAL => "EINVAL".to_owned(),
        libc::EMSGSIZE => "EMSGSIZE".to_owned(),
        libc::EEXIST => "EEXIST".to_owned(),
        libc::EFBIG => "EFBIG".to_owned(),
        libc::EIO => "EIO".to_owned(),
        libc::ESTALE => "ESTALE".to_owned(),
        libc::ENOSPC => "ENOSPC".to_owned(),
        libc::EDQUOT => "EDQUOT".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted() {
        let refusals = Refusals::default();
        let told = (0..1000)
            .filter(|at| refusals.may_tell(WINDOW_NS + at))
            .count();
        assert_eq!(told, LINES as usize);
        assert!(refusals.may_tell(3 * WINDOW_NS));
    }
}
