//! One auth server's folder hangs, as a file server that is away: the others go on, and nothing is lost when it answers again.

mod folder;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use chrono::Utc;

use crate::harness::*;
use folder::HangingFolder;

/// The deadline of a call is 8 s; machines are slow.
const PATIENCE: Duration = Duration::from_secs(30);

/// Three servers, of which B's folder is a mount that can be made to hang; the mount of them; a `tail -F` of today.
struct Scene {
    // Dropped in this order: a process with a call on a folder that hangs cannot end.
    folder: HangingFolder,
    tail: Child,
    mount: Mount,
    audit: Audit,
    backing: Audit,
    today: String,
    written: BTreeMap<String, u32>,
    tailed: tempfile::NamedTempFile,
}

impl Scene {
    fn new() -> Scene {
        let (audit, backing) = (Audit::new(), Audit::new());
        let today = Utc::now().format("%Y-%m-%d").to_string();
        for place in [audit.at(B), backing.at(B)] {
            std::fs::create_dir(place).unwrap();
        }
        let folder = HangingFolder::mount(&backing.at(B), &audit.at(B));
        audit.daily(A, &today, line(&today, "A", 0));
        backing.daily(B, &today, line(&today, "B", 0));
        let mount = Mount::of(&audit);
        let day = mount.at(&format!("events/{today}.jsonl"));
        wait_until(PATIENCE, "the day", || day.exists());
        let tailed = tempfile::NamedTempFile::new().unwrap();
        let tail = Command::new("tail")
            .args(["-n", "+1", "-F"])
            .arg(&day)
            .stdin(Stdio::null())
            .stdout(tailed.reopen().unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let written = ["A", "B"].map(|server| (line(&today, server, 0), 1)).into();
        let mut scene = Scene {
            folder,
            tail,
            mount,
            audit,
            backing,
            today,
            written,
            tailed,
        };
        scene.wait("what was there at the start");
        scene
    }

    /// Each of these servers appends `count` records.
    fn write(&mut self, servers: &str, first: u32, count: u32) {
        for number in first..first + count {
            for server in servers.split(' ') {
                let text = line(&self.today, server, number);
                match server {
                    "A" => self.audit.daily(A, &self.today, &text),
                    "B" => self.backing.daily(B, &self.today, &text),
                    _ => self.audit.daily(C, &self.today, &text),
                }
                *self.written.entry(text).or_default() += 1;
            }
        }
    }

    fn day(&self) -> String {
        self.mount.text(&format!("events/{}.jsonl", self.today))
    }

    /// Waits until the day holds each record of `written` but those that `missing` are away, and nothing else.
    #[track_caller]
    fn wait(&mut self, what: &str) {
        self.wait_without(what, "");
    }

    #[track_caller]
    fn wait_without(&mut self, what: &str, away: &str) {
        let wanted: BTreeMap<String, u32> = self
            .written
            .iter()
            .filter(|(text, _)| away.is_empty() || !text.contains(away))
            .map(|(text, count)| (text.clone(), *count))
            .collect();
        wait_until(PATIENCE, what, || counted(&self.day()) == wanted);
    }

    fn status(&self) -> serde_json::Value {
        self.mount.json(".auditfs/status.json")
    }

    /// Whether status.json says that B does not answer.
    fn is_b_away(&self) -> bool {
        self.status()["away"].get(B).is_some()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.folder.answer();
        let _ = self.tail.kill();
        let _ = self.tail.wait();
        self.mount.end();
    }
}

fn line(day: &str, server: &str, number: u32) -> String {
    format!("{{\"event\":\"exec\",\"n\":\"{server}-{number}\",\"time\":\"{day}T00:00:01Z\"}}\n")
}

fn counted(text: &str) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for line in text.split_inclusive('\n') {
        *counts.entry(line.to_owned()).or_default() += 1;
    }
    counts
}

#[test]
fn others_go_on_and_nothing_is_lost_when_one_folder_hangs() {
    let mut scene = Scene::new();
    scene.write("A B C", 1, 20);
    scene.wait("all servers");
    let before = scene.day();

    scene.folder.hang();
    scene.write("A B C", 100, 20);
    wait_until(PATIENCE, "status.json says that it is away", || {
        scene.is_b_away()
    });
    assert_eq!(
        scene.mount.names("events"),
        [format!("{}.jsonl", scene.today), "current".to_owned()]
    );
    scene.mount.names("sessions");
    run(&["stat", "-f", scene.mount.point().to_str().unwrap()]).ok();
    assert!(scene.day().starts_with(&before), "what was published stays");
    let away_now = (100..120).map(|number| line(&scene.today, "B", number));
    let kept: Vec<(String, u32)> = away_now
        .filter_map(|text| scene.written.remove_entry(&text))
        .collect();
    scene.wait("growth of the others");
    scene.write("A C", 200, 20);
    scene.wait("more growth of the others");
    assert!(scene.is_b_away());
    let hung_log = scene.mount.log();
    assert!(hung_log.contains("no answer within 8s"), "{hung_log}");

    scene.folder.answer();
    scene.written.extend(kept);
    scene.wait("the server is back");
    wait_until(PATIENCE, "status.json says so", || !scene.is_b_away());
    scene.write("A B C", 300, 20);
    scene.wait("growth of all");
    assert!(scene.day().starts_with(&before));
    let tailed = scene.tailed.path().to_owned();
    wait_until(PATIENCE, "tail -F has each record once", || {
        counted(&std::fs::read_to_string(&tailed).unwrap()) == scene.written
    });
}

#[test]
fn a_reload_that_was_asked_for_meanwhile_is_done_when_it_answers() {
    let mut scene = Scene::new();
    scene.folder.hang();
    scene.write("A B C", 100, 5);
    wait_until(PATIENCE, "status.json says that it is away", || {
        scene.is_b_away()
    });
    let worker = scene.status()["pid"].clone();
    let point = scene.mount.point();
    let reload = std::thread::spawn(move || auditfs(&["reload", point.to_str().unwrap()]));
    wait_until(PATIENCE, "the reload has begun", || {
        scene.mount.log().contains("replacing the worker")
    });
    // Only now: a process with a call that the other side has taken cannot end before it is answered.
    scene.folder.answer();
    reload.join().unwrap().ok();
    assert_ne!(scene.status()["pid"], worker);
    scene.wait("all after the reload");
}

#[test]
fn the_folder_itself_is_unmounted_with_its_value() {
    let (from, to) = (Audit::new(), Audit::new());
    drop(HangingFolder::mount(from.path(), to.path()));
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!names(&table, to.path()), "{table}");
}

fn names(table: &str, path: &Path) -> bool {
    table
        .lines()
        .any(|line| line.split(' ').nth(4) == path.to_str())
}
