//! The daily log under rotation, full disks, lost power and failed syncs.

use super::*;
use crate::format::{LineForm, read_line};
use crate::write::faulty_storage::{Fault, FaultyStorage};

const FIRST: &str = "a1/2018-05-01.00:00:00.log";
const SECOND: &str = "a1/2018-05-02.00:00:00.log";
const SECOND_POLICY: SyncPolicy = SyncPolicy::Interval {
    interval_ns: 1_000_000_000,
};

fn at(text: &str) -> EventTime {
    EventTime::parse_rfc3339(text.as_bytes()).unwrap()
}

fn noon() -> EventTime {
    at("2018-05-01T12:00:00Z")
}

fn log(storage: &FaultyStorage, form: LogForm, sync: SyncPolicy) -> FileLog {
    FileLog::new(
        Arc::new(storage.clone()),
        ServerId::new("a1").unwrap(),
        form,
        sync,
    )
}

fn event(name: &str) -> EventFields {
    let mut event = EventFields::new();
    event.set("event", name);
    event
}

fn errno(error: &WriteError) -> Option<i32> {
    match error {
        WriteError::Io { source, .. } => source.raw_os_error(),
        _ => None,
    }
}

#[test]
fn the_line_is_the_one_of_test_basic_logging() {
    // FORMAT 6: {"apples?":"yes","event":"user.joined","time":...}
    let storage = FaultyStorage::new();
    let mut event = event("user.joined");
    event.set("apples?", "yes");
    event.set("time", "2018-05-01T12:00:00Z");
    log(&storage, LogForm::Json, SyncPolicy::Always)
        .append(&[event], noon())
        .unwrap();
    assert_eq!(
        storage.text(FIRST),
        "{\"apples?\":\"yes\",\"event\":\"user.joined\",\"time\":\"2018-05-01T12:00:00Z\"}\n"
    );
}

#[test]
fn the_legacy_form_is_read_again_whatever_the_name_of_the_event() {
    let storage = FaultyStorage::new();
    let mut log = log(&storage, LogForm::Legacy, SyncPolicy::Never);
    log.append(&[event("exec"), event("a,{b\n")], noon())
        .unwrap();
    let text = storage.text(FIRST);
    assert!(
        text.starts_with("2018-05-01T12:00:00Z,exec,{\"event\":\"exec\"}\n"),
        "{text}"
    );
    for line in text.lines() {
        let read = read_line(line.as_bytes());
        assert_eq!(
            (read.form, read.time),
            (LineForm::Legacy, Some(noon())),
            "{line}"
        );
    }
    assert_eq!(text.lines().count(), 2);
}

#[test]
fn the_file_changes_at_midnight_and_the_link_with_it() {
    let storage = FaultyStorage::new();
    let mut log = log(&storage, LogForm::Json, SyncPolicy::default());
    log.append(&[event("one")], at("2018-05-01T23:59:59.999Z"))
        .unwrap();
    assert_eq!(storage.link(CURRENT_LOG_LINK).as_deref(), Some(FIRST));
    log.append(&[event("two")], at("2018-05-02T00:00:00Z"))
        .unwrap();
    assert_eq!(storage.link(CURRENT_LOG_LINK).as_deref(), Some(SECOND));
    assert_eq!(storage.text(FIRST), "{\"event\":\"one\"}\n");
    assert_eq!(storage.text(SECOND), "{\"event\":\"two\"}\n");
    // The day that is over was made durable when it was left.
    assert_eq!(
        storage.after_power_loss().text(FIRST),
        "{\"event\":\"one\"}\n"
    );
}

#[test]
fn a_refused_event_keeps_the_whole_batch_out() {
    let storage = FaultyStorage::new();
    let mut foreign = event("exec");
    foreign.set("server_id", "a2");
    let mut log = log(&storage, LogForm::Json, SyncPolicy::Always);
    let refused = log.append(&[event("exec"), foreign], noon());
    assert!(matches!(
        refused,
        Err(WriteError::Refused(RefusedLine::Invalid(_)))
    ));
    assert!(log.append(&[event("")], noon()).is_err());
    assert_eq!(storage.paths(), Vec::<String>::new());
}

#[test]
fn a_torn_tail_gets_a_newline_and_loses_nothing() {
    let storage = FaultyStorage::new();
    storage.put(FIRST, b"{\"event\":\"old\"}\n{\"event\":\"to");
    let mut log = log(&storage, LogForm::Json, SyncPolicy::Always);
    log.append(&[event("new")], noon()).unwrap();
    log.append(&[event("newer")], noon()).unwrap();
    assert_eq!(
        storage.text(FIRST),
        "{\"event\":\"old\"}\n{\"event\":\"to\n{\"event\":\"new\"}\n{\"event\":\"newer\"}\n"
    );
}

