//! `auditfs cat`: merged files without FUSE.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::mount::now_ns;
use crate::view::{Node, Wait};

use super::Outcome;
use super::source::{ReadArgs, listed_view};

/// Bytes asked for at a time.
const STEP_BYTES: u64 = 1 << 20;

/// Arguments of `auditfs cat`.
#[derive(Args, Debug)]
pub struct CatArgs {
    /// The audit directory.
    source: PathBuf,
    /// Paths of the merged tree, such as sessions/SID/stream.
    #[arg(required = true)]
    paths: Vec<String>,
    #[command(flatten)]
    read: ReadArgs,
}

/// Runs `auditfs cat`.
///
/// # Errors
/// Of the share, or a path that does not exist.
pub fn run(args: &CatArgs) -> anyhow::Result<Outcome> {
    let view = listed_view(&args.source, &args.read)?;
    let now = now_ns();
    let mut out = std::io::stdout().lock();
    for path in &args.paths {
        let named = |error: crate::view::ViewError| anyhow::anyhow!("{path}: {error}");
        let node = view.resolve(path).map_err(named)?;
        // A day is written out while it is still being scanned; only a mount must know its size before.
        let made = match node {
            Node::Day(_) => None,
            _ => view.open(&node, Wait::Share, now).map_err(named)?.made,
        };
        let (mut offset, mut bytes) = (0, Vec::new());
        loop {
            bytes.clear();
            let read = match &made {
                Some(made) => made.read(offset, STEP_BYTES, &mut bytes),
                None => view.read(&node, offset, STEP_BYTES, now, &mut bytes),
            };
            read.map_err(named)?;
            if bytes.is_empty() {
                break;
            }
            out.write_all(&bytes)?;
            offset += bytes.len() as u64;
        }
    }
    out.flush()?;
    Ok(Outcome::Clean)
}
