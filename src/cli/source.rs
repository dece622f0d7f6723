//! Opening an audit directory for a command that shows it without mounting.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use crate::disk::Share;
use crate::mount::{batch_time, now_ns};
use crate::reader::{AuditDir, Days, ReaderLimits, SpoolUse};
use crate::spool::{Spool, StateDir};
use crate::view::View;

use super::values::{duration, size_bytes};

/// Options of every command that reads an audit directory.
#[derive(Args, Clone, Debug)]
pub struct ReadArgs {
    /// Memory for what can be computed again: parsed sessions, merge plans, unpacked pieces.
    #[arg(long, value_name = "N", default_value = "256M", value_parser = size_bytes)]
    pub cache_size: u64,
    /// Local disk for unpacked gzip files, in unnamed temporary files.
    #[arg(long, value_name = "N", default_value = "8G", value_parser = size_bytes)]
    pub unpack_size: u64,
    /// A session that has not grown for this long is over, even without an end record.
    #[arg(long, value_name = "D", default_value = "1h", value_parser = duration)]
    pub session_idle: Duration,
}

impl Default for ReadArgs {
    fn default() -> Self {
        ReadArgs {
            cache_size: 256 << 20,
            unpack_size: 8 << 30,
            session_idle: Duration::from_secs(3600),
        }
    }
}

/// Where a daemon keeps what its readers have seen, and for how long.
#[derive(Debug)]
pub struct SpoolChoice {
    /// The locked state directory.
    pub state: StateDir,
    /// `--spool-retention`.
    pub retention: Duration,
}

/// The audit directory at `source`, opened; nothing is listed yet. `hash_seed` is what inode numbers come of.
///
/// # Errors
/// One line that names what is wrong with it.
pub fn open_dir(
    source: &Path,
    args: &ReadArgs,
    unpack_dir: PathBuf,
    hash_seed: u64,
) -> anyhow::Result<Arc<AuditDir>> {
    let meta = std::fs::metadata(source).with_context(|| format!("{}", source.display()))?;
    if !meta.is_dir() {
        bail!("{}: not a directory", source.display());
    }
    let share = Share::open(source).with_context(|| format!("{}", source.display()))?;
    let limits = ReaderLimits {
        cache_bytes: usize::try_from(args.cache_size).unwrap_or(usize::MAX),
        unpack_bytes: args.unpack_size,
        unpack_dir,
        session_idle_ns: i64::try_from(args.session_idle.as_nanos()).unwrap_or(i64::MAX),
        hash_seed,
    };
    Ok(AuditDir::new(Arc::new(share), limits))
}

/// The view of an audit directory known as `name`.
///
/// # Errors
/// Of the spool.
pub fn view_of(
    dir: Arc<AuditDir>,
    name: String,
    spool: Option<SpoolChoice>,
) -> anyhow::Result<Arc<View>> {
    let days = match spool {
        None => Days::new(dir.clone()),
        Some(SpoolChoice { state, retention }) => {
            let (spool, recovered, alarms) = Spool::recover(&state)?;
            let retention_ns = i64::try_from(retention.as_nanos()).unwrap_or(i64::MAX);
            Days::with_spool(
                dir.clone(),
                SpoolUse {
                    spool,
                    retention_ns,
                    state,
                },
                recovered,
                alarms,
            )
        }
    };
    Ok(Arc::new(View::new(dir, days, name, now_ns())))
}

/// The same for a command that shows it without mounting: nothing is listed yet.
///
/// # Errors
/// As [`open_dir`].
pub fn plain_view(source: &Path, args: &ReadArgs) -> anyhow::Result<Arc<View>> {
    raise_open_files();
    let canonical = source
        .canonicalize()
        .with_context(|| source.display().to_string())?;
    let name = canonical.to_string_lossy().into_owned();
    let dir = open_dir(source, args, std::env::temp_dir(), source_hash(&name))?;
    view_of(dir, name, None)
}

/// The same, listed once: ready to be shown.
///
/// # Errors
/// As [`open_dir`].
pub fn listed_view(source: &Path, args: &ReadArgs) -> anyhow::Result<Arc<View>> {
    let view = plain_view(source, args)?;
    view.refresh(batch_time(Duration::ZERO));
    Ok(view)
}

/// A number for the audit directory of this name, the same every time.
pub fn source_hash(canonical: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(canonical.as_bytes())
}

/// A merged session may have hundreds of files open at once.
pub fn raise_open_files() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let wanted = rustix::process::Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = rustix::process::setrlimit(rustix::process::Resource::Nofile, wanted) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}
