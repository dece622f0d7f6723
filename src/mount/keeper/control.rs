//! How other commands find the keeper of a mount and ask it to replace the worker.
//!
//! A socket in the abstract name space, named after the device number of the mount: it can be found without touching the mount,
//! leaves nothing behind, and tells the keeper's process ID by itself (SO_PEERCRED). Both sides check who the other is.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::net::sockopt::socket_peercred;
use rustix::process::Pid;

use crate::mount::mount_error::MountError;
use crate::mount::mount_table::find_mount;

const RELOAD: &[u8] = b"reload\n";
/// A keeper whose mount is gone may take some seconds to end: 10 s in all.
const RETRIES: u32 = 200;
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// The keeper's side.
#[derive(Debug)]
pub struct Control {
    /// None when somebody else has the name: then only SIGHUP asks for a reload.
    listener: Option<UnixListener>,
    retry: Option<Retry>,
    /// Who has connected last.
    client: Option<UnixStream>,
    /// Who waits for the outcome of a reload.
    waiting: Vec<UnixStream>,
}

/// The name is another's for the moment.
#[derive(Debug)]
struct Retry {
    address: SocketAddr,
    at: Instant,
    left: u32,
}

impl Control {
    /// Listens for the mount on `mountpoint`.
    pub fn listen(mountpoint: &Path) -> Self {
        let mut control = Control {
            listener: None,
            retry: None,
            client: None,
            waiting: Vec::new(),
        };
        match address(mountpoint) {
            Ok(address) => control.take_name(address, RETRIES),
            Err(error) => not_found(&error),
        }
        control
    }

    /// When the name is to be asked for again: the keeper of a mount that had the same device number may be about to end.
    pub fn retry_at(&self) -> Option<Instant> {
        self.retry.as_ref().map(|retry| retry.at)
    }

    /// Asks for the name again if that is due.
    pub fn retry_if_due(&mut self) {
        if self.retry_at().is_some_and(|at| at <= Instant::now())
            && let Some(Retry { address, left, .. }) = self.retry.take()
        {
            self.take_name(address, left);
        }
    }

    fn take_name(&mut self, address: SocketAddr, left: u32) {
        let bound = UnixListener::bind_addr(&address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        match bound {
            Ok(listener) => self.listener = Some(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && left > 0 => {
                self.retry = Some(Retry {
                    address,
                    at: Instant::now() + RETRY_AFTER,
                    left: left - 1,
                });
            }
            Err(error) => not_found(&MountError::Session(error)),
        }
    }

    /// Gives the name back: the mount is gone, and the next one may get its device number while the worker still ends.
    pub fn leave(&mut self) {
        (self.listener, self.retry) = (None, None);
    }

    /// What to wait for.
    pub fn add_to<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        if let Some(listener) = &self.listener {
            fds.push(PollFd::new(listener, PollFlags::IN));
        }
        if let Some(client) = &self.client {
            fds.push(PollFd::new(client, PollFlags::IN));
        }
    }

    /// Whether somebody who may has asked.
    pub fn asks_for_reload(&mut self) -> bool {
        if let Some(Ok((client, _))) = self.listener.as_ref().map(UnixListener::accept) {
            let trusted = is_trusted(&client) && client.set_nonblocking(true).is_ok();
            self.client = trusted.then_some(client);
        }
        let Some(client) = &mut self.client else {
            return false;
        };
        let mut text = [0; RELOAD.len()];
        match client.read(&mut text) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Ok(length) if text.get(..length) == Some(RELOAD) => {
                self.waiting.extend(self.client.take());
                true
            }
            _ => {
                self.client = None;
                false
            }
        }
    }

    /// Tells all who wait. Whoever does not listen misses it.
    pub fn answer(&mut self, line: &str) {
        for mut client in self.waiting.drain(..) {
            let _ = writeln!(client, "{line}");
        }
    }
}

fn not_found(error: &MountError) {
    super::say(&format!(
        "`auditfs reload` will not find this keeper: {error}"
    ));
}

fn address(mountpoint: &Path) -> Result<SocketAddr, MountError> {
    let mount = find_mount(mountpoint)?.filter(|mount| mount.is_ours());
    let mount = mount.ok_or_else(|| MountError::NotMounted(mountpoint.display().to_string()))?;
    let name = format!("auditfs-keeper-{}", mount.device);
    SocketAddr::from_abstract_name(name).map_err(MountError::Session)
}

/// Root, or the same user.
fn is_trusted(peer: &UnixStream) -> bool {
    socket_peercred(peer)
        .is_ok_and(|peer| peer.uid.is_root() || peer.uid == rustix::process::geteuid())
}

fn connect(mountpoint: &Path) -> Result<Option<UnixStream>, MountError> {
    let address = address(mountpoint)?;
    let keeper = UnixStream::connect_addr(&address).ok();
    // Root must not be led by whoever took the name; the owner of a mount may be an ordinary user.
    Ok(keeper.filter(|keeper| is_trusted(keeper) || rustix::process::geteuid().is_root()))
}

/// The process that keeps the mount on `mountpoint`; none if it is dead. Does not touch the mount.
///
/// # Errors
/// [`MountError::NotMounted`], [`MountError::MountTable`].
pub fn keeper_of(mountpoint: &Path) -> Result<Option<Pid>, MountError> {
    let keeper = connect(mountpoint)?;
    Ok(keeper
        .and_then(|keeper| socket_peercred(keeper).ok())
        .map(|peer| peer.pid))
}

/// Asks the keeper of `mountpoint` to replace the worker by the program that is installed now, and waits until the new
/// one serves. Gives its process ID.
///
/// # Errors
/// [`MountError::NoKeeper`]; [`MountError::Reload`] when the new worker did not serve: the old one goes on.
pub fn reload(mountpoint: &Path) -> Result<u32, MountError> {
    let mut keeper = connect(mountpoint)?.ok_or(MountError::NoKeeper)?;
    keeper.write_all(RELOAD).map_err(MountError::Session)?;
    let mut line = String::new();
    BufReader::new(keeper.take(4096))
        .read_line(&mut line)
        .map_err(MountError::Session)?;
    match line.trim_end().split_once(' ') {
        Some(("ok", pid)) => pid.parse().map_err(|_| MountError::NoKeeper),
        Some((_, reason)) => Err(MountError::Reload(reason.to_owned())),
        None => Err(MountError::NoKeeper),
    }
}
