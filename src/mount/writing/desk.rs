//! The desk at which requests that change something are taken: each is done, or refused with a reason.

use std::sync::Arc;

use fuser::{Errno, FileHandle, INodeNo, OpenFlags, Request};

use crate::event::EventTime;
use crate::view::{Attr, Node, NodeKind, Ttl, ViewError, Wait};
use crate::write::{Recorder, WriteError};

use super::gate::Gate;
use super::handles::{Handle, HandleState, Handles};
use super::made::MadeList;
use super::refusals::Refusals;
use super::refused::Refused;
use super::taking::take_lines;
use super::target::Target;
use super::uploads::Uploads;
use super::writer::Writer;
use crate::mount::answers::{Shared, now_ns};
use crate::mount::errno::refused_errno;

/// See the module text.
#[derive(Debug)]
pub struct Desk {
    pub(super) shared: Arc<Shared>,
    pub(super) writer: Arc<Writer>,
    pub(super) uploads: Uploads,
    pub(super) made: MadeList,
    /// The door before it.
    pub gate: Gate,
    handles: Handles,
    refusals: Refusals,
}

/// Who asks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asker {
    /// User ID.
    pub uid: u32,
    /// Process ID, 0 for one in another PID namespace.
    pub pid: u32,
}

impl From<&Request> for Asker {
    fn from(request: &Request) -> Self {
        Asker {
            uid: request.uid(),
            pid: request.pid(),
        }
    }
}

impl Desk {
    /// The desk of a worker. Uploads wait in files without a name in `state_dir`.
    pub(in crate::mount) fn new(
        shared: Arc<Shared>,
        writer: Arc<Writer>,
        state_dir: std::path::PathBuf,
    ) -> Self {
        let (gate, note) = Gate::open(&state_dir);
        shared.keep_today(EventTime::from_ns(now_ns()));
        Desk {
            made: MadeList::open(&state_dir, &shared.view, now_ns()),
            uploads: Uploads::new(state_dir),
            shared,
            writer,
            gate,
            handles: Handles::inherit(&note),
            refusals: Refusals::default(),
        }
    }

    /// Several times a second.
    pub fn tick(&self) {
        self.keep_today();
        self.writer.tick();
    }

    /// Before a name is looked up: it may be midnight.
    pub fn keep_today(&self) {
        self.shared.keep_today(EventTime::from_ns(now_ns()));
    }

    /// Finishes what was begun and closes everything, so that the next worker can go on.
    pub fn close(&self) {
        self.gate.close();
        self.writer.close();
        self.gate.leave_note(&self.handles.note());
    }

    /// Says in the log why something was refused, and gives the errno for it.
    pub fn tell(&self, place: &str, asker: Asker, why: &Refused) -> Errno {
        let errno = refused_errno(why);
        // That a line is unfinished counts when the last descriptor is closed.
        if !matches!(why, Refused::Unfinished) {
            self.refusals.tell(place, asker, errno, why);
        }
        errno
    }

    /// What a file is called, for the log.
    pub fn place(&self, ino: INodeNo) -> String {
        if let Some(upload) = self.uploads.by_ino(ino) {
            return upload.path();
        }
        match self.shared.view.node(ino.0) {
            Ok(node) => match (Target::of(&self.shared.view, &node), node.fixed_path()) {
                (_, Some(path)) if path.is_empty() => "/".to_owned(),
                (_, Some(path)) => path,
                (Ok(target), None) => target.path(),
                (Err(_), None) => format!("inode {ino}"),
            },
            Err(_) => format!("inode {ino}"),
        }
    }

    /// Opens a file for writing.
    pub fn open(&self, ino: INodeNo, flags: OpenFlags, by: Asker) -> Result<FileHandle, Refused> {
        let node = self.shared.view.node(ino.0)?;
        let now = EventTime::from_ns(now_ns());
        let handle = Handle::new(Target::to_open(&self.shared.view, &node, now)?, flags, by);
        if !handle.appends {
            handle.state().opened_end_bytes = Some(self.shared.attr(ino, Wait::Share)?.size);
        }
        let fh = self.shared.new_handle();
        self.handles.get_or_put(fh, handle);
        Ok(fh)
    }

