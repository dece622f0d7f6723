//! `auditfs mount`: starts the daemon and returns when the mount is ready.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use crate::event::EventTime;
use crate::mount::{
    AttachOptions, Ownership, ServeOptions, attach, batch_time, detach, find_mount, now_ns, serve,
};
use crate::spool::StateDir;
use crate::view::View;

use super::Outcome;
use super::mount_options::MountOptions;
use super::source::{ReadArgs, SpoolChoice, open_view, raise_open_files, source_hash};
use super::values::duration;

/// Arguments of `auditfs mount`.
#[derive(Args, Clone, Debug)]
pub struct MountArgs {
    /// The audit directory.
    source: PathBuf,
    /// Where to mount; may be the audit directory itself.
    mountpoint: PathBuf,
    /// Mount options, comma-separated: ro, allow_other, uid=N, gid=N, and those that mount(8) and fstab add.
    #[arg(short = 'o', value_name = "OPTS", action = clap::ArgAction::Append)]
    options: Vec<String>,
    /// Stay in the foreground and log to standard error.
    #[arg(long, short = 'f')]
    foreground: bool,
    #[command(flatten)]
    read: ReadArgs,
    /// How old a record must be before it is published in a day file; 0 publishes at once.
    #[arg(long, value_name = "D", default_value = "5s", value_parser = duration)]
    settle: Duration,
    /// Time between two looks at the share.
    #[arg(long, value_name = "D", default_value = "1s", value_parser = duration)]
    poll: Duration,
    /// Where the daemon keeps its files. Default: /var/lib/auditfs/ID for root, $XDG_STATE_HOME/auditfs/ID otherwise.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// How long a day is kept for readers after its last growth, once its sources are gone.
    #[arg(long, value_name = "D", default_value = "30d", value_parser = duration)]
    spool_retention: Duration,
    /// Keep the order of live days in memory only: a restart of the daemon makes it anew, and shippers may then lose or
    /// double records.
    #[arg(long)]
    no_spool: bool,
    /// Other users may read, as far as owner and group allow; the same as -o allow_other.
    #[arg(long)]
    allow_other: bool,
    /// Log of a daemon in the background. Default: mount.log in the state directory.
    #[arg(long, value_name = "FILE")]
    log_file: Option<PathBuf>,
    /// The daemon was started by `auditfs mount` and tells it on standard output when the mount is ready.
    #[arg(long, hide = true)]
    tell_ready: bool,
}

/// What was meant.
struct Plan {
    mountpoint: PathBuf,
    source: PathBuf,
    options: MountOptions,
    state_dir: PathBuf,
}

/// Runs `auditfs mount`.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub fn run(args: &MountArgs) -> anyhow::Result<Outcome> {
    let plan = plan(args)?;
    if args.foreground || args.tell_ready {
        start_logging();
        let served = run_daemon(args, &plan);
        if let (true, Err(error)) = (args.tell_ready, &served) {
            // The waiting command prints it.
            println!("error {error:#}");
            return Ok(Outcome::Clean);
        }
        served?;
        return Ok(Outcome::Clean);
    }
    start_in_background(args, &plan)?;
    Ok(Outcome::Clean)
}

fn plan(args: &MountArgs) -> anyhow::Result<Plan> {
    let mut options = MountOptions::parse(&args.options)?;
    options.allow_other |= args.allow_other;
    if !std::fs::metadata(&args.source)
        .with_context(|| args.source.display().to_string())?
        .is_dir()
    {
        bail!("{}: not a directory", args.source.display());
    }
    let source = args
        .source
        .canonicalize()
        .with_context(|| args.source.display().to_string())?;
    free_dead_mount(&args.mountpoint)?;
    let mountpoint = args
        .mountpoint
        .canonicalize()
        .with_context(|| args.mountpoint.display().to_string())?;
    if !mountpoint.is_dir() {
        bail!("{}: not a directory", mountpoint.display());
    }
    if find_mount(&mountpoint)?.is_some_and(|entry| entry.is_ours()) {
        bail!(crate::mount::MountError::AlreadyMounted(
            mountpoint.display().to_string()
        ));
    }
    let state_dir = match &args.state_dir {
        Some(dir) => dir.clone(),
        None => default_state_dir(&source)?,
    };
    std::fs::create_dir_all(&state_dir)
        .with_context(|| format!("state directory {}", state_dir.display()))?;
    let state_dir = state_dir
        .canonicalize()
        .with_context(|| state_dir.display().to_string())?;
    Ok(Plan {
        mountpoint,
        source,
        options,
        state_dir,
    })
}

/// After kill -9 of a daemon its mount stays and answers ENOTCONN: it is taken away, with a word.
fn free_dead_mount(mountpoint: &Path) -> anyhow::Result<()> {
    let dead = std::fs::metadata(mountpoint)
        .is_err_and(|error| error.raw_os_error() == Some(libc::ENOTCONN));
    if dead {
        detach(mountpoint)?;
        eprintln!(
            "auditfs: warning: {}: removed the dead mount of an earlier daemon",
            mountpoint.display()
        );
    }
    Ok(())
}

