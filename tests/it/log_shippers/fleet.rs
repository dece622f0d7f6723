//! All shippers at once on one mount: started, stopped, waited for and compared together.

use std::time::{Duration, Instant};

use super::servers::Servers;
use super::shipper::{Kind, Shipper};
use crate::harness::*;

/// Shippers wake up once a second and the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(40);

/// See the module text.
pub struct Fleet {
    servers: Servers,
    shippers: Vec<Shipper>,
    _homes: tempfile::TempDir,
}

impl Fleet {
    /// All shippers, running, on a mount of what the servers write.
    pub fn on(mount: &Mount, servers: &Servers) -> Fleet {
        let homes = tempfile::Builder::new()
            .prefix("shippers")
            .tempdir()
            .unwrap();
        let new =
            |kind: Kind| Shipper::new(kind, homes.path().join(format!("{kind:?}")), &mount.point());
        let mut fleet = Fleet {
            servers: servers.clone(),
            shippers: Kind::ALL.into_iter().map(new).collect(),
            _homes: homes,
        };
        fleet.start();
        fleet
    }

    /// Starts all of them.
    pub fn start(&mut self) {
        self.shippers.iter_mut().for_each(Shipper::start);
    }

    /// Stops all of them.
    pub fn stop(&mut self) {
        self.shippers.iter_mut().for_each(Shipper::stop);
    }

    /// Waits until each of them has delivered what was written up to now.
    #[track_caller]
    pub fn wait(&mut self, when: &str) {
        let written = self.servers.written();
        let start = Instant::now();
        loop {
            self.shippers.iter_mut().for_each(Shipper::look);
            if self
                .shippers
                .iter()
                .all(|shipper| shipper.arrived.has_all(&written))
            {
                return;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "{when}: not all has arrived\n{}",
                self.report()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Each record has arrived once. `days` are those that still exist: a last record goes through each, so that whoever
    /// began a day anew has sent it twice by then.
    #[track_caller]
    pub fn assert_exact(mut self, scenario: &str, days: &[&str]) {
        for day in days {
            self.servers.write(day, 1);
        }
        self.wait(scenario);
        self.stop();
        self.shippers.iter_mut().for_each(Shipper::look);
        let written = self.servers.written();
        let exact = self
            .shippers
            .iter()
            .all(|shipper| shipper.arrived.compare(&written).is_exact());
        let report = self.report();
        println!("{scenario}: {} written\n{report}", written.len());
        assert!(exact, "{scenario}: {} written\n{report}", written.len());
    }

    fn report(&self) -> String {
        let written = self.servers.written();
        let mut report = String::new();
        for shipper in &self.shippers {
            let comparison = shipper.arrived.compare(&written);
            report += &format!("  {:15} {comparison}\n", format!("{:?}", shipper.kind));
            if !comparison.is_exact() {
                report += &format!("    its log:\n{}\n", shipper.log());
            }
        }
        report
    }
}