    /// Takes bytes. Gives how many of them were taken.
    pub fn write(
        &self,
        ino: INodeNo,
        fh: FileHandle,
        flags: OpenFlags,
        offset_bytes: u64,
        data: &[u8],
    ) -> Result<u32, Refused> {
        if let Some(upload) = self.uploads.get(fh) {
            return upload.write(offset_bytes, data);
        }
        let recorder = self.writer.recorder()?;
        let handle = self.handle(ino, fh, flags)?;
        let now = EventTime::from_ns(now_ns());
        let mut state = handle.state();
        if !handle.appends {
            self.check_offset(&recorder, ino, &handle.target, &state, offset_bytes, now)?;
        }
        let failures = || failures_of(&recorder, &handle.target);
        state.failures_before.get_or_insert_with(failures);
        let taken = match &handle.target {
            Target::Stream(ns, sid) => recorder
                .post_print(ns, sid, data, now)
                .map(|_| data.len())
                .map_err(Refused::from),
            Target::Log | Target::SessionEvents(..) => {
                take_lines(&recorder, &handle.target, &mut state.tail, data, now)
            }
        };
        self.show(&recorder, &handle.target, now);
        let taken = taken?;
        if handle.durable {
            sync(&recorder, &handle.target)?;
        }
        state.next_offset_bytes = Some(offset_bytes + taken as u64);
        // A request has at most 1 MiB.
        Ok(taken as u32)
    }

    /// An unfinished line is told each time one of its descriptors is closed, but kept: others may be open.
    pub fn flush(&self, ino: INodeNo, fh: FileHandle) -> Result<(), Refused> {
        if let Some(upload) = self.uploads.get(fh) {
            return upload.finish(&*self.writer.recorder()?, &self.shared.view);
        }
        let Some(handle) = self.known(ino, fh) else {
            return self.target_of(ino).map(drop);
        };
        let state = handle.state();
        if state.tail.len() > 0 {
            return Err(Refused::Unfinished);
        }
        if let (Some(before), Ok(recorder)) = (state.failures_before, self.writer.recorder())
            && failures_of(&recorder, &handle.target) > before
        {
            return Err(Refused::FailedSince);
        }
        Ok(())
    }

    /// The last descriptor is closed: what is unfinished is let go.
    pub fn release(&self, ino: INodeNo, fh: FileHandle) -> Result<(), Refused> {
        if let Some(upload) = self.uploads.release(fh) {
            return upload.is_finished();
        }
        if let Some(handle) = self.known(ino, fh).and_then(|_| self.handles.take(fh))
            && let Err(why) = handle.state().tail.is_finished()
        {
            self.tell(&handle.target.path(), handle.by, &why);
        }
        Ok(())
    }

    /// fsync(2): what was acknowledged is durable, or it is told that it may not be.
    pub fn fsync(&self, ino: INodeNo, fh: FileHandle) -> Result<(), Refused> {
        if let Some(upload) = self.uploads.get(fh) {
            // It counts from its close on, and is durable then.
            return upload.is_intact();
        }
        let target = match self.target_of(ino) {
            // Nothing that is only read needs syncing.
            Err(Refused::ReadOnly) => return Ok(()),
            target => target?,
        };
        let recorder = self.writer.recorder()?;
        let handle = self.known(ino, fh);
        let before = handle
            .as_ref()
            .and_then(|handle| handle.state().failures_before.take());
        sync(&recorder, &target)?;
        if before.is_some_and(|before| failures_of(&recorder, &target) > before) {
            return Err(Refused::FailedSince);
        }
        Ok(())
    }

    /// Setting the size it has is fine; that is also what `>` does to an empty file.
    pub fn resize(&self, ino: INodeNo, size_bytes: u64) -> Result<Attr, Refused> {
        if let Some(upload) = self.uploads.by_ino(ino) {
            upload.resize(size_bytes)?;
            return Ok(upload_attr(ino, upload.len_bytes()));
        }
        let attr = self.shared.attr(ino, Wait::Share)?;
        if attr.kind != NodeKind::File {
            return Err(ViewError::IsDirectory.into());
        }
        let target = self.target_of(ino)?;
        let now = EventTime::from_ns(now_ns());
        let end = || self.end_of(&target, now).unwrap_or(None);
        if attr.size == size_bytes || end() == Some(size_bytes) {
            return Ok(attr);
        }
        Err(Refused::Resize { size_bytes })
    }

