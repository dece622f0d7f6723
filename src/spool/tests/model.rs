//! Random batches, with a fault at a random call and a restart behind it, against what was promised.

use std::sync::Arc;

use proptest::prelude::*;

use super::super::state_dir::SpoolId;
use super::super::{Alarm, DaySpool, Spool, SpoolError};
use super::sim_disk::{Fault, Restart, SimDisk};
use super::{facts_at, mark_at};
use crate::event::Day;

const DATA: &str = "2018-05-01.data";

fn day() -> Day {
    "2018-05-01".parse().unwrap()
}

/// What the readers of one day were promised.
#[derive(Debug, Default)]
struct Promised {
    /// Bytes of batches that were taken.
    bytes: Vec<u8>,
    /// The batch whose publication failed: a restart may find it whole or not at all.
    in_doubt: Option<Vec<u8>>,
    /// What a passthrough reader may have read.
    readable: Vec<u8>,
    /// The id of the day, once it has a batch.
    id: Option<u64>,
    batches: u8,
}

#[derive(Clone, Debug)]
struct Step {
    len: usize,
    pieces: usize,
    is_dropped: bool,
}

#[derive(Clone, Debug)]
struct Round {
    steps: Vec<Step>,
    fault: Option<(u64, Fault)>,
    restart: Restart,
    /// Calls of the recovery before it dies too, once.
    recovery_dies: Option<u64>,
}

fn rounds() -> impl Strategy<Value = Vec<Round>> {
    let len = prop_oneof![1 => Just(0_usize), 8 => 1_usize..600, 2 => 600_usize..20_000];
    let step =
        (len, 1_usize..4, prop::bool::weighted(0.1)).prop_map(|(len, pieces, is_dropped)| Step {
            len,
            pieces,
            is_dropped,
        });
    let fault = prop_oneof![
        2 => Just(Fault::Die),
        1 => (1_u32..4).prop_map(Fault::Fail),
    ];
    let restart = prop_oneof![
        Just(Restart::Process),
        Just(Restart::PowerInOrder),
        Just(Restart::PowerAnyOrder),
    ];
    let round = (
        prop::collection::vec(step, 0..12),
        prop::option::weighted(0.9, (0_u64..50, fault)),
        restart,
        prop::option::weighted(0.3, 0_u64..16),
    );
    let round = round.prop_map(|(steps, fault, restart, recovery_dies)| Round {
        steps,
        fault,
        restart,
        recovery_dies,
    });
    prop::collection::vec(round, 1..8)
}

impl Promised {
    /// The restarted spool against the promise.
    fn check_restart(&mut self, found: Option<&DaySpool>, alarms: &[Alarm]) {
        assert_eq!(alarms, [], "an honest disk gives no alarm");
        let in_doubt = self.in_doubt.take();
        let Some(spool) = found else {
            assert!(self.id.is_none(), "the day is gone");
            return;
        };
        let bytes = read(spool);
        if bytes != self.bytes {
            self.bytes.extend(in_doubt.unwrap_or_default());
            assert!(bytes == self.bytes, "neither without nor with the batch");
        }
        assert!(bytes.starts_with(&self.readable), "bytes were taken back");
        assert!(self.id.is_none_or(|id| id == spool.id()));
        self.id = Some(spool.id());
        self.check(spool);
    }

    /// What holds at any time.
    fn check(&self, spool: &DaySpool) {
        let next = self.bytes.len() as u64;
        if spool.is_poisoned() {
            assert!(self.bytes.starts_with(&read(spool)));
        } else {
            assert!(read(spool) == self.bytes, "shown is what was promised");
            assert!(spool.verify().unwrap());
        }
        if self.id.is_some() {
            let marks: Vec<_> = spool.marks().cloned().collect();
            assert_eq!(marks, [mark_at(next)]);
            assert_eq!((spool.mtime_ns(), spool.late()), (next as i64, next));
        }
    }

    fn step(&mut self, spool: &mut DaySpool, step: &Step) {
        self.batches = self.batches.wrapping_add(1);
        let bytes = vec![self.batches; step.len];
        let next = (self.bytes.len() + step.len) as u64;
        let published = (|| {
            let mut batch = spool.batch()?;
            for piece in bytes.chunks(step.len / step.pieces + 1) {
                batch.write(piece)?;
            }
            if step.is_dropped {
                return Ok(false);
            }
            batch.publish(&[mark_at(next)], facts_at(next))?;
            Ok(true)
        })();
        match published {
            Ok(true) => {
                self.bytes.extend(bytes);
                self.id = Some(spool.id());
            }
            Ok(false) => {}
            Err(SpoolError::Io { .. }) => {
                assert!(spool.is_poisoned());
                self.in_doubt = Some(bytes).filter(|_| !step.is_dropped);
                assert!(matches!(
                    spool.publish(b"x", &[], facts_at(0)),
                    Err(SpoolError::Poisoned { .. })
                ));
            }
            Err(error) => panic!("{error}"),
        }
        self.check(spool);
    }
}

fn read(spool: &DaySpool) -> Vec<u8> {
    let mut bytes = Vec::new();
    spool
        .bytes()
        .read_at(0, u64::MAX, &mut bytes)
        .expect("in memory");
    bytes
}

fn play(seed: u64, rounds: &[Round]) {
    let disk = SimDisk::new(seed);
    let id = SpoolId::parse("00000000000000aa").unwrap();
    let mut promised = Promised::default();
    for round in rounds {
        if let Some(calls) = round.recovery_dies {
            disk.plan(calls, Fault::Die);
            drop(Spool::recover_in(Arc::new(disk.clone()), id));
            disk.restart(round.restart);
        }
        let (spool, days, alarms) = Spool::recover_in(Arc::new(disk.clone()), id).unwrap();
        promised.check_restart(days.first(), &alarms);
        if let Some((calls, fault)) = round.fault {
            disk.plan(calls, fault);
        }
        let known = days.into_iter().next();
        if let Ok(mut day) = known.map_or_else(|| spool.create(day()), Ok) {
            play_steps(&disk, &mut promised, &mut day, &round.steps);
        }
        disk.restart(round.restart);
    }
    let (_, days, alarms) = Spool::recover_in(Arc::new(disk), id).unwrap();
    promised.check_restart(days.first(), &alarms);
}

fn play_steps(disk: &SimDisk, promised: &mut Promised, day: &mut DaySpool, steps: &[Step]) {
    for step in steps {
        promised.step(day, step);
        if promised.id.is_some() {
            promised.readable = disk.cached(DATA).unwrap();
        }
        while day.is_poisoned() && !disk.is_dead() {
            match day.reopen() {
                Ok(()) => promised.in_doubt = None,
                Err(SpoolError::Io { .. }) => {}
                Err(error) => panic!("{error}"),
            }
            promised.check(day);
        }
        if disk.is_dead() {
            return;
        }
    }
    // Nothing is written any more; what fails now fails the restart of another round.
    disk.no_fault();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn nothing_shown_is_ever_missing_doubled_or_changed(seed: u64, rounds in rounds()) {
        play(seed, &rounds);
    }
}
