//! Which days a notice tells of, in the hospital's time zone.

use anyhow::{Context, bail};
use jiff::civil::{Date, ISOWeekDate, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// The longest time that a notice tells of, days.
pub(crate) const DAYS_MAX: u16 = 366;

/// Whole days, both included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) first: Date,
    pub(crate) last: Date,
}

impl Span {
    /// The ISO week that is now: Monday to Sunday.
    pub(crate) fn this_week(now: Timestamp, zone: &TimeZone) -> anyhow::Result<Self> {
        Self::of_week(today(now, zone).iso_week_date())
    }

    /// A week as `2026-W47`.
    pub(crate) fn week(text: &str) -> anyhow::Result<Self> {
        let read = || {
            let (year, week) = text.split_once("-W")?;
            let digits =
                |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
            if !digits(year, 4) || !digits(week, 2) {
                return None;
            }
            ISOWeekDate::new(year.parse().ok()?, week.parse().ok()?, Weekday::Monday).ok()
        };
        Self::of_week(read().with_context(|| format!("{text} is no week such as 2026-W47"))?)
    }

    /// So many days that end with today.
    pub(crate) fn days(days: u16, now: Timestamp, zone: &TimeZone) -> anyhow::Result<Self> {
        if !(1..=DAYS_MAX).contains(&days) {
            bail!("{days} days are not 1 to {DAYS_MAX}");
        }
        let last = today(now, zone);
        Ok(Self { first: last.checked_sub((i64::from(days) - 1).days())?, last })
    }

    fn of_week(day: ISOWeekDate) -> anyhow::Result<Self> {
        let first = ISOWeekDate::new(day.year(), day.week(), Weekday::Monday)?.date();
        Ok(Self { first, last: first.checked_add(6.days())? })
    }

    /// `2026-W47` where it is such a week.
    pub(crate) fn name(&self) -> Option<String> {
        let first = self.first.iso_week_date();
        let is_week =
            first.weekday() == Weekday::Monday && self.first.checked_add(6.days()).ok() == Some(self.last);
        is_week.then(|| format!("{:04}-W{:02}", first.year(), first.week()))
    }

    /// The span as long that is before or after it.
    pub(crate) fn shifted(&self, by_days: i64) -> anyhow::Result<Self> {
        Ok(Self {
            first: self.first.checked_add(by_days.days())?,
            last: self.last.checked_add(by_days.days())?,
        })
    }

    /// When it begins, and when it is over.
    pub(crate) fn limits(&self, zone: &TimeZone) -> anyhow::Result<(Timestamp, Timestamp)> {
        let begin = |day: Date| anyhow::Ok(day.to_zoned(zone.clone())?.timestamp());
        Ok((begin(self.first)?, begin(self.last.tomorrow()?)?))
    }
}

fn today(now: Timestamp, zone: &TimeZone) -> Date {
    now.to_zoned(zone.clone()).date()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokyo() -> TimeZone {
        TimeZone::get("Asia/Tokyo").unwrap()
    }

    #[test]
    fn a_week_goes_from_monday_to_sunday_in_the_hospitals_zone() {
        for (now, zone, week, first) in [
            // Sunday 23:59:59 and Monday 00:00 in Tokyo.
            ("2026-11-22T14:59:59Z", tokyo(), "2026-W47", "2026-11-16"),
            ("2026-11-22T15:00:00Z", tokyo(), "2026-W48", "2026-11-23"),
            ("2026-11-22T15:00:00Z", TimeZone::UTC, "2026-W47", "2026-11-16"),
            // The ISO year is not the calendar's.
            ("2026-12-31T03:00:00Z", tokyo(), "2026-W53", "2026-12-28"),
            ("2027-01-03T03:00:00Z", tokyo(), "2026-W53", "2026-12-28"),
            ("2024-12-30T03:00:00Z", tokyo(), "2025-W01", "2024-12-30"),
        ] {
            let span = Span::this_week(now.parse().unwrap(), &zone).unwrap();
            assert_eq!(
                (span.name().as_deref(), span.first.to_string().as_str()),
                (Some(week), first),
                "{now}"
            );
            assert_eq!(Span::week(week).unwrap(), span, "{week}");
            let (from, until) = span.limits(&zone).unwrap();
            assert!((from..until).contains(&now.parse().unwrap()), "{now}: {from} {until}");
        }
        let (from, until) = Span::week("2026-W47").unwrap().limits(&tokyo()).unwrap();
        assert_eq!(
            (from.to_string(), until.to_string()),
            ("2026-11-15T15:00:00Z".into(), "2026-11-22T15:00:00Z".into())
        );
        assert_eq!(Span::week("2026-W47").unwrap().shifted(-7).unwrap(), Span::week("2026-W46").unwrap());
    }

    #[test]
    fn what_is_no_week_is_told() {
        for text in [
            "",
            "2026",
            "2026-47",
            "2026-W54",
            "2026-W00",
            "2025-W53",
            "26-W01",
            "2026-W1",
            "2026-W+1",
            "９９９９-W01",
        ] {
            assert!(Span::week(text).is_err(), "{text}");
        }
    }

    #[test]
    fn days_end_with_today_and_are_a_week_only_by_chance() {
        let now = "2026-11-22T15:30:00Z".parse().unwrap();
        let span = Span::days(1, now, &tokyo()).unwrap();
        assert_eq!(
            (span.first.to_string(), span.last.to_string()),
            ("2026-11-23".into(), "2026-11-23".into())
        );
        assert_eq!(Span::days(30, now, &tokyo()).unwrap().first.to_string(), "2026-10-25");
        assert_eq!(Span::days(30, now, &tokyo()).unwrap().name(), None);
        assert!(Span::days(0, now, &tokyo()).is_err() && Span::days(367, now, &tokyo()).is_err());
    }
}
