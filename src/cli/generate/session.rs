//! One made-up session: who, when, how much, on which servers; and the lines that Teleport writes about it.

use super::args::GenerateArgs;
use super::line::Line;
use super::people::{LOGINS, SIZES, USERS};
use super::random::{Random, push_uuid};

/// A stream this long is output of programs rather than typing: it comes in the blocks that `io.Copy` reads.
const BULK_STREAM_BYTES: u64 = 16 << 20;

/// What to record.
pub(super) struct Session {
    pub(super) seed: u64,
    pub(super) number: u64,
    pub(super) sid: String,
    /// Milliseconds since 1970.
    pub(super) start_ms: u64,
    pub(super) duration_ms: u64,
    pub(super) stream_bytes: u64,
    /// Pairs of events and chunks files, at least 1.
    pub(super) pieces: u64,
    first_server: u64,
    /// How many servers take turns.
    servers: u64,
    user: &'static str,
    login: &'static str,
    size: &'static str,
    node: u64,
    remote_port: u64,
}

/// What a session's event tells, but for print events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Start,
    Resize,
    Leave,
    End,
}

impl Session {
    /// The session of that number, within `span_ms` milliseconds from `first_ms` on, at least a day.
    pub(super) fn plan(args: &GenerateArgs, number: u64, first_ms: u64, span_ms: u64) -> Session {
        let mut random = Random::new(args.seed, &[2, number]);
        let stream_bytes = args.stream_bytes.unwrap_or_else(|| {
            let most = if random.one_in(10) { 60_000 } else { 6_000 };
            random.between(600, most)
        });
        let pieces = match args.pieces {
            Some(pieces) => u64::from(pieces),
            None if args.split => 1 + number % 2,
            None => 1,
        };
        let duration_ms = if stream_bytes < BULK_STREAM_BYTES {
            random.between(20_000, 1_800_000)
        } else {
            random.between(600_000, 3_600_000)
        };
        let start_ms = first_ms + random.below(span_ms - duration_ms - 10_000);
        Session {
            seed: args.seed,
            number,
            sid: sid(start_ms, number),
            start_ms,
            duration_ms,
            stream_bytes,
            pieces: pieces.clamp(1, stream_bytes.max(1)),
            first_server: random.below(u64::from(args.servers)),
            servers: if args.split {
                u64::from(args.servers)
            } else {
                1
            },
            user: random.pick(USERS),
            login: random.pick(LOGINS),
            size: random.pick(SIZES),
            node: random.between(1, 250),
            remote_port: random.between(1_024, 65_535),
        }
    }

    /// The number of the server that takes the piece, of `server_count` servers.
    pub(super) fn server_of(&self, piece: u64, server_count: usize) -> usize {
        ((self.first_server + piece % self.servers) % server_count as u64) as usize
    }

    /// The size of the next print event.
    pub(super) fn print_bytes(&self, random: &mut Random) -> u64 {
        if self.stream_bytes >= BULK_STREAM_BYTES {
            return random.between(4_096, 32_768);
        }
        match random.below(20) {
            0..10 => random.between(1, 8),
            10..17 => random.between(20, 200),
            _ => random.between(200, 4_096),
        }
    }

    /// What stands in the prompt after the number of the command.
    pub(super) fn prompt(&self) -> String {
        format!(" {}@node-{} ~]$ ", self.login, self.node)
    }

    /// Adds the line of an event other than print, as it stands in the events file and in the daily log alike.
    pub(super) fn push_event(&self, moment: Moment, ei: u64, time_ms: u64, out: &mut Vec<u8>) {
        let (event, code) = match moment {
            Moment::Start => ("session.start", "T2000I"),
            Moment::Resize => ("resize", "T2002I"),
            Moment::Leave => ("session.leave", "T2003I"),
            Moment::End => ("session.end", "T2004I"),
        };
        let mut line = Line::new(out);
        if moment == Moment::Start {
            line = line
                .text("addr.local", &format!("172.10.1.{}:3022", self.node))
                .text("addr.remote", &format!("172.10.2.254:{}", self.remote_port));
        }
        line = line
            .text("code", code)
            .number("ei", ei)
            .text("event", event);
        if matches!(moment, Moment::Start | Moment::Resize) {
            line = line.text("login", self.login);
        }
        line = line.text("namespace", "default");
        if matches!(moment, Moment::Start | Moment::Leave) {
            line = line.text_with("server_id", |out| push_node_id(self.seed, self.node, out));
        }
        line = line.text("sid", &self.sid);
        match moment {
            Moment::Start => line = line.text("size", self.size),
            Moment::Resize => line = line.text("size", "101:31"),
            Moment::Leave | Moment::End => {}
        }
        line.time(time_ms)
            .text_with("uid", |out| {
                Random::new(self.seed, &[3, self.number, ei]).push_uuid(out);
            })
            .text("user", self.user)
            .end();
    }
}

/// Adds the server ID of a node: not an auth server, so it is no folder.
pub(super) fn push_node_id(seed: u64, node: u64, out: &mut Vec<u8>) {
    Random::new(seed, &[4, node]).push_uuid(out);
}

/// A UUID of version 1, as nodes make session IDs (FORMAT 3). The number of the session stands in it, so it is unique.
fn sid(start_ms: u64, number: u64) -> String {
    /// 100 ns steps from 1582-10-15 to 1970.
    const TICKS_1970: u64 = 0x01b2_1dd2_1381_4000;
    let ticks = TICKS_1970 + start_ms * 10_000;
    let high = (ticks << 32) | (ticks >> 32 & 0xffff) << 16 | 0x1000 | (ticks >> 48 & 0xfff);
    let low = 0x8000_0242_ac00_0000 | (number >> 24) << 48 | (number & 0xff_ffff);
    let mut text = Vec::new();
    push_uuid(&mut text, high, low);
    text.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sid_has_the_time_of_the_session_in_it() {
        assert_eq!(
            sid(1_525_161_483_500, 5),
            "5fff02c0-4d15-11e8-8000-0242ac000005"
        );
    }
}
