//! Why a mount could not be made or ended, in words for the person who typed the command.

use std::io;

use thiserror::Error;

/// See the module text.
#[derive(Debug, Error)]
pub enum MountError {
    /// No FUSE in this kernel or container.
    #[error("/dev/fuse: {0}; load the fuse module, or give the container the device")]
    NoDevice(io::Error),
    /// mount(2) refused.
    #[error("mounting on {mountpoint}: {source}")]
    Mount {
        /// Where.
        mountpoint: String,
        /// Why.
        source: io::Error,
    },
    /// An ordinary user needs the set-uid helper.
    #[error(
        "fusermount3 is not installed; an ordinary user needs it to mount (Debian: apt install fuse3)"
    )]
    NoFusermount,
    /// The helper said no.
    #[error("fusermount3: {0}")]
    Fusermount(String),
    /// An auditfs is mounted there already.
    #[error("{0}: already mounted; `auditfs umount {0}` ends it")]
    AlreadyMounted(String),
    /// Nothing of ours is mounted there.
    #[error("{0}: no auditfs is mounted here")]
    NotMounted(String),
    /// The list of mounts could not be read.
    #[error("/proc/self/mountinfo: {0}")]
    MountTable(io::Error),
    /// The kernel ended the handshake or the session.
    #[error("the FUSE session failed: {0}")]
    Session(io::Error),
    /// The first worker of a mount ended before it served.
    #[error("the worker ended before the mount was ready ({0})")]
    NoWorker(String),
    /// Nobody holds the other end.
    #[error(
        "no keeper of this mount answers; end the mount with `auditfs umount` and mount it again"
    )]
    NoKeeper,
    /// A new worker did not come to serve.
    #[error("{0}")]
    Reload(String),
}
