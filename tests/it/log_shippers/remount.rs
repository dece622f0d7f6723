//! The whole mount ends while no shipper runs, and is made again.

use super::begin;

#[test]
fn unmount_and_remount() {
    let (servers, dates, mut mount, mut fleet) = begin();
    // Late ones: an order made anew would not be the order that was seen.
    servers.write_late(&dates.today, 20);
    fleet.wait("the time before the unmount");
    let writing = servers.keep_writing(&dates.today);
    for _ in 0..2 {
        fleet.stop();
        mount = mount.again();
        servers.write_late(&dates.today, 20);
        fleet.start();
        fleet.wait("a mount made again");
    }
    drop(writing);
    fleet.assert_exact("unmount and remount", &[&dates.yesterday, &dates.today]);
}
