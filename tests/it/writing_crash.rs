//! What was acknowledged is kept, whenever the daemon is killed: 100 rounds of kill -9 under load from four writers.
//!
//! In half of the rounds only the worker is killed and the keeper starts another; in the rest the keeper is killed too, and
//! the mount is made again over the dead one. After each round the server's own folder is read without auditfs.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::*;

const ROUNDS_A_SESSION: usize = 10;

fn sid_of(round: usize) -> String {
    format!("74a5fc01-4d00-11e8-aee2-{:012x}", round / ROUNDS_A_SESSION)
}

struct Crashes {
    audit: Audit,
    mount: Mount,
    load: Load,
    seed: Seed,
    ended: Vec<String>,
    torn_bytes: usize,
    loose: usize,
}

impl Crashes {
    fn new(options: &[&str], by: Acknowledged) -> Crashes {
        let audit = Audit::new();
        let mount = Mount::writing(&audit, A, options);
        Crashes {
            load: Load::new(&mount.point(), by, &sid_of(0)),
            audit,
            mount,
            seed: Seed::of_this_run(),
            ended: Vec::new(),
            torn_bytes: 0,
            loose: 0,
        }
    }

    /// Kills at a random moment of a random number of records.
    fn kill(&mut self, with_keeper: bool) {
        self.mount.learn_pid();
        self.load.go();
        self.load.wait_for_more(self.seed.within(5..40));
        let moment = Instant::now() + Duration::from_micros(self.seed.within(0..3000));
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        if with_keeper {
            self.mount.signal(Signal::KILL);
            self.mount.wait_for_end();
        } else {
            self.mount.kill_worker();
        }
        self.load.pause();
    }

    fn round(&mut self, round: usize) {
        // A worker that dies young twice is started later each time; a new keeper forgets that.
        let with_keeper = round % 2 == 1;
        self.kill(with_keeper);
        self.look();
        if with_keeper {
            self.mount.try_mount().ok();
        }
        if round % ROUNDS_A_SESSION == ROUNDS_A_SESSION - 1 {
            self.end_session(&sid_of(round));
            self.load.use_session(&sid_of(round + 1));
        }
    }

    /// What is on the disk while nobody writes.
    fn look(&mut self) -> Counted {
        let sent = self.load.sent();
        for sid in sent.sessions.keys().filter(|sid| !self.ended.contains(sid)) {
            let session = OnDisk::read(self.audit.path(), &[A], sid);
            self.torn_bytes += session.torn_bytes;
            self.loose += usize::from(session.loose_bytes > 0);
        }
        check_kept(self.audit.path(), A, &sent, |sid| {
            self.ended.iter().any(|ended| ended == sid)
        })
    }

    fn end_session(&mut self, sid: &str) {
        let path = self.mount.at(&format!("sessions/{sid}/events.jsonl"));
        let line = "{\"event\":\"session.end\"}\n";
        let file = std::fs::OpenOptions::new().append(true).open(path);
        std::io::Write::write_all(&mut file.unwrap(), line.as_bytes()).unwrap();
        self.ended.push(sid.to_owned());
    }

    /// The same is seen through the mount, by `auditfs cat` and by `auditfs check`.
    fn look_through_the_mount(&self) {
        let sent = self.load.sent();
        let source = self.audit.path().to_str().unwrap();
        for (sid, session) in &sent.sessions {
            let on_disk = OnDisk::read(self.audit.path(), &[A], sid);
            let stream = format!("sessions/{sid}/stream");
            assert_same_bytes(&stream, &self.mount.read(&stream), &on_disk.stream());
            assert_same_bytes(
                "auditfs cat",
                &auditfs(&["cat", source, &stream]).ok(),
                &on_disk.stream(),
            );
            let events = values(&self.mount.text(&format!("sessions/{sid}/events.jsonl")));
            assert_eq!(events, on_disk.events);
            check_session(sid, &on_disk, session);
        }
        let daily = daily_events(self.audit.path(), A);
        let mut days = Vec::new();
        wait_until(Duration::from_secs(20), "every event is in its day", || {
            let names = self.mount.names("events").into_iter();
            let names = names.filter(|name| name.starts_with("20") && name.ends_with(".jsonl"));
            days = names
                .flat_map(|name| values(&self.mount.text(&format!("events/{name}"))))
                .collect();
            days.len() >= daily.len()
        });
        for (writer, fates) in sent.events.iter().enumerate() {
            check_lines("the days", &days, "user.login", writer, fates);
        }
        let checked = auditfs(&["check", source]);
        assert_eq!(checked.code(), 0, "{}", checked.told());
    }
}

fn values(text: &str) -> Vec<serde_json::Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[track_caller]
fn check(what: &str, options: &[&str], by: Acknowledged, rounds: usize) {
    let mut crashes = Crashes::new(options, by);
    for round in 0..rounds {
        crashes.round(round);
    }
    let counted = crashes.look();
    crashes.look_through_the_mount();
    let strange = strange_files(crashes.audit.path(), A);
    assert!(strange.is_empty(), "{strange:?}");
    println!(
        "{what}: {rounds} kills, {counted:?}, lost 0, doubled 0; found at a kill: loose bytes {} times, {} bytes of torn session lines; told: {:?}",
        crashes.loose,
        crashes.torn_bytes,
        crashes.load.sent().errors
    );
}

#[test]
fn what_write_acknowledged_survives_kill_9() {
    check(
        "--sync always",
        &["--sync", "always"],
        Acknowledged::ByWrite,
        100,
    );
}

#[test]
fn what_fsync_acknowledged_survives_kill_9() {
    check(
        "--sync interval, fsync",
        &["--sync", "interval"],
        Acknowledged::ByFsync,
        40,
    );
}

#[test]
fn what_is_packed_survives_kill_9_too() {
    check(
        "--compression gzip",
        &["--sync", "always", "--compression", "gzip"],
        Acknowledged::ByWrite,
        20,
    );
}