fn default_state_dir(source: &Path) -> anyhow::Result<PathBuf> {
    let id = format!("{:016x}", source_hash(&source.to_string_lossy()));
    if rustix::process::geteuid().is_root() {
        return Ok(Path::new("/var/lib/auditfs").join(id));
    }
    let state_home = std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|dir| dir.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/state"));
    let base = state_home
        .or_else(home)
        .context("neither XDG_STATE_HOME nor HOME is set; use --state-dir")?;
    Ok(base.join("auditfs").join(id))
}

/// Starts this program again as the daemon, and waits until it says that the mount is ready.
fn start_in_background(args: &MountArgs, plan: &Plan) -> anyhow::Result<()> {
    let log_path = args
        .log_file
        .clone()
        .unwrap_or_else(|| plan.state_dir.join("mount.log"));
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&log_path)
        .with_context(|| log_path.display().to_string())?;
    let mut daemon = Command::new("/proc/self/exe")
        .arg0("auditfs")
        .args(std::env::args_os().skip(1))
        .arg("--tell-ready")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .context("the daemon could not be started")?;
    let mut line = String::new();
    if let Some(stdout) = daemon.stdout.take() {
        BufReader::new(stdout)
            .read_line(&mut line)
            .context("waiting for the daemon")?;
    }
    match line.trim_end().split_once(' ') {
        None if line.trim_end() == "ready" => Ok(()),
        Some(("error", reason)) => bail!("{reason}"),
        _ => bail!(
            "the daemon ended before the mount was ready; see {}",
            log_path.display()
        ),
    }
}

use std::os::unix::process::CommandExt;

fn run_daemon(args: &MountArgs, plan: &Plan) -> anyhow::Result<()> {
    if args.tell_ready {
        // A session of its own: closing the terminal does not end the daemon.
        rustix::process::setsid().context("setsid")?;
    }
    raise_open_files();
    let spool = match args.no_spool {
        true => None,
        false => Some(SpoolChoice {
            state: StateDir::open(&plan.state_dir, EventTime::from_ns(now_ns()))?,
            retention: args.spool_retention,
        }),
    };
    let view = open_view(&plan.source, &args.read, plan.state_dir.clone(), spool)?;
    std::env::set_current_dir("/").context("/")?;
    view.refresh(batch_time(args.settle));
    let options = &plan.options;
    let attach_options = AttachOptions {
        source: plan.source.display().to_string(),
        read_only: true,
        allow_other: options.allow_other,
    };
    let device = attach(&plan.mountpoint, &attach_options)?;
    let served = serve_until_unmounted(args, plan, device, view);
    if served.is_err() {
        // A mount without a daemon would answer ENOTCONN for ever.
        drop(detach(&plan.mountpoint));
    }
    served
}

fn serve_until_unmounted(
    args: &MountArgs,
    plan: &Plan,
    device: std::os::fd::OwnedFd,
    view: Arc<View>,
) -> anyhow::Result<()> {
    let owner = Ownership {
        uid: plan
            .options
            .uid
            .unwrap_or_else(|| rustix::process::geteuid().as_raw()),
        gid: plan
            .options
            .gid
            .unwrap_or_else(|| rustix::process::getegid().as_raw()),
        file_mode: 0o440,
        dir_mode: 0o550,
    };
    let mountpoint = plan.mountpoint.clone();
    let options = ServeOptions {
        mountpoint: mountpoint.clone(),
        owner,
        settle: args.settle,
        poll: args.poll,
    };
    let service = serve(device, view, &options)?;
    end_on_signal(mountpoint)?;
    tracing::info!(source = %plan.source.display(), mountpoint = %plan.mountpoint.display(), "mounted");
    if args.tell_ready {
        let mut out = std::io::stdout().lock();
        writeln!(out, "ready").context("telling the waiting command")?;
        out.flush().context("telling the waiting command")?;
        let null = OpenOptions::new()
            .write(true)
            .open("/dev/null")
            .context("/dev/null")?;
        rustix::stdio::dup2_stdout(&null).context("closing standard output")?;
    }
    service.join()?;
    tracing::info!("unmounted");
    Ok(())
}

/// SIGTERM and SIGINT: detach, let what runs finish, exit.
fn end_on_signal(mountpoint: PathBuf) -> anyhow::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals =
        signal_hook::iterator::Signals::new([SIGTERM, SIGINT]).context("signal handlers")?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            if let Some(signal) = signals.forever().next() {
                tracing::info!(signal, "ending");
                if let Err(error) = detach(&mountpoint) {
                    tracing::warn!(%error, "could not detach");
                }
                // Whoever still has a file open gets this long; then the connection ends under it.
                std::thread::sleep(Duration::from_secs(2));
                std::process::exit(0);
            }
        })
        .context("signal thread")?;
    Ok(())
}

fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("AUDITFS_LOG");
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,fuser=error"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
}
