//! Requests that change something: through the gate, to the desk, in the pool. A mount that only reads answers EROFS.

use std::ffi::OsStr;
use std::sync::Arc;

use fuser::{Errno, FopenFlags, Generation, INodeNo, ReplyAttr, ReplyCreate, ReplyEntry, Request};

use crate::view::Attr;

use super::answers::ttl;
use super::errno::refused_errno;
use super::keeper::is_resent;
use super::requests::AuditFs;
use super::writing::{Asker, Desk, Passage, Refused};

/// Tells the gate that a request has been answered, however that went.
struct Leaving(Arc<Desk>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.gate.leave();
    }
}

impl AuditFs {
    /// Does `work` for a request about `ino`, which changes something, or is refused with a line in the log.
    pub(super) fn change<R: Send + 'static, T: 'static>(
        &self,
        request: &Request,
        ino: INodeNo,
        reply: R,
        work: impl FnOnce(&Desk) -> Result<T, Refused> + Send + 'static,
        send: impl FnOnce(R, Result<T, Errno>) + Send + 'static,
    ) {
        self.pass(request, is_resent(request), ino, reply, work, send);
    }

    /// The same for what may be done twice: syncing, closing.
    pub(super) fn repeatable<R: Send + 'static, T: 'static>(
        &self,
        request: &Request,
        ino: INodeNo,
        reply: R,
        work: impl FnOnce(&Desk) -> Result<T, Refused> + Send + 'static,
        send: impl FnOnce(R, Result<T, Errno>) + Send + 'static,
    ) {
        self.pass(request, false, ino, reply, work, send);
    }

    fn pass<R: Send + 'static, T: 'static>(
        &self,
        request: &Request,
        is_doubtful: bool,
        ino: INodeNo,
        reply: R,
        work: impl FnOnce(&Desk) -> Result<T, Refused> + Send + 'static,
        send: impl FnOnce(R, Result<T, Errno>) + Send + 'static,
    ) {
        let Some(desk) = self.desk.clone() else {
            return send(reply, Err(Errno::EROFS));
        };
        let asker = Asker::from(request);
        match desk.gate.enter(is_doubtful) {
            // The process ends in a moment; the request goes to the next worker.
            Passage::Park => std::mem::forget(reply),
            Passage::Doubtful => {
                let errno = desk.tell(&desk.place(ino), asker, &Refused::Resent);
                send(reply, Err(errno));
            }
            Passage::Enter => {
                let leaving = Leaving(desk);
                self.pool.run(move || {
                    let desk = &leaving.0;
                    let done = work(desk);
                    let done = done.map_err(|why| desk.tell(&desk.place(ino), asker, &why));
                    send(reply, done);
                });
            }
        }
    }

    /// The errno of what nobody may do: EROFS where nothing is written, else EPERM.
    pub(super) fn refuse(&self, request: &Request, ino: INodeNo, name: Option<&OsStr>) -> Errno {
        let Some(desk) = &self.desk else {
            return Errno::EROFS;
        };
        if name.is_none() && desk.upload_attr(ino).is_some() {
            return refused_errno(&Refused::NoAttributes);
        }
        let mut place = desk.place(ino);
        if let Some(name) = name {
            let name = name.to_string_lossy();
            place = format!("{}/{name}", place.trim_end_matches('/'));
        }
        desk.tell(&place, request.into(), &Refused::OnlyAdded)
    }

    /// A directory is made: a session.
    pub(super) fn make_directory(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        reply: ReplyEntry,
    ) {
        let (shared, name) = (self.shared.clone(), name.to_string_lossy().into_owned());
        let work = move |desk: &Desk| desk.mkdir(parent, &name);
        self.change(
            request,
            parent,
            reply,
            work,
            move |reply, made| match made {
                Ok(attr) => reply.entry(&ttl(attr.ttl), &shared.file_attr(&attr), Generation(0)),
                Err(error) => reply.error(error),
            },
        );
    }

    /// A file is made: a recording that is uploaded.
    pub(super) fn create_file(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        reply: ReplyCreate,
    ) {
        let (shared, name) = (self.shared.clone(), name.to_string_lossy().into_owned());
        let work = move |desk: &Desk| desk.create(parent, &name);
        self.change(
            request,
            parent,
            reply,
            work,
            move |reply, made| match made {
                Ok((attr, fh)) => {
                    let (ttl, attr) = (ttl(attr.ttl), shared.file_attr(&attr));
                    reply.created(&ttl, &attr, Generation(0), fh, FopenFlags::FOPEN_DIRECT_IO);
                }
                Err(error) => reply.error(error),
            },
        );
    }

    /// A size that is set; nothing else is (modes, owners, times), but an upload takes it without a word, for `cp -p`.
    pub(super) fn set_attributes(
        &self,
        request: &Request,
        ino: INodeNo,
        size_bytes: Option<u64>,
        reply: ReplyAttr,
    ) {
        let shared = self.shared.clone();
        let work = move |desk: &Desk| match (size_bytes, desk.upload_attr(ino)) {
            (Some(size_bytes), _) => desk.resize(ino, size_bytes),
            (None, Some(attr)) => Ok(attr),
            (None, None) => Err(Refused::OnlyAdded),
        };
        self.change(request, ino, reply, work, move |reply, done| match done {
            Ok(attr) => reply.attr(&ttl(attr.ttl), &shared.file_attr(&attr)),
            Err(error) => reply.error(error),
        });
    }

    /// Attributes of an upload that is under way.
    pub(super) fn upload_attr(&self, ino: INodeNo) -> Option<Attr> {
        self.desk.as_ref()?.upload_attr(ino)
    }
}
