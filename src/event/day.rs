//! A UTC date is a number of days, so that every record finds its day file without a calendar library.
//!
//! The civil calendar is computed by the well-known era method (400 Gregorian years are 146,097 days; a year counted
//! from March puts the leap day last). The tests compare it with chrono for every day of it.

use std::fmt;
use std::str::FromStr;

use super::EventTime;

/// Nanoseconds in a UTC day; the time scale of events has no leap seconds.
const NS_PER_DAY: i64 = 86_400_000_000_000;

/// One UTC date from 0001-01-01 to 9999-12-31, held as days since 1970-01-01. Shown as `YYYY-MM-DD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i32);

/// The text is not a date of the form `YYYY-MM-DD`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a date of the form YYYY-MM-DD")]
pub struct DayError;

impl Day {
    /// 0001-01-01.
    pub const FIRST: Day = Day(-719_162);
    /// 9999-12-31.
    pub const LAST: Day = Day(2_932_896);

    /// The UTC date at `time`.
    pub fn of(time: EventTime) -> Day {
        // An i64 of nanoseconds spans 1677 to 2262: 213,503 days at most, which fits.
        Day(time.as_ns().div_euclid(NS_PER_DAY) as i32)
    }

    /// The date of a year (1 to 9999), month (1 to 12) and day of the month (from 1), if there is one.
    pub fn from_ymd(year: u32, month: u32, day: u32) -> Option<Day> {
        if !(1..=9999).contains(&year) || !is_date(year, month, day) {
            return None;
        }
        Some(Day(days_from_civil(year, month, day)))
    }

    /// Year, month (1 to 12) and day of the month (from 1).
    pub fn ymd(self) -> (u32, u32, u32) {
        let day_from_0000_03_01 = (self.0 + 719_468) as u32; // positive from 0000-03-01 on, and FIRST is later
        let era = day_from_0000_03_01 / 146_097;
        let day_of_era = day_from_0000_03_01 % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 {
            month_from_march + 3
        } else {
            month_from_march - 9
        };
        (era * 400 + year_of_era + u32::from(month <= 2), month, day)
    }

    /// The day that many days after 1970-01-01 (before it where negative); kept within [`Day::FIRST`] to [`Day::LAST`].
    pub fn from_days(days: i32) -> Day {
        Day(days.clamp(Self::FIRST.0, Self::LAST.0))
    }

    /// Days since 1970-01-01.
    pub fn days(self) -> i32 {
        self.0
    }

    /// Midnight UTC at the beginning of the day; the limits of [`EventTime`] for days outside 1677 to 2262.
    pub fn start(self) -> EventTime {
        EventTime::from_ns(i64::from(self.0).saturating_mul(NS_PER_DAY))
    }

    /// The day after; [`Day::LAST`] after itself.
    pub fn next(self) -> Day {
        Day::from_days(self.0 + 1)
    }

    /// The day before; [`Day::FIRST`] before itself.
    pub fn previous(self) -> Day {
        Day::from_days(self.0 - 1)
    }
}

/// Days since 1970-01-01 of a date that [`is_date`] holds of. Years from 0 on.
pub(super) fn days_from_civil(year: u32, month: u32, day: u32) -> i32 {
    // The year begins in March; 400 years are added so that January of year 0 is not negative.
    let year = year + 400 - u32::from(month <= 2);
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let days = 365 * year + year / 4 - year / 100 + year / 400 + day_of_year;
    days as i32 - (719_468 + 146_097)
}

/// Is there such a month and day in that year of the Gregorian calendar?
pub(super) fn is_date(year: u32, month: u32, day: u32) -> bool {
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => return false,
    };
    (1..=days).contains(&day)
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.ymd();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl FromStr for Day {
    type Err = DayError;

    fn from_str(text: &str) -> Result<Day, DayError> {
        let number = |digits: &str| -> Option<u32> {
            if digits.bytes().all(|byte| byte.is_ascii_digit()) {
                digits.parse().ok()
            } else {
                None
            }
        };
        let parse = || {
            if text.len() != 10 || text.get(4..5)? != "-" || text.get(7..8)? != "-" {
                return None;
            }
            Day::from_ymd(
                number(text.get(..4)?)?,
                number(text.get(5..7)?)?,
                number(text.get(8..)?)?,
            )
        };
        parse().ok_or(DayError)
    }
}

#[cfg(test)]
mod tests {
    use chrono::{Datelike, NaiveDate};

    use super::*;

    #[test]
    fn every_day_is_the_one_chrono_says() {
        let mut date = NaiveDate::from_ymd_opt(1, 1, 1).unwrap();
        let mut day = Day::FIRST;
        while day < Day::LAST {
            let ymd = (date.year() as u32, date.month(), date.day());
            assert_eq!(
                (day.ymd(), Day::from_ymd(ymd.0, ymd.1, ymd.2)),
                (ymd, Some(day))
            );
            (date, day) = (date.succ_opt().unwrap(), day.next());
        }
        assert_eq!(day.to_string(), "9999-12-31");
    }

    #[test]
    fn text_comes_back_as_it_was() {
        for text in [
            "0001-01-01",
            "1970-01-01",
            "2018-05-02",
            "2020-02-29",
            "9999-12-31",
        ] {
            assert_eq!(
                text.parse::<Day>().map(|day| day.to_string()),
                Ok(text.to_string())
            );
        }
    }

    #[test]
    fn no_other_form_is_a_day() {
        for text in [
            "",
            "2018",
            "2018-5-2",
            "18-05-02",
            "2018-05-02 ",
            " 2018-05-02",
            "2018/05/02",
            "2018-13-01",
            "2018-00-10",
            "2018-02-29",
            "1900-02-29",
            "2018-04-31",
            "2018-05-00",
            "0000-01-01",
            "+018-05-02",
            "2018-05-+2",
            "20180502..",
            "2018-05-0é",
            "é18-05-02",
            "10000-01-01",
        ] {
            assert_eq!(text.parse::<Day>(), Err(DayError), "{text}");
        }
    }

    #[test]
    fn a_time_lies_in_the_day_it_starts() {
        let day: Day = "2018-05-02".parse().unwrap();
        assert_eq!(day.start().to_rfc3339(), "2018-05-02T00:00:00Z");
        assert_eq!(Day::of(day.start()), day);
        assert_eq!(
            Day::of(EventTime::from_ns(day.start().as_ns() - 1)),
            day.previous()
        );
        assert_eq!(Day::of(EventTime::from_ns(-1)).to_string(), "1969-12-31");
    }

    #[test]
    fn the_ends_of_the_calendar_hold() {
        assert_eq!(
            (Day::FIRST.previous(), Day::LAST.next()),
            (Day::FIRST, Day::LAST)
        );
        assert_eq!(
            (Day::from_days(i32::MIN), Day::from_days(i32::MAX)),
            (Day::FIRST, Day::LAST)
        );
        assert_eq!(Day::LAST.start(), EventTime::from_ns(i64::MAX));
        assert_eq!(
            Day::of(EventTime::from_ns(i64::MIN)).to_string(),
            "1677-09-21"
        );
    }
}
