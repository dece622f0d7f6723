//! What a request needs besides its decoding: answering from memory or in the pool, reading, seeking, waking.

use std::cell::Cell;
use std::sync::Arc;

use fuser::{Errno, FileHandle, INodeNo, ReplyData, ReplyEntry, ReplyLseek, ReplyStatfs, Request};

use crate::view::{Node, ViewError, Wait};

use super::answers::{Shared, now_ns, ttl};
use super::errno::errno;
use super::pool::Pool;
use super::writing::Desk;

/// The file system that fuser calls.
#[derive(Debug)]
pub struct AuditFs {
    pub(super) shared: Arc<Shared>,
    pub(super) pool: Pool,
    /// Where changes are taken; none on a mount that only reads.
    pub(super) desk: Option<Arc<Desk>>,
}

thread_local! {
    /// Fresh memory for every read would cost more than the read.
    static READ_BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

const PAGE_BYTES: usize = 4096;

/// Empties `bytes` and gives where its contents begin: at a page, as the kernel copies whole pages from there and large
/// allocations begin 16 bytes behind one (DESIGN 5).
fn begin_at_page(bytes: &mut Vec<u8>, room: usize) -> usize {
    bytes.clear();
    bytes.reserve(room + PAGE_BYTES);
    let first = bytes.as_ptr().align_offset(PAGE_BYTES).min(PAGE_BYTES);
    bytes.resize(first, 0);
    first
}

impl AuditFs {
    /// The file system that answers from `shared`, and takes changes at `desk`.
    pub fn new(shared: Arc<Shared>, pool: Pool, desk: Option<Arc<Desk>>) -> Self {
        AuditFs { shared, pool, desk }
    }

    /// Answers `work` from memory if it can, else in the pool.
    pub(super) fn answer<R: Send + 'static, T: 'static>(
        &self,
        reply: R,
        work: impl Fn(&Shared, Wait) -> Result<T, ViewError> + Send + 'static,
        send: impl FnOnce(R, Result<T, Errno>) + Send + 'static,
    ) {
        match work(&self.shared, Wait::Never) {
            Err(ViewError::WouldBlock) => {
                let shared = self.shared.clone();
                self.pool.run(move || {
                    send(
                        reply,
                        work(&shared, Wait::Share).map_err(|error| errno(&error)),
                    )
                });
            }
            other => send(reply, other.map_err(|error| errno(&error))),
        }
    }

    /// Looks a name up.
    pub(super) fn look_up(&self, parent: INodeNo, name: String, reply: ReplyEntry) {
        if let Some(desk) = &self.desk {
            desk.keep_today();
        }
        let shared = self.shared.clone();
        self.answer(
            reply,
            move |shared, wait| {
                let node = shared.view.lookup(&shared.view.node(parent.0)?, &name)?;
                if !shared.is_shown(&node) {
                    return Err(ViewError::NotFound);
                }
                shared.view.attr(&node, wait, now_ns())
            },
            move |reply, found| match found {
                Ok(attr) => reply.entry(
                    &ttl(attr.ttl),
                    &shared.file_attr(&attr),
                    fuser::Generation(0),
                ),
                Err(error) => reply.error(error),
            },
        );
    }

    /// The touch helper announces a day: it is there already, and from now on everybody sees it.
    pub(super) fn announce(&self, parent: INodeNo, name: Option<&str>) -> Result<(), Errno> {
        let view = &self.shared.view;
        let found = name.ok_or(ViewError::NotFound);
        let found = found.and_then(|name| view.lookup(&view.node(parent.0)?, name));
        match found {
            Ok(Node::Day(day)) => {
                self.shared.announced.show(day);
                Ok(())
            }
            Ok(_) => Err(Errno::EEXIST),
            Err(error) => Err(errno(&error)),
        }
    }

    /// Whether the touch helper asks for this: mtime is now, and nothing else.
    pub(super) fn is_touch(&self, request: &Request, nothing_else: bool) -> bool {
        nothing_else && self.shared.is_wake(request)
    }

    /// Reads a file, in the pool.
    pub(super) fn read_file(
        &self,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        reply: ReplyData,
    ) {
        let shared = self.shared.clone();
        self.pool.run(move || {
            let mut bytes = READ_BUFFER.take();
            let first = begin_at_page(&mut bytes, size as usize);
            let read = match shared.made(fh) {
                Some(made) => made.read(offset, size.into(), &mut bytes),
                None => shared.view.node(ino.0).and_then(|node| {
                    shared
                        .view
                        .read(&node, offset, size.into(), now_ns(), &mut bytes)
                }),
            };
            match read {
                Ok(()) => reply.data(bytes.get(first..).unwrap_or(&[])),
                Err(error) => reply.error(errno(&error)),
            }
            READ_BUFFER.set(bytes);
        });
    }

    /// The space of the share.
    pub(super) fn tell_space(&self, reply: ReplyStatfs) {
        let shared = self.shared.clone();
        self.pool.run(move || {
            let (total, free, available) = shared.view.space_bytes();
            let files = shared.view.dir().catalog().sessions_count() as u64;
            let [total, free, available] = [total, free, available].map(|bytes| bytes / 4096);
            reply.statfs(total, free, available, files, 0, 4096, 255, 4096);
        });
    }

    /// Where data or a hole begins.
    pub(super) fn seek(&self, ino: INodeNo, offset: i64, whence: i32, reply: ReplyLseek) {
        let hole = match whence {
            libc::SEEK_DATA => false,
            libc::SEEK_HOLE => true,
            _ => return reply.error(Errno::EINVAL),
        };
        let Ok(from) = u64::try_from(offset) else {
            return reply.error(Errno::ENXIO);
        };
        let shared = self.shared.clone();
        self.pool.run(move || {
            let found = shared
                .view
                .node(ino.0)
                .and_then(|node: Node| shared.view.seek(&node, from, hole, now_ns()));
            match found {
                Ok(at) => reply.offset(i64::try_from(at).unwrap_or(i64::MAX)),
                Err(error) => reply.error(errno(&error)),
            }
        });
    }
}
