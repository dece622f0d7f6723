//! The name of a daily log says which day it is about, in four forms.

use std::fmt;
use std::str::FromStr;

use super::name::strip_gz;
use crate::event::Day;

/// The name of a daily log: `YYYY-MM-DD.hh:mm:ss.log` of released versions, `YYYY-MM-DD.log` of the seed document, and both with
/// `.gz` as rotating tools leave them.
///
/// The order is that of the time they name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DailyName {
    /// The day in the name; up to 3.1.5 the file may hold the afternoon of the day before (FORMAT 2).
    pub day: Day,
    /// The time in the name, in seconds after midnight; `None` in the short form.
    pub time_of_day_s: Option<u32>,
    /// The name ends in `.gz`.
    pub gz: bool,
}

impl DailyName {
    /// Takes the name of a daily log apart. `None` if it is not one (`events.log` is a link to one).
    pub fn parse(name: &str) -> Option<DailyName> {
        let (plain, gz) = strip_gz(name);
        let stem = plain.strip_suffix(".log")?;
        let (date, time_of_day_s) = match stem.split_once('.') {
            None => (stem, None),
            Some((date, time)) => (date, Some(parse_time_of_day(time)?)),
        };
        let day = Day::from_str(date).ok()?;
        Some(DailyName {
            day,
            time_of_day_s,
            gz,
        })
    }

    /// The name as it stands on disk.
    pub fn to_file_name(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for DailyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.day)?;
        if let Some(s) = self.time_of_day_s {
            write!(f, ".{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)?;
        }
        f.write_str(if self.gz { ".log.gz" } else { ".log" })
    }
}

/// `hh:mm:ss` in seconds.
fn parse_time_of_day(text: &str) -> Option<u32> {
    let two = |a: u8, b: u8, below: u32| {
        let (a, b) = (char::from(a).to_digit(10)?, char::from(b).to_digit(10)?);
        Some(a * 10 + b).filter(|&n| n < below)
    };
    match *text.as_bytes() {
        [h, hh, b':', m, mm, b':', s, ss] => {
            Some(two(h, hh, 24)? * 3600 + two(m, mm, 60)? * 60 + two(s, ss, 60)?)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::format::fixtures::each_fixture_file;

    #[test]
    fn daily_logs_have_four_forms() {
        for name in [
            "2018-05-02.00:00:00.log",
            "2018-05-02.23:59:59.log.gz",
            "2018-05-02.log",
            "2018-05-02.log.gz",
        ] {
            let parsed = DailyName::parse(name).unwrap();
            assert_eq!(
                (parsed.to_file_name(), parsed.day.to_string()),
                (name.into(), "2018-05-02".into())
            );
        }
    }

    #[test]
    fn no_other_file_is_a_daily_log() {
        for name in [
            "",
            ".log",
            "events.log",
            "2018-5-2.log",
            "2018-02-30.log",
            "2018-05-02.24:00:00.log",
            "2018-05-02.00:60:00.log",
            "2018-05-02.0:00:00.log",
            "2018-05-02.00:00:00",
            "2018-05-02.00:00:00.log.1",
            "2018-05-02..log",
            "x2018-05-02.log",
            "2018-05-02.00:00:00.00.log",
            "+018-05-02.log",
        ] {
            assert_eq!(DailyName::parse(name), None, "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn what_parses_prints_back(name in "20[0-9]{2}-[01][0-9]-[0-3][0-9](\\.[0-2][0-9]:[0-6][0-9]:[0-6][0-9])?\\.log(\\.gz)?") {
            if let Some(parsed) = DailyName::parse(&name) {
                prop_assert_eq!(parsed.to_file_name(), name);
            }
        }

        #[test]
        fn any_text_is_answered(name in ".*") {
            let _ = DailyName::parse(&name);
        }
    }

    #[test]
    fn every_daily_log_of_real_releases_is_known() {
        let mut known = 0;
        let present = each_fixture_file(&mut |path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            if name.ends_with(".log") && name != "events.log" {
                let back = DailyName::parse(name).map(|parsed| parsed.to_file_name());
                assert_eq!(back.as_deref(), Some(name));
                known += 1;
            }
        });
        assert!(!present || known >= 18, "{known}");
    }
}
