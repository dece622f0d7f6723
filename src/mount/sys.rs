//! The few system calls that no crate wraps without `unsafe`: this file is the only one that may use it.
#![allow(unsafe_code)]

use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use fuser::{FileHandle, FopenFlags, ReplyOpen};

/// Makes the descriptor `at` mean what `with` means, in one step (dup3(2)). Whoever owns `at` keeps owning it.
///
/// # Errors
/// Those of dup3(2).
pub fn replace_descriptor(at: BorrowedFd<'_>, with: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: `at` is open for the whole call because it is borrowed, and `ManuallyDrop` leaves it open afterwards:
    // its owner is still the only one that closes it.
    let mut at = ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(at.as_raw_fd()) });
    rustix::io::dup3(with, &mut at, rustix::io::DupFlags::CLOEXEC)?;
    Ok(())
}

/// Takes the read-only flag off the mount that `mount` stands for (mount_setattr(2)); its file system keeps its own.
///
/// # Errors
/// Those of mount_setattr(2): EPERM for an ordinary user, EROFS never.
pub fn clear_read_only(mount: BorrowedFd<'_>) -> io::Result<()> {
    let attr = libc::mount_attr {
        attr_set: 0,
        attr_clr: libc::MOUNT_ATTR_RDONLY,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: the path is an empty C string, and `attr` lives through the call and is as long as is said.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// `_IOW(229, 2, uint32_t)` of `linux/fuse.h`.
const FUSE_DEV_IOC_BACKING_CLOSE: libc::Ioctl = 0x4004_e502;

/// Takes the backing file `id` from the connection behind `device`. Inodes that are open through it keep it.
///
/// # Errors
/// ENOENT if there is none of that number.
pub fn close_backing_file(device: &OwnedFd, id: u32) -> io::Result<()> {
    // SAFETY: the descriptor is open because it is borrowed, and `id` lives through the call, which reads four bytes.
    let done = unsafe {
        libc::ioctl(
            device.as_raw_fd(),
            FUSE_DEV_IOC_BACKING_CLOSE,
            &raw const id,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Answers an open with the backing file `id`, which stays registered. A number that the kernel does not know makes the open
/// fail with EIO.
pub fn opened_passthrough(reply: ReplyOpen, handle: FileHandle, flags: FopenFlags, id: u32) {
    // SAFETY: the wrapper's duty is to close the number once; `into_raw` below takes that duty from it.
    let backing = unsafe { reply.wrap_backing(id) };
    reply.opened_passthrough(handle, flags, &backing);
    let _ = backing.into_raw();
}
