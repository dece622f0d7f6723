//! Wakes programs that wait for a file to grow: inotify says nothing of growth that comes from elsewhere (DESIGN 4.10).
//!
//! A helper process touches grown files and creates new days *through the mount*, so the kernel raises IN_MODIFY and
//! IN_CREATE. It is a process of its own because a daemon with a thread that waits for its own mount cannot be killed.

mod announced;
mod helper;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

pub use announced::Announced;
pub use helper::run_touch_helper;

/// The worker's side: what the helper shall do.
#[derive(Debug)]
pub struct Toucher {
    program: PathBuf,
    arguments: Vec<std::ffi::OsString>,
    helper: Mutex<Option<(Child, ChildStdin)>>,
    pid: AtomicU32,
}

/// One wish, a line on the helper's standard input.
pub(super) const TOUCH: &str = "touch ";
/// The other.
pub(super) const CREATE: &str = "create ";

impl Toucher {
    /// `program` with `arguments` runs [`run_touch_helper`]; it is started when first needed.
    pub fn new(program: PathBuf, arguments: Vec<std::ffi::OsString>) -> Self {
        Toucher {
            program,
            arguments,
            helper: Mutex::new(None),
            pid: AtomicU32::new(0),
        }
    }

    /// Whether the process that sent a request is the helper. Its number cannot belong to another: it is our child.
    pub fn is_helper(&self, pid: u32) -> bool {
        pid != 0 && pid == self.pid.load(Ordering::Acquire)
    }

    /// Wakes those who watch the file at `path` below the mount. Never waits; a wish too many is dropped, because the
    /// next growth brings another.
    pub fn touch(&self, path: &str) {
        self.wish(TOUCH, path);
    }

    /// Wakes those who watch the directory in which `path` is new.
    pub fn create(&self, path: &str) {
        self.wish(CREATE, path);
    }

    fn wish(&self, what: &str, path: &str) {
        let mut helper = self.helper.lock().unwrap_or_else(PoisonError::into_inner);
        if helper
            .as_mut()
            .is_none_or(|(child, _)| !matches!(child.try_wait(), Ok(None)))
        {
            *helper = match self.start() {
                Ok(started) => Some(started),
                Err(error) => {
                    tracing::warn!(%error, "the touch helper could not be started: inotify watchers are not woken");
                    None
                }
            };
        }
        if let Some((_, pipe)) = helper.as_mut() {
            // At most PIPE_BUF bytes, so a line is written whole or not at all.
            let line = format!("{what}{path}\n");
            if let Err(error) = pipe.write_all(line.as_bytes()) {
                tracing::debug!(%error, path, "the touch helper is busy");
            }
        }
    }

    fn start(&self) -> std::io::Result<(Child, ChildStdin)> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        let pipe = child.stdin.take().ok_or(std::io::ErrorKind::BrokenPipe)?;
        let flags = rustix::fs::fcntl_getfl(&pipe)?;
        rustix::fs::fcntl_setfl(&pipe, flags | rustix::fs::OFlags::NONBLOCK)?;
        self.pid.store(child.id(), Ordering::Release);
        Ok((child, pipe))
    }
}
