//! The daily log of one server: the usual mix of events, those of sessions among them, times rising with small disorder.

use std::path::PathBuf;

use anyhow::Result;

use super::data_file::DataFile;
use super::line::{Line, push_number};
use super::people::{
    ATTRIBUTES, AUTH_ERRORS, COMMANDS, DISCONNECTS, LOGIN_ERRORS, LOGINS, PATHS, USERS,
};
use super::random::Random;
use super::recording::Mention;
use super::session::{Session, push_node_id};

/// Milliseconds in a day.
pub(super) const DAY_MS: u64 = 86_400_000;

/// The daily log of one server for one date.
pub(super) struct DailyLog<'a> {
    pub(super) path: PathBuf,
    pub(super) seed: u64,
    pub(super) server: u64,
    /// Milliseconds since 1970 at the midnight it begins with.
    pub(super) day_ms: u64,
    /// Events that belong to no recorded session.
    pub(super) events: u64,
    /// Events of sessions, in order of time.
    pub(super) mentions: &'a [Mention],
    pub(super) sessions: &'a [Session],
}

impl DailyLog<'_> {
    /// Writes the file and returns its number of lines. An idle server has no file for a day (FORMAT 2).
    pub(super) fn write(self) -> Result<u64> {
        let lines = self.events + self.mentions.len() as u64;
        if lines == 0 {
            return Ok(0);
        }
        let mut random = Random::new(self.seed, &[7, self.server, self.day_ms]);
        let mut file = DataFile::create(self.path.clone(), false)?;
        let mut mentions = self.mentions.iter().peekable();
        let mut last_ms = self.day_ms;
        for number in 0..self.events {
            let share_ms = (DAY_MS - 1) / self.events;
            let now_ms = self.day_ms + number * (DAY_MS - 1) / self.events;
            while let Some(mention) = mentions.next_if(|mention| mention.time_ms <= now_ms) {
                self.push_mention(mention, &mut file)?;
            }
            // A few come late: the clocks of nodes differ, and they retry.
            let late_ms = if random.one_in(20) {
                random.below(3_000)
            } else {
                0
            };
            let time_ms = (now_ms + random.below(share_ms)).saturating_sub(late_ms);
            last_ms = time_ms.max(self.day_ms);
            file.write(|out| push_event(self.seed, last_ms, &mut random, out))?;
        }
        for mention in mentions {
            self.push_mention(mention, &mut file)?;
            last_ms = mention.time_ms;
        }
        file.finish(last_ms)?;
        Ok(lines)
    }

    fn push_mention(&self, mention: &Mention, file: &mut DataFile) -> Result<()> {
        let session = &self.sessions[mention.session as usize];
        file.write(|out| session.push_event(mention.moment, mention.ei, mention.time_ms, out))
    }
}

/// Adds one event that belongs to no recorded session. The auth server's own events have whole seconds (FORMAT 2).
fn push_event(seed: u64, time_ms: u64, random: &mut Random, out: &mut Vec<u8>) {
    let second_ms = time_ms - time_ms % 1_000;
    match random.below(100) {
        0..56 => push_exec(seed, time_ms, random, out),
        56..71 => push_login(second_ms, random, out),
        71..80 => push_auth(second_ms, random, out),
        80..88 => push_scp(seed, time_ms, random, out),
        88..95 => push_port(time_ms, random, out),
        _ => push_disconnect(seed, time_ms, random, out),
    }
}

fn push_exec(seed: u64, time_ms: u64, random: &mut Random, out: &mut Vec<u8>) {
    let failed = random.one_in(8);
    let mut line = addresses(Line::new(out), random)
        .text("code", if failed { "T3002E" } else { "T3002I" })
        .text("command", random.pick(COMMANDS))
        .text("event", "exec");
    if failed {
        line = line.text("exitCode", "1").text(
            "exitError",
            "Process exited with status 1: \\u003cstderr\\u003e not kept",
        );
    } else {
        line = line.text("exitCode", "0");
    }
    let node = random.between(1, 250);
    let line = line
        .text("login", random.pick(LOGINS))
        .text("namespace", "default")
        .text_with("server_id", |out| push_node_id(seed, node, out));
    end(line, time_ms, random);
}

