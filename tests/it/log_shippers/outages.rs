//! What happens to the share: logs are removed or begun anew, folders of servers are away for a while.

use std::time::Duration;

use super::{begin_with, dates, last};
use crate::harness::*;

#[test]
fn source_days_removed() {
    let dates = dates();
    let (servers, _mount, mut fleet) = begin_with(&[&dates.today, &dates.tomorrow]);
    let writing = servers.keep_writing(&dates.tomorrow);
    for server in [A, B, C] {
        servers.remove(server, &dates.today);
        fleet.wait("the removal of a log");
    }
    drop(writing);
    fleet.assert_exact("source days removed", &[&dates.tomorrow]);
}

#[test]
fn source_log_begun_anew() {
    let dates = dates();
    let (servers, _mount, fleet) = begin_with(&[&dates.today]);
    // Its server opens a new one, which holds nothing of what was there before.
    servers.remove(B, &dates.today);
    servers.write(&dates.today, 50);
    fleet.assert_exact("source log begun anew", &[&dates.today]);
}

#[test]
fn backing_unreadable() {
    let dates = dates();
    let (servers, _mount, mut fleet) = begin_with(&[&dates.today, &dates.tomorrow]);
    let writing = servers.keep_writing(&dates.today);
    fleet.wait("the time before the outage");
    servers.hide(B);
    last(Duration::from_secs(3));
    servers.hide(A);
    servers.hide(C);
    last(Duration::from_secs(7));
    for server in [C, B, A] {
        servers.show(server);
    }
    fleet.wait("the outage");
    drop(writing);
    fleet.assert_exact("backing unreadable", &[&dates.today, &dates.tomorrow]);
}
