use jiff::civil::{Date, DateTime};

/// The day of an HL7 DT or TS value (`YYYYMMDD…`); `None` when it is less precise or no day of the calendar.
pub fn date(text: &str) -> Option<Date> {
    let year = number(text, 0, 4)?;
    let month = number(text, 4, 2)?;
    let day = number(text, 6, 2)?;
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// An HL7 TS value (`YYYYMMDD[HH[MM[SS[.S…]]]][+ZZZZ]`) as the hospital's clock showed it: parts that are
/// missing count as zero, an offset is left aside.
pub fn datetime(text: &str) -> Option<DateTime> {
    let local = text.split(['+', '-']).next().unwrap_or_default();
    let part = |from| if local.len() > from { number(local, from, 2) } else { Some(0) };
    let (hour, minute, second) = (part(8)?, part(10)?, part(12)?);
    let [hour, minute, second] = [hour, minute, second].map(|part| i8::try_from(part).unwrap_or(i8::MAX));
    let time = jiff::civil::Time::new(hour, minute, second, 0).ok()?;
    Some(date(local)?.to_datetime(time))
}

fn number(text: &str, from: usize, digits: usize) -> Option<i16> {
    let digits = text.get(from..from + digits)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}
