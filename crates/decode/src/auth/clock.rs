//! Times as logs write them, most of them without a year or a zone.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use schema::Micros;

const SECOND: i64 = 1_000_000;
/// A line may be ahead of our clock by so much before its year is taken for the last one.
const AHEAD_MAX_SECONDS: i64 = 86_400;
/// Offsets change at full quarters of an hour only.
const QUARTER_SECONDS: i64 = 900;

/// What is needed to read the time of a line that does not say all of it.
#[derive(Debug, Clone)]
pub struct Clock {
    now: Micros,
    zone: TimeZone,
    /// The quarter of an hour, in local time, whose offset was asked for last.
    quarter: i64,
    offset_seconds: i64,
    /// The day of the last RFC 3164 line, as month and day, and its start in local seconds.
    day: (u32, u32, i64),
    /// What a line without a time is taken for: the time of the one before it.
    last: Option<Micros>,
}

/// A civil time, before anybody asked where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Civil {
    pub(super) year: i64,
    pub(super) month: u32,
    pub(super) day: u32,
    /// Since midnight.
    pub(super) micros: i64,
}

impl Clock {
    /// `now` decides the year of lines without one; `zone` is that of lines without one.
    #[must_use]
    pub fn new(now: Micros, zone: TimeZone) -> Self {
        Self { now, zone, quarter: i64::MIN, offset_seconds: 0, day: (0, 0, 0), last: None }
    }

    /// Time goes on.
    pub fn set_now(&mut self, now: Micros) {
        // The year of a day may depend on it.
        if now.div_euclid(86_400 * SECOND) != self.now.div_euclid(86_400 * SECOND) {
            self.day = (0, 0, 0);
        }
        self.now = now;
    }

    /// By whose clock lines arrive.
    #[must_use]
    pub fn now(&self) -> Micros {
        self.now
    }

    /// The time of the last line that had one, else now.
    pub(super) fn last(&self) -> Micros {
        self.last.unwrap_or(self.now)
    }

    pub(super) fn remember(&mut self, at: Micros) {
        self.last = Some(at);
    }

    /// A line without a time of its own belongs to the one before it only within one source.
    pub fn forget(&mut self) {
        self.last = None;
    }

    /// A day of no year: the last such day that is not in the future.
    pub(super) fn yearless(&mut self, month: u32, day: u32, micros: i64) -> Option<Micros> {
        let (of_month, of_day, start) = self.day;
        let midnight = if (of_month, of_day) == (month, day) {
            start
        } else {
            let start = self.latest(month, day)?;
            self.day = (month, day, start);
            start
        };
        Some(self.shift(midnight, micros))
    }

    /// Start of that day in local seconds.
    fn latest(&self, month: u32, day: u32) -> Option<i64> {
        let now = self.now.div_euclid(SECOND);
        let year = year_of(now.div_euclid(86_400));
        // A 29th of February is at most eight years back.
        (0..=8)
            .map(|back| (year + 1 - back, month, day))
            .filter(|&(year, month, day)| is_day(year, month, day))
            .find_map(|(year, month, day)| {
                let start = days(year, month, day) * 86_400;
                (start <= now + AHEAD_MAX_SECONDS).then_some(start)
            })
    }

    pub(super) fn local(&mut self, civil: Civil) -> Option<Micros> {
        Some(self.shift(civil.midnight()?, civil.micros))
    }

    /// A time of no day: the last one that is not in the future.
    pub(super) fn dayless(&mut self, micros: i64) -> Micros {
        let local = self.now.div_euclid(SECOND) + self.offset(self.now.div_euclid(SECOND));
        let midnight = local.div_euclid(86_400) * 86_400;
        let today = self.shift(midnight, micros);
        if today > self.now + 300 * SECOND { today - 86_400 * SECOND } else { today }
    }

    /// The start of a local day in seconds and the time since then, to microseconds of the world.
    fn shift(&mut self, midnight: i64, micros: i64) -> Micros {
        let offset = self.offset(midnight + micros / SECOND);
        (midnight - offset).saturating_mul(SECOND).saturating_add(micros)
    }

    fn offset(&mut self, local_seconds: i64) -> i64 {
        let quarter = local_seconds.div_euclid(QUARTER_SECONDS);
        if quarter != self.quarter {
            self.quarter = quarter;
            let datetime = jiff::Timestamp::from_second(local_seconds)
                .map(|at| at.to_zoned(TimeZone::UTC).datetime())
                .unwrap_or(DateTime::ZERO);
            let offset = self.zone.to_ambiguous_timestamp(datetime).offset();
            self.offset_seconds = match offset {
                jiff::tz::AmbiguousOffset::Unambiguous { offset } => offset,
                jiff::tz::AmbiguousOffset::Gap { before, .. }
                | jiff::tz::AmbiguousOffset::Fold { before, .. } => before,
            }
            .seconds()
            .into();
        }
        self.offset_seconds
    }
}

impl Civil {
    /// In seconds, as if it were in UTC.
    fn midnight(self) -> Option<i64> {
        is_day(self.year, self.month, self.day).then(|| days(self.year, self.month, self.day) * 86_400)
    }

    /// At a known distance from UTC.
    pub(super) fn at_offset(self, offset_seconds: i64) -> Option<Micros> {
        Some((self.midnight()? - offset_seconds).saturating_mul(SECOND).saturating_add(self.micros))
    }
}

fn is_day(year: i64, month: u32, day: u32) -> bool {
    const DAYS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = DAYS.get((month as usize).wrapping_sub(1)).copied().unwrap_or(0);
    (1970..=9999).contains(&year) && day >= 1 && day <= length && (month != 2 || day < 29 || is_leap)
}

