//! The spool on real files: restarts, damage, a full disk, removal.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::super::{Alarm, DaySpool, Spool, SpoolError, StateDir};
use super::{facts_at, mark_at};
use crate::event::{Day, EventTime};

fn day() -> Day {
    "2018-05-01".parse().unwrap()
}

struct Place {
    path: PathBuf,
    _temp: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        Place {
            path: temp.path().to_owned(),
            _temp: temp,
        }
    }

    fn open(&self) -> (StateDir, Spool, Option<DaySpool>, Vec<Alarm>) {
        let state = StateDir::open(&self.path, EventTime::from_ns(0)).unwrap();
        let (spool, days, alarms) = Spool::recover(&state).unwrap();
        (state, spool, days.into_iter().next(), alarms)
    }

    fn file(&self, kind: &str) -> PathBuf {
        self.path.join("spool").join(format!("2018-05-01.{kind}"))
    }

    /// Publishes `count` batches of ten bytes each; gives the id of the day.
    fn filled(&self, count: u8, compact: bool) -> u64 {
        let (_state, spool, _, _) = self.open();
        let mut day = spool.create(day()).unwrap();
        for number in 0..count {
            publish(&mut day, &[b'0' + number % 10; 10]);
        }
        if compact {
            day.compact().unwrap();
        }
        day.id()
    }
}

fn publish(day: &mut DaySpool, bytes: &[u8]) {
    let next = day.len_bytes() + bytes.len() as u64;
    day.publish(bytes, &[mark_at(next)], facts_at(next))
        .unwrap();
}

fn change(path: &Path, offset: u64) {
    let file = fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 0x40], offset).unwrap();
}

/// What is left is `kept_bytes` of the day under another id, it is said, and publishing goes on.
#[track_caller]
fn check_damage(place: &Place, id: u64, kept_bytes: u64, expected: Alarm) {
    let (state, _spool, day, alarms) = place.open();
    assert_eq!(alarms, [expected]);
    let mut day = day.unwrap();
    assert_ne!(day.id(), id, "readers must begin anew");
    assert_eq!(day.len_bytes(), kept_bytes);
    assert_eq!(
        day.mark("one", "2018-05-01.log"),
        Some(&mark_at(kept_bytes))
    );
    publish(&mut day, b"more\n");
    let id = day.id();
    drop((day, state));
    let (_state, _spool, day, alarms) = place.open();
    assert_eq!(alarms, [], "said once");
    let day = day.unwrap();
    assert_eq!((day.id(), day.len_bytes()), (id, kept_bytes + 5));
    assert!(day.verify().unwrap());
}

#[test]
fn a_restart_finds_everything() {
    let place = Place::new();
    let id = place.filled(100, false);
    for _ in 0..2 {
        let (_state, spool, day, alarms) = place.open();
        assert_eq!(alarms, []);
        let day = day.unwrap();
        assert_eq!(
            (day.id(), day.len_bytes(), day.mtime_ns()),
            (id, 1000, 1000)
        );
        assert_eq!(
            fs::read(place.file("data")).unwrap().len() as u64,
            day.len_bytes()
        );
        assert!(day.bytes().file().is_some() && day.verify().unwrap());
        assert!(matches!(
            spool.create(day.day()),
            Err(SpoolError::Exists { .. })
        ));
    }
}

#[test]
fn a_reader_of_the_file_never_sees_a_byte_that_is_not_published() {
    let place = Place::new();
    let (_state, spool, _, _) = place.open();
    let mut day = spool.create(day()).unwrap();
    publish(&mut day, b"first\n");
    let mut batch = day.batch().unwrap();
    batch.write(&[b'x'; 100_000]).unwrap();
    assert_eq!(fs::read(place.file("data")).unwrap(), b"first\n");
    drop(batch);
    publish(&mut day, b"second\n");
    assert_eq!(fs::read(place.file("data")).unwrap(), b"first\nsecond\n");
}

