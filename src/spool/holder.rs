//! Who holds the lock of a state directory: three lines of text in the lock file, for the people who meet the lock.

use std::fmt;

use crate::event::EventTime;

/// What a daemon writes into the lock file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Holder {
    /// Process id on its host; 0 where the file does not say.
    pub pid: u32,
    /// Host name; empty where the file does not say.
    pub host: String,
    /// When it took the lock, RFC 3339; empty where the file does not say.
    pub started: String,
}

impl Holder {
    /// This process.
    pub(super) fn me(now: EventTime) -> Self {
        let host = rustix::system::uname();
        Holder {
            pid: std::process::id(),
            host: host.nodename().to_string_lossy().into_owned(),
            started: now.to_rfc3339(),
        }
    }

    /// The text of the lock file.
    pub(super) fn to_text(&self) -> String {
        format!(
            "pid {}\nhost {}\nstart {}\n",
            self.pid, self.host, self.started
        )
    }

    /// Reads the lock file. Whatever is missing stays empty: another process may be writing it.
    pub(super) fn parse(text: &str) -> Self {
        let mut holder = Holder::default();
        for line in text.lines() {
            match line.split_once(' ') {
                Some(("pid", pid)) => holder.pid = pid.parse().unwrap_or(0),
                Some(("host", host)) => host.clone_into(&mut holder.host),
                Some(("start", start)) => start.clone_into(&mut holder.started),
                _ => {}
            }
        }
        holder
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pid == 0 {
            return f.write_str("another process");
        }
        write!(f, "process {}", self.pid)?;
        if !self.host.is_empty() {
            write!(f, " on {}", self.host)?;
        }
        if !self.started.is_empty() {
            write!(f, " since {}", self.started)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_read_back() {
        let me = Holder::me(EventTime::from_ns(1_500_000_000_000_000_000));
        assert_eq!(Holder::parse(&me.to_text()), me);
        assert_eq!(me.started, "2017-07-14T02:40:00Z");
    }

    #[test]
    fn a_torn_text_still_names_somebody() {
        assert_eq!(Holder::parse("").to_string(), "another process");
        assert_eq!(Holder::parse("pid 17\nho").to_string(), "process 17");
    }
}
