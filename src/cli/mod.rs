//! The command line: what was typed becomes what was meant, and answers become text and exit codes.
//!
//! This is the only place that prints, exits and knows clap. Exit codes: 0 fine, 1 fine but damage was found, 2 failed.

mod cat;
mod check;
mod generate;
mod ls;
mod mount;
mod mount_helper;
mod mount_options;
mod mount_worker;
mod mount_writing;
mod reload;
mod search;
mod source;
mod umount;
mod values;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The audit logs of many auth servers as plain merged files.
#[derive(Debug, Parser)]
#[command(name = "auditfs", version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Mount an audit directory as a file system of merged files.
    Mount(Box<mount::MountArgs>),
    /// End a mount and wait until its daemon is gone.
    Umount(umount::UmountArgs),
    /// Replace the serving process of a mount by the program that is installed now.
    Reload(reload::ReloadArgs),
    /// Started by a worker: wakes inotify watchers through the mount.
    #[command(hide = true)]
    TouchHelper {
        /// The mountpoint.
        mountpoint: std::path::PathBuf,
    },
    /// List the merged tree without mounting it.
    Ls(ls::LsArgs),
    /// Print merged files without mounting.
    Cat(cat::CatArgs),
    /// Read everything and report every wound; exit code 1 if there is one.
    Check(check::CheckArgs),
    /// Print the newest records of all servers that match a query, as lines of JSON.
    Search(search::SearchArgs),
    /// Write a realistic audit directory for trials, the same for the same seed.
    Generate(generate::GenerateArgs),
}

/// How a command ended, when it did not fail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// Fine.
    Clean,
    /// Fine, but damage was found.
    Damage,
}

/// Runs the command that was typed.
pub fn main() -> ExitCode {
    let cli = Cli::parse_from(mount_helper::words(std::env::args_os()));
    let result = match cli.command {
        Command::Mount(args) => mount::run(&args),
        Command::Umount(args) => umount::run(&args),
        Command::Reload(args) => reload::run(&args),
        Command::TouchHelper { mountpoint } => crate::mount::run_touch_helper(&mountpoint)
            .map(|()| Outcome::Clean)
            .map_err(Into::into),
        Command::Ls(args) => ls::run(&args),
        Command::Cat(args) => cat::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Search(args) => search::run(&args),
        Command::Generate(args) => generate::run(args).map(|()| Outcome::Clean),
    };
    match result {
        Ok(Outcome::Clean) => ExitCode::SUCCESS,
        Ok(Outcome::Damage) => ExitCode::from(1),
        // The reader of our output has gone (`auditfs cat ... | head`): nothing is wrong.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("auditfs: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io_errors = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    io_errors
        .into_iter()
        .any(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
}
