//! Which moments are kept: calendar rules as restic has them. Nothing here reads or removes anything.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};
use schema::Lang;

/// What a rule keeps one snapshot of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// Each snapshot.
    Each,
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A week from Monday to Sunday (ISO 8601).
    Week,
    /// A month.
    Month,
    /// A year.
    Year,
}

impl Period {
    /// All, the shortest first.
    pub const ALL: [Period; 6] =
        [Period::Each, Period::Hour, Period::Day, Period::Week, Period::Month, Period::Year];

    /// The name that restic's options have: `last`, `hourly`, …
    pub fn name(self) -> &'static str {
        match self {
            Period::Each => "last",
            Period::Hour => "hourly",
            Period::Day => "daily",
            Period::Week => "weekly",
            Period::Month => "monthly",
            Period::Year => "yearly",
        }
    }

    fn of(self, nr: usize, at: &Zoned) -> i64 {
        let (year, month, day) = (i64::from(at.year()), i64::from(at.month()), i64::from(at.day()));
        match self {
            Period::Each => nr as i64,
            Period::Hour => ((year * 100 + month) * 100 + day) * 100 + i64::from(at.hour()),
            Period::Day => (year * 100 + month) * 100 + day,
            Period::Week => {
                let week = at.date().iso_week_date();
                i64::from(week.year()) * 100 + i64::from(week.week())
            }
            Period::Month => year * 100 + month,
            Period::Year => year,
        }
    }
}

/// A stretch of time as restic writes it: `2y5m7d3h`, with months that are as long as the calendar's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Within {
    years: u16,
    months: u16,
    days: u16,
    hours: u16,
}

impl FromStr for Within {
    type Err = String;

    fn from_str(text: &str) -> Result<Within, String> {
        let wrong = || format!("{text:?} is no duration such as 1y6m, 14d or 36h");
        let mut within = Within::default();
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let number = rest[..digits].parse().map_err(|_| wrong())?;
            let unit = match rest.as_bytes().get(digits) {
                Some(b'y') => &mut within.years,
                Some(b'm') => &mut within.months,
                Some(b'd') => &mut within.days,
                Some(b'h') => &mut within.hours,
                _ => return Err(wrong()),
            };
            *unit = number;
            rest = &rest[digits + 1..];
        }
        if within == Within::default() { Err(wrong()) } else { Ok(within) }
    }
}

impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, unit) in [(self.years, 'y'), (self.months, 'm'), (self.days, 'd'), (self.hours, 'h')] {
            if number > 0 {
                write!(f, "{number}{unit}")?;
            }
        }
        Ok(())
    }
}

impl Within {
    /// The moment so long before another; the beginning of time if there is none.
    fn before(self, latest: &Zoned) -> Timestamp {
        let back = || -> Result<Timestamp, jiff::Error> {
            let days = Span::new().try_years(self.years)?.try_months(self.months)?.try_days(self.days)?;
            let hours = Span::new().try_hours(self.hours)?;
            latest.checked_sub(days)?.timestamp().checked_sub(hours)
        };
        back().unwrap_or(Timestamp::MIN)
    }
}

/// What is kept of a group of snapshots. Each rule speaks for itself: what one keeps is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// The newest snapshot of each of so many periods that have one; `u32::MAX` for all.
    pub keep: BTreeMap<Period, u32>,
    /// The newest snapshot of each period within so long before the newest snapshot.
    pub within: BTreeMap<Period, Within>,
    /// Every snapshot that has all tags of one of these lists.
    pub tags: Vec<Vec<String>>,
}

impl Rules {
    /// Whether nothing is asked for; then everything is kept.
    pub fn is_empty(&self) -> bool {
        self.keep.values().all(|count| *count == 0) && self.within.is_empty() && self.tags.is_empty()
    }
}

/// Why a snapshot is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The newest of its period, of which so many are kept.
    Newest {
        /// The period.
        period: Period,
        /// Which one, counted from the newest.
        number: u32,
    },
    /// The newest of its period, within so long before the newest snapshot.
    Within {
        /// The period.
        period: Period,
        /// How long.
        within: Within,
    },
    /// It has these tags.
    Tag(Vec<String>),
    /// No rule was given.
    NoRule,
    /// One of the daily generations of its store.
    Generation {
        /// Counted from the newest, which is 1.
        number: u32,
        /// Whether it is write-protected.
        protected: bool,
    },
    /// The newest snapshot of its store that a drill has proven: what is newer may hold ciphertext.
    NewestProven,
    /// It holds a proof, and no records.
    HoldsProof,
    /// It is dated later than the moment it came in, or than now: no clock that is right wrote that.
    FutureDated,
}

impl Reason {
    /// A word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Reason::Newest { period, .. } => period.name(),
            Reason::Within { .. } => "within",
            Reason::Tag(_) => "tag",
            Reason::NoRule => "no_rule",
            Reason::Generation { protected: false, .. } => "generation",
            Reason::Generation { protected: true, .. } => "protected_generation",
            Reason::NewestProven => "newest_proven",
            Reason::HoldsProof => "holds_proof",
            Reason::FutureDated => "future_dated",
        }
    }

    /// For people.
    pub fn text(&self, lang: Lang) -> String {
        let named = |period: &Period| match period {
            Period::Each => "最新",
            Period::Hour => "時間ごと",
            Period::Day => "日ごと",
            Period::Week => "週ごと",
            Period::Month => "月ごと",
            Period::Year => "年ごと",
        };
        match self {
            Reason::Newest { period, number } => {
                lang.pick(format!("{} {number}", period.name()), format!("{}の保存 {number}", named(period)))
            }
            Reason::Within { period, within } => lang.pick(
                format!("{} within {within}", period.name()),
                format!("{within}以内の{}の保存", named(period)),
            ),
            Reason::Tag(tags) => {
                let tags = tags.join(",");
                lang.pick(format!("tag {tags}"), format!("タグ {tags}"))
            }
            Reason::NoRule => lang.pick("no rule was given", "保存規則の指定なし").to_owned(),
            Reason::Generation { number, protected: false } => {
                lang.pick(format!("generation {number}"), format!("第{number}世代"))
            }
            Reason::Generation { number, protected: true } => lang
                .pick(format!("generation {number}, write-protected"), format!("第{number}世代（書込保護）")),
            Reason::NewestProven => {
                lang.pick("newest one that a drill has proven", "復元訓練で確認済みの最新").to_owned()
            }
            Reason::HoldsProof => lang.pick("holds a proof", "復元訓練の証明を保持").to_owned(),
            Reason::FutureDated => lang
                .pick(
                    "dated in the future: no rule counts it",
                    "未来の日付のため、どの規則の対象にもしません",
                )
                .to_owned(),
        }
    }
}

