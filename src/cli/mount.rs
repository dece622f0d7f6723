//! `auditfs mount`: starts the daemon and returns when the mount is ready.

use std::ffi::OsString;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use crate::mount::{AttachOptions, KeeperOptions, attach, detach, find_mount, keep};

use super::Outcome;
use super::mount_options::MountOptions;
use super::mount_worker::{run_worker, start_logging};
use super::mount_writing::{WriteArgs, WritePlan};
use super::source::{ReadArgs, source_hash};
use super::values::duration;

/// Arguments of `auditfs mount`.
#[derive(Args, Clone, Debug)]
pub struct MountArgs {
    /// The audit directory.
    source: PathBuf,
    /// Where to mount; may be the audit directory itself.
    mountpoint: PathBuf,
    /// Mount options, comma-separated: ro, rw, allow_other, uid=N, gid=N, those for writing below (server_id=UUID), and those
    /// that mount(8) and fstab add.
    #[arg(short = 'o', value_name = "OPTS", action = clap::ArgAction::Append)]
    pub(super) options: Vec<String>,
    /// Stay in the foreground and log to standard error.
    #[arg(long, short = 'f')]
    foreground: bool,
    #[command(flatten)]
    pub(super) read: ReadArgs,
    #[command(flatten)]
    pub(super) write: WriteArgs,
    /// How old a record must be before it is published in a day file; 0 publishes at once.
    #[arg(long, value_name = "D", default_value = "5s", value_parser = duration)]
    pub(super) settle: Duration,
    /// Time between two looks at the share.
    #[arg(long, value_name = "D", default_value = "1s", value_parser = duration)]
    pub(super) poll: Duration,
    /// Where the daemon keeps its files. Default: /var/lib/auditfs/ID for root, $XDG_STATE_HOME/auditfs/ID otherwise.
    #[arg(long, value_name = "DIR", overrides_with = "state_dir")]
    pub(super) state_dir: Option<PathBuf>,
    /// How long a day is kept for readers after its last growth, once its sources are gone.
    #[arg(long, value_name = "D", default_value = "30d", value_parser = duration)]
    pub(super) spool_retention: Duration,
    /// Keep the order of live days in memory only: a restart of the daemon makes it anew, and shippers may then lose or
    /// double records.
    #[arg(long)]
    pub(super) no_spool: bool,
    /// Other users may read, as far as owner and group allow; the same as -o allow_other.
    #[arg(long)]
    pub(super) allow_other: bool,
    /// Log of a daemon in the background. Default: mount.log in the state directory.
    #[arg(long, value_name = "FILE")]
    log_file: Option<PathBuf>,
    /// The keeper was started by `auditfs mount` and tells it on standard output when the mount is ready.
    #[arg(long, hide = true)]
    tell_ready: bool,
    /// This is a worker of the keeper, for the mount here; nothing may be looked up below it.
    #[arg(long, hide = true, value_name = "MNT")]
    worker: Option<PathBuf>,
    /// The audit directory as the keeper resolved it.
    #[arg(long, hide = true, value_name = "SRC")]
    worker_source: Option<PathBuf>,
}

/// What was meant.
struct Plan {
    mountpoint: PathBuf,
    source: PathBuf,
    options: MountOptions,
    state_dir: PathBuf,
    writing: Option<WritePlan>,
}

/// Runs `auditfs mount`.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub fn run(args: &MountArgs) -> anyhow::Result<Outcome> {
    if let (Some(mountpoint), Some(source)) = (&args.worker, &args.worker_source) {
        start_logging();
        let served = run_worker(args, mountpoint, source);
        if let Err(error) = &served {
            // The waiting command prints the first line; later there is only the log.
            println!("error {error:#}");
        }
        served?;
        return Ok(Outcome::Clean);
    }
    let plan = plan(args)?;
    if let Some(writing) = plan.writing.as_ref().filter(|_| !args.tell_ready) {
        writing.try_lock(&plan.source)?;
    }
    if args.foreground || args.tell_ready {
        let kept = run_keeper(args, &plan);
        if let (true, Err(error)) = (args.tell_ready, &kept) {
            println!("error {error:#}");
            return Ok(Outcome::Clean);
        }
        kept?;
        return Ok(Outcome::Clean);
    }
    start_in_background(args, &plan)?;
    Ok(Outcome::Clean)
}

fn plan(args: &MountArgs) -> anyhow::Result<Plan> {
    let mut options = MountOptions::parse(&args.options, &args.write)?;
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
    let writing = match options.writable {
        true => Some(options.writing.plan(&source)?),
        false => None,
    };
    let state_dir = match &args.state_dir {
        Some(dir) => dir.clone(),
        None => default_state_dir(&source)?,
    };
    // What it will hold is what the audit log holds: nobody else may read it.
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&state_dir)
        .with_context(|| format!("state directory {}", state_dir.display()))?;
    let state_dir = state_dir
        .canonicalize()
        .with_context(|| state_dir.display().to_string())?;
    Ok(Plan {
        mountpoint,
        source,
        options,
        state_dir,
        writing,
    })
}

/// After kill -9 of a daemon its mount stays and answers ENOTCONN: it is taken away, with a word.
fn free_dead_mount(mountpoint: &Path) -> anyhow::Result<()> {
    // Not stat: the kernel answers that from what it was told last, for a second after the daemon's end.
    let dead =
        rustix::fs::statvfs(mountpoint).is_err_and(|error| error == rustix::io::Errno::NOTCONN);
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
        .mode(0o600)
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

/// The process that stays: holds the mount and starts workers (DESIGN 4.11).
fn run_keeper(args: &MountArgs, plan: &Plan) -> anyhow::Result<()> {
    if args.tell_ready {
        // A session of its own: closing the terminal does not end the daemon.
        rustix::process::setsid().context("setsid")?;
    }
    // Opened before the mount covers it: the two may be the same directory.
    let source =
        std::fs::File::open(&plan.source).with_context(|| plan.source.display().to_string())?;
    std::env::set_current_dir("/").context("/")?;
    let attach_options = AttachOptions {
        source: plan.source.display().to_string(),
        read_only: !plan.options.writable,
        allow_other: plan.options.allow_other,
    };
    // Not /proc/self/exe: a reload starts what is installed at the same path then.
    let program = std::env::current_exe().context("/proc/self/exe")?;
    let typed = std::env::args_os()
        .skip(1)
        .filter(|word| word != "--tell-ready");
    let mut arguments: Vec<OsString> = typed.collect();
    let resolved: [(&str, &Path); 3] = [
        ("--state-dir", &plan.state_dir),
        ("--worker", &plan.mountpoint),
        ("--worker-source", &plan.source),
    ];
    for (name, value) in resolved {
        arguments.extend([name.into(), value.into()]);
    }
    if let Some(writing) = &plan.writing {
        let server_id = writing.recorder.server_id.as_str();
        arguments.extend(["--worker-server-id".into(), server_id.into()]);
    }
    let device = attach(&plan.mountpoint, &attach_options)?;
    let options = KeeperOptions {
        mountpoint: plan.mountpoint.clone(),
        program,
        arguments,
        source: source.into(),
    };
    let mut tell = || {
        if args.tell_ready {
            let mut out = std::io::stdout().lock();
            // Whoever waited may have been ended; the mount stays.
            drop(writeln!(out, "ready").and_then(|()| out.flush()));
            if let Ok(null) = OpenOptions::new().write(true).open("/dev/null") {
                let _ = rustix::stdio::dup2_stdout(&null);
            }
        }
    };
    Ok(keep(device, options, &mut tell)?)
}
