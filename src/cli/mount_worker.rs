//! The serving process of a mount: what it opens and takes before it answers, and how it ends.

use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::event::EventTime;
use crate::mount::{
    Cord, Ownership, ServeOptions, Serving, Toucher, Writer, WriterOptions, batch_time, now_ns,
    serve,
};
use crate::spool::{SpoolId, StateDir};

use super::mount::MountArgs;
use super::mount_options::MountOptions;
use super::mount_writing::WritePlan;
use super::source::{SpoolChoice, open_dir, raise_open_files, source_hash, view_of};

/// How long a worker that is told to end finishes what it has begun.
const FINISHING: Duration = Duration::from_secs(2);

/// Runs the worker of the mount on `mountpoint`; `source` is the audit directory as the keeper resolved it.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub fn run_worker(args: &MountArgs, mountpoint: &Path, source: &Path) -> anyhow::Result<()> {
    let cord = Cord::take()?;
    let mut mount_options = MountOptions::parse(&args.options, &args.write)?;
    mount_options.allow_other |= args.allow_other;
    raise_open_files();
    let state_dir = args.state_dir.clone().context("--state-dir")?;
    let finisher = Arc::new(Mutex::new(None));
    end_on_signal(finisher.clone())?;
    let name = source.to_string_lossy().into_owned();
    let opened = PathBuf::from(format!("/proc/self/fd/{}", cord.source.as_raw_fd()));
    let open = |seed| open_dir(&opened, &args.read, state_dir.clone(), seed);
    // All names are read while the old worker still serves: what is left to do when it has ended takes milliseconds. The first
    // worker of a state directory does not know its number yet, and nobody waits for it.
    let known_seed = match args.no_spool {
        true => Some(source_hash(&name)),
        false => StateDir::peek_spool_id(&state_dir).map(SpoolId::as_u64),
    };
    let early = known_seed.map(&open).transpose()?;
    if let Some(dir) = &early {
        drop(dir.catalog().refresh());
    }
    // The old worker is dead when this returns, and its lock of the state directory is free.
    cord.take_over()?;
    let state = StateDir::open(&state_dir, EventTime::from_ns(now_ns()))?;
    claim_for_source(&state_dir, &name)?;
    // Without a spool the directory stays locked all the same: two daemons would unpack into it.
    let retention = args.spool_retention;
    let (seed, spool, _lock) = match args.no_spool {
        true => (source_hash(&name), None, Some(state)),
        false => {
            let seed = state.spool_id().as_u64();
            (seed, Some(SpoolChoice { state, retention }), None)
        }
    };
    if args.no_spool {
        tracing::warn!(
            "--no-spool: the order of live days is kept in memory only. A restart of the daemon makes it anew, so offsets \
             then name other bytes, and log shippers may lose or double records"
        );
    }
    let dir = match early.filter(|dir| dir.limits().hash_seed == seed) {
        Some(dir) => dir,
        None => open(seed)?,
    };
    let view = view_of(dir, name, spool)?;
    view.is_kept_by(std::os::unix::process::parent_id());
    view.refresh(batch_time(args.settle));
    let owner = Ownership {
        uid: mount_options
            .uid
            .unwrap_or_else(|| rustix::process::geteuid().as_raw()),
        gid: mount_options
            .gid
            .unwrap_or_else(|| rustix::process::getegid().as_raw()),
        file_mode: if mount_options.writable { 0o640 } else { 0o440 },
        dir_mode: if mount_options.writable { 0o750 } else { 0o550 },
    };
    let options = ServeOptions {
        mountpoint: mountpoint.to_owned(),
        settle: args.settle,
        poll: args.poll,
    };
    let toucher = Toucher::new(
        "/proc/self/exe".into(),
        vec!["touch-helper".into(), mountpoint.into()],
    );
    let orphan = Arc::downgrade(&view);
    cord.when_the_keeper_is_gone(move || {
        if let Some(view) = orphan.upgrade() {
            view.lost_its_keeper();
        }
    })?;
    // Locked while the note of the worker before is taken: a worker that is told to end has left it, or leaves its own.
    let mut finish = finisher.lock().unwrap_or_else(PoisonError::into_inner);
    let mut serving = Serving::new(&cord, view.clone(), owner, Arc::new(toucher))?;
    if mount_options.writable {
        let WritePlan {
            recorder, making, ..
        } = mount_options.writing.plan(source)?;
        view.write_as(recorder.server_id.clone());
        let root = cord.source.try_clone().context("the audit directory")?;
        let writer = Arc::new(Writer::new(root, view, WriterOptions { recorder, making }));
        serving.with_writer(writer, state_dir);
    }
    let service = serve(cord, serving, &options)?;
    tracing::info!(source = %source.display(), mountpoint = %mountpoint.display(), "serving");
    *finish = Some(Box::new(service.finisher()));
    drop(finish);
    service.join()?;
    tracing::info!("the mount has ended");
    Ok(())
}

/// A state directory holds the days of one audit directory; those of another must not be shown as its.
fn claim_for_source(state_dir: &Path, source: &str) -> anyhow::Result<()> {
    let path = state_dir.join("source");
    match std::fs::read_to_string(&path) {
        Ok(known) if known.trim_end_matches('\n') == source => Ok(()),
        Ok(known) => bail!(
            "{}: holds the state of {}; give every audit directory a --state-dir of its own",
            state_dir.display(),
            known.trim_end()
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            std::fs::write(&path, format!("{source}\n")).with_context(|| path.display().to_string())
        }
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

/// Ends a worker that serves; see [`Service::finisher`](crate::mount::Service::finisher). None before it serves.
type Finisher = Option<Box<dyn Fn(Duration, &dyn Fn()) + Send>>;

/// SIGTERM is the keeper's: another worker takes over, or the mount has ended. What has begun is finished, the rest is sent
/// again.
fn end_on_signal(finisher: Arc<Mutex<Finisher>>) -> anyhow::Result<()> {
    use signal_hook::consts::SIGTERM;
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM]).context("signal handlers")?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            if signals.forever().next().is_some() {
                let finisher = finisher.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(finish) = &*finisher {
                    finish(FINISHING, &|| std::process::exit(0));
                }
                std::process::exit(0);
            }
        })
        .context("signal thread")?;
    Ok(())
}

/// What workers log goes to standard error.
pub fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("AUDITFS_LOG");
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,fuser=error"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .log_internal_errors(false)
        .init();
}
