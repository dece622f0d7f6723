//! Compares what was sent with what is there: each acknowledged record once, each other one at most once, all whole.

use std::path::Path;

use serde_json::Value;

use super::load::{Fates, Sent, SentToSession, line, piece};
use super::own_folder::{OnDisk, daily_events};

/// What a comparison counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Records that were acknowledged; all of them are there once, or the comparison has failed.
    pub acknowledged: usize,
    /// Records that were not acknowledged and are there, once.
    pub extra: usize,
    /// Records that were not acknowledged and are not there.
    pub absent: usize,
}

impl std::ops::AddAssign for Counted {
    fn add_assign(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.extra += other.extra;
        self.absent += other.absent;
    }
}

/// Compares the folder of the only server that wrote.
#[track_caller]
pub fn check_kept(
    root: &Path,
    server: &str,
    sent: &Sent,
    is_over: impl Fn(&str) -> bool,
) -> Counted {
    let daily = daily_events(root, server);
    let mut counted = Counted::default();
    for (writer, fates) in sent.events.iter().enumerate() {
        counted += check_lines("the daily log", &daily, "user.login", writer, fates);
    }
    for (sid, session) in &sent.sessions {
        let on_disk = OnDisk::read(root, &[server], sid);
        if is_over(sid) {
            assert_eq!(
                (on_disk.torn_bytes, on_disk.loose_bytes, on_disk.completed),
                (0, 0, 1),
                "{sid}"
            );
        }
        counted += check_session(sid, &on_disk, session);
        let in_daily = daily.iter().filter(|line| line["sid"] == sid.as_str());
        let in_daily: Vec<Value> = in_daily.cloned().collect();
        check_lines("the daily log", &in_daily, "exec", 3, &session.events);
    }
    counted
}

/// Compares one session.
#[track_caller]
pub fn check_session(sid: &str, on_disk: &OnDisk, sent: &SentToSession) -> Counted {
    let mut counted = check_lines(sid, &on_disk.events, "exec", 3, &sent.events);
    counted += check_pieces(sid, &on_disk.pieces, &sent.pieces);
    counted
}

/// The lines of one writer among those of a file.
#[track_caller]
pub fn check_lines(
    what: &str,
    lines: &[Value],
    event: &str,
    writer: usize,
    fates: &Fates,
) -> Counted {
    let mut times = vec![0; fates.len()];
    for there in lines
        .iter()
        .filter(|there| there["event"] == event && there["writer"] == writer)
    {
        let number = there["number"].as_u64().unwrap() as usize;
        let wanted: Value = serde_json::from_str(&line(event, writer, number)).unwrap();
        assert_eq!(
            there["filler"], wanted["filler"],
            "{what}: number {number} is not what was sent"
        );
        assert!(
            there["time"].is_string() && there["uid"].is_string(),
            "{what}: {there}"
        );
        *times
            .get_mut(number)
            .unwrap_or_else(|| panic!("{what}: number {number} was never sent")) += 1;
    }
    let mut counted = Counted::default();
    for (number, (times, acknowledged)) in times.into_iter().zip(fates).enumerate() {
        let count = match (acknowledged, times) {
            (true, 1) => &mut counted.acknowledged,
            (false, 1) => &mut counted.extra,
            (false, 0) => &mut counted.absent,
            _ => panic!(
                "{what}: {event} number {number} of writer {writer}, acknowledged: {acknowledged}, is there {times} times"
            ),
        };
        *count += 1;
    }
    counted
}

/// Pieces are in the order in which one writer sent them, some of those not acknowledged left out.
#[track_caller]
fn check_pieces(sid: &str, pieces: &[Vec<u8>], fates: &Fates) -> Counted {
    let mut counted = Counted::default();
    let mut rest = pieces.iter().peekable();
    for (number, acknowledged) in fates.iter().enumerate() {
        let is_there = rest.next_if(|there| **there == piece(number)).is_some();
        let count = match (acknowledged, is_there) {
            (true, true) => &mut counted.acknowledged,
            (false, true) => &mut counted.extra,
            (false, false) => &mut counted.absent,
            (true, false) => panic!(
                "{sid}: piece number {number} was acknowledged and is not there; there is {:?} instead",
                rest.peek().map(|there| there.len())
            ),
        };
        *count += 1;
    }
    assert_eq!(
        rest.count(),
        0,
        "{sid}: pieces that were never sent, or are there twice"
    );
    counted
}
