//! One worker as the keeper sees it: a child process, and the cord to it.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags,
    SocketType,
};
use rustix::process::{Pid, PidfdFlags, Signal};

use super::KeeperOptions;
use super::cord::{GREETING, READY};

/// What a worker said.
pub enum Heard {
    /// It can take over.
    Ready,
    /// It has taken over: its answer to FUSE_INIT.
    InitReply(Vec<u8>),
}

/// See the module text.
#[derive(Debug)]
pub struct Seat {
    child: Child,
    pidfd: OwnedFd,
    /// None when nothing more will be said on it.
    cord: Option<OwnedFd>,
    /// It has said that it can take over.
    pub ready: bool,
    /// It has been asked to end.
    pub told_to_end: bool,
    /// When it took over.
    pub serves_since: Option<Instant>,
}

impl Seat {
    /// Starts a worker: the cord is its standard input, and the first message there carries the three descriptors.
    ///
    /// # Errors
    /// Those of starting a process.
    pub fn start(
        options: &KeeperOptions,
        device: &OwnedFd,
        notebook: &OwnedFd,
    ) -> io::Result<Self> {
        let (ours, theirs) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        let child = spawn(&options.program, options, theirs.try_clone()?).or_else(|error| {
            // The program is away for a moment, as in the midst of an upgrade: the one that runs here still works.
            super::say(&format!(
                "{}: {error}; using the program of the keeper",
                options.program.display()
            ));
            spawn(Path::new("/proc/self/exe"), options, theirs)
        })?;
        let mut seat = Seat {
            pidfd: rustix::process::pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?,
            child,
            cord: None,
            ready: false,
            told_to_end: false,
            serves_since: None,
        };
        if let Err(error) = greet(&ours, [device, notebook, &options.source]) {
            seat.kill();
            return Err(error);
        }
        seat.cord = Some(ours);
        Ok(seat)
    }

    /// Its process ID.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has served for so long.
    pub fn lasted(&self, time: Duration) -> bool {
        self.serves_since
            .is_some_and(|since| since.elapsed() >= time)
    }

    /// How it ended, in words, if it has.
    pub fn ended(&mut self) -> Option<String> {
        match self.child.try_wait() {
            Ok(status) => status.map(|status| status.to_string()),
            Err(error) => Some(error.to_string()),
        }
    }

    /// What to wait for.
    pub fn add_to<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        fds.push(PollFd::new(&self.pidfd, PollFlags::IN));
        if let Some(cord) = &self.cord {
            fds.push(PollFd::new(cord, PollFlags::IN));
        }
    }

    /// Takes what it said, if anything. After its second word the cord stays open and is not listened to any more.
    pub fn hear(&mut self) -> Option<Heard> {
        let cord = self.cord.as_ref().filter(|_| self.serves_since.is_none())?;
        let mut text = [0; 4096];
        let heard = rustix::net::recv(cord, &mut text, RecvFlags::DONTWAIT);
        match heard {
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => None,
            Ok((length, _)) if length > 0 => {
                let text = text.get(..length)?;
                if !self.ready && text == READY {
                    self.ready = true;
                    return Some(Heard::Ready);
                }
                Some(Heard::InitReply(text.to_vec()))
            }
            // It has closed the cord, so it can never serve.
            _ => {
                self.cord = None;
                self.kill();
                None
            }
        }
    }

    /// Tells it to take over: the request makes its session begin.
    pub fn go(&mut self, init: &[u8]) {
        let sent = self
            .cord
            .as_ref()
            .map(|cord| rustix::net::send(cord, init, SendFlags::NOSIGNAL));
        if !matches!(sent, Some(Ok(_))) {
            self.kill();
        }
    }

    /// SIGTERM, once.
    pub fn tell_to_end(&mut self) {
        if !self.told_to_end {
            self.told_to_end = true;
            // Not reaped yet, so the number is still its own; if it has ended already there is nothing to tell.
            let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::TERM);
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
    }

    /// Whether it has ended within `time`.
    pub fn wait(&mut self, time: Duration) -> bool {
        let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
        let _ = poll(&mut fds, Some(&timespec(time)));
        self.ended().is_some()
    }
}

fn spawn(program: &Path, options: &KeeperOptions, cord: OwnedFd) -> io::Result<Child> {
    Command::new(program)
        .arg0("auditfs")
        .args(&options.arguments)
        .stdin(Stdio::from(cord))
        // Ctrl-C in the terminal is for the keeper.
        .process_group(0)
        .spawn()
}

fn greet(cord: &OwnedFd, [device, notebook, source]: [&OwnedFd; 3]) -> io::Result<()> {
    let fds = [device.as_fd(), notebook.as_fd(), source.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&fds));
    rustix::net::sendmsg(
        cord,
        &[IoSlice::new(GREETING)],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}

/// As poll(2) wants it.
pub fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
