//! Making and ending the mount itself: mount(2) as root, fusermount3 as an ordinary user.
//!
//! fuser's own mounting loses the subtype as root and hangs or fails when a busy mount is ended (DESIGN 5); here the
//! mount is made by us, its device handed to the session, and ended by detaching.

use std::fs::File;
use std::io::{self, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::mount::{MountFlags, UnmountFlags};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};

use super::mount_error::MountError;

/// How a mount is made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AttachOptions {
    /// Shown as the source in the list of mounts.
    pub source: String,
    /// No writes.
    pub read_only: bool,
    /// Other users may come in, as far as modes allow.
    pub allow_other: bool,
}

/// Mounts on `mountpoint` and gives the FUSE device of it.
///
/// # Errors
/// See [`MountError`].
pub fn attach(mountpoint: &Path, options: &AttachOptions) -> Result<OwnedFd, MountError> {
    let device = File::options()
        .read(true)
        .write(true)
        .open("/dev/fuse")
        .map_err(MountError::NoDevice);
    if !rustix::process::geteuid().is_root() {
        // The helper opens the device itself; a user may lack the right to.
        return attach_by_fusermount(mountpoint, options);
    }
    let device = device?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOATIME;
    let (uid, gid) = (
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    );
    let mut data = format!(
        "fd={},rootmode=40000,user_id={uid},group_id={gid},default_permissions",
        device.as_raw_fd()
    );
    if options.allow_other {
        data.push_str(",allow_other");
    }
    let data =
        std::ffi::CString::new(data).map_err(|error| mount_failed(mountpoint, error.into()))?;
    rustix::mount::mount(
        options.source.as_str(),
        mountpoint,
        "fuse.auditfs",
        flags,
        data.as_c_str(),
    )
    .map_err(|error| mount_failed(mountpoint, error.into()))?;
    if options.read_only {
        // Only the mount becomes read-only, not the file system below it: the touch helper's private clone of the mount
        // is writable (DESIGN 4.10). Until then the worker refuses, as it always does.
        let flags = flags | MountFlags::RDONLY | MountFlags::BIND;
        if let Err(error) = rustix::mount::mount_remount(mountpoint, flags, c"") {
            drop(detach(mountpoint));
            return Err(mount_failed(mountpoint, error.into()));
        }
    }
    Ok(device.into())
}

fn mount_failed(mountpoint: &Path, source: io::Error) -> MountError {
    MountError::Mount {
        mountpoint: mountpoint.display().to_string(),
        source,
    }
}

/// fusermount3 sends the device over the socket that it finds as descriptor `_FUSE_COMMFD`: its standard input here.
fn attach_by_fusermount(mountpoint: &Path, options: &AttachOptions) -> Result<OwnedFd, MountError> {
    let (ours, theirs) = UnixStream::pair().map_err(MountError::Session)?;
    let source = options.source.replace('\\', "\\\\").replace(',', "\\,");
    // Writable, so that the touch helper can reach it: an ordinary user cannot make a writable clone of a read-only mount.
    // The worker refuses everybody else.
    let mut text = format!("fsname={source},subtype=auditfs,nosuid,nodev,noatime,rw");
    // Where only the owner comes in the modes guard nothing, and would keep the helper from announcing a day.
    text.push_str(if options.allow_other {
        ",allow_other,default_permissions"
    } else {
        ""
    });
    let child = Command::new("fusermount3")
        .args(["-o", &text, "--"])
        .arg(mountpoint)
        .env("_FUSE_COMMFD", "0")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.map_err(no_fusermount)?;
    let device = receive_device(&ours);
    let mut words = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr
            .read_to_string(&mut words)
            .map_err(MountError::Session)?;
    }
    child.wait().map_err(MountError::Session)?;
    device.ok_or_else(|| {
        MountError::Fusermount(words.trim().trim_start_matches("fusermount3: ").to_owned())
    })
}

fn receive_device(socket: &UnixStream) -> Option<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0_u8];
    rustix::net::recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut byte)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )
    .ok()?;
    control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    })
}

/// Takes the mount out of the tree; open files stay usable until they are closed.
///
/// # Errors
/// See [`MountError`].
pub fn detach(mountpoint: &Path) -> Result<(), MountError> {
    match rustix::mount::unmount(mountpoint, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::PERM) => {
            let run = Command::new("fusermount3")
                .args(["-u", "-z", "--"])
                .arg(mountpoint)
                .stdin(Stdio::null())
                .output();
            let output = run.map_err(no_fusermount)?;
            if output.status.success() {
                return Ok(());
            }
            Err(MountError::Fusermount(
                String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            ))
        }
        Err(error) => Err(mount_failed(mountpoint, error.into())),
    }
}

fn no_fusermount(error: io::Error) -> MountError {
    if error.kind() == io::ErrorKind::NotFound {
        MountError::NoFusermount
    } else {
        MountError::Session(error)
    }
}
