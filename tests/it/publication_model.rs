//! A day file is append-only whatever happens to its sources and its daemon: random histories against a model.
//!
//! The model is the set of records that were written. After every step the visible bytes must extend those before; at the
//! end every record must be visible exactly once.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use auditfs::disk::Share;
use auditfs::event::{Day, EventTime};
use auditfs::reader::{AuditDir, BatchTime, Days, ReaderLimits, SpoolUse};
use auditfs::spool::{Spool, SpoolError, StateDir};
use proptest::prelude::*;

const DAY: &str = "2018-05-02";
const SETTLE_NS: i64 = 5_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;

#[derive(Clone, Debug)]
enum Step {
    /// A server writes records whose times lie this many seconds from now.
    Write {
        server: usize,
        records: usize,
        skew_s: i64,
    },
    /// A server writes the first part of a record; the rest comes with its next write.
    Tear { server: usize },
    /// A server writes a line that is no JSON.
    Garble { server: usize },
    /// A server's log is packed by an outside tool.
    Pack { server: usize },
    /// A server's log is copied and put back under its name: another inode with the same content.
    Copy { server: usize },
    /// Seconds pass, and the daemon looks.
    Look { seconds: i64 },
    /// The daemon is killed and started again.
    Kill,
}

fn any_step() -> impl Strategy<Value = Step> {
    let server = 0_usize..3;
    prop_oneof![
        5 => (server.clone(), 1_usize..5, -20_i64..8)
            .prop_map(|(server, records, skew_s)| Step::Write { server, records, skew_s }),
        1 => server.clone().prop_map(|server| Step::Tear { server }),
        1 => server.clone().prop_map(|server| Step::Garble { server }),
        1 => server.clone().prop_map(|server| Step::Pack { server }),
        1 => server.prop_map(|server| Step::Copy { server }),
        5 => (0_i64..9).prop_map(|seconds| Step::Look { seconds }),
        2 => Just(Step::Kill),
    ]
}