#[test]
fn a_long_first_batch_is_written_once() {
    let place = Place::new();
    let (_state, spool, _, _) = place.open();
    let mut day = spool.create(day()).unwrap();
    let mut batch = day.batch().unwrap();
    for _ in 0..100 {
        batch.write(&[b'x'; 10_000]).unwrap();
    }
    batch
        .publish(&[mark_at(1_000_000)], facts_at(1_000_000))
        .unwrap();
    assert!(day.verify().unwrap());
    assert_eq!(day.len_bytes(), 1_000_000);
    assert!(fs::metadata(place.file("journal")).unwrap().len() < 1000);
}

#[test]
fn a_journal_stays_small() {
    let place = Place::new();
    let (_state, spool, _, _) = place.open();
    let mut day = spool.create(day()).unwrap();
    for _ in 0..2000 {
        publish(&mut day, &[b'x'; 100]);
    }
    assert!(fs::metadata(place.file("journal")).unwrap().len() < 64 << 10);
    assert!(spool.space_bytes().unwrap() < 264 << 10);
}

#[test]
fn lost_pages_at_the_end_cost_whole_batches_and_are_said() {
    let place = Place::new();
    let id = place.filled(10, true);
    let data = fs::File::options()
        .write(true)
        .open(place.file("data"))
        .unwrap();
    data.set_len(75).unwrap();
    let (day, kept_bytes, lost_bytes) = (day(), 70, 30);
    let alarm = Alarm::DataLost {
        day,
        kept_bytes,
        lost_bytes,
    };
    check_damage(&place, id, 70, alarm);
}

#[test]
fn changed_bytes_cost_what_is_behind_them_and_are_said() {
    let place = Place::new();
    let id = place.filled(10, true);
    change(&place.file("data"), 55);
    let (day, kept_bytes, lost_bytes) = (day(), 50, 50);
    let alarm = Alarm::DataLost {
        day,
        kept_bytes,
        lost_bytes,
    };
    check_damage(&place, id, 50, alarm);
}

#[test]
fn bytes_that_are_in_the_journal_still_are_not_lost() {
    let place = Place::new();
    let id = place.filled(10, false);
    fs::remove_file(place.file("data")).unwrap();
    let (_state, _spool, day, alarms) = place.open();
    assert_eq!(alarms, []);
    let day = day.unwrap();
    assert_eq!((day.id(), day.len_bytes()), (id, 100));
    assert!(day.verify().unwrap());
}

#[test]
fn a_broken_record_is_no_crash_if_there_is_more_behind_it() {
    let place = Place::new();
    let id = place.filled(10, false);
    let record_bytes = (fs::metadata(place.file("journal")).unwrap().len() - 48) / 10;
    change(&place.file("journal"), 48 + 4 * record_bytes + 20);
    let (day, kept_bytes) = (day(), 40);
    check_damage(&place, id, 40, Alarm::JournalDamaged { day, kept_bytes });
}

#[test]
fn a_broken_last_record_is_no_crash_if_its_bytes_are_in_the_data_file() {
    let place = Place::new();
    let id = place.filled(10, false);
    let len = fs::metadata(place.file("journal")).unwrap().len();
    change(&place.file("journal"), len - 1);
    let (day, kept_bytes) = (day(), 90);
    check_damage(&place, id, 90, Alarm::JournalDamaged { day, kept_bytes });
}

#[test]
fn days_of_another_spool_are_set_aside() {
    let place = Place::new();
    let id = place.filled(10, false);
    fs::remove_file(place.path.join("spool-id")).unwrap();
    let (_state, spool, found, alarms) = place.open();
    assert!(found.is_none());
    assert!(
        matches!(&alarms[..], [Alarm::SetAside { .. }]),
        "{alarms:?}"
    );
    let mut new = spool.create(day()).unwrap();
    publish(&mut new, b"anew\n");
    assert_ne!(new.id(), id);
    assert_eq!(fs::read(place.file("data.set-aside")).unwrap().len(), 100);
    spool.remove(new).unwrap();
    assert_eq!(spool.space_bytes().unwrap(), 0);
}

