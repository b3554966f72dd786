//! Hours of the week, as people write them: `Mon-Fri 08:00-18:00`, `Sat 09:00-12:00`, `22:00-06:00`.
//!
//! The kernel knows only days and seconds of UTC, so the hours of a hospital in Japan become windows of two days each.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Seconds of a day.
pub(super) const DAY: u32 = 24 * 3600;
const WEEK: i64 = 7 * DAY as i64;
const NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const LISTED_MAX: usize = 14;

/// Parts of the week in local time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours {
    text: String,
    /// First second of the week (from Monday 00:00) and the first one after it.
    spans: Vec<(u32, u32)>,
}

/// A part of one day, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// 0 is Monday.
    pub day: u8,
    /// First second.
    pub from: u32,
    /// First second that is over.
    pub until: u32,
}

/// A second of the week, UTC, counted from Monday 00:00.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(pub u32);

impl Moment {
    /// Of a time.
    pub fn of(at: jiff::Timestamp) -> Self {
        // 1 January 1970 was a Thursday.
        let seconds = (at.as_second() + 3 * i64::from(DAY)).rem_euclid(WEEK);
        Self(u32::try_from(seconds).unwrap_or_default())
    }
}

impl Hours {
    /// The same hours in UTC, cut at midnight, in order.
    pub fn windows(&self, utc_offset_seconds: i32) -> Vec<Window> {
        let mut cut = Vec::new();
        for (from, until) in &self.spans {
            let mut at = (i64::from(*from) - i64::from(utc_offset_seconds)).rem_euclid(WEEK);
            let mut left = i64::from(until - from);
            while left > 0 {
                let length = left.min(i64::from(DAY) - at % i64::from(DAY));
                cut.push((at, at + length));
                left -= length;
                at = (at + length) % WEEK;
            }
        }
        cut.sort_unstable();
        let window = |(from, until): (i64, i64)| {
            let (day, from_second) = (from / i64::from(DAY), from % i64::from(DAY));
            let from = u32::try_from(from_second).ok()?;
            let length = u32::try_from(until - day * i64::from(DAY)).ok()?;
            Some(Window { day: u8::try_from(day).ok()?, from, until: length })
        };
        let mut windows: Vec<Window> = Vec::new();
        for next in cut.into_iter().filter_map(window) {
            match windows.last_mut() {
                Some(last) if last.day == next.day && next.from <= last.until => {
                    last.until = last.until.max(next.until);
                }
                _ => windows.push(next),
            }
        }
        windows
    }

    /// Whether a moment falls into them.
    pub fn holds(&self, utc_offset_seconds: i32, at: Moment) -> bool {
        let (day, second) = (at.0 / DAY, at.0 % DAY);
        self.windows(utc_offset_seconds)
            .iter()
            .any(|window| u32::from(window.day) == day && (window.from..window.until).contains(&second))
    }
}

impl FromStr for Hours {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} are no hours such as \"Mon-Fri 08:00-18:00, Sat 09:00-12:00\"");
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        if parts.len() > LISTED_MAX {
            return Err(wrong());
        }
        let mut spans = Vec::new();
        for part in parts {
            let (days, times) = part.rsplit_once(' ').unwrap_or(("Mon-Sun", part));
            let (first, last) = days_of(days.trim()).ok_or_else(wrong)?;
            let (from, until) = times_of(times.trim()).ok_or_else(wrong)?;
            let mut day = first;
            loop {
                let start = day * DAY + from;
                // What ends before it begins ends on the next day.
                let length = if until > from { until - from } else { until + DAY - from };
                spans.push((start, start + length));
                if day == last {
                    break;
                }
                day = (day + 1) % 7;
            }
        }
        Ok(Self { text: text.to_owned(), spans })
    }
}

fn days_of(text: &str) -> Option<(u32, u32)> {
    let day = |text: &str| {
        let at = NAMES.iter().position(|name| name.eq_ignore_ascii_case(text.trim()))?;
        u32::try_from(at).ok()
    };
    match text.split_once('-') {
        Some((first, last)) => Some((day(first)?, day(last)?)),
        None => day(text).map(|day| (day, day)),
    }
}

fn times_of(text: &str) -> Option<(u32, u32)> {
    let time = |text: &str| {
        let (hour, minute) = text.split_once(':')?;
        let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
        (minute < 60 && (hour < 24 || (hour == 24 && minute == 0))).then_some(hour * 3600 + minute * 60)
    };
    let (from, until) = text.split_once('-')?;
    let (from, until) = (time(from.trim())?, time(until.trim())?);
    (from < DAY && from != until).then_some((from, until))
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Hours {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Hours {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_hours_become_windows_of_utc_days() {
        let windows = |text: &str, offset: i32| -> Vec<(u8, u32, u32)> {
            let hours: Hours = text.parse().unwrap();
            hours.windows(offset).iter().map(|it| (it.day, it.from / 60, it.until / 60)).collect()
        };
        assert_eq!(windows("Mon 08:00-18:00", 0), [(0, 480, 1080)]);
        // Tokyo is nine hours ahead: Monday's morning is Sunday's evening.
        assert_eq!(windows("Mon 08:00-18:00", 32_400), [(0, 0, 540), (6, 1380, 1440)]);
        assert_eq!(windows("Sun 22:00-06:00", 0), [(0, 0, 360), (6, 1320, 1440)]);
        assert_eq!(windows("Sat-Mon 09:00-10:00", 0), [(0, 540, 600), (5, 540, 600), (6, 540, 600)]);
        assert_eq!(windows("Mon 09:00-11:00, Mon 10:00-12:00", 0), [(0, 540, 720)]);
        assert_eq!(windows("00:00-24:00", 32_400).len(), 7);
    }

    #[test]
    fn a_moment_falls_into_them_or_not() {
        let hours: Hours = "Mon-Fri 08:00-18:00".parse().unwrap();
        for (at, within) in [
            // Monday 23 November 2026, 08:00 in Tokyo.
            ("2026-11-22T23:00:00Z", true),
            ("2026-11-22T22:59:59Z", false),
            ("2026-11-23T08:59:59Z", true),
            ("2026-11-23T09:00:00Z", false),
            ("2026-11-28T01:00:00Z", false),
        ] {
            assert_eq!(hours.holds(32_400, Moment::of(at.parse().unwrap())), within, "{at}");
        }
    }

    #[test]
    fn what_is_no_hours_is_named() {
        for text in ["", "Mon", "Mon 8-18", "Mon 08:00", "Mon 08:00-08:00", "Mo 08:00-09:00", "25:00-26:00"] {
            assert!(text.parse::<Hours>().is_err(), "{text}");
        }
    }
}
