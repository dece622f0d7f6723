//! What happens to the logs of a day that was over when the mount saw it first: it is merged from its sources, so they matter.

use std::time::Duration;

use super::{begin, last};
use crate::harness::*;

#[test]
fn sources_of_an_old_day_removed_one_by_one() {
    let (servers, dates, _mount, mut fleet) = begin();
    let writing = servers.keep_writing(&dates.today);
    for server in [A, B, C] {
        servers.remove(server, &dates.yesterday);
        // Looks of the mount at old days are rare; nothing else tells that there was one.
        last(Duration::from_secs(2));
        fleet.wait("the removal of a log of yesterday");
    }
    drop(writing);
    fleet.assert_exact("sources of an old day removed", &[&dates.today]);
}

#[test]
fn old_days_unreadable_for_a_while() {
    let (servers, dates, _mount, mut fleet) = begin();
    let writing = servers.keep_writing(&dates.today);
    for server in [B, A, C] {
        servers.hide(server);
        last(Duration::from_secs(2));
    }
    for server in [C, B, A] {
        servers.show(server);
    }
    fleet.wait("the outage");
    drop(writing);
    fleet.assert_exact("old days unreadable", &[&dates.yesterday, &dates.today]);
}

#[test]
fn an_old_day_grows_while_nobody_serves() {
    let (servers, dates, mount, mut fleet) = begin();
    fleet.stop();
    auditfs(&["umount", mount.point().to_str().unwrap()]).ok();
    // Behind the first server's records and before those of the second, if the merge is made anew.
    servers.write_late(&dates.yesterday, 20);
    let _mount = mount.again();
    fleet.start();
    fleet.assert_exact(
        "an old day grows while nobody serves",
        &[&dates.yesterday, &dates.today],
    );
}