#[test]
fn a_full_disk_leaves_the_file_as_it_was_and_writing_goes_on() {
    let storage = FaultyStorage::new();
    let mut log = log(&storage, LogForm::Json, SyncPolicy::Always);
    log.append(&[event("one")], noon()).unwrap();
    storage.fail(0, Fault::Errno(libc::ENOSPC));
    let error = log.append(&[event("two")], noon()).unwrap_err();
    assert_eq!(errno(&error), Some(libc::ENOSPC));
    assert_eq!(storage.text(FIRST), "{\"event\":\"one\"}\n");
    log.append(&[event("three")], noon()).unwrap();
    assert_eq!(
        storage.text(FIRST),
        "{\"event\":\"one\"}\n{\"event\":\"three\"}\n"
    );
}

#[test]
fn a_cut_write_never_mixes_two_lines() {
    let storage = FaultyStorage::new().without_reserve();
    let mut log = log(&storage, LogForm::Json, SyncPolicy::Always);
    log.append(&[event("one")], noon()).unwrap();
    storage.fail(0, Fault::Half(libc::EDQUOT));
    let error = log.append(&[event("two")], noon()).unwrap_err();
    assert_eq!((errno(&error), log.failures()), (Some(libc::EDQUOT), 1));
    log.append(&[event("three")], noon()).unwrap();
    assert_eq!(
        storage.text(FIRST),
        "{\"event\":\"one\"}\n{\"event\"\n{\"event\":\"three\"}\n"
    );
}

#[test]
fn a_failed_sync_is_told_and_counted() {
    let storage = FaultyStorage::new();
    let mut log = log(&storage, LogForm::Json, SECOND_POLICY);
    log.append(&[event("one")], noon()).unwrap();
    log.tick(at("2018-05-01T12:00:00.9Z")).unwrap();
    storage.fail(0, Fault::Errno(libc::EIO));
    let error = log.tick(at("2018-05-01T12:00:01Z")).unwrap_err();
    assert_eq!((errno(&error), log.failures()), (Some(libc::EIO), 1));
    // As the kernel has it: the second sync says that all is well. The count still says that it was not.
    log.sync().unwrap();
    assert_eq!(log.failures(), 1);
    log.append(&[event("two")], noon()).unwrap();
    log.sync().unwrap();
    assert!(
        storage
            .after_power_loss()
            .text(FIRST)
            .ends_with("{\"event\":\"two\"}\n")
    );
}

#[test]
fn many_lines_go_out_in_few_writes() {
    let storage = FaultyStorage::new();
    let mut log = log(&storage, LogForm::Json, SyncPolicy::Never);
    log.append(&[event("one")], noon()).unwrap();
    let before = storage.operations();
    let batch: Vec<_> = (0..1000).map(|_| event(&"x".repeat(238))).collect();
    log.append(&batch, noon()).unwrap();
    // 250 KB: one reserve and two writes of up to 128 KiB.
    assert_eq!(storage.operations() - before, 3);
    assert_eq!(storage.text(FIRST).lines().count(), 1001);
}

#[test]
fn whenever_power_fails_each_acknowledged_line_is_there_and_none_is_half() {
    for sync in [SyncPolicy::Always, SyncPolicy::Never] {
        for death in 0..40 {
            let storage = FaultyStorage::new();
            storage.fail(death, Fault::Death);
            let mut first = log(&storage, LogForm::Json, sync);
            let mut acknowledged = Vec::new();
            for number in 0..8 {
                let name = format!("e{number}");
                if first.append(&[event(&name)], noon()).is_ok() {
                    acknowledged.push(format!("{{\"event\":\"{name}\"}}"));
                }
            }
            let after = if sync == SyncPolicy::Always {
                storage.after_power_loss()
            } else {
                storage.after_kill()
            };
            log(&after, LogForm::Json, sync)
                .append(&[event("last")], noon())
                .unwrap();
            acknowledged.push("{\"event\":\"last\"}".to_owned());
            let text = after.text(FIRST);
            let whole: Vec<&str> = text.lines().filter(|line| line.ends_with('}')).collect();
            assert_eq!(whole, acknowledged, "{sync:?} {death}");
            assert!(text.lines().count() <= acknowledged.len() + 1);
        }
    }
}