/// Days since 1970-01-01 of the Gregorian calendar (Hinnant, "chrono-compatible low-level date algorithms").
fn days(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((i64::from(month) + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn year_of(days: i64) -> i64 {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    // Years of this count begin in March.
    year + era * 400 + i64::from(of_year >= 306)
}

/// `2024-12-15` or `2024/12/15`, ten bytes.
pub(super) fn date(text: &[u8]) -> Option<(Civil, usize)> {
    let (year, 4) = number(text, 4)? else { return None };
    let mark = *text.get(4)?;
    if !matches!(mark, b'-' | b'/') || text.get(7) != Some(&mark) {
        return None;
    }
    let (month, 2) = number(text.get(5..)?, 2)? else { return None };
    let (day, 2) = number(text.get(8..)?, 2)? else { return None };
    Some((Civil { year, month: month as u32, day: day as u32, micros: 0 }, 10))
}

/// `HH:MM:SS` with an optional fraction behind `.` or `,`; what follows it.
pub(super) fn time_of_day(text: &[u8]) -> Option<(i64, usize)> {
    let [h1, h2, b':', m1, m2, b':', s1, s2, rest @ ..] = text else { return None };
    let two = |a: u8, b: u8| {
        (a.is_ascii_digit() && b.is_ascii_digit()).then(|| i64::from(a - b'0') * 10 + i64::from(b - b'0'))
    };
    let (hours, minutes, seconds) = (two(*h1, *h2)?, two(*m1, *m2)?, two(*s1, *s2)?);
    if hours > 23 || minutes > 59 || seconds > 60 {
        return None;
    }
    let mut micros = (hours * 3_600 + minutes * 60 + seconds) * SECOND;
    let mut used = 8;
    if let [b'.' | b',', digits @ ..] = rest {
        let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count > 0 {
            let mut unit = SECOND / 10;
            for digit in digits.iter().take(count) {
                micros += i64::from(digit - b'0') * unit;
                unit /= 10;
            }
            used += 1 + count;
        }
    }
    Some((micros, used))
}

/// `Z`, `+09:00`, `+0900` or `+09`; in seconds east of Greenwich.
pub(super) fn offset(text: &[u8]) -> Option<(i64, usize)> {
    let (sign, rest) = match text {
        [b'Z' | b'z', ..] => return Some((0, 1)),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let digit =
        |at: usize| rest.get(at).filter(|byte| byte.is_ascii_digit()).map(|byte| i64::from(byte - b'0'));
    let hours = digit(0)? * 10 + digit(1)?;
    let colon = usize::from(rest.get(2) == Some(&b':'));
    let (minutes, used) = match (digit(2 + colon), digit(3 + colon)) {
        (Some(ten), Some(one)) => (ten * 10 + one, 5 + colon),
        _ => (0, 3),
    };
    (hours < 24 && minutes < 60).then(|| (sign * (hours * 3_600 + minutes * 60), used))
}

/// `Jan` to `Dec`, whatever the case.
pub(super) fn month(text: &[u8]) -> Option<u32> {
    let [a, b, c, ..] = text else { return None };
    let name = [a | 0x20, b | 0x20, c | 0x20];
    const NAMES: [&[u8; 3]; 12] =
        [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
    NAMES.iter().position(|other| **other == name).map(|at| at as u32 + 1)
}

/// A number of one to `max` digits, and how many there were.
pub(super) fn number(text: &[u8], max: usize) -> Option<(i64, usize)> {
    let count = text.iter().take(max).take_while(|byte| byte.is_ascii_digit()).count();
    let value = text.get(..count)?.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    (count > 0).then_some((value, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_as_the_calendar_does() {
        for (text, expected) in
            [("1970-01-01", 0), ("2000-02-29", 11_016), ("2026-11-23", 20_780), ("1999-12-31", 10_956)]
        {
            let date: jiff::civil::Date = text.parse().unwrap();
            let counted = days(i64::from(date.year()), date.month() as u32, date.day() as u32);
            assert_eq!(counted, expected, "{text}");
            assert_eq!(year_of(counted), i64::from(date.year()));
        }
        assert!(!is_day(2025, 2, 29) && is_day(2024, 2, 29) && !is_day(2025, 13, 1) && !is_day(2025, 4, 31));
    }

    #[test]
    fn a_year_that_is_not_said_is_the_last_that_can_be() {
        let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_microsecond();
        let tokyo = TimeZone::get("Asia/Tokyo").unwrap();
        for (now, month, day, expected) in [
            ("2026-01-02T00:00:00Z", 12, 31, "2025-12-30T15:00:00Z"),
            ("2026-01-02T00:00:00Z", 1, 2, "2026-01-01T15:00:00Z"),
            // A clock that is ahead by some hours does not make it last year.
            ("2026-01-02T20:00:00Z", 1, 3, "2026-01-02T15:00:00Z"),
            ("2025-12-31T23:00:00Z", 1, 1, "2025-12-31T15:00:00Z"),
            ("2026-03-01T00:00:00Z", 2, 29, "2024-02-28T15:00:00Z"),
        ] {
            let mut clock = Clock::new(at(now), tokyo.clone());
            assert_eq!(clock.yearless(month, day, 0), Some(at(expected)), "{now} {month} {day}");
        }
    }

    #[test]
    fn summer_time_is_that_of_the_moment() {
        let mut clock = Clock::new(0, TimeZone::get("Europe/Zurich").unwrap());
        let noon = 12 * 3_600 * SECOND;
        let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_microsecond();
        let mut of = |month, day| clock.local(Civil { year: 2025, month, day, micros: noon }).unwrap();
        assert_eq!(of(1, 1), at("2025-01-01T11:00:00Z"));
        assert_eq!(of(7, 1), at("2025-07-01T10:00:00Z"));
    }
}
