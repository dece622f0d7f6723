//! What a made-up terminal shows: prompts, commands and their output, with colours and text in UTF-8.

use super::line::push_number;
use super::people::{LOGINS, TYPED};
use super::random::Random;

/// Terminal output to cut pieces from, shared by all sessions.
pub(super) struct Terminal {
    pool: Vec<u8>,
    /// Where the lines of the pool begin, but for those near its end.
    line_starts: Vec<usize>,
}

/// More than deflate's window, so that a compressed stream has a credible size.
const POOL_BYTES: usize = 256 << 10;

/// The most that one command prints.
const OUTPUT_BYTES: u64 = 8 << 10;

impl Terminal {
    pub(super) fn new(seed: u64) -> Terminal {
        let mut random = Random::new(seed, &[1]);
        let mut pool = Vec::with_capacity(POOL_BYTES + 256);
        let mut line_starts = Vec::new();
        while pool.len() < POOL_BYTES {
            if pool.len() + (OUTPUT_BYTES as usize) < POOL_BYTES {
                line_starts.push(pool.len());
            }
            push_line(&mut pool, &mut random);
        }
        Terminal { pool, line_starts }
    }
}

/// One line of the output of ls, a log, a table of numbers or a list of names.
fn push_line(out: &mut Vec<u8>, random: &mut Random) {
    const NAMES: &[&str] = &[
        "backup",
        "größe.csv",
        "nginx.conf",
        "api-gateway",
        "notes.txt",
    ];
    match random.below(4) {
        0 => {
            out.extend_from_slice(b"drwxr-xr-x  2 root root ");
            push_number(out, random.below(1 << 20));
            out.extend_from_slice(b" May  1 07:58 \x1b[01;34m");
            out.extend_from_slice(random.pick(NAMES).as_bytes());
            out.extend_from_slice(b"\x1b[0m");
        }
        1 => {
            out.extend_from_slice(b"May  1 07:58:03 node-1 sshd[");
            push_number(out, random.below(32_768));
            out.extend_from_slice(b"]: Accepted publickey for ");
            out.extend_from_slice(random.pick(LOGINS).as_bytes());
            out.extend_from_slice(b" from 172.10.1.254 port ");
            push_number(out, random.between(1_024, 65_535));
            out.extend_from_slice(b" ssh2");
        }
        2 => {
            for _ in 0..8 {
                push_number(out, random.below(100_000));
                out.push(b'\t');
            }
        }
        _ => {
            for _ in 0..6 {
                out.extend_from_slice(random.pick(NAMES).as_bytes());
                out.extend_from_slice(b"  ");
            }
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// The output of one session, drawn bit by bit.
pub(super) struct Screen<'a> {
    terminal: &'a Terminal,
    random: Random,
    prompt: String,
    commands_run: u64,
    shown: Vec<u8>,
    shown_next: usize,
}

impl<'a> Screen<'a> {
    pub(super) fn new(terminal: &'a Terminal, random: Random, prompt: String) -> Self {
        Screen {
            terminal,
            random,
            prompt,
            commands_run: 0,
            shown: Vec::new(),
            shown_next: 0,
        }
    }

    /// Adds the next `bytes` bytes of the stream.
    pub(super) fn show(&mut self, mut bytes: usize, out: &mut Vec<u8>) {
        while bytes > 0 {
            if self.shown_next == self.shown.len() {
                self.run_command();
            }
            let rest = &self.shown[self.shown_next..];
            let part = &rest[..rest.len().min(bytes)];
            out.extend_from_slice(part);
            self.shown_next += part.len();
            bytes -= part.len();
        }
    }

    /// A numbered prompt, so that no two places of a stream are alike; the command; its output.
    fn run_command(&mut self) {
        self.commands_run += 1;
        self.shown_next = 0;
        self.shown.clear();
        self.shown.push(b'[');
        push_number(&mut self.shown, self.commands_run);
        self.shown.extend_from_slice(self.prompt.as_bytes());
        let command = self.random.pick(TYPED);
        self.shown.extend_from_slice(command.as_bytes());
        self.shown.extend_from_slice(b"\r\n");
        let first = self.random.pick(&self.terminal.line_starts);
        let most = if self.commands_run < 8 {
            1024
        } else {
            OUTPUT_BYTES
        };
        let wanted = self.random.between(40, most) as usize;
        let output = &self.terminal.pool[first..first + wanted];
        let whole_lines = memchr::memrchr(b'\n', output).map_or(0, |at| at + 1);
        self.shown.extend_from_slice(&output[..whole_lines]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cuts_do_not_change_the_stream() {
        let terminal = Terminal::new(1);
        let screen = || Screen::new(&terminal, Random::new(1, &[2]), " root@node]# ".into());
        let mut whole = Vec::new();
        screen().show(100_000, &mut whole);
        let (mut cut, mut screen) = (Vec::new(), screen());
        for part in [1, 0, 9_999, 40_000, 50_000] {
            screen.show(part, &mut cut);
        }
        assert!(whole == cut && whole.len() == 100_000);
        assert!(!whole.contains(&0));
    }
}
