//! The view as a mounted file system: FUSE requests in, replies out.
//!
//! [`attach`] makes the mount with mount(2) (or fusermount3 for an ordinary user) and hands over the device;
//! [`serve`] answers requests on it until it is unmounted. Threads that take requests from the kernel answer from
//! memory only; whatever needs the share runs in a pool.

mod answers;
mod attach;
mod changes;
mod errno;
mod fs;
mod keeper;
mod mount_error;
mod mount_table;
mod notebook;
mod passthrough;
mod pool;
mod requests;
mod serve;
mod sys;
mod touch;
mod writing;

pub use answers::{Ownership, now_ns};
pub use attach::{AttachOptions, attach, detach};
pub use keeper::{Cord, KeeperOptions, is_resent, keep, keeper_of, reload};
pub use mount_error::MountError;
pub use mount_table::{MountEntry, find_mount};
pub use serve::{ServeOptions, Service, Serving, batch_time, serve};
pub use touch::{Announced, Toucher, run_touch_helper};
pub use writing::{Desk, Writer, WriterOptions};
