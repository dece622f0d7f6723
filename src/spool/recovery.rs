//! One day after a restart: what the journal promises is made true in the data file, or said to be lost.

use std::io;
use std::sync::Arc;

use crc32fast::Hasher;

use crate::event::Day;

use super::alarm::Alarm;
use super::backend::{Backend, SpoolFile};
use super::day_spool::DaySpool;
use super::history::{Entry, History};
use super::journal::{DayNames, HEADER_BYTES, Journal, JournalId};
use super::replay::{Replayed, Span, replay};
use super::state_dir::{SpoolId, random_id};

/// Bytes at the end of a day whose checksums are compared at every start; at least one batch.
const CHECK_BYTES: u64 = 64 << 20;
const READ_BYTES: usize = 1 << 20;

/// The day `day`, if anything was published of it.
///
/// # Errors
/// Of the disk while reading; the files stay as they are.
pub(super) fn recover_day(
    backend: &Arc<dyn Backend>,
    spool: SpoolId,
    day: Day,
) -> io::Result<(Option<DaySpool>, Vec<Alarm>)> {
    let names = DayNames::of(day);
    let file = backend.open(&names.journal)?;
    let data = backend.open(&names.data)?;
    let id = match read_id(&*file, spool, day)? {
        Ok(id) => id,
        Err(reason) => return set_aside(&**backend, day, reason),
    };
    let mut replayed = replay(&*file, &id)?;
    let data_len = data.len()?;
    // A torn first record has no bytes in the data file, and a long first batch in the data file no record.
    let is_begun = data_len == 0 || file.len()? == HEADER_BYTES;
    let is_empty = replayed.points.is_empty() && replayed.batches.is_empty();
    if is_empty && is_begun && !replayed.is_damaged {
        remove_day(&**backend, day)?;
        return Ok((None, Vec::new()));
    }
    let alarm = find_damage(day, &mut replayed, &*data, data_len)?;
    if replayed.next() == 0 && alarm.is_some() {
        let (none, mut alarms) = set_aside(&**backend, day, "nothing in them is whole".into())?;
        alarms.extend(alarm);
        return Ok((none, alarms));
    }
    let shown = shown_bytes(&*data, &*file, &replayed)?;
    let is_clean = alarm.is_none()
        && replayed.batches.is_empty()
        && replayed.len == file.len()?
        && replayed.next() == data_len;
    let mut history = History::default();
    replayed
        .points
        .into_iter()
        .chain(replayed.batches)
        .for_each(|entry| history.push(entry));
    let mut journal = Journal::opened(file, id, replayed.len);
    if alarm.is_some() {
        journal.id.day_id = random_id()?;
    }
    let backend = backend.clone();
    let mut spool = DaySpool::new(backend, names, journal, history, replayed.spans, shown)?;
    let mut alarms: Vec<Alarm> = alarm.into_iter().collect();
    if is_clean {
        return Ok((Some(spool), alarms));
    }
    spool.unconfirmed_from = Some(replayed.last_batch);
    if let Err(error) = spool.reopen() {
        let reason = error.to_string();
        spool.poisoned = Some(reason.clone());
        alarms.push(Alarm::NotWritable { day, reason });
    }
    Ok((Some(spool), alarms))
}

/// A data file without a journal. Readers may have seen what is in it, so it does not go away unsaid.
///
/// # Errors
/// Of the disk.
pub(super) fn recover_without_journal(
    backend: &dyn Backend,
    day: Day,
) -> io::Result<(Option<DaySpool>, Vec<Alarm>)> {
    let names = DayNames::of(day);
    if backend.open(&names.data)?.len()? > 0 {
        return set_aside(backend, day, "there is no journal".into());
    }
    // A creation that did not get to its end.
    backend.remove(&names.data)?;
    Ok((None, Vec::new()))
}

/// Removes a day: it is gone once its journal has another name.
pub(super) fn remove_day(backend: &dyn Backend, day: Day) -> io::Result<()> {
    let names = DayNames::of(day);
    backend.rename(&names.journal, &names.removed)?;
    backend.sync()?;
    finish_removal(backend, day)
}

/// The rest of a removal; nothing of the day is seen any more.
pub(super) fn finish_removal(backend: &dyn Backend, day: Day) -> io::Result<()> {
    let names = DayNames::of(day);
    for name in [&names.data, &names.journal_new] {
        backend.remove(name)?;
    }
    backend.sync()?;
    backend.remove(&names.removed)?;
    backend.sync()
}

/// Removes what was set aside of a day.
pub(super) fn remove_set_aside(backend: &dyn Backend, day: Day) -> io::Result<()> {
    let names = DayNames::of(day);
    for name in [&names.data, &names.journal] {
        backend.remove(&DayNames::set_aside(name))?;
    }
    backend.sync()
}

/// Writes bytes that are in the journal to their place in the data file.
pub(super) fn copy_span(
    journal: &dyn SpoolFile,
    data: &dyn SpoolFile,
    span: Span,
) -> io::Result<()> {
    copy(
        journal,
        span.journal_offset,
        data,
        span.data_offset,
        span.len,
    )
}

