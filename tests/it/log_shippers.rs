//! Log shippers follow the day files: whatever happens to the servers, the share, the mount and the shipper itself, each record
//! arrives once. The settings are the very files in `docs/shippers/`; docs/SHIPPERS.md has the reasons.

mod arrived;
mod fleet;
mod latency;
mod outages;
mod remount;
mod sealed;
mod servers;
mod shipper;
mod worker;

use std::hash::{BuildHasher, RandomState};
use std::time::Instant;

use chrono::{Days, NaiveDate, Utc};

use crate::harness::*;
use fleet::Fleet;
use servers::Servers;

/// The dates around now. A test that midnight overtakes still holds: nothing here expects a day to be over.
struct Dates {
    yesterday: String,
    today: String,
    tomorrow: String,
}

fn dates() -> Dates {
    let today = Utc::now().date_naive();
    let text = |day: NaiveDate| day.format("%Y-%m-%d").to_string();
    Dates {
        yesterday: text(today - Days::new(1)),
        today: text(today),
        tomorrow: text(today + Days::new(1)),
    }
}

/// Records of yesterday, which is over, and of today are there, the mount is there, all shippers have delivered them and run.
fn begin() -> (Servers, Dates, Mount, Fleet) {
    let dates = dates();
    let (servers, mount, fleet) = begin_with(&[&dates.yesterday, &dates.today]);
    (servers, dates, mount, fleet)
}

/// The same with records of these days.
fn begin_with(days: &[&str]) -> (Servers, Mount, Fleet) {
    let servers = Servers::new();
    for day in days {
        servers.write(day, 100);
    }
    let mount = Mount::of(servers.audit());
    let mut fleet = Fleet::on(&mount, &servers);
    fleet.wait("what was there at the start");
    (servers, mount, fleet)
}

#[test]
fn growth() {
    let (servers, dates, _mount, fleet) = begin();
    for _ in 0..5 {
        servers.write(&dates.today, 200);
    }
    fleet.assert_exact("growth", &[&dates.today]);
}

#[test]
fn late_records() {
    let (servers, dates, _mount, mut fleet) = begin();
    servers.write_late(&dates.today, 50);
    servers.write_late(&dates.yesterday, 50);
    fleet.wait("late records");
    let writing = servers.keep_writing(&dates.today);
    servers.write_late(&dates.today, 50);
    fleet.wait("late records among others");
    drop(writing);
    fleet.assert_exact("late records", &[&dates.yesterday, &dates.today]);
}

#[test]
fn day_rollover() {
    let (servers, dates, _mount, mut fleet) = begin();
    let writing = servers.keep_writing(&dates.today);
    // Not all servers turn the page at once.
    servers.write(&dates.tomorrow, 20);
    fleet.wait("the first records of a new day");
    drop(writing);
    servers.write(&dates.tomorrow, 100);
    servers.write_late(&dates.today, 20);
    fleet.assert_exact("day rollover", &[&dates.today, &dates.tomorrow]);
}

#[test]
fn shipper_restart() {
    let (servers, dates, _mount, mut fleet) = begin();
    let writing = servers.keep_writing(&dates.today);
    for _ in 0..2 {
        fleet.stop();
        servers.write(&dates.today, 50);
        servers.write_late(&dates.yesterday, 10);
        fleet.start();
        fleet.wait("a restart of the shipper");
    }
    drop(writing);
    fleet.assert_exact("shipper restart", &[&dates.yesterday, &dates.today]);
}

/// How many times a measurement does its work.
fn count(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

/// Somewhere in a range, differing from run to run.
fn random(range: &std::ops::Range<u64>) -> u64 {
    let number = RandomState::new().hash_one(Instant::now());
    range.start + number % (range.end - range.start)
}

/// An outage lasts so long. This is what happens, not a wait for something to happen.
fn last(duration: std::time::Duration) {
    std::thread::sleep(duration);
}