struct World {
    root: tempfile::TempDir,
    now_ns: i64,
    next_id: u64,
    written: Vec<u64>,
    torn: [Option<String>; 3],
    /// A packed log is not written to any more: its server goes on in a log of another name.
    logs: [usize; 3],
    daemon: Option<(Arc<AuditDir>, Days)>,
    seen: Vec<u8>,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir_all(root.path().join("audit")).expect("the audit directory");
        let noon = DAY.parse::<Day>().expect("a date").start().as_ns() + 43_200 * SECOND_NS;
        let mut world = World {
            root,
            now_ns: noon,
            next_id: 0,
            written: Vec::new(),
            torn: [None, None, None],
            logs: [0; 3],
            daemon: None,
            seen: Vec::new(),
        };
        world.start();
        world
    }

    fn log(&self, server: usize) -> PathBuf {
        let name = format!("{DAY}.00:00:{:02}.log", self.logs[server]);
        self.root
            .path()
            .join("audit")
            .join(format!("server-{server}"))
            .join(name)
    }

    fn start(&mut self) {
        // The lock of the state directory goes with the old daemon.
        self.daemon = None;
        let state_path = self.root.path().join("state");
        // A child that another test has just forked holds a copy of the lock until its exec.
        let deadline = Instant::now() + Duration::from_secs(20);
        let state = loop {
            match StateDir::open(&state_path, EventTime::from_ns(self.now_ns)) {
                Ok(state) => break state,
                Err(SpoolError::Locked { .. }) if Instant::now() < deadline => {
                    std::thread::yield_now()
                }
                Err(error) => panic!("the state directory: {error}"),
            }
        };
        let (spool, recovered, alarms) = Spool::recover(&state).expect("recovery");
        assert!(alarms.is_empty(), "{alarms:?}");
        let limits = ReaderLimits {
            cache_bytes: 1 << 20,
            unpack_bytes: 1 << 30,
            unpack_dir: state_path,
            session_idle_ns: 3600 * SECOND_NS,
            hash_seed: state.spool_id().as_u64(),
        };
        let share = Share::open(&self.root.path().join("audit")).expect("the audit directory");
        let dir = AuditDir::new(Arc::new(share), limits);
        let retention_ns = 30 * 86_400 * SECOND_NS;
        let days = Days::with_spool(
            dir.clone(),
            SpoolUse {
                spool,
                retention_ns,
                state,
            },
            recovered,
            alarms,
        );
        self.daemon = Some((dir, days));
    }

    fn append(&self, server: usize, text: &str) {
        let path = self.log(server);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
        let mut log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .expect("the log");
        log.write_all(text.as_bytes()).expect("writing");
    }

    fn record(&mut self, skew_s: i64) -> String {
        let id = self.next_id;
        self.next_id += 1;
        self.written.push(id);
        let time = EventTime::from_ns(self.now_ns + skew_s * SECOND_NS).to_rfc3339();
        format!("{{\"event\":\"exec\",\"id\":{id},\"time\":\"{time}\"}}\n")
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Write {
                server,
                records,
                skew_s,
            } => {
                let mut text = self.torn[server].take().unwrap_or_default();
                for _ in 0..records {
                    text.push_str(&self.record(skew_s));
                }
                self.append(server, &text);
            }
            Step::Tear { server } => {
                if self.torn[server].is_none() {
                    let line = self.record(0);
                    let (head, rest) = line.split_at(line.len() / 2);
                    self.append(server, head);
                    self.torn[server] = Some(rest.to_owned());
                }
            }
            Step::Garble { server } => {
                if self.torn[server].is_none() {
                    self.append(server, "no json at all\n");
                }
            }
            Step::Pack { server } => {
                let path = self.log(server);
                if self.torn[server].is_none() && path.exists() {
                    self.look(0);
                    pack(&path);
                    self.logs[server] += 1;
                }
            }
            Step::Copy { server } => {
                let path = self.log(server);
                if path.exists() {
                    let beside = path.with_extension("copy");
                    fs::copy(&path, &beside).expect("copying");
                    fs::rename(&beside, &path).expect("renaming");
                }
            }
            Step::Look { seconds } => self.look(seconds),
            Step::Kill => self.start(),
        }
    }

    /// Time passes, the daemon looks, and what is visible must extend what was.
    fn look(&mut self, seconds: i64) {
        self.now_ns += seconds * SECOND_NS;
        let at = BatchTime {
            now_ns: self.now_ns,
            settle_ns: SETTLE_NS,
        };
        let Some((dir, days)) = &self.daemon else {
            return;
        };
        let listing = dir.catalog().refresh();
        assert!(listing.is_empty(), "{listing:?}");
        let (_, errors) = days.refresh(at);
        assert!(errors.is_empty(), "{errors:?}");
        assert!(days.alarms().is_empty(), "{:?}", days.alarms());
        let mut visible = Vec::new();
        if let Some(day) = days.get(DAY.parse().expect("a date")) {
            day.prepare(Duration::from_secs(60)).expect("a day");
            day.read_at(0, u64::MAX, &mut visible).expect("reading");
            assert_eq!(day.changed_sources(), 0, "nothing was tampered with");
        }
        assert!(
            visible.starts_with(&self.seen),
            "what was visible has changed"
        );
        assert!(
            visible.is_empty() || visible.ends_with(b"\n"),
            "a torn line is visible"
        );
        self.seen = visible;
    }

    fn finish(mut self) {
        for server in 0..3 {
            if let Some(rest) = self.torn[server].take() {
                self.append(server, &rest);
            }
        }
        // A directory is not listed again at once, so the last look may take a few tries.
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut ids = Vec::new();
        while Instant::now() < deadline {
            self.look(10);
            ids = ids_in(&self.seen);
            if ids.len() >= self.written.len() {
                break;
            }
        }
        ids.sort_unstable();
        assert_eq!(ids, self.written, "lost or doubled");
    }
}

fn ids_in(day: &[u8]) -> Vec<u64> {
    let lines = day
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    let values = lines.map(|line| serde_json::from_slice(line).expect("every line is JSON"));
    values
        .filter_map(|value: serde_json::Value| value.get("id")?.as_u64())
        .collect()
}

fn pack(path: &Path) {
    let bytes = fs::read(path).expect("the log");
    let packed = fs::File::create(path.with_file_name(format!(
        "{}.gz",
        path.file_name().expect("a name").to_string_lossy()
    )));
    let mut writer =
        flate2::write::GzEncoder::new(packed.expect("the packed log"), flate2::Compression::fast());
    writer.write_all(&bytes).expect("packing");
    writer.finish().expect("packing");
    fs::remove_file(path).expect("removing");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_visible_stays_and_every_record_comes_once(steps in proptest::collection::vec(any_step(), 1..40)) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
        }
        world.finish();
    }
}
