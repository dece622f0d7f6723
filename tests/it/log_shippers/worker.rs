//! What happens behind the mount: the worker that serves it is killed or replaced by a new one.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{begin, count, last, random};
use crate::harness::*;

/// The process that serves, and the one that keeps the mount meanwhile.
fn worker_and_keeper(mount: &Mount) -> (Pid, Pid) {
    let status = mount.json(".auditfs/status.json");
    let worker = status.get("pid").unwrap().as_i64().unwrap() as i32;
    let stat = std::fs::read_to_string(format!("/proc/{worker}/status")).unwrap();
    let keeper = stat.lines().find_map(|line| line.strip_prefix("PPid:"));
    let pid = |raw| Pid::from_raw(raw).unwrap();
    (pid(worker), pid(keeper.unwrap().trim().parse().unwrap()))
}

/// kill -9 of the worker at a moment of its work; nobody serves for so long.
fn worker_is_down_for(down: Duration, scenario: &str) {
    let (servers, dates, mount, mut fleet) = begin();
    let writing = servers.keep_writing(&dates.today);
    for _ in 0..2 {
        let (worker, keeper) = worker_and_keeper(&mount);
        assert!(keeper.as_raw_nonzero().get() > 1, "there is no keeper");
        // A keeper that stands still starts nothing anew.
        kill_process(keeper, Signal::STOP).unwrap();
        kill_process(worker, Signal::KILL).unwrap();
        servers.write_late(&dates.today, 5);
        last(down);
        kill_process(keeper, Signal::CONT).unwrap();
        fleet.wait(scenario);
        assert_ne!(worker_and_keeper(&mount).0, worker);
    }
    drop(writing);
    fleet.assert_exact(scenario, &[&dates.yesterday, &dates.today]);
}

#[test]
fn worker_killed_and_down_for_a_second() {
    worker_is_down_for(Duration::from_secs(1), "worker killed, 1 s down");
}

#[test]
fn worker_killed_and_down_for_20_seconds() {
    if std::env::var_os("AUDITFS_SLOW_TESTS").is_none() {
        println!("SKIPPED: worker killed, 20 s down: set AUDITFS_SLOW_TESTS=1");
        return;
    }
    worker_is_down_for(Duration::from_secs(20), "worker killed, 20 s down");
}

#[test]
fn reload() {
    let (servers, dates, mount, mut fleet) = begin();
    let writing = servers.keep_writing(&dates.today);
    for _ in 0..3 {
        let worker = worker_and_keeper(&mount).0;
        auditfs(&["reload", mount.point().to_str().unwrap()]).ok();
        servers.write_late(&dates.today, 5);
        fleet.wait("a reload");
        assert_ne!(worker_and_keeper(&mount).0, worker);
    }
    drop(writing);
    fleet.assert_exact("reload", &[&dates.yesterday, &dates.today]);
}

#[test]
#[ignore = "a measurement of 5 minutes; scripts/measure-shippers runs it"]
fn lost_and_doubled_over_many_kills() {
    let kills = count("AUDITFS_KILLS", 200);
    let (servers, dates, mount, mut fleet) = begin();
    let writing = servers.keep_writing(&dates.today);
    let mut outages_ms = Vec::new();
    for kill in 0..kills {
        let worker = worker_and_keeper(&mount).0;
        // A worker that has served for a second is replaced at once; one killed earlier would be after a growing delay.
        last(Duration::from_millis(random(&(1050..1600))));
        let killed = Instant::now();
        kill_process(worker, Signal::KILL).unwrap();
        if kill % 10 == 9 {
            servers.write_late(&dates.yesterday, 1);
        }
        // Waits for whoever serves next.
        std::fs::metadata(mount.at(".auditfs/status.json")).unwrap();
        assert_ne!(worker_and_keeper(&mount).0, worker);
        outages_ms.push(killed.elapsed().as_millis());
    }
    fleet.wait("many kills");
    drop(writing);
    let written = servers.written().len();
    outages_ms.sort_unstable();
    println!(
        "RESULT {kills} kill -9 of the worker, {written} records written meanwhile; kill to the next answer p50 {} ms, \
         most {} ms",
        outages_ms[outages_ms.len() / 2],
        outages_ms[outages_ms.len() - 1],
    );
    fleet.assert_exact(
        &format!("{kills} kill -9 of the worker"),
        &[&dates.yesterday, &dates.today],
    );
}
