//! Times of events are compared by the million, so they are integers, and reading one from JSON allocates nothing.
//!
//! String order is not time order: Go drops trailing zeros of the fraction, and `…:40Z` sorts after `…:40.5Z`
//! (FORMAT 2). Whoever orders records must parse their times.

use std::fmt;

use super::day::{Day, days_from_civil, is_date};

/// Nanoseconds in a second.
const NS_PER_S: i64 = 1_000_000_000;

/// The time of an event: nanoseconds since 1970-01-01T00:00:00 UTC. A time outside 1677-09-21 to 2262-04-11 becomes
/// the limit on its side, so the order of any two times stays right, though not always strict.
///
/// Shown as Go shows it: UTC, `Z`, no trailing zeros in the fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventTime(i64);

/// The event index `ei`: the place of an event among its session's events, from 0, print events counted too.
/// Signed, because real logs hold what a client sent (FORMAT 2: `session.upload` has 2147483647).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventIndex(pub i64);

/// A byte offset in the stream of a session, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamOffset(pub u64);

impl EventTime {
    /// Go's zero time, 0001-01-01T00:00:00Z, which an event without a readable time has (FORMAT 5.8). It is the
    /// earliest value, so it also stands for every time before 1677.
    pub const ZERO: EventTime = EventTime(i64::MIN);

    /// The latest value, which stands for every time after 2262-04-11.
    pub const LATEST: EventTime = EventTime(i64::MAX);

    /// The time that many nanoseconds after 1970 (before it where negative).
    pub fn from_ns(ns: i64) -> EventTime {
        EventTime(ns)
    }

    /// Nanoseconds since 1970.
    pub fn as_ns(self) -> i64 {
        self.0
    }

    /// Is it the zero time, "no time"?
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// Reads an RFC 3339 time, whole input, any offset, any length of fraction (digits after the ninth are dropped).
    /// A second 60 is the beginning of the next minute. `None` for anything else. Allocates nothing.
    pub fn parse_rfc3339(text: &[u8]) -> Option<EventTime> {
        let (head, rest) = text.split_first_chunk::<19>()?;
        let mut digits = Digits { not_a_digit: 0 };
        let d = |digits: &mut Digits, at: usize| digits.two(head[at], head[at + 1]);
        let year = d(&mut digits, 0) * 100 + d(&mut digits, 2);
        let month = d(&mut digits, 5);
        let day = d(&mut digits, 8);
        let hour = d(&mut digits, 11);
        let minute = d(&mut digits, 14);
        let second = d(&mut digits, 17);
        let marks = [head[4], head[7], head[10] | 0x20, head[13], head[16]] == *b"--t::";
        if !marks
            || digits.not_a_digit != 0
            || hour > 23
            || minute > 59
            || second > 60
            || !is_date(year, month, day)
        {
            return None;
        }
        let (nanosecond, offset_s) = if rest == b"Z" {
            (0, 0)
        } else {
            parse_tail(rest)?
        };
        let seconds = i64::from(days_from_civil(year, month, day)) * 86_400
            + i64::from(hour * 3_600 + minute * 60 + second)
            - i64::from(offset_s);
        // These years cannot overflow; the others saturate in the wider type.
        if (1678..=2261).contains(&year) {
            return Some(EventTime(seconds * NS_PER_S + i64::from(nanosecond)));
        }
        let ns = i128::from(seconds) * i128::from(NS_PER_S) + i128::from(nanosecond);
        Some(EventTime(
            ns.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64,
        ))
    }

    /// The time in RFC 3339 as Go's `time.RFC3339Nano` writes it in UTC: `2018-05-01T07:58:03.5Z`. [`EventTime::ZERO`]
    /// is `0001-01-01T00:00:00Z`.
    pub fn to_rfc3339(self) -> String {
        self.to_string()
    }

    /// Rounded to whole seconds, half a second up, as the auth server rounds its own events (FORMAT 2).
    pub fn round_to_s(self) -> EventTime {
        self.round_to(NS_PER_S)
    }

    /// Rounded to whole milliseconds, half a millisecond up, as nodes round session events (FORMAT 2).
    pub fn round_to_ms(self) -> EventTime {
        self.round_to(1_000_000)
    }