#[test]
fn a_removed_day_is_gone_but_for_those_who_read_it() {
    let place = Place::new();
    let id = place.filled(3, false);
    let (_state, spool, removed, _) = place.open();
    let removed = removed.unwrap();
    let bytes = removed.bytes();
    spool.remove(removed).unwrap();
    assert_eq!(spool.space_bytes().unwrap(), 0);
    let mut read = Vec::new();
    bytes.read_at(5, 10, &mut read).unwrap();
    assert_eq!(read, b"0000011111");
    assert_ne!(spool.create(day()).unwrap().id(), id);
}

#[test]
fn a_removal_that_was_interrupted_is_finished() {
    let place = Place::new();
    place.filled(3, false);
    fs::rename(place.file("journal"), place.file("removed")).unwrap();
    let (_state, spool, day, alarms) = place.open();
    assert!(day.is_none() && alarms.is_empty());
    assert_eq!(spool.space_bytes().unwrap(), 0);
}

#[test]
fn a_lost_journal_is_said_and_its_bytes_are_kept() {
    let place = Place::new();
    place.filled(3, false);
    fs::remove_file(place.file("journal")).unwrap();
    let (_state, _spool, day, alarms) = place.open();
    assert!(day.is_none());
    let reason = "there is no journal".into();
    let day = "2018-05-01".parse().unwrap();
    assert_eq!(alarms, [Alarm::SetAside { day, reason }]);
    assert_eq!(fs::read(place.file("data.set-aside")).unwrap().len(), 30);
}

/// Mounted for one test; needs root.
struct SmallDisk(PathBuf);

impl Drop for SmallDisk {
    fn drop(&mut self) {
        rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH).ok();
    }
}

#[test]
fn a_full_disk_stops_publication_and_nothing_else() {
    let mut place = Place::new();
    place.path.push("small");
    fs::create_dir(&place.path).unwrap();
    let flags = rustix::mount::MountFlags::empty();
    if let Err(error) = rustix::mount::mount("tmpfs", &place.path, "tmpfs", flags, Some(c"size=1m"))
    {
        eprintln!("SKIPPED: a_full_disk_stops_publication_and_nothing_else: no tmpfs: {error}");
        return;
    }
    let _mounted = SmallDisk(place.path.clone());
    let (state, spool, _, _) = place.open();
    let mut day = spool.create(day()).unwrap();
    publish(&mut day, &[b'a'; 300_000]);
    let filler = place.path.join("filler");
    let mut len = 1 << 20;
    fs::File::create(&filler).unwrap();
    while len > 0 {
        let file = fs::File::options().append(true).open(&filler).unwrap();
        if std::io::Write::write_all(&mut &file, &vec![0; len]).is_err() {
            len /= 2;
        }
    }
    let mut taken = 0;
    let error = loop {
        let next = day.len_bytes() + 10_000;
        match day.publish(&[b'b'; 10_000], &[mark_at(next)], facts_at(next)) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(error, SpoolError::Io { .. } | SpoolError::Poisoned { .. }),
        "{error}"
    );
    assert!(day.is_poisoned() && day.reopen().is_err() && taken < 10);
    let mut read = Vec::new();
    day.bytes().read_at(0, 300_000, &mut read).unwrap();
    assert_eq!(read, [b'a'; 300_000]);
    drop((day, state, spool));

    let (_state, _spool, day, alarms) = place.open();
    assert!(
        matches!(&alarms[..], [Alarm::NotWritable { .. }]),
        "{alarms:?}"
    );
    let mut day = day.unwrap();
    assert!(day.is_poisoned() && day.len_bytes() >= 300_000);
    fs::remove_file(&filler).unwrap();
    day.reopen().unwrap();
    publish(&mut day, b"more\n");
    let next = 300_005 + 10_000 * taken;
    assert_eq!(day.len_bytes(), next);
    assert_eq!(day.mark("one", "2018-05-01.log"), Some(&mark_at(next)));
    assert!(day.verify().unwrap());
}
