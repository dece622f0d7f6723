//! The serving process of a mount: what it opens and takes before it answers, and how it ends.

use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, bail};

use crate::event::EventTime;
use crate::mount::{
    Cord, Desk, Ownership, ServeOptions, Serving, Toucher, Writer, WriterOptions, batch_time,
    now_ns, serve,
};
use crate::spool::StateDir;

use super::mount::MountArgs;
use super::mount_options::MountOptions;
use super::mount_writing::WritePlan;
use super::source::{SpoolChoice, open_view, raise_open_files};

/// Serves until the mount has ended.
///
/// # Errors
/// One line for whoever waits for the mount.
pub fn run_worker(args: &MountArgs, mountpoint: &Path, source: &Path) -> anyhow::Result<()> {
    let cord = Cord::take()?;
    let mut mount_options = MountOptions::parse(&args.options, &args.write)?;
    mount_options.allow_other |= args.allow_other;
    raise_open_files();
    let state_dir = args.state_dir.clone().context("--state-dir")?;
    let desk = Arc::new(Mutex::new(None));
    end_on_signal(desk.clone())?;
    // The old worker is dead when this returns, and its lock of the state directory is free.
    cord.take_over()?;
    let state = StateDir::open(&state_dir, EventTime::from_ns(now_ns()))?;
    let name = source.to_string_lossy().into_owned();
    claim_for_source(&state_dir, &name)?;
    // Without a spool the directory stays locked all the same: two daemons would unpack into it.
    let retention = args.spool_retention;
    let (spool, _lock) = match args.no_spool {
        true => (None, Some(state)),
        false => (Some(SpoolChoice { state, retention }), None),
    };
    let opened = PathBuf::from(format!("/proc/self/fd/{}", cord.source.as_raw_fd()));
    let view = open_view(&opened, name, &args.read, state_dir.clone(), spool)?;
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
    let mut serving = Serving::new(view.clone(), owner, Arc::new(toucher));
    if mount_options.writable {
        let WritePlan {
            recorder, making, ..
        } = mount_options.writing.plan(source)?;
        view.write_as(recorder.server_id.clone());
        let root = cord.source.try_clone().context("the audit directory")?;
        let writer = Arc::new(Writer::new(root, view, WriterOptions { recorder, making }));
        // Locked while the note of the worker before is taken: a worker that is told to end has left it, or leaves its own.
        let mut desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
        *desk = Some(serving.with_writer(writer, state_dir));
    }
    let service = serve(cord, serving, &options)?;
    tracing::info!(source = %source.display(), mountpoint = %mountpoint.display(), "serving");
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

/// SIGTERM is the keeper's: another worker takes over, or the mount has ended. What is unanswered is sent again; what was
/// begun at the desk is finished first.
fn end_on_signal(desk: Arc<Mutex<Option<Arc<Desk>>>>) -> anyhow::Result<()> {
    use signal_hook::consts::SIGTERM;
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM]).context("signal handlers")?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            if signals.forever().next().is_some() {
                let desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(desk) = &*desk {
                    desk.close();
                }
                std::process::exit(0);
            }
        })
        .context("signal thread")?;
    Ok(())
}

/// Logs to standard error, as AUDITFS_LOG says.
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
