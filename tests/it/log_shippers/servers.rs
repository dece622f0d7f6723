//! Three auth servers that write daily logs all at once, and remember what they wrote.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use crate::harness::*;

/// See the module text. Clones write into the same directory and the same memory.
#[derive(Clone)]
pub struct Servers {
    audit: Arc<Audit>,
    /// Where the servers write while this host does not see them.
    elsewhere: Arc<Audit>,
    hidden: Arc<RwLock<HashSet<&'static str>>>,
    /// A server writes one record after the other: the second piece of a line follows the first.
    turns: Arc<[Mutex<()>; 3]>,
    written: Arc<Mutex<HashSet<String>>>,
    next: Arc<AtomicUsize>,
}

impl Servers {
    /// Servers of an empty audit directory.
    pub fn new() -> Self {
        Servers {
            audit: Arc::new(Audit::new()),
            elsewhere: Arc::new(Audit::new()),
            hidden: Arc::default(),
            turns: Arc::default(),
            written: Arc::default(),
            next: Arc::default(),
        }
    }

    /// Their audit directory.
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// Every line that was written, without its newline.
    pub fn written(&self) -> HashSet<String> {
        self.written.lock().unwrap().clone()
    }

    /// Each server appends `count` records to its log of `day`, all at once.
    pub fn write(&self, day: &str, count: usize) {
        self.each_at_once(|server| {
            for _ in 0..count {
                self.record(server, day, "12:00:00");
            }
        });
    }

    /// The same, with records that are hours older than what has been written before.
    pub fn write_late(&self, day: &str, count: usize) {
        self.each_at_once(|server| {
            for _ in 0..count {
                self.record(server, day, "03:00:00");
            }
        });
    }

    /// Each server goes on appending records to its log of `day` until the answer is dropped.
    pub fn keep_writing(&self, day: &str) -> Writing {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = [A, B, C].map(|server| {
            let (servers, stop, day) = (self.clone(), stop.clone(), day.to_owned());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    servers.record(server, &day, "12:00:00");
                    // A pace, not a wait: some hundred records a second.
                    std::thread::sleep(Duration::from_millis(8));
                }
            })
        });
        Writing {
            stop,
            threads: threads.into(),
        }
    }

    /// The folder of a server is not to be seen any more. The server knows nothing of that and goes on writing.
    pub fn hide(&self, server: &'static str) {
        let mut hidden = self.hidden.write().unwrap();
        std::fs::rename(self.audit.at(server), self.elsewhere.at(server)).unwrap();
        hidden.insert(server);
    }

    /// It is to be seen again.
    pub fn show(&self, server: &'static str) {
        let mut hidden = self.hidden.write().unwrap();
        std::fs::rename(self.elsewhere.at(server), self.audit.at(server)).unwrap();
        hidden.remove(server);
    }

    /// Somebody cleans up: the log of `day` of a server is gone.
    pub fn remove(&self, server: &str, day: &str) {
        std::fs::remove_file(self.audit.at(&format!("{server}/{day}.00:00:00.log"))).unwrap();
    }

    fn each_at_once(&self, write: impl Fn(&str) + Sync) {
        std::thread::scope(|scope| {
            for server in [A, B, C] {
                let write = &write;
                scope.spawn(move || write(server));
            }
        });
    }

    /// One record. Some are long, some reach the disk in two pieces.
    fn record(&self, server: &str, day: &str, hour: &str) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let pad = "x".repeat(match number {
            n if n % 1000 == 17 => 300_000,
            n if n % 100 == 7 => 20_000,
            n => n % 120,
        });
        let time = hour.replace(
            ":00:00",
            &format!(":{:02}:{:02}", number / 60 % 60, number % 60),
        );
        let line = format!(
            "{{\"event\":\"exec\",\"server_id\":\"{server}\",\"command\":\"a \\\"b\\\" \\u003c %s \u{fc}\",\
             \"n\":{number},\"pad\":\"{pad}\",\"time\":\"{day}T{time}Z\"}}"
        );
        // Before it is on disk: nobody may see a record that is not known here.
        self.written.lock().unwrap().insert(line.clone());
        let (first, second) = line.split_at(if number % 7 == 3 { 40 } else { 0 });
        let place = [A, B, C].iter().position(|id| *id == server).unwrap();
        let _turn = self.turns[place].lock().unwrap();
        self.append(server, day, first);
        self.append(server, day, &format!("{second}\n"));
    }

    fn append(&self, server: &str, day: &str, text: &str) {
        let hidden = self.hidden.read().unwrap();
        let audit = if hidden.contains(server) {
            &self.elsewhere
        } else {
            &self.audit
        };
        if !text.is_empty() {
            audit.daily(server, day, text);
        }
    }
}

/// Servers at work; see [`Servers::keep_writing`].
pub struct Writing {
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "a server failed");
        }
    }
}
