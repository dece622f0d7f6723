//! The disk-format writer of this mount, for as long as this server's folder can be had.
//!
//! The command that mounts has made sure that it can. A worker that is started later may find that another daemon has
//! taken the folder meanwhile: then it serves readers all the same, answers writers ESTALE, and asks again every few
//! seconds. A lock that was broken is not asked for again.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::event::{EventTime, ServerId};
use crate::view::View;
use crate::write::{
    LockError, Making, OwnDirectory, Recorder, RecorderError, RecorderOptions, WriteError,
};

use super::ends::ViewEnds;
use super::refused::Refused;
use crate::mount::now_ns;

/// Time between two attempts to take the folder.
const RETRY_NS: i64 = 5_000_000_000;
/// The same complaint of a tick is told once in so long.
const REPEAT_NS: i64 = 60_000_000_000;

/// How a mount writes.
#[derive(Clone, Debug)]
pub struct WriterOptions {
    /// As whom, in which form.
    pub recorder: RecorderOptions,
    /// How folders and files are made.
    pub making: Making,
}

/// See the module text.
#[derive(Debug)]
pub struct Writer {
    /// The audit directory.
    root: OwnedFd,
    view: Arc<View>,
    options: WriterOptions,
    state: Mutex<State>,
    complaint: Mutex<Option<(String, i64)>>,
}

#[derive(Debug)]
enum State {
    Recording(Arc<Recorder>),
    Waiting { why: String, since_ns: i64 },
}

impl Writer {
    /// Takes the server's folder in the audit directory `root`, which `view` shows.
    pub fn new(root: OwnedFd, view: Arc<View>, options: WriterOptions) -> Self {
        let writer = Writer {
            root,
            view,
            options,
            state: Mutex::new(State::Waiting {
                why: "it begins".to_owned(),
                since_ns: 0,
            }),
            complaint: Mutex::default(),
        };
        writer.try_to_begin(now_ns());
        writer
    }

    /// As whom it writes.
    pub fn server_id(&self) -> &ServerId {
        &self.options.recorder.server_id
    }

    /// What writes.
    ///
    /// # Errors
    /// `Refused::NoRecorder` while another program has the folder.
    pub fn recorder(&self) -> Result<Arc<Recorder>, Refused> {
        match &*self.state() {
            State::Recording(recorder) => Ok(recorder.clone()),
            State::Waiting { why, .. } => Err(Refused::NoRecorder(why.clone())),
        }
    }

    /// Several times a second: syncs what is due, closes idle sessions, takes the folder if it can be had now.
    pub fn tick(&self) {
        let now_ns = now_ns();
        let due = match &*self.state() {
            State::Recording(_) => false,
            State::Waiting { since_ns, .. } => now_ns.saturating_sub(*since_ns) >= RETRY_NS,
        };
        if due {
            self.try_to_begin(now_ns);
        }
        if let Ok(recorder) = self.recorder()
            && let Err(error) = recorder.tick(EventTime::from_ns(now_ns))
        {
            self.complain(&error, now_ns);
        }
    }

    /// Syncs and closes everything.
    pub fn close(&self) {
        if let Ok(recorder) = self.recorder()
            && let Err(error) = recorder.close()
        {
            tracing::error!(%error, "what was acknowledged last may be lost");
        }
    }

    fn try_to_begin(&self, now_ns: i64) {
        let begun = self.begin(now_ns);
        let mut state = self.state();
        *state = match begun {
            Ok(recorder) => {
                tracing::info!(server_id = %self.server_id(), "writing");
                State::Recording(Arc::new(recorder))
            }
            Err(error) => {
                let why = error.to_string();
                if !matches!(&*state, State::Waiting { why: known, .. } if *known == why) {
                    tracing::error!(%error, "nothing can be written; trying again every 5 s");
                }
                State::Waiting {
                    why,
                    since_ns: now_ns,
                }
            }
        };
    }

    fn begin(&self, now_ns: i64) -> Result<Recorder, RecorderError> {
        // The descriptor is the directory below the mount, which may cover it by now.
        let path = format!("/proc/self/fd/{}", self.root.as_raw_fd());
        let directory = OwnDirectory::open(Path::new(&path), self.options.making);
        let directory = directory.map_err(|source| LockError::Io {
            path: self.server_id().to_string(),
            source,
        })?;
        Recorder::open(
            directory,
            Arc::new(ViewEnds::new(self.view.clone())),
            self.options.recorder.clone(),
            EventTime::from_ns(now_ns),
        )
    }

    fn complain(&self, error: &WriteError, now_ns: i64) {
        let text = error.to_string();
        let mut complaint = self
            .complaint
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let told = complaint.as_ref().is_some_and(|(known, since_ns)| {
            *known == text && now_ns.saturating_sub(*since_ns) < REPEAT_NS
        });
        if !told {
            tracing::error!(%error, "what was acknowledged last may be lost");
            *complaint = Some((text, now_ns));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
