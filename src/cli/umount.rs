//! `auditfs umount`: ends a mount and waits until its daemon is gone.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::mount::{MountError, detach, find_mount};

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
    // Not canonicalize: that would ask a mount whose daemon is dead.
    let parent = args
        .mountpoint
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let name = args.mountpoint.file_name();
    let mountpoint = match name {
        Some(name) => parent
            .canonicalize()
            .with_context(|| parent.display().to_string())?
            .join(name),
        None => args
            .mountpoint
            .canonicalize()
            .with_context(|| args.mountpoint.display().to_string())?,
    };
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

fn daemon_of(mountpoint: &Path) -> Option<OwnedFd> {
    let text = std::fs::read(mountpoint.join(".auditfs/status.json")).ok()?;
    let status: serde_json::Value = serde_json::from_slice(&text).ok()?;
    let pid = i32::try_from(status.get("pid")?.as_i64()?).ok()?;
    pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()
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