/// Writes the end of a journal again as it is, so that an fsync has something to do: if one has failed before, its
/// bytes count as written although they may not be.
pub(super) fn rewrite(journal: &dyn SpoolFile, first: u64, next: u64) -> io::Result<()> {
    copy(journal, first, journal, first, next.saturating_sub(first))?;
    journal.sync()
}

fn copy(
    from: &dyn SpoolFile,
    from_offset: u64,
    to: &dyn SpoolFile,
    to_offset: u64,
    len: u64,
) -> io::Result<()> {
    let mut buf = vec![0; len.min(READ_BYTES as u64) as usize];
    let mut done = 0;
    while done < len {
        let take = (len - done).min(buf.len() as u64) as usize;
        let part = buf.get_mut(..take).unwrap_or_default();
        from.read_exact_at(part, from_offset + done)?;
        to.write_at(part, to_offset + done)?;
        done += take as u64;
    }
    Ok(())
}

/// CRC-32 of `first..next`; `None` if the file is shorter.
pub(super) fn crc_of(file: &dyn SpoolFile, first: u64, next: u64) -> io::Result<Option<u32>> {
    let mut crc = Hasher::new();
    let mut buf = vec![0; next.saturating_sub(first).min(READ_BYTES as u64) as usize];
    let mut at = first;
    while at < next {
        let take = (next - at).min(buf.len() as u64) as usize;
        let part = buf.get_mut(..take).unwrap_or_default();
        match file.read_exact_at(part, at) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            result => result?,
        }
        crc.update(part);
        at += take as u64;
    }
    Ok(Some(crc.finalize()))
}

/// How many of these batches, from the first on, are whole in the data file. Of the last [`CHECK_BYTES`] every
/// checksum is compared, and further back while they are wrong; before that the length has to do.
pub(super) fn good_entries(data: &dyn SpoolFile, entries: &[Entry]) -> io::Result<usize> {
    let data_len = data.len()?;
    let mut good = entries
        .iter()
        .take_while(|entry| entry.next <= data_len)
        .count();
    loop {
        let mut checked_bytes = 0;
        let window = entries.iter().take(good).rev().take_while(|entry| {
            let is_first = checked_bytes == 0;
            checked_bytes += entry.len_bytes();
            is_first || checked_bytes <= CHECK_BYTES
        });
        let first = good - window.count();
        let mut broken = None;
        for (number, entry) in entries.iter().enumerate().take(good).skip(first) {
            if crc_of(data, entry.first, entry.next)? != Some(entry.crc) {
                broken = Some(number);
                break;
            }
        }
        match broken {
            None => return Ok(good),
            Some(number) if number > first => return Ok(number),
            Some(number) => good = number,
        }
    }
}

/// Cuts what was read to what can be trusted.
fn find_damage(
    day: Day,
    replayed: &mut Replayed,
    data: &dyn SpoolFile,
    data_len: u64,
) -> io::Result<Option<Alarm>> {
    let published = replayed.next();
    let good = good_entries(data, &replayed.points)?;
    if good < replayed.points.len() {
        replayed.points.truncate(good);
        replayed.batches.clear();
        replayed.spans.clear();
        replayed.last_batch = replayed.len;
        let kept_bytes = replayed.next();
        let lost_bytes = published.max(data_len) - kept_bytes;
        return Ok(Some(Alarm::DataLost {
            day,
            kept_bytes,
            lost_bytes,
        }));
    }
    // Bytes come into the data file after their record is durable, so bytes without a record are a lost record.
    if replayed.is_damaged || data_len > published {
        let kept_bytes = published;
        return Ok(Some(Alarm::JournalDamaged { day, kept_bytes }));
    }
    Ok(None)
}

/// How far the data file holds what was published before anything is written to it: all that readers may have seen
/// if only the process had died.
fn shown_bytes(
    data: &dyn SpoolFile,
    journal: &dyn SpoolFile,
    replayed: &Replayed,
) -> io::Result<u64> {
    let mut whole = replayed.points.last().map_or(0, |point| point.next);
    for span in &replayed.spans {
        let (first, next) = (span.data_offset, span.data_offset + span.len);
        let promised = crc_of(journal, span.journal_offset, span.journal_offset + span.len)?;
        if crc_of(data, first, next)? != promised {
            break;
        }
        whole = next;
    }
    let batches = replayed.points.iter().chain(&replayed.batches);
    let ends = batches.map(|batch| batch.next);
    Ok(ends.filter(|next| *next <= whole).max().unwrap_or(0))
}

fn read_id(
    file: &dyn SpoolFile,
    spool: SpoolId,
    day: Day,
) -> io::Result<Result<JournalId, String>> {
    let mut header = vec![0; file.len()?.min(HEADER_BYTES) as usize];
    file.read_exact_at(&mut header, 0)?;
    Ok(JournalId::decode(&header, spool, day))
}

fn set_aside(
    backend: &dyn Backend,
    day: Day,
    reason: String,
) -> io::Result<(Option<DaySpool>, Vec<Alarm>)> {
    let names = DayNames::of(day);
    let there = backend.list()?;
    for name in [&names.data, &names.journal] {
        if there.iter().any(|(known, _)| known == name) {
            backend.rename(name, &DayNames::set_aside(name))?;
        }
    }
    backend.sync()?;
    Ok((None, vec![Alarm::SetAside { day, reason }]))
}