    fn round_to(self, unit_ns: i64) -> EventTime {
        if self.is_zero() {
            return self;
        }
        let past_ns = self.0.rem_euclid(unit_ns);
        let step_ns = if past_ns * 2 >= unit_ns {
            unit_ns - past_ns
        } else {
            -past_ns
        };
        EventTime(self.0.saturating_add(step_ns))
    }
}

impl fmt::Display for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return f.write_str("0001-01-01T00:00:00Z");
        }
        let second = self.0.div_euclid(NS_PER_S).rem_euclid(86_400);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        write!(f, "{}T{hour:02}:{minute:02}:{second:02}", Day::of(*self))?;
        let mut fraction = self.0.rem_euclid(NS_PER_S);
        if fraction != 0 {
            let mut width = 9;
            while fraction % 10 == 0 {
                (fraction, width) = (fraction / 10, width - 1);
            }
            write!(f, ".{fraction:0width$}")?;
        }
        f.write_str("Z")
    }
}

/// Reads digits without a branch for each: what was no digit is remembered in one byte.
struct Digits {
    not_a_digit: u8,
}

impl Digits {
    fn two(&mut self, tens: u8, ones: u8) -> u32 {
        let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
        self.not_a_digit |= u8::from(tens > 9) | u8::from(ones > 9);
        u32::from(tens) * 10 + u32::from(ones)
    }
}

