//! Making the directory: the plan, the recordings, the daily logs, each on all processors.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, bail, ensure};

use super::args::GenerateArgs;
use super::daily::{DAY_MS, DailyLog};
use super::random::Random;
use super::recording::{Mention, Recorder};
use super::session::Session;
use super::terminal::Terminal;
use crate::event::Day;

/// Generates the audit directory and says on one line what is in it.
///
/// # Errors
/// The directory holds something, the arguments do not fit each other, or a file cannot be written: what was written
/// until then stays.
pub fn run(args: GenerateArgs) -> Result<()> {
    let (lines, first_sid) = generate(&args)?;
    print!(
        "{}: {} servers, {} days, {lines} events, {} sessions",
        args.dir.display(),
        args.servers,
        args.days,
        args.sessions,
    );
    match first_sid {
        Some(sid) => println!(", the first is {sid}"),
        None => println!(),
    }
    Ok(())
}

/// Returns the number of lines in daily logs, and the first session's ID.
fn generate(args: &GenerateArgs) -> Result<(u64, Option<String>)> {
    ensure!(
        !args.split || args.servers > 1,
        "--split needs at least 2 servers"
    );
    let (first, next) = args.days()?;
    let servers = make_folders(args)?;
    let (first_ms, next_ms) = (day_ms(first), day_ms(next));
    let sessions: Vec<Session> = (0..u64::from(args.sessions))
        .map(|number| Session::plan(args, number, first_ms, next_ms - first_ms))
        .collect();
    let folders: Vec<PathBuf> = servers
        .iter()
        .map(|server| server.join(SESSION_FOLDER))
        .collect();
    let recorder = Recorder {
        folders: &folders,
        gzip: args.gzip,
        terminal: &Terminal::new(args.seed),
    };
    let mut mentions = in_parallel(&sessions, |session| recorder.record(session))?.concat();
    mentions.sort_unstable_by_key(|m| (m.server, m.time_ms, m.session, m.ei));
    let lines = write_daily_logs(args, &servers, &sessions, &mentions)?;
    Ok((lines, sessions.first().map(|session| session.sid.clone())))
}

/// Where a server keeps the recordings of the default namespace (FORMAT 1).
const SESSION_FOLDER: &str = "sessions/default";

/// Makes the audit directory and returns the folders of its servers, whose names are random server IDs.
fn make_folders(args: &GenerateArgs) -> Result<Vec<PathBuf>> {
    let dir = &args.dir;
    let at = |path: &Path| format!("cannot make the directory {}", path.display());
    fs::create_dir_all(dir).with_context(|| at(dir))?;
    if let Some(entry) = fs::read_dir(dir).with_context(|| at(dir))?.next() {
        let name = entry.with_context(|| at(dir))?.file_name();
        bail!(
            "{} is not empty (it holds {name:?}); name a new directory",
            dir.display()
        );
    }
    // Teleport makes the folder of unpacked streams at every start; it is not a server (FORMAT 1).
    let mut wanted = vec![dir.join("playbacks").join(SESSION_FOLDER)];
    let mut servers = Vec::new();
    for number in 0..u64::from(args.servers) {
        let mut server_id = Vec::new();
        Random::new(args.seed, &[8, number]).push_uuid(&mut server_id);
        let server = dir.join(server_id.into_iter().map(char::from).collect::<String>());
        wanted.push(server.join(SESSION_FOLDER));
        servers.push(server);
    }
    for path in wanted {
        fs::create_dir_all(&path).with_context(|| at(&path))?;
    }
    Ok(servers)
}

/// Returns the number of lines. `mentions` is sorted by server and time.
fn write_daily_logs(
    args: &GenerateArgs,
    servers: &[PathBuf],
    sessions: &[Session],
    mentions: &[Mention],
) -> Result<u64> {
    let (first, next) = args.days()?;
    let places: Vec<(usize, Day)> = (first.days()..next.days())
        .flat_map(|day| (0..servers.len()).map(move |server| (server, Day::from_days(day))))
        .collect();
    let lines = in_parallel(&places, |&(server, day)| {
        let begin = (server, day_ms(day));
        let end = (server, day_ms(day.next()));
        let of = |m: &Mention| (m.server, m.time_ms);
        let log = DailyLog {
            path: servers[server].join(format!("{day}.00:00:00.log")),
            seed: args.seed,
            server: server as u64,
            day_ms: day_ms(day),
            events: u64::from(args.events),
            mentions: &mentions[mentions.partition_point(|m| of(m) < begin)
                ..mentions.partition_point(|m| of(m) < end)],
            sessions,
        };
        log.write()
    })?;
    Ok(lines.iter().sum())
}

/// Milliseconds since 1970 at the beginning of `day`, which is not before 1970.
fn day_ms(day: Day) -> u64 {
    day.days() as u64 * DAY_MS
}

/// Does `work` on every item and returns what it gave, in the order of the items; the first failure ends it.
fn in_parallel<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        while let Some((number, item)) = {
            let number = next.fetch_add(1, Ordering::Relaxed);
            items.get(number).map(|item| (number, item))
        } {
            let result = work(item);
            if result.is_err() {
                next.store(items.len(), Ordering::Relaxed);
            }
            done.push((number, result));
        }
        done
    };
    let mut done = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.min(items.len()))
            .map(|_| scope.spawn(worker))
            .collect();
        let joined = workers.into_iter().map(|worker| match worker.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.flatten().collect::<Vec<_>>()
    });
    done.sort_unstable_by_key(|&(number, _)| number);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests;
