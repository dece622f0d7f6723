//! Running real programs: what they said and how they ended. A program that is missing is a failed test, not a skipped one.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A program that has ended.
pub struct Ran {
    what: String,
    output: Output,
}

impl Ran {
    /// Runs a prepared command. Its output goes to files: a process that outlives it keeps a pipe open for ever.
    pub fn of(command: &mut Command) -> Ran {
        let what = format!("{command:?}");
        let (mut stdout, mut stderr) =
            (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let status = command
            .stdin(Stdio::null())
            .stdout(stdout.try_clone().unwrap())
            .stderr(stderr.try_clone().unwrap())
            .status();
        let status = status.unwrap_or_else(|error| panic!("{what} is needed here: {error}"));
        let read = |file: &mut File| {
            let mut bytes = Vec::new();
            file.rewind().unwrap();
            file.read_to_end(&mut bytes).unwrap();
            bytes
        };
        let output = Output {
            status,
            stdout: read(&mut stdout),
            stderr: read(&mut stderr),
        };
        Ran { what, output }
    }

    /// Its output; it must have ended well.
    #[track_caller]
    pub fn ok(self) -> Vec<u8> {
        assert!(self.output.status.success(), "{}", self.told());
        self.output.stdout
    }

    /// Its output as text; it must have ended well.
    #[track_caller]
    pub fn text(self) -> String {
        String::from_utf8(self.ok()).unwrap()
    }

    /// Exit code.
    #[track_caller]
    pub fn code(&self) -> i32 {
        self.output
            .status
            .code()
            .unwrap_or_else(|| panic!("{}", self.told()))
    }

    /// What it wrote to standard output, however it ended.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    /// What it wrote to standard error.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// All of it, for messages.
    pub fn told(&self) -> String {
        let status = self.output.status;
        format!(
            "{}: {status}\n{}{}",
            self.what,
            self.stdout(),
            self.stderr()
        )
    }
}

/// Runs a program.
pub fn run(args: &[impl AsRef<OsStr>]) -> Ran {
    run_in(Path::new("/"), args)
}

/// Runs a program in a directory.
fn run_in(dir: &Path, args: &[impl AsRef<OsStr>]) -> Ran {
    // A read that never comes back must not hang the tests.
    let mut command = Command::new("timeout");
    command.args(["-k", "2", "120"]).args(args).current_dir(dir);
    Ran::of(&mut command)
}

/// Runs a line of shell in a directory; any part of a pipe that fails makes it fail.
pub fn sh(dir: &Path, line: &str) -> Ran {
    run_in(dir, &["bash", "-o", "pipefail", "-c", line])
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
