//! The signals that the keeper obeys, as something that can be waited for beside everything else.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// See the module text. The handlers write into socket pairs.
#[derive(Debug)]
pub struct Signals {
    end: UnixStream,
    reload: UnixStream,
}

impl Signals {
    /// Takes the signals over.
    ///
    /// # Errors
    /// Those of making sockets and of sigaction(2).
    pub fn listen() -> io::Result<Self> {
        let (end, end_in) = UnixStream::pair()?;
        let (reload, reload_in) = UnixStream::pair()?;
        signal_hook::low_level::pipe::register(SIGTERM, end_in.try_clone()?)?;
        signal_hook::low_level::pipe::register(SIGINT, end_in)?;
        signal_hook::low_level::pipe::register(SIGHUP, reload_in)?;
        end.set_nonblocking(true)?;
        reload.set_nonblocking(true)?;
        Ok(Signals { end, reload })
    }

    /// What to wait for.
    pub fn add_to<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        fds.push(PollFd::new(&self.end, PollFlags::IN));
        fds.push(PollFd::new(&self.reload, PollFlags::IN));
    }

    /// Whether SIGTERM or SIGINT has come.
    pub fn end(&self) -> bool {
        had_byte(&self.end)
    }

    /// Whether SIGHUP has come since this was last asked.
    pub fn reload(&self) -> bool {
        had_byte(&self.reload)
    }
}

fn had_byte(mut pipe: &UnixStream) -> bool {
    pipe.read(&mut [0; 64]).is_ok_and(|count| count > 0)
}