    /// Attributes of an upload that is under way, which no view knows.
    pub fn upload_attr(&self, ino: INodeNo) -> Option<Attr> {
        let upload = self.uploads.by_ino(ino)?;
        Some(upload_attr(ino, upload.len_bytes()))
    }

    /// Without O_APPEND a write counts only where this handle goes on, or at the end as its process may have seen it.
    fn check_offset(
        &self,
        recorder: &Recorder,
        ino: INodeNo,
        target: &Target,
        state: &HandleState,
        offset_bytes: u64,
        now: EventTime,
    ) -> Result<(), Refused> {
        let known = [state.next_offset_bytes, state.opened_end_bytes];
        if known.contains(&Some(offset_bytes))
            || self.shared.attr(ino, Wait::Share)?.size == offset_bytes
        {
            return Ok(());
        }
        if let Target::Stream(ns, sid) = target
            && recorder.position(ns, sid, now)?.next_offset.0 == offset_bytes
        {
            return Ok(());
        }
        Err(Refused::NotAtEnd { offset_bytes })
    }

    /// Where a stream ends by what was acknowledged, which the view may not show yet.
    fn end_of(&self, target: &Target, now: EventTime) -> Result<Option<u64>, Refused> {
        match target {
            Target::Stream(ns, sid) => {
                let position = self.writer.recorder()?.position(ns, sid, now)?;
                Ok(Some(position.next_offset.0))
            }
            _ => Ok(None),
        }
    }

    /// What was written to a session is seen by the next who looks.
    fn show(&self, recorder: &Recorder, target: &Target, now: EventTime) {
        let (Target::Stream(ns, sid) | Target::SessionEvents(ns, sid)) = target else {
            return;
        };
        let view = &self.shared.view;
        let shown = match recorder.is_ended(ns, sid, now) {
            Ok(true) => view.learn_session(ns, sid),
            _ => view.wrote_session(ns, sid),
        };
        if let Err(error) = shown {
            tracing::debug!(%sid, %error, "what was written is shown later");
        }
    }

    /// The handle of a write; one of an earlier worker is taken up.
    fn handle(
        &self,
        ino: INodeNo,
        fh: FileHandle,
        flags: OpenFlags,
    ) -> Result<Arc<Handle>, Refused> {
        if let Some(handle) = self.handles.get(fh) {
            return Ok(handle);
        }
        let target = self.target_of(ino)?;
        // Who opened it only the worker before knew.
        let handle = Handle::new(target, flags, Asker::default());
        Ok(self.handles.get_or_put(fh, handle))
    }

    /// What a file is that somebody has open. One that is no file, or a recording, was an upload to a worker before this.
    fn target_of(&self, ino: INodeNo) -> Result<Target, Refused> {
        match self.shared.view.node(ino.0) {
            Err(ViewError::NotFound) | Ok(Node::Recording(_)) => Err(Refused::UploadLost),
            node => Target::of(&self.shared.view, &node?),
        }
    }

    /// The handle, if anything is known of it.
    fn known(&self, ino: INodeNo, fh: FileHandle) -> Option<Arc<Handle>> {
        match self.handles.get(fh) {
            None if self.handles.is_inherited(fh) => {
                self.handle(ino, fh, OpenFlags(libc::O_APPEND)).ok()
            }
            known => known,
        }
    }
}

fn failures_of(recorder: &Recorder, target: &Target) -> u64 {
    match target {
        Target::Log => recorder.log_failures(),
        Target::Stream(ns, sid) => recorder.session_failures(ns, sid),
        // Its events go to both.
        Target::SessionEvents(ns, sid) => {
            recorder.session_failures(ns, sid) + recorder.log_failures()
        }
    }
}

fn sync(recorder: &Recorder, target: &Target) -> Result<(), WriteError> {
    match target {
        Target::Log => recorder.sync_log(),
        Target::Stream(ns, sid) => recorder.sync_session(ns, sid),
        Target::SessionEvents(ns, sid) => {
            recorder.sync_session(ns, sid)?;
            recorder.sync_log()
        }
    }
}

/// Attributes of an upload of so many bytes.
pub(super) fn upload_attr(ino: INodeNo, size: u64) -> Attr {
    Attr {
        ino: ino.0,
        kind: NodeKind::File,
        size,
        mtime_ns: now_ns(),
        nlink: 1,
        ttl: Ttl::Unknown,
    }
}
