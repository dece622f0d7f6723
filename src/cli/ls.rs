//! `auditfs ls`: the merged tree without FUSE.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::event::EventTime;
use crate::mount::now_ns;
use crate::view::{Attr, NodeKind, Wait};

use super::Outcome;
use super::source::{ReadArgs, listed_view};

/// Arguments of `auditfs ls`.
#[derive(Args, Debug)]
pub struct LsArgs {
    /// The audit directory.
    source: PathBuf,
    /// A path of the merged tree.
    #[arg(default_value = "/")]
    path: String,
    /// Sizes and times too.
    #[arg(short)]
    long: bool,
    #[command(flatten)]
    read: ReadArgs,
}

/// Runs `auditfs ls`.
///
/// # Errors
/// Of the share, or a path that does not exist.
pub fn run(args: &LsArgs) -> anyhow::Result<Outcome> {
    let view = listed_view(&args.source, &args.read)?;
    let now = now_ns();
    let node = view
        .resolve(&args.path)
        .map_err(|error| anyhow::anyhow!("{}: {error}", args.path))?;
    let attr = view
        .attr(&node, Wait::Share, now)
        .map_err(|error| anyhow::anyhow!("{}: {error}", args.path))?;
    let mut rows = Vec::new();
    if attr.kind == NodeKind::Directory {
        view.list(&node, 0, now, |entry| {
            rows.push((entry.name, entry.node));
            true
        })?;
        rows.sort_by(|a, b| a.0.cmp(&b.0));
    } else {
        rows.push((args.path.clone(), node));
    }
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for (name, node) in rows {
        if args.long {
            let attr = view
                .attr(&node, Wait::Share, now)
                .map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
            let target = view
                .read_link(&node)
                .map(|target| format!(" -> {target}"))
                .unwrap_or_default();
            writeln!(
                out,
                "{} {:>12} {:<30} {name}{target}",
                mode(&attr),
                attr.size,
                time(&attr)
            )?;
        } else {
            writeln!(out, "{name}")?;
        }
    }
    out.flush()?;
    Ok(Outcome::Clean)
}

fn mode(attr: &Attr) -> &'static str {
    match attr.kind {
        NodeKind::Directory => "dr-x",
        NodeKind::File => "-r--",
        NodeKind::Symlink => "lr--",
    }
}

fn time(attr: &Attr) -> String {
    EventTime::from_ns(attr.mtime_ns).to_rfc3339()
}
