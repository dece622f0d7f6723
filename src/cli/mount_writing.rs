//! Options of a mount that writes: typed as `--name`, or behind `-o` for fstab; what was meant of both.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, FromArgMatches, ValueEnum};

use crate::event::{EventTime, ServerId};
use crate::mount::now_ns;
use crate::write::{
    Compression, FolderLock, LogForm, Making, OwnDirectory, RecorderOptions, SyncPolicy, break_lock,
};

/// Folders of an audit directory that are no server's (FORMAT 1).
const NO_SERVERS: [&str; 4] = ["playbacks", "records", "sessions", "upload"];
/// A host_uuid file has one short line.
const MAX_HOST_UUID_BYTES: usize = 4096;

/// What concerns writing. Each of them may also stand behind -o, with `_` for `-`.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Writing (with -o rw)")]
pub struct WriteArgs {
    /// The auth server to write as: the name of its folder.
    #[arg(long, value_name = "UUID")]
    server_id: Option<String>,
    /// A file that holds the server ID, such as /var/lib/teleport/host_uuid.
    #[arg(long, value_name = "FILE")]
    host_uuid: Option<PathBuf>,
    /// Form of lines in the daily log [default: json].
    #[arg(long, value_name = "F")]
    log_format: Option<LogFormat>,
    /// Form of session files; gzip is what Teleport 2.5 to 4.3 reads [default: none].
    #[arg(long, value_name = "C")]
    compression: Option<CompressionName>,
    /// When what was written is on the disk: before write(2) returns, within a second, or when the kernel pleases; after
    /// fsync(2) it always is [default: interval].
    #[arg(long, value_name = "S")]
    sync: Option<SyncName>,
    /// Drop the bytes of terminals; their events still take a number.
    #[arg(long)]
    no_record_sessions: bool,
    /// Mode of folders made in the audit directory, octal; files get it without x, and w for the owner only
    /// [default: 770, files 640].
    #[arg(long, value_name = "MODE", value_parser = octal)]
    dir_mode: Option<u32>,
    /// Owner of folders and files made in the audit directory [default: the daemon's].
    #[arg(long, value_name = "UID:GID", value_parser = owner)]
    owner: Option<(u32, u32)>,
    /// Take the server's folder from another host that is gone for good and cannot give its lock back (NFSv3).
    #[arg(long)]
    break_lock: bool,
    /// The server ID as the keeper resolved it.
    #[arg(long, hide = true, value_name = "ID")]
    worker_server_id: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// JSON lines, as all released versions.
    Json,
    /// `utc_date,action,json_fields`.
    Legacy,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CompressionName {
    None,
    Gzip,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SyncName {
    Always,
    Interval,
    Never,
}

/// How a mount writes, decided.
#[derive(Clone, Debug)]
pub struct WritePlan {
    /// As whom, in which form.
    pub recorder: RecorderOptions,
    /// How folders and files are made.
    pub making: Making,
    break_lock: bool,
}

impl WriteArgs {
    /// One option from behind `-o`, such as `server_id=x`. `false`: it is none of these.
    ///
    /// # Errors
    /// A bad value.
    pub fn take_mount_option(&mut self, option: &str) -> anyhow::Result<bool> {
        let (name, _) = option.split_once('=').unwrap_or((option, ""));
        let command = WriteArgs::augment_args(clap::Command::new("-o").no_binary_name(true));
        let long = name.replace('_', "-");
        let known = command
            .get_arguments()
            .find(|arg| arg.get_long() == Some(&long) && !arg.is_hide_set() && !name.contains('-'));
        // `-o sync` and `-o owner` of mount(8) are other options than `sync=` and `owner=`.
        match known {
            Some(arg) if arg.get_action().takes_values() == option.contains('=') => {}
            _ => return Ok(false),
        }
        let word = format!("--{long}{}", option.get(name.len()..).unwrap_or(""));
        let matches = command.try_get_matches_from([word]);
        let matches = matches.map_err(|error| {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or("");
            anyhow::anyhow!("-o {option}: {}", line.trim_start_matches("error: "))
        })?;
        // An update sets flags that are not among the matches back.
        let (no_record_sessions, break_lock) = (self.no_record_sessions, self.break_lock);
        self.update_from_arg_matches(&matches)?;
        self.no_record_sessions |= no_record_sessions;
        self.break_lock |= break_lock;
        Ok(true)
    }

    /// Whether it says as whom to write.
    pub fn names_a_server(&self) -> bool {
        self.server_id.is_some() || self.host_uuid.is_some()
    }

    /// What was meant, for the audit directory `source`.
    ///
    /// # Errors
    /// No server ID, or none that can be one.
    pub fn plan(&self, source: &Path) -> anyhow::Result<WritePlan> {
        let server_id = match (&self.worker_server_id, &self.server_id, &self.host_uuid) {
            (Some(id), _, _) | (None, Some(id), None) => ServerId::new(id)?,
            (None, None, Some(file)) => read_host_uuid(file)?,
            (None, Some(_), Some(_)) => bail!("-o server_id and host_uuid: give one of them"),
            (None, None, None) => {
                let example = source.parent().map(|above| above.join("host_uuid"));
                let example = example.filter(|file| file.is_file());
                let example = example.map_or_else(String::new, |file| {
                    format!(
                        " (there is {}: but only one may write as that server)",
                        file.display()
                    )
                });
                bail!(
                    "-o rw: needs the server to write as: -o rw,server_id=UUID or -o rw,host_uuid=FILE{example}; or mount with -o ro"
                )
            }
        };
        if NO_SERVERS.contains(&server_id.as_str()) {
            bail!("-o server_id={server_id}: this folder is no server's");
        }
        let defaults = RecorderOptions::new(server_id);
        let recorder = RecorderOptions {
            form: match self.log_format {
                None | Some(LogFormat::Json) => LogForm::Json,
                Some(LogFormat::Legacy) => LogForm::Legacy,
            },
            compression: match self.compression {
                None | Some(CompressionName::None) => Compression::None,
                Some(CompressionName::Gzip) => Compression::Gzip,
            },
            sync: match self.sync {
                None | Some(SyncName::Interval) => SyncPolicy::default(),
                Some(SyncName::Always) => SyncPolicy::Always,
                Some(SyncName::Never) => SyncPolicy::Never,
            },
            record_sessions: !self.no_record_sessions,
            ..defaults
        };
        let making = Making {
            dir_mode: self.dir_mode.unwrap_or(Making::default().dir_mode),
            owner: self.owner,
        };
        Ok(WritePlan {
            recorder,
            making,
            break_lock: self.break_lock,
        })
    }
}

impl WritePlan {
    /// Before anything is mounted: can the server's folder be had? The worker takes it for good.
    ///
    /// # Errors
    /// Names who has it.
    pub fn try_lock(&self, source: &Path) -> anyhow::Result<()> {
        let server_id = &self.recorder.server_id;
        let directory = OwnDirectory::open(source, self.making)
            .with_context(|| source.display().to_string())?;
        if self.break_lock
            && let Some(holder) = break_lock(&directory, server_id)?
        {
            eprintln!("auditfs: warning: broke the lock of {holder}");
        }
        FolderLock::take(&directory, server_id, EventTime::from_ns(now_ns()))?;
        Ok(())
    }
}

fn read_host_uuid(file: &Path) -> anyhow::Result<ServerId> {
    let name = || file.display().to_string();
    let text = std::fs::read(file).with_context(name)?;
    let text = text.get(..MAX_HOST_UUID_BYTES.min(text.len()));
    let text = text.and_then(|text| std::str::from_utf8(text).ok());
    let id = text.map(str::trim).and_then(|id| ServerId::new(id).ok());
    id.with_context(|| format!("{}: holds no server ID", name()))
}

fn octal(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok();
    mode.filter(|mode| *mode <= 0o7777)
        .ok_or_else(|| format!("{text}: a mode is octal, such as 750"))
}

fn owner(text: &str) -> Result<(u32, u32), String> {
    let ids = text.split_once(':');
    ids.and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)))
        .ok_or_else(|| format!("{text}: an owner is two numbers, such as 0:4"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(options: &[&str], expected: &str) {
        let mut args = WriteArgs::default();
        let mut taken = options.iter().map(|option| args.take_mount_option(option));
        let said = match taken.find(|taken| !matches!(taken, Ok(true))) {
            Some(Ok(_)) => "unknown".to_owned(),
            Some(Err(error)) => error.to_string(),
            None => {
                drop(taken);
                match args.plan(Path::new("/none/log")) {
                    Ok(plan) => {
                        let RecorderOptions {
                            server_id,
                            form,
                            compression,
                            sync,
                            record_sessions,
                            ..
                        } = plan.recorder;
                        let Making { dir_mode, owner } = plan.making;
                        format!(
                            "{server_id} {form:?} {compression:?} {sync:?} {record_sessions} {dir_mode:o} {owner:?} {}",
                            plan.break_lock
                        )
                    }
                    Err(error) => error.to_string(),
                }
            }
        };
        assert_eq!(said, expected);
    }

    #[test]
    fn options_of_fstab_say_all_that_can_be_typed() {
        check(
            &["server_id=a1"],
            "a1 Json None Interval { interval_ns: 1000000000 } true 770 None false",
        );
        check(
            &[
                "server_id=a1",
                "log_format=legacy",
                "compression=gzip",
                "sync=always",
                "no_record_sessions",
                "dir_mode=750",
                "owner=5:6",
                "break_lock",
            ],
            "a1 Legacy Gzip Always false 750 Some((5, 6)) true",
        );
    }

    #[test]
    fn options_of_mount_8_are_others() {
        check(&["sync"], "unknown");
        check(&["owner"], "unknown");
        check(&["worker_server_id=x"], "unknown");
        check(&["server-id=x"], "unknown");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        check(
            &[],
            "-o rw: needs the server to write as: -o rw,server_id=UUID or -o rw,host_uuid=FILE; or mount with -o ro",
        );
        check(
            &["server_id=upload"],
            "-o server_id=upload: this folder is no server's",
        );
        check(
            &["server_id=a/b"],
            "server ID \"a/b\" is not allowed: it has a slash",
        );
        check(
            &["owner=me"],
            "-o owner=me: invalid value 'me' for '--owner <UID:GID>': me: an owner is two numbers, such as 0:4",
        );
        check(&["host_uuid=/none"], "/none");
        check(
            &["server_id=a", "host_uuid=/none"],
            "-o server_id and host_uuid: give one of them",
        );
    }
}
