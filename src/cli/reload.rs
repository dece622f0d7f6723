//! `auditfs reload`: the worker of a mount is replaced by the program that is installed now; the mount stays.

use std::path::PathBuf;

use clap::Args;

use super::Outcome;
use super::umount::place_of;

/// Arguments of `auditfs reload`.
#[derive(Args, Debug)]
pub struct ReloadArgs {
    /// The mountpoint.
    mountpoint: PathBuf,
}

/// Runs `auditfs reload`: returns when the new worker serves.
///
/// # Errors
/// Nothing of ours is mounted there, or the new worker did not come to serve.
pub fn run(args: &ReloadArgs) -> anyhow::Result<Outcome> {
    crate::mount::reload(&place_of(&args.mountpoint)?)?;
    Ok(Outcome::Clean)
}