fn push_login(time_ms: u64, random: &mut Random, out: &mut Vec<u8>) {
    let line = remote(Line::new(out), random);
    let line = if random.one_in(10) {
        line.text("code", "T1001W")
            .text("error", random.pick(LOGIN_ERRORS))
            .text("event", "user.login")
            .text("method", "oidc")
            .json("success", "false")
    } else {
        line.json("attributes", random.pick(ATTRIBUTES))
            .text("code", "T1001I")
            .text("event", "user.login")
            .text("method", random.pick(&["oidc", "saml", "local"]))
            .json("success", "true")
    };
    end(line, time_ms, random);
}

fn push_auth(time_ms: u64, random: &mut Random, out: &mut Vec<u8>) {
    let line = addresses(Line::new(out), random)
        .text("code", "T3007W")
        .text("error", random.pick(AUTH_ERRORS))
        .text("event", "auth")
        .json("success", "false");
    end(line, time_ms, random);
}

fn push_scp(seed: u64, time_ms: u64, random: &mut Random, out: &mut Vec<u8>) {
    let node = random.between(1, 250);
    let upload = random.one_in(2);
    let line = Line::new(out).text("action", if upload { "upload" } else { "download" });
    let line = addresses(line, random)
        .text("code", if upload { "T3005I" } else { "T3004I" })
        .text("event", "scp")
        .text("exitCode", "0")
        .text("login", random.pick(LOGINS))
        .text("namespace", "default")
        .text("path", random.pick(PATHS))
        .text_with("server_id", |out| push_node_id(seed, node, out));
    end(line, time_ms, random);
}

fn push_port(time_ms: u64, random: &mut Random, out: &mut Vec<u8>) {
    let line = Line::new(out).text("addr", "10.0.0.5:5432");
    let line = addresses(line, random)
        .text("code", "T3003I")
        .text("event", "port")
        .text("login", random.pick(LOGINS))
        .json("success", "true");
    end(line, time_ms, random);
}

fn push_disconnect(seed: u64, time_ms: u64, random: &mut Random, out: &mut Vec<u8>) {
    let node = random.between(1, 250);
    let line = addresses(Line::new(out), random)
        .text("code", "T3006I")
        .text("event", "client.disconnect")
        .text("login", random.pick(LOGINS))
        .text("reason", random.pick(DISCONNECTS))
        .text_with("server_id", |out| push_node_id(seed, node, out));
    end(line, time_ms, random);
}

/// Both ends of the connection.
fn addresses<'a>(line: Line<'a>, random: &mut Random) -> Line<'a> {
    let line = line.text_with("addr.local", |out| {
        out.extend_from_slice(b"172.10.1.");
        push_number(out, random.between(1, 250));
        out.extend_from_slice(b":3022");
    });
    remote(line, random)
}

fn remote<'a>(line: Line<'a>, random: &mut Random) -> Line<'a> {
    line.text_with("addr.remote", |out| {
        out.extend_from_slice(b"172.10.2.254:");
        push_number(out, random.between(1_024, 65_535));
    })
}

/// What every event ends with.
fn end(line: Line<'_>, time_ms: u64, random: &mut Random) {
    line.time(time_ms)
        .text_with("uid", |out| random.push_uuid(out))
        .text("user", random.pick(USERS))
        .end();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_json_with_sorted_keys_and_of_the_usual_length() {
        let mut random = Random::new(1, &[]);
        let mut all = Vec::new();
        for _ in 0..10_000 {
            let begin = all.len();
            push_event(1, 1_525_161_483_500, &mut random, &mut all);
            let line = std::str::from_utf8(&all[begin..]).unwrap();
            let fields: serde_json::Value = serde_json::from_str(line).unwrap();
            let places: Vec<_> = fields
                .as_object()
                .unwrap()
                .keys()
                .map(|key| line.find(&format!("\"{key}\":")).unwrap())
                .collect();
            assert!(places.is_sorted(), "{line}");
            assert!(!line.contains(['<', '>', '&']), "{line}");
        }
        let average = all.len() / 10_000;
        assert!((370..390).contains(&average), "{average} bytes");
    }
}
