//! `auditfs search`: the newest records that match, as lines of JSON.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::event::{Day, EventTime};
use crate::mount::batch_time;
use crate::search::{DEFAULT_LIMIT, Query, Request, search_events};

use super::Outcome;
use super::source::{ReadArgs, open_view, raise_open_files};

/// Arguments of `auditfs search`.
#[derive(Args, Debug)]
pub struct SearchArgs {
    /// The audit directory.
    source: PathBuf,
    /// URL-encoded, such as 'event=exec&event=scp&user=bob': a name given twice means either value, different names must
    /// all match exactly. Default: every record.
    #[arg(default_value = "", hide_default_value = true)]
    query: String,
    /// Only records from this time on: RFC 3339, or a date (UTC), which means its beginning.
    #[arg(long, value_name = "T", value_parser = first_moment)]
    from: Option<EventTime>,
    /// Only records up to this time: RFC 3339, or a date (UTC), which means its end.
    #[arg(long, value_name = "T", value_parser = last_moment)]
    to: Option<EventTime>,
    /// At most so many records, the newest ones; 10000 at most, 0 for the default.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LIMIT)]
    limit: usize,
    #[command(flatten)]
    read: ReadArgs,
}

/// Runs `auditfs search`: newest record first. Exit code 1 says that a daily log could not be read.
///
/// # Errors
/// A query, range or limit that cannot be; of the share.
pub fn run(args: &SearchArgs) -> anyhow::Result<Outcome> {
    let from = args.from.unwrap_or(EventTime::ZERO);
    let to = args.to.unwrap_or(EventTime::LATEST);
    let request = Request::new(from, to, Query::parse(&args.query)?, args.limit)?;
    raise_open_files();
    let view = open_view(&args.source, &args.read, std::env::temp_dir(), None)?;
    let mut errors = view.dir().catalog().refresh();
    errors.extend(view.days().refresh(batch_time(Duration::ZERO)).1);
    for error in &errors {
        eprintln!("auditfs: warning: not searched: {error}");
    }
    let found = search_events(view.days(), &request)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in found.lines() {
        out.write_all(&line?)?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(if errors.is_empty() {
        Outcome::Clean
    } else {
        Outcome::Damage
    })
}

fn first_moment(text: &str) -> Result<EventTime, String> {
    moment(text, Day::start)
}

fn last_moment(text: &str) -> Result<EventTime, String> {
    let last = |day: Day| EventTime::from_ns(day.next().start().as_ns().saturating_sub(1));
    moment(text, last)
}

fn moment(text: &str, of_day: impl Fn(Day) -> EventTime) -> Result<EventTime, String> {
    let time = EventTime::parse_rfc3339(text.as_bytes());
    let day = || text.parse().ok().map(of_day);
    time.or_else(day).ok_or_else(|| {
        "a time is 2018-05-01 or 2018-05-01T07:58:03Z (RFC 3339, with Z or an offset such as +02:00)".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, first: &str, last: &str) {
        let shown = |time: Result<EventTime, String>| time.map(EventTime::to_rfc3339);
        assert_eq!(shown(first_moment(text)).as_deref(), Ok(first));
        assert_eq!(shown(last_moment(text)).as_deref(), Ok(last));
    }

    #[test]
    fn a_date_is_the_whole_day() {
        check(
            "2018-05-01",
            "2018-05-01T00:00:00Z",
            "2018-05-01T23:59:59.999999999Z",
        );
    }

    #[test]
    fn a_time_is_that_moment() {
        check(
            "2018-05-01T02:00:00.5+02:00",
            "2018-05-01T00:00:00.5Z",
            "2018-05-01T00:00:00.5Z",
        );
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "yesterday",
            "2018-5-1",
            "2018-05-01T07:58",
            "2018-02-30",
            "1525161483",
        ] {
            assert!(first_moment(text).is_err(), "{text}");
        }
    }
}
