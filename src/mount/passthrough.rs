//! Passthrough: the kernel reads a spooled day from its file on the local disk, without asking us (DESIGN 5).
//!
//! The kernel's rules (`fs/fuse/iomode.c`, tried on Linux 6.18), broken by an answer to OPEN that fails with EIO:
//!
//! - While an inode is open by passthrough, every further open must be, and through the same backing file. Together with
//!   FOPEN_DIRECT_IO reads come to us all the same.
//! - While it is open through the page cache, it cannot be opened by passthrough. A shared mmap of a file that is open with
//!   FOPEN_DIRECT_IO counts as that, and nobody tells us of it. So a file is opened by passthrough only while nobody has it open otherwise.
//!
//! Backing files live in the connection and so outlive the worker: which there are, and who has what open, is in the
//! [`Notebook`], always before the kernel is answered.

mod open_files;

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fuser::{BackingId, FileHandle, FopenFlags, INodeNo, InitFlags, KernelConfig, ReplyOpen};

use crate::view::{DayBytes, Node, OpenMode, Opened, PassthroughUse, View};

use super::keeper::RESENT;
use super::notebook::Notebook;
use super::sys;

use open_files::{Asked, Kernel, OpenFiles, Way, file_id};

/// Backing files of ours may not lie on file systems that are stacked themselves (overlayfs: ELOOP).
const STACK_DEPTH: u32 = 1;

/// See the module text.
#[derive(Debug)]
pub(super) struct Passthrough {
    device: OwnedFd,
    files: Mutex<OpenFiles>,
}

impl Kernel for OwnedFd {
    fn register(&self, file: &File) -> io::Result<u32> {
        BackingId::create_raw(self, file)
    }

    fn close(&self, id: u32) {
        if let Err(error) = sys::close_backing_file(self, id) {
            tracing::debug!(%error, id, "closing a backing file");
        }
    }
}

impl Passthrough {
    /// For the connection behind `device`; `notebook` holds what the workers before have noted.
    pub fn new(device: OwnedFd, notebook: OwnedFd, has_spool: bool) -> Self {
        let opened = if !has_spool {
            Err("there is no spool".to_owned())
        } else if !rustix::process::geteuid().is_root() {
            Err("only root may use it".to_owned())
        } else {
            Notebook::open(File::from(notebook)).map_err(|error| error.to_string())
        };
        let files = match opened {
            Ok((notebook, notes)) => OpenFiles::resumed(notebook, notes, &device),
            Err(reason) => OpenFiles::without(reason),
        };
        Passthrough {
            device,
            files: Mutex::new(files),
        }
    }

    /// Asks the kernel for it, once in the life of a mount: later workers are offered what the first one chose.
    pub fn negotiate(&self, config: &mut KernelConfig) {
        let mut files = self.lock();
        if !files.can_pass() {
            return;
        }
        let asked = config.add_capabilities(InitFlags::FUSE_PASSTHROUGH).is_ok()
            && config.set_max_stack_depth(STACK_DEPTH).is_ok();
        if !asked {
            *files = OpenFiles::without("the kernel does not offer it (Linux 6.9 does)".to_owned());
        }
    }

    /// Whether it is used, for status.json.
    pub fn in_use(&self) -> PassthroughUse {
        let files = self.lock();
        PassthroughUse {
            refused: files.refused(),
            open: files.passing(),
        }
    }

    /// A number that no open file has as its handle, nor any number behind it.
    pub fn free_handle(&self) -> u64 {
        self.lock().free_handle()
    }

    /// Answers an open of the inode `ino` of `view`, asked for by the request `unique`; `flags` beside those for the way its
    /// bytes go.
    pub fn answer(
        &self,
        view: &View,
        (ino, unique): (INodeNo, u64),
        opened: &Opened,
        (handle, flags): (FileHandle, FopenFlags),
        reply: ReplyOpen,
    ) {
        let is_day = matches!(view.node(ino.0), Ok(Node::Day(_)));
        let way = if is_day {
            let request = Asked {
                ino: ino.0,
                unique: unique & !RESENT,
                handle: handle.0,
                mode: opened.mode,
                file: opened.local.as_deref().and_then(DayBytes::file),
            };
            self.lock().open(&request, &self.device)
        } else {
            Way::Served(opened.mode)
        };
        match way {
            Way::Served(OpenMode::Cached) => {
                reply.opened(handle, flags | FopenFlags::FOPEN_KEEP_CACHE);
            }
            Way::Served(OpenMode::Direct | OpenMode::Local) => {
                reply.opened(handle, flags | FopenFlags::FOPEN_DIRECT_IO);
            }
            Way::Through(id) => sys::opened_passthrough(reply, handle, flags, id),
            Way::DirectBeside(id) => {
                sys::opened_passthrough(reply, handle, flags | FopenFlags::FOPEN_DIRECT_IO, id);
            }
        }
    }

    /// The file that has this handle is closed.
    pub fn forget(&self, handle: FileHandle) {
        self.lock().forget(handle.0);
    }

    /// Closes backing files whose days are not there any more: the kernel would keep their room on the disk.
    pub fn tidy(&self, view: &View) {
        let now = |ino| match view.node(ino) {
            Ok(Node::Day(day)) => {
                let bytes = view.days().get(day)?.spooled_bytes()?;
                file_id(bytes.file()?).ok()
            }
            _ => None,
        };
        self.lock().tidy(now, &self.device);
    }

    fn lock(&self) -> MutexGuard<'_, OpenFiles> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
