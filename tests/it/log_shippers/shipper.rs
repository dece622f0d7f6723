//! One log shipper: its configuration, made from the file in `docs/shippers/`, its state, its process, its output.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::arrived::Arrived;
use crate::harness::*;

/// The measurement of 200 kills is the longest.
const LIFETIME_S: &str = "900";

/// What follows the day files.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// rsyslog's imfile, woken by inotify.
    RsyslogInotify,
    /// rsyslog's imfile, looking by itself.
    RsyslogPolling,
    /// syslog-ng's wildcard-file.
    SyslogNg,
    /// logtail, one pass after the other.
    Logtail,
    /// GNU tail -F, one for each day.
    Tail,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 5] = [
        Kind::RsyslogInotify,
        Kind::RsyslogPolling,
        Kind::SyslogNg,
        Kind::Logtail,
        Kind::Tail,
    ];

    /// The very file that docs/SHIPPERS.md recommends.
    fn document(self) -> &'static str {
        match self {
            Kind::RsyslogInotify | Kind::RsyslogPolling => "rsyslog.conf",
            Kind::SyslogNg => "syslog-ng.conf",
            Kind::Logtail => "logtail.sh",
            Kind::Tail => "tail.sh",
        }
    }
}

/// See the module text.
pub struct Shipper {
    /// Which one it is.
    pub kind: Kind,
    /// What it has delivered.
    pub arrived: Arrived,
    home: PathBuf,
    process: Option<Child>,
}

impl Shipper {
    /// Sets one up in the directory `home` to follow `mountpoint`. It does not run yet.
    pub fn new(kind: Kind, home: PathBuf, mountpoint: &Path) -> Self {
        let shipper = Shipper {
            kind,
            arrived: Arrived::default(),
            home,
            process: None,
        };
        std::fs::create_dir_all(shipper.state()).unwrap();
        std::fs::create_dir_all(shipper.output()).unwrap();
        let documents = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/shippers");
        let mut text = std::fs::read_to_string(documents.join(kind.document())).unwrap();
        for (from, to) in [
            ("/mnt/audit", mountpoint),
            ("/var/lib/shipper", &shipper.state()),
            ("/var/log/shipped", &shipper.output()),
        ] {
            assert!(
                text.contains(from) || kind != Kind::RsyslogInotify,
                "{from} is not in {text}"
            );
            text = text.replace(from, to.to_str().unwrap());
        }
        if kind == Kind::RsyslogPolling {
            let mode = "mode=\"inotify\"";
            assert!(text.contains(mode));
            text = text.replace(mode, "mode=\"polling\" pollingInterval=\"1\"");
        }
        std::fs::write(shipper.config(), text).unwrap();
        shipper
    }

    /// Starts it.
    pub fn start(&mut self) {
        assert!(self.process.is_none(), "{:?} runs", self.kind);
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.home.join("log"))
            .unwrap();
        // Whatever happens to the test, it ends by itself. `timeout` makes a process group and hands signals on.
        let mut command = Command::new("timeout");
        command.args(["-k", "5", LIFETIME_S]).args(self.words());
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        command.current_dir(&self.home).process_group(0);
        // Ordinary users do not have sbin in their PATH.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
        if self.kind == Kind::SyslogNg {
            command.env("LD_LIBRARY_PATH", syslog_ng_libraries());
        }
        self.process = Some(command.spawn().unwrap());
    }

    /// Stops it as its service manager would, and waits for its end.
    pub fn stop(&mut self) {
        let Some(mut process) = self.process.take() else {
            return;
        };
        if self.kind == Kind::Logtail {
            // It runs in passes; cron never kills one.
            std::fs::write(self.home.join("stop"), "").unwrap();
        } else {
            kill_process(Pid::from_child(&process), Signal::TERM).unwrap();
        }
        wait_until(
            Duration::from_secs(10),
            &format!("{:?} ends", self.kind),
            || process.try_wait().unwrap().is_some(),
        );
        let _ = std::fs::remove_file(self.home.join("stop"));
    }

    /// The file that the recommended settings deliver into.
    pub fn delivered_file(&self) -> PathBuf {
        self.output().join("events.jsonl")
    }

    /// Looks at what it has delivered.
    pub fn look(&mut self) {
        let output = self.output();
        self.arrived.look(&output);
    }

    /// The end of what it said.
    pub fn log(&self) -> String {
        let text = std::fs::read(self.home.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&text[text.len().saturating_sub(2000)..]).into_owned()
    }

    fn words(&self) -> Vec<String> {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        let config = text(self.config());
        let state = |name: &str| text(self.state().join(name));
        match self.kind {
            Kind::RsyslogInotify | Kind::RsyslogPolling => {
                vec![
                    "rsyslogd".into(),
                    "-n".into(),
                    "-f".into(),
                    config,
                    "-i".into(),
                    state("pid"),
                ]
            }
            Kind::SyslogNg => vec![
                text(syslog_ng_root().join("usr/sbin/syslog-ng")),
                "--foreground".into(),
                "--stderr".into(),
                "--no-caps".into(),
                "--module-path".into(),
                text(only_entry(
                    &syslog_ng_root().join("usr/lib/syslog-ng"),
                    |name| name.starts_with(|c: char| c.is_ascii_digit()),
                )),
                "--cfgfile".into(),
                config,
                "--persist-file".into(),
                state("persist"),
                "--pidfile".into(),
                state("pid"),
                "--control".into(),
                state("ctl"),
            ],
            Kind::Logtail => {
                let passes = format!("until [ -e stop ]; do sh {config}; sleep 0.3; done");
                vec!["sh".into(), "-c".into(), passes]
            }
            Kind::Tail => vec!["bash".into(), config],
        }
    }

    fn config(&self) -> PathBuf {
        self.home.join(self.kind.document())
    }

    fn state(&self) -> PathBuf {
        self.home.join("state")
    }

    fn output(&self) -> PathBuf {
        self.home.join("out")
    }
}

impl Drop for Shipper {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = rustix::process::kill_process_group(Pid::from_child(&process), Signal::KILL);
            let _ = process.wait();
        }
    }
}

/// Where scripts/prerequisites unpacks syslog-ng, which cannot be installed beside rsyslog.
fn syslog_ng_root() -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_auditfs"));
    let root = binary
        .ancestors()
        .nth(2)
        .unwrap()
        .join("shippers/syslog-ng");
    assert!(
        root.is_dir(),
        "{}: syslog-ng is needed here; scripts/prerequisites unpacks it",
        root.display()
    );
    root
}

fn syslog_ng_libraries() -> String {
    let (usr, lib) = (
        syslog_ng_root().join("usr/lib"),
        syslog_ng_root().join("lib"),
    );
    let of_machine = |dir: &Path| only_entry(dir, |name| name.ends_with("-linux-gnu"));
    let dirs = [usr.join("syslog-ng"), of_machine(&usr), of_machine(&lib)];
    dirs.map(|dir| dir.to_str().unwrap().to_owned()).join(":")
}

/// The entry of `dir` with such a name, or `dir` itself.
fn only_entry(dir: &Path, is_it: impl Fn(&str) -> bool) -> PathBuf {
    let entries = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap());
    let mut named = entries.filter(|entry| is_it(entry.file_name().to_str().unwrap()));
    named.next().map_or(dir.to_owned(), |entry| entry.path())
}
