//! A real mount by the real binary, which ends with the test, also when the test fails.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::programs::{Ran, run};
use super::{Audit, wait_until};

/// Runs auditfs.
pub fn auditfs(args: &[&str]) -> Ran {
    let mut all = vec![env!("CARGO_BIN_EXE_auditfs")];
    all.extend(args);
    run(&all)
}

/// See the module text.
pub struct Mount {
    dir: tempfile::TempDir,
    source: PathBuf,
    point: PathBuf,
    options: Vec<String>,
    keeper: i32,
    worker: i32,
}

impl Mount {
    /// Mounts it, publishing at once.
    pub fn of(audit: &Audit) -> Mount {
        Mount::with(audit.path(), &["--settle", "0", "--poll", "200ms"])
    }

    /// Mounts it to be written as this server, publishing at once.
    pub fn writing(audit: &Audit, server: &str, options: &[&str]) -> Mount {
        let rw = format!("rw,server_id={server}");
        let mut all = vec!["--settle", "0", "--poll", "200ms", "-o", &rw];
        all.extend(options);
        Mount::with(audit.path(), &all)
    }

    /// Mounts a directory with these options.
    pub fn with(source: &Path, options: &[&str]) -> Mount {
        Mount::prepared(source, options).mounted()
    }

    /// Mounts a directory over itself.
    pub fn over(source: &Path, options: &[&str]) -> Mount {
        let mut mount = Mount::prepared(source, options);
        mount.point = source.to_owned();
        mount.mounted()
    }

    /// A mountpoint, a state directory and options; nothing is mounted yet.
    pub fn prepared(source: &Path, options: &[&str]) -> Mount {
        let dir = tempfile::Builder::new().prefix("mount").tempdir().unwrap();
        let point = dir.path().join("mnt");
        std::fs::create_dir(&point).unwrap();
        Mount {
            dir,
            point,
            source: source.to_owned(),
            options: options.iter().map(ToString::to_string).collect(),
            keeper: 0,
            worker: 0,
        }
    }

    /// Ends the mount and makes it again, with the same state directory.
    pub fn again(mut self) -> Mount {
        self.end();
        self.mounted()
    }

    fn mounted(mut self) -> Mount {
        self.try_mount().ok();
        self.learn_pid();
        self
    }

