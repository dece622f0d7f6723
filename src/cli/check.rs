//! `auditfs check`: reads every byte of an audit directory and says what of it is wounded.
//!
//! Everything is read the way the mount reads it, so what passes here can be read there. Damage is printed as it is found;
//! nothing is gathered, so a directory of nothing but damage needs no more memory than a sound one.

mod days;
mod report;
mod sessions;

use std::path::PathBuf;

use clap::Args;

use crate::disk::DiskError;
use crate::format::Wound;

use super::Outcome;
use super::source::{ReadArgs, listed_view};

use report::{Finding, Report};

/// Bytes of a merged file asked for at a time.
const STEP_BYTES: u64 = 1 << 20;

/// Arguments of `auditfs check`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// The audit directory.
    source: PathBuf,
    /// JSON lines: one object for each wound, and a summary behind them.
    #[arg(long)]
    json: bool,
    /// List wounds of healthy directories too: files without a gzip end, repeated index lines and the like.
    #[arg(long, short)]
    verbose: bool,
    #[command(flatten)]
    read: ReadArgs,
}

/// Runs `auditfs check`. Damage other than that of healthy directories makes [`Outcome::Damage`].
///
/// # Errors
/// The audit directory could not be opened, or standard output not written. A file that cannot be read is damage.
pub fn run(args: &CheckArgs) -> anyhow::Result<Outcome> {
    let view = listed_view(&args.source, &args.read)?;
    let mut report = Report::new(args.json, args.verbose);
    // What the first listing could not list fails again.
    for error in view.dir().catalog().refresh() {
        report.found(Finding::of_error(&error))?;
    }
    days::check(&view, &mut report)?;
    sessions::check(&view, &mut report)?;
    report.finish()
}

/// Reads a merged file to its end; gives its length.
fn read_all(
    len_bytes: u64,
    read_at: impl Fn(u64, u64, &mut Vec<u8>) -> Result<(), DiskError>,
) -> Result<u64, DiskError> {
    let mut block = Vec::new();
    let mut at = 0;
    while at < len_bytes {
        block.clear();
        read_at(at, STEP_BYTES.min(len_bytes - at), &mut block)?;
        if block.is_empty() {
            break;
        }
        at += block.len() as u64;
    }
    Ok(at)
}

impl Finding {
    /// A file or directory that could not be read; the error names it.
    fn of_error(error: &DiskError) -> Finding {
        Finding::of_wound(&Wound::Unreadable(error.to_string()), 0)
    }
}
