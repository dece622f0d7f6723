//! The worker's end of the cord: how it gets the device, waits for its turn and begins without a second FUSE_INIT.
//!
//! The cord is a SEQPACKET socket, the worker's standard input. Keeper: greeting with device, notebook and source. Worker:
//! `ready`. Keeper, when the old worker is dead and its requests are back in the queue: FUSE_INIT. Worker: the answer to it. fuser
//! reads FUSE_INIT from its descriptor and answers there; it is given the cord, and the device takes its place afterwards.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use fuser::{Config, Filesystem, Request, Session, SessionACL};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags};

use crate::mount::mount_error::MountError;
use crate::mount::sys::replace_descriptor;

/// The number is the version of what is said on the cord: keeper and worker may be of different releases.
pub const GREETING: &[u8] = b"auditfs keeper 1";
/// "I can take over."
pub const READY: &[u8] = b"ready";

/// FUSE_UNIQUE_RESEND of `linux/fuse.h`.
pub const RESENT: u64 = 1 << 63;

/// Whether a dead worker had this request before. It may have done what was asked: a request that changes something is
/// answered with an error, never done again (DESIGN 4.11).
pub fn is_resent(request: &Request) -> bool {
    request.unique().0 & RESENT != 0
}

/// See the module text.
#[derive(Debug)]
pub struct Cord {
    socket: OwnedFd,
    /// The device of the mount.
    pub device: OwnedFd,
    /// What workers write down for the next one: a file without a name that lives as long as the keeper.
    pub notebook: OwnedFd,
    /// The audit directory. Its path may by now lead into the mount itself.
    pub source: OwnedFd,
}

impl Cord {
    /// Takes the greeting from standard input.
    ///
    /// # Errors
    /// Standard input is no cord, or one of another version.
    pub fn take() -> Result<Self, MountError> {
        let socket = io::stdin()
            .as_fd()
            .try_clone_to_owned()
            .map_err(MountError::Session)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut text = [0; 64];
        let said = rustix::net::recvmsg(
            &socket,
            &mut [IoSliceMut::new(&mut text)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )
        .map_err(|error| MountError::Session(error.into()))?;
        let mut fds = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        });
        let mut fds = fds.next().into_iter().flatten();
        match (text.get(..said.bytes), fds.next(), fds.next(), fds.next()) {
            (Some(GREETING), Some(device), Some(notebook), Some(source)) => Ok(Cord {
                socket,
                device,
                notebook,
                source,
            }),
            _ => Err(MountError::NoKeeper),
        }
    }

    /// Says that this worker can serve, and waits until it may: the worker before it is dead then, and its locks are
    /// free.
    ///
    /// # Errors
    /// The keeper is gone.
    pub fn take_over(&self) -> Result<(), MountError> {
        rustix::net::send(&self.socket, READY, SendFlags::NOSIGNAL)
            .map_err(|error| MountError::Session(error.into()))?;
        let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
        rustix::io::retry_on_intr(|| poll(&mut fds, None))
            .map_err(|error| MountError::Session(error.into()))?;
        let [cord] = &fds;
        if cord.revents().contains(PollFlags::HUP) {
            return Err(MountError::NoKeeper);
        }
        Ok(())
    }

    /// Calls `gone` when the keeper's end of the cord is closed: it holds it for as long as it and this worker live.
    ///
    /// # Errors
    /// [`MountError::Session`]: no thread.
    pub fn when_the_keeper_is_gone(
        &self,
        gone: impl FnOnce() + Send + 'static,
    ) -> Result<(), MountError> {
        let socket = self.socket.try_clone().map_err(MountError::Session)?;
        let watch = move || {
            // No events wanted: the end raises POLLHUP all the same, and what is said here is for others.
            let mut fds = [PollFd::new(&socket, PollFlags::empty())];
            if rustix::io::retry_on_intr(|| poll(&mut fds, None)).is_ok() {
                gone();
            }
        };
        std::thread::Builder::new()
            .name("keeper".into())
            .spawn(watch)
            .map_err(MountError::Session)?;
        Ok(())
    }

    /// A session on the device, ready to run. [`take_over`](Self::take_over) has returned.
    ///
    /// Never with `config.clone_fd`: requests taken by a cloned descriptor are failed by the kernel when it is closed,
    /// and the keeper could not save them.
    ///
    /// # Errors
    /// [`MountError::Session`].
    pub fn session<FS: Filesystem>(
        self,
        fs: FS,
        mut config: Config,
    ) -> Result<Session<FS>, MountError> {
        config.clone_fd = false;
        let session = Session::from_fd(fs, self.socket, SessionACL::All, config)
            .map_err(MountError::Session)?;
        // Nobody reads from the session yet, so nothing can be lost between the two.
        replace_descriptor(session.as_fd(), self.device.as_fd()).map_err(MountError::Session)?;
        Ok(session)
    }
}