/// What a rule looks at of a snapshot.
pub(crate) struct Moment<'a> {
    pub(crate) at: Timestamp,
    pub(crate) tags: &'a [String],
}

/// Why each of the moments, newest first, is kept; those without a reason are not.
pub(crate) fn apply(rules: &Rules, zone: &TimeZone, moments: &[Moment<'_>]) -> Vec<Vec<Reason>> {
    let mut reasons: Vec<Vec<Reason>> = moments.iter().map(|_| Vec::new()).collect();
    let Some(latest) = moments.first() else { return reasons };
    if rules.is_empty() {
        reasons.iter_mut().for_each(|all| all.push(Reason::NoRule));
        return reasons;
    }
    let times: Vec<Zoned> = moments.iter().map(|moment| moment.at.to_zoned(zone.clone())).collect();
    for (period, count) in &rules.keep {
        let mut number = 0;
        let mut last = None;
        for (nr, at) in times.iter().enumerate() {
            let bucket = Some(period.of(nr, at));
            // The oldest one fills what the rule still has room for, as in restic: a year's rule keeps something in its first year.
            if number < *count && (bucket != last || nr + 1 == times.len()) {
                number += 1;
                last = bucket;
                reasons[nr].push(Reason::Newest { period: *period, number });
            }
        }
    }
    let latest = latest.at.to_zoned(zone.clone());
    for (period, within) in &rules.within {
        let bound = within.before(&latest);
        let mut last = None;
        for (nr, at) in times.iter().enumerate() {
            let bucket = Some(period.of(nr, at));
            if at.timestamp() > bound && (bucket != last || nr + 1 == times.len()) {
                last = bucket;
                reasons[nr].push(Reason::Within { period: *period, within: *within });
            }
        }
    }
    for (moment, reasons) in moments.iter().zip(&mut reasons) {
        for tags in &rules.tags {
            if has_tags(moment.tags, tags) {
                reasons.push(Reason::Tag(tags.clone()));
            }
        }
    }
    reasons
}

/// Whether all of `wanted` are there; an empty list asks for snapshots without tags.
pub(crate) fn has_tags(tags: &[String], wanted: &[String]) -> bool {
    if wanted.is_empty() { tags.is_empty() } else { wanted.iter().all(|tag| tags.contains(tag)) }
}

/// The calendar day of a moment, as a number that orders.
pub(crate) fn day(at: Timestamp, zone: &TimeZone) -> i64 {
    Period::Day.of(0, &at.to_zoned(zone.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_they_are_written_and_nothing_else_does() {
        for text in ["2y5m7d3h", "14d", "36h", "1y"] {
            assert_eq!(text.parse::<Within>().map(|within| within.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "0d", "d", "7", "7 d", "-1d", "99999d", "1w", "7d日"] {
            assert!(text.parse::<Within>().is_err(), "{text:?}");
        }
    }

    fn kept(rules: &[(Period, u32)], times: &[&str]) -> Vec<usize> {
        let rules = Rules { keep: rules.iter().copied().collect(), ..Rules::default() };
        let moments: Vec<Moment<'_>> =
            times.iter().map(|at| Moment { at: at.parse().unwrap(), tags: &[] }).collect();
        let reasons = apply(&rules, &TimeZone::get("Asia/Tokyo").unwrap_or(TimeZone::UTC), &moments);
        (0..times.len()).filter(|nr| !reasons[*nr].is_empty()).collect()
    }

    #[test]
    fn each_rule_keeps_the_newest_of_its_periods_and_the_oldest_fills_the_last_place() {
        let times = [
            "2018-10-16T01:00:00Z",
            "2018-10-16T00:30:00Z",
            "2018-10-15T12:00:00Z",
            "2018-10-14T12:00:00Z",
            "2018-09-01T12:00:00Z",
            "2017-01-01T12:00:00Z",
            "2017-01-01T11:00:00Z",
        ];
        for (rules, expected) in [
            (vec![(Period::Each, 2)], vec![0, 1]),
            (vec![(Period::Day, 2)], vec![0, 2]),
            (vec![(Period::Month, 2)], vec![0, 4]),
            (vec![(Period::Month, 4)], vec![0, 4, 5, 6]),
            (vec![(Period::Year, 9)], vec![0, 5, 6]),
            (vec![(Period::Each, 1), (Period::Year, 2)], vec![0, 5]),
            (vec![(Period::Each, u32::MAX)], vec![0, 1, 2, 3, 4, 5, 6]),
            (vec![], vec![0, 1, 2, 3, 4, 5, 6]),
            (vec![(Period::Day, 0)], vec![0, 1, 2, 3, 4, 5, 6]),
        ] {
            assert_eq!(kept(&rules, &times), expected, "{rules:?}");
        }
    }
}