/// Reads what follows the seconds, `.5Z` or `+02:00`: nanoseconds and the offset from UTC in seconds.
fn parse_tail(tail: &[u8]) -> Option<(u32, i32)> {
    let (nanosecond, zone) = match tail.strip_prefix(b".") {
        None => (0, tail),
        Some(fraction) => {
            let digits = fraction
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            let (digits, zone) = fraction.split_at_checked(digits)?;
            (parse_fraction(digits)?, zone)
        }
    };
    let (sign, hour_minute) = match zone {
        b"Z" | b"z" => return Some((nanosecond, 0)),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let &[h1, h2, b':', m1, m2] = hour_minute else {
        return None;
    };
    let mut digits = Digits { not_a_digit: 0 };
    let (hour, minute) = (digits.two(h1, h2), digits.two(m1, m2));
    if digits.not_a_digit != 0 || hour > 23 || minute > 59 {
        return None;
    }
    Some((nanosecond, sign * (hour * 3_600 + minute * 60) as i32))
}

/// Nanoseconds of a fraction of a second given by one or more digits.
fn parse_fraction(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    let mut nanosecond = 0;
    let mut worth = 100_000_000;
    for digit in digits.iter().take(9) {
        nanosecond += u32::from(digit - b'0') * worth;
        worth /= 10;
    }
    Some(nanosecond)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, SecondsFormat, TimeZone, Utc};
    use proptest::prelude::*;

    use super::*;

    fn ns(text: &str) -> Option<i64> {
        EventTime::parse_rfc3339(text.as_bytes()).map(EventTime::as_ns)
    }

    #[test]
    fn the_forms_go_writes_are_read() {
        assert_eq!(ns("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(ns("1970-01-01T00:00:00.5Z"), Some(500_000_000));
        assert_eq!(ns("1970-01-01T00:00:00.31Z"), Some(310_000_000));
        assert_eq!(ns("1970-01-01T00:00:00.245Z"), Some(245_000_000));
        assert_eq!(ns("1970-01-01T00:00:00.000000001Z"), Some(1));
        assert_eq!(ns("2018-05-01T07:58:03Z"), Some(1_525_161_483_000_000_000));
    }

    #[test]
    fn the_other_forms_of_the_rfc_are_read() {
        assert_eq!(ns("1970-01-01T02:00:00+02:00"), Some(0));
        assert_eq!(ns("1969-12-31T16:30:00.25-07:30"), Some(250_000_000));
        assert_eq!(ns("1970-01-01t00:00:00.1234567891234z"), Some(123_456_789));
        assert_eq!(ns("2016-12-31T23:59:60Z"), ns("2017-01-01T00:00:00Z"));
    }

    #[test]
    fn anything_else_is_no_time() {
        for text in [
            "",
            "Z",
            "2018-05-01",
            "2018-05-01T07:58:03",
            "2018-05-01 07:58:03Z",
            "2018-05-01T07:58Z",
            "2018-05-01T07:58:03.Z",
            "2018-05-01T07:58:03.5",
            "2018-05-01T07:58:03ZZ",
            "2018-05-01T07:58:03+0200",
            "2018-05-01T07:58:03+24:00",
            "2018-05-01T07:58:03+02:60",
            "2018-13-01T07:58:03Z",
            "2018-02-29T07:58:03Z",
            "2018-05-01T24:00:00Z",
            "2018-05-01T07:60:03Z",
            "2018-05-01T07:58:61Z",
            "2018-05-01T07:58:0\u{e9}Z",
            "2018-05-01T07:58:03,5Z",
            "+018-05-01T07:58:03Z",
            "2018-05-01T07:5/:03Z",
            "1525161483",
        ] {
            assert_eq!(ns(text), None, "{text}");
        }
    }

    #[test]
    fn times_out_of_range_become_the_limits() {
        assert_eq!(ns("0001-01-01T00:00:00Z"), Some(i64::MIN));
        assert_eq!(ns("0000-01-01T00:00:00+23:59"), Some(i64::MIN));
        assert_eq!(ns("9999-12-31T23:59:60.9-23:59"), Some(i64::MAX));
        assert_eq!(ns("1677-09-21T00:12:43.145224193Z"), Some(i64::MIN + 1));
        assert_eq!(ns("1677-09-21T00:12:43.1Z"), Some(i64::MIN));
        assert_eq!(ns("2262-04-11T23:47:16.854775806Z"), Some(i64::MAX - 1));
        assert_eq!(EventTime::ZERO.to_rfc3339(), "0001-01-01T00:00:00Z");
    }

    #[test]
    fn rounding_takes_the_half_up() {
        let round = |text: &str| {
            EventTime::parse_rfc3339(text.as_bytes()).map(|t| t.round_to_s().to_rfc3339())
        };
        assert_eq!(
            round("2018-05-01T07:58:03.499999999Z").as_deref(),
            Some("2018-05-01T07:58:03Z")
        );
        assert_eq!(
            round("2018-05-01T07:58:03.5Z").as_deref(),
            Some("2018-05-01T07:58:04Z")
        );
        assert_eq!(
            round("1969-12-31T23:59:59.5Z").as_deref(),
            Some("1970-01-01T00:00:00Z")
        );
        assert_eq!(
            EventTime::from_ns(1_499_999).round_to_ms().as_ns(),
            1_000_000
        );
        assert_eq!(EventTime::ZERO.round_to_s(), EventTime::ZERO);
        assert_eq!(EventTime::LATEST.round_to_s(), EventTime::LATEST);
    }

    proptest! {
        #[test]
        fn a_time_comes_back_from_its_text(ns in (i64::MIN + 1)..) {
            let time = EventTime::from_ns(ns);
            prop_assert_eq!(EventTime::parse_rfc3339(time.to_rfc3339().as_bytes()), Some(time));
        }

        #[test]
        fn chrono_reads_and_writes_the_same(ns: i64, offset_minutes in -1439..1440, coarse in 0..10u32) {
            let ns = ns / 10i64.pow(coarse) * 10i64.pow(coarse);
            let zone = chrono::FixedOffset::east_opt(offset_minutes * 60).unwrap();
            let date = zone.from_utc_datetime(&Utc.timestamp_nanos(ns).naive_utc());
            let text = date.to_rfc3339_opts(SecondsFormat::AutoSi, true);
            prop_assert_eq!(EventTime::parse_rfc3339(text.as_bytes()), Some(EventTime::from_ns(ns)), "{}", text);
        }

        #[test]
        fn what_is_read_is_what_chrono_reads(text in "[0-9]{4}-[01][0-9]-[0-3][0-9][Tt][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,12})?([Zz]|[+-][0-2][0-9]:[0-6][0-9])") {
            // chrono keeps a leap second apart from the next second, so seconds of 60 are compared above only.
            prop_assume!(&text[17..19] != "60");
            let theirs = DateTime::parse_from_rfc3339(&text).ok().map(|date| {
                let ns = i128::from(date.timestamp()) * 1_000_000_000 + i128::from(date.timestamp_subsec_nanos());
                ns.clamp(i64::MIN.into(), i64::MAX.into()) as i64
            });
            prop_assert_eq!(ns(&text), theirs, "{}", text);
        }
    }
}
