//! `auditfs umount`: ends a mount and waits until its daemon is gone.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::mount::{MountError, detach, find_mount, keeper_of};

use super::Outcome;

/// How long the daemon may take to see that its mount has ended.
const PATIENCE: Duration = Duration::from_secs(5);

/// Arguments of `auditfs umount`.
#[derive(Args, Debug)]
pub struct UmountArgs {
    /// The mountpoint.
    mountpoint: PathBuf,
}

/// Runs `auditfs umount`.
///
/// # Errors
/// Nothing of ours is mounted there, or it could not be detached.
pub fn run(args: &UmountArgs) -> anyhow::Result<Outcome> {
    let mountpoint = place_of(&args.mountpoint)?;
    let ours = find_mount(&mountpoint)?.is_some_and(|entry| entry.is_ours());
    if !ours {
        bail!(MountError::NotMounted(mountpoint.display().to_string()));
    }
    let daemon = daemon_of(&mountpoint);
    detach(&mountpoint)?;
    let Some(daemon) = daemon else {
        // The daemon is dead already, or its files are not ours to read.
        return Ok(Outcome::Clean);
    };
    if wait_for(&daemon, PATIENCE)? {
        return Ok(Outcome::Clean);
    }
    // Files are still open; the daemon lets what runs finish and goes.
    pidfd_send_signal(&daemon, Signal::TERM).context("ending the daemon")?;
    if !wait_for(&daemon, PATIENCE)? {
        bail!(
            "{}: unmounted, but the daemon does not end",
            mountpoint.display()
        );
    }
    Ok(Outcome::Clean)
}

/// The absolute path of a mountpoint. Not canonicalize: that would ask a mount whose daemon is dead.
pub(super) fn place_of(typed: &Path) -> anyhow::Result<PathBuf> {
    let parent = typed
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    Ok(match typed.file_name() {
        Some(name) => parent
            .canonicalize()
            .with_context(|| parent.display().to_string())?
            .join(name),
        None => typed
            .canonicalize()
            .with_context(|| typed.display().to_string())?,
    })
}

fn daemon_of(mountpoint: &Path) -> Option<OwnedFd> {
    pidfd_open(keeper_of(mountpoint).ok()??, PidfdFlags::empty()).ok()
}

/// Whether the process has ended within `patience`.
fn wait_for(process: &OwnedFd, patience: Duration) -> anyhow::Result<bool> {
    let timeout = Timespec {
        tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: 0,
    };
    let mut fds = [PollFd::new(process, PollFlags::IN)];
    Ok(poll(&mut fds, Some(&timeout)).context("waiting for the daemon")? > 0)
}