    /// Runs the mount command.
    pub fn try_mount(&self) -> Ran {
        let words = self.command();
        auditfs(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The mount command, without the program.
    pub fn command(&self) -> Vec<String> {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let mut words = vec!["mount".to_owned(), text(&self.source), text(&self.point)];
        words.extend(["--state-dir".to_owned(), text(&self.state())]);
        words.extend(self.options.iter().cloned());
        words
    }

    /// Asks the mount for its daemon, after a mount command that was run by hand.
    pub fn learn_pid(&mut self) {
        let status = self.json(".auditfs/status.json");
        let pid = |key: &str| i32::try_from(status[key].as_i64().unwrap()).unwrap();
        (self.keeper, self.worker) = (pid("keeper_pid"), pid("pid"));
    }

    /// The mountpoint.
    pub fn point(&self) -> PathBuf {
        self.point.clone()
    }

    /// The state directory.
    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// A path below the mountpoint.
    pub fn at(&self, path: &str) -> PathBuf {
        self.point().join(path)
    }

    /// Reads a whole file.
    #[track_caller]
    pub fn read(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.at(path))
            .unwrap_or_else(|error| panic!("{path}: {error}\n{}", self.log()))
    }

    /// Reads a whole file as text.
    #[track_caller]
    pub fn text(&self, path: &str) -> String {
        String::from_utf8(self.read(path)).unwrap()
    }

    /// Reads a JSON file.
    #[track_caller]
    pub fn json(&self, path: &str) -> serde_json::Value {
        serde_json::from_slice(&self.read(path)).unwrap()
    }

    /// A file's size as stat says.
    #[track_caller]
    pub fn size(&self, path: &str) -> u64 {
        std::fs::metadata(self.at(path)).unwrap().size()
    }

    /// The names in a directory, sorted.
    #[track_caller]
    pub fn names(&self, path: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.at(path)).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The process that holds the mount.
    pub fn keeper_pid(&self) -> i32 {
        self.keeper
    }

    /// The process that served when the mount was made.
    pub fn worker_pid(&self) -> i32 {
        self.worker
    }

    /// The most memory that the daemon ever had resident, bytes.
    pub fn peak_memory_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.worker)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib: u64 = line
            .unwrap()
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .unwrap();
        kib << 10
    }

    /// Kills the worker, as a crash would; the keeper starts another.
    pub fn kill_worker(&self) {
        let pid = self.json(".auditfs/status.json")["pid"].as_i64().unwrap();
        let pid = i32::try_from(pid).unwrap();
        self.signal_one(pid, Signal::KILL);
        wait_until(Duration::from_secs(10), "the worker dies", || {
            !is_alive(pid)
        });
    }

    /// Replaces the worker in order.
    pub fn reload(&self) {
        // The keeper of an earlier mount with this device number may still have the name.
        let mut ran = auditfs(&["reload", self.point().to_str().unwrap()]);
        wait_until(Duration::from_secs(10), "the keeper is found", || {
            let found = !ran.stderr().contains("no keeper");
            if !found {
                ran = auditfs(&["reload", self.point().to_str().unwrap()]);
            }
            found
        });
        ran.ok();
    }

    /// The UTC date, as the daily log and its file in the mount are named.
    pub fn today() -> String {
        run(&["date", "-u", "+%F"]).text().trim().to_owned()
    }

    /// Sends a signal to the keeper; to the worker as well where it kills, for a worker lives on without its keeper.
    pub fn signal(&self, signal: Signal) {
        self.signal_one(self.keeper, signal);
        if signal == Signal::KILL {
            self.signal_one(self.worker, signal);
        }
    }

    /// Signals a process, if it is still the one that was started here.
    fn signal_one(&self, pid: i32, signal: Signal) {
        let Some(Ok(process)) = Pid::from_raw(pid).map(|pid| pidfd_open(pid, PidfdFlags::empty()))
        else {
            return;
        };
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&words).contains(self.point().to_str().unwrap()) {
            let _ = pidfd_send_signal(&process, signal);
        }
    }

    /// Whether any process of the daemon is there.
    pub fn is_alive(&self) -> bool {
        [self.keeper, self.worker].into_iter().any(is_alive)
    }

    /// Waits for the daemon's end.
    #[track_caller]
    pub fn wait_for_end(&self) {
        wait_until(Duration::from_secs(10), "the daemon ends", || {
            !self.is_alive()
        });
    }

    /// What the daemon logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.state().join("mount.log")).unwrap_or_default()
    }

    /// Whether the list of mounts has it.
    pub fn is_mounted(&self) -> bool {
        let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let point = self.point();
        table
            .lines()
            .any(|line| line.split(' ').nth(4) == point.to_str())
    }

    /// Ends it, however it is.
    pub fn end(&mut self) {
        let point = self.point();
        let point = point.to_str().unwrap();
        if self.is_mounted() {
            auditfs(&["umount", point]);
        }
        if self.is_mounted() {
            run(&["fusermount3", "-u", "-z", "--", point]);
        }
        if self.is_alive() {
            self.signal(Signal::KILL);
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("log of the daemon:\n{}", self.log());
        }
        self.end();
    }
}

fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // A zombie is gone: nobody may have waited for it yet.
    let state = stat
        .rsplit_once(')')
        .map_or("", |(_, rest)| rest.trim_start());
    // Its first thread may be one while others still hold what the process has open.
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    !state.is_empty() && (!state.starts_with('Z') || threads > 1)
}
