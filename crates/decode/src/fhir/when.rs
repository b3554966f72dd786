//! Dates and times in the precision they were recorded in (FHIR R4 §2.24.0.1).

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// A date, a time, or part of a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// With an offset.
    Instant(Timestamp),
    /// Without one: by some clock of the hospital.
    Local(DateTime),
    /// A day.
    Day(Date),
    /// A year, or a month of it.
    Part {
        /// The year.
        year: i16,
        /// 1 to 12.
        month: Option<i8>,
    },
}

impl When {
    /// Reads `2018`, `2018-10`, `2018-10-15`, `2018-10-15T09:00:00+09:00` and the last without its offset.
    pub fn parse(text: &str) -> Option<When> {
        if let Ok(instant) = text.parse::<Timestamp>() {
            return Some(When::Instant(instant));
        }
        if text.contains(['T', ' ']) {
            return text.parse().ok().map(When::Local);
        }
        let number =
            |digits: &str| digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<i16>().ok())?;
        match text.len() {
            10 => text.parse().ok().map(When::Day),
            7 => {
                let (year, month) = text.split_once('-')?;
                let month = i8::try_from(number(month)?).ok().filter(|month| (1..=12).contains(month))?;
                Some(When::Part { year: number(year)?, month: Some(month) })
            }
            4 => Some(When::Part { year: number(text)?, month: None }),
            _ => None,
        }
    }

    /// By the hospital's clock; a day begins at midnight. `None` for less than a day.
    pub fn time(self, zone: &TimeZone) -> Option<DateTime> {
        match self {
            When::Instant(instant) => Some(instant.to_zoned(zone.clone()).datetime()),
            When::Local(time) => Some(time),
            When::Day(day) => Some(day.to_datetime(jiff::civil::Time::midnight())),
            When::Part { .. } => None,
        }
    }

    /// The day by the hospital's clock. `None` for less than a day.
    pub fn day(self, zone: &TimeZone) -> Option<Date> {
        self.time(zone).map(DateTime::date)
    }

    /// A year or a month as it was recorded; `None` for what is a day or more precise.
    pub fn part(self) -> Option<String> {
        match self {
            When::Part { year, month: Some(month) } => Some(format!("{year:04}-{month:02}")),
            When::Part { year, month: None } => Some(format!("{year:04}")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn times_are_told_by_the_hospital_s_clock_in_their_own_precision() {
        let tokyo = TimeZone::fixed(jiff::tz::offset(9));
        let check = |text: &str, time: Option<DateTime>, part: Option<&str>| {
            let when = When::parse(text).unwrap();
            assert_eq!((when.time(&tokyo), when.part().as_deref()), (time, part), "{text}");
        };
        let noon = Some(date(2018, 10, 15).at(12, 0, 0, 0));
        check("2018-10-15T12:00:00+09:00", noon, None);
        check("2018-10-15T03:00:00Z", noon, None);
        check("2018-10-14T23:00:00-04:00", noon, None);
        check("2018-10-15T12:00:00", noon, None);
        check("2018-10-15", Some(date(2018, 10, 15).at(0, 0, 0, 0)), None);
        check("2018-10", None, Some("2018-10"));
        check("2018", None, Some("2018"));
        for text in ["", "20181015", "2018-13", "2018-10-32", "昨日", "2018-1a", "-018", "9999999-01-01"] {
            assert_eq!(When::parse(text), None, "{text}");
        }
    }
}
