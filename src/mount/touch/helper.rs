//! The helper process: wishes in on standard input, touches out through the mount, at most four a second per file.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec as FileTime, Timestamps};
use rustix::mount::OpenTreeFlags;

use super::{CREATE, TOUCH};
use crate::mount::mount_error::MountError;
use crate::mount::mount_table::find_mount;
use crate::mount::sys::clear_read_only;

/// The least time between two touches of one file (DESIGN 4.10).
const PAUSE: Duration = Duration::from_millis(250);
/// More files than this in one pause: the rest is not touched.
const MOST_FILES: usize = 4096;

/// Does what the worker wishes on standard input until that is closed or the mount is gone.
///
/// # Errors
/// [`MountError::MountTable`], [`MountError::Session`] when standard input cannot be read.
pub fn run_touch_helper(mountpoint: &Path) -> Result<(), MountError> {
    let mut wishes = Wishes::default();
    let mut input = io::stdin().lock();
    let mut text = [0; 64 << 10];
    loop {
        let timeout = wishes
            .next_due()
            .map(|due| due.saturating_duration_since(Instant::now()));
        let mut fds = [PollFd::from_borrowed_fd(
            rustix::stdio::stdin(),
            PollFlags::IN,
        )];
        let ready = poll(&mut fds, timeout.map(timespec).as_ref());
        if matches!(ready, Ok(1..)) {
            // Standard input keeps a buffer, but of this size reads go around it.
            let length = input.read(&mut text).map_err(MountError::Session)?;
            if length == 0 {
                return Ok(());
            }
            wishes.take(text.get(..length).unwrap_or_default(), Instant::now());
        }
        let due = wishes.due(Instant::now());
        if due.is_empty() {
            continue;
        }
        // Held for this round only: it would keep the file system alive after the mount has ended.
        let Some(place) = open_place(mountpoint)? else {
            return Ok(());
        };
        for (path, create) in due {
            if let Err(error) = fulfil(&place, &path, create) {
                tracing::debug!(%error, path, "not touched");
            }
        }
    }
}

/// The root of the mount, writable: itself, or a clone that is attached nowhere. None if the mount is gone.
fn open_place(mountpoint: &Path) -> Result<Option<OwnedFd>, MountError> {
    if !find_mount(mountpoint)?.is_some_and(|mount| mount.is_ours()) {
        return Ok(None);
    }
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let clone = rustix::mount::open_tree(rustix::fs::CWD, mountpoint, flags);
    let clone = clone.map_err(io::Error::from).and_then(|clone| {
        clear_read_only(clone.as_fd())?;
        Ok(clone)
    });
    // An ordinary user may not clone, and mounts writable instead; the worker refuses everybody but this process.
    let opened = clone.or_else(|_| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(mountpoint, flags, Mode::empty()).map_err(io::Error::from)
    });
    opened.map(Some).map_err(MountError::Session)
}

fn fulfil(place: &OwnedFd, path: &str, create: bool) -> rustix::io::Result<()> {
    if create {
        match rustix::fs::mknodat(place, path, FileType::RegularFile, Mode::RUSR, 0) {
            // Somebody has seen it already: then whoever watches it is woken.
            Err(rustix::io::Errno::EXIST) => {}
            other => return other,
        }
    }
    let times = Timestamps {
        last_access: time(rustix::fs::UTIME_OMIT),
        last_modification: time(rustix::fs::UTIME_NOW),
    };
    // With the access time left alone the kernel says IN_MODIFY; with both set it would say IN_ATTRIB.
    rustix::fs::utimensat(place, path, &times, AtFlags::SYMLINK_NOFOLLOW)
}

fn time(tv_nsec: rustix::fs::Nsecs) -> FileTime {
    FileTime { tv_sec: 0, tv_nsec }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

/// What is still to be done, and what was done a moment ago.
#[derive(Debug, Default)]
struct Wishes {
    /// The beginning of a line whose end has not come.
    cut: Vec<u8>,
    files: BTreeMap<String, Wish>,
}

#[derive(Debug)]
struct Wish {
    /// Some: to be done; true for creating.
    wanted: Option<bool>,
    not_before: Instant,
}

impl Wishes {
    fn take(&mut self, text: &[u8], now: Instant) {
        for part in text.split_inclusive(|byte| *byte == b'\n') {
            self.cut.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.cut);
                if let Ok(line) = std::str::from_utf8(&line) {
                    self.add(line.trim_end_matches('\n'), now);
                }
            }
        }
    }

    fn add(&mut self, line: &str, now: Instant) {
        let (path, create) = match (line.strip_prefix(TOUCH), line.strip_prefix(CREATE)) {
            (Some(path), _) => (path, false),
            (_, Some(path)) => (path, true),
            _ => return,
        };
        if self.files.len() >= MOST_FILES && !self.files.contains_key(path) {
            return;
        }
        let wish = self.files.entry(path.to_owned()).or_insert(Wish {
            wanted: None,
            not_before: now,
        });
        wish.wanted = Some(create || wish.wanted == Some(true));
    }

    fn next_due(&self) -> Option<Instant> {
        let open = self.files.values().filter(|wish| wish.wanted.is_some());
        open.map(|wish| wish.not_before).min()
    }

    /// What may be done now. It counts as done.
    fn due(&mut self, now: Instant) -> Vec<(String, bool)> {
        self.files
            .retain(|_, wish| wish.wanted.is_some() || wish.not_before > now);
        let mut due = Vec::new();
        for (path, wish) in &mut self.files {
            if wish.not_before <= now
                && let Some(create) = wish.wanted.take()
            {
                wish.not_before = now.checked_add(PAUSE).unwrap_or(now);
                due.push((path.clone(), create));
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(script: &[(u64, &str)], expected: &[(u64, &str, bool)]) {
        let start = Instant::now();
        let mut wishes = Wishes::default();
        let mut done = Vec::new();
        for ms in 0..2000 {
            let now = start + Duration::from_millis(ms);
            for (_, text) in script.iter().filter(|(at, _)| *at == ms) {
                wishes.take(text.as_bytes(), now);
            }
            let due = wishes.due(now);
            done.extend(due.into_iter().map(|(path, create)| (ms, path, create)));
        }
        assert_eq!(wishes.files.len(), 0, "nothing is kept for ever");
        let expected = expected
            .iter()
            .map(|(ms, path, create)| (*ms, (*path).to_owned(), *create));
        assert_eq!(done, expected.collect::<Vec<_>>());
    }

    #[test]
    fn the_first_touch_is_at_once_and_the_next_a_quarter_second_later() {
        check(
            &[
                (5, "touch a\n"),
                (6, "touch a\ntouch a\n"),
                (7, "touch a\n"),
            ],
            &[(5, "a", false), (255, "a", false)],
        );
    }

    #[test]
    fn a_creation_is_not_forgotten_over_a_touch() {
        check(
            &[(0, "touch a\n"), (1, "create a\ntouch a\n")],
            &[(0, "a", false), (250, "a", true)],
        );
    }

    #[test]
    fn a_line_may_come_in_two_pieces_and_nonsense_is_passed_over() {
        check(
            &[(0, "tou"), (3, "ch b\nxyz\n\nremove a\n")],
            &[(3, "b", false)],
        );
    }
}
