//! Instants as Windows and its collectors write them.

use schema::Micros;

/// `2021-10-25T18:04:30.3344711Z`, with a space or a `T`, with or without a fraction, an offset or a `Z`; UTC where nothing is said.
pub(super) fn instant(text: &str) -> Option<Micros> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = bytes.get(from..to)?;
        digits
            .iter()
            .try_fold(0_i64, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
    };
    let is = |at: usize, allowed: &[u8]| bytes.get(at).is_some_and(|byte| allowed.contains(byte));
    if !(is(4, b"-/") && is(7, b"-/") && is(10, b"T ") && is(13, b":") && is(16, b":")) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 24 || minute > 59 || second > 60 {
        return None;
    }
    let (fraction, rest) = fraction(&text.as_bytes()[19..]);
    let offset = offset(rest)?;
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    Some(seconds * 1_000_000 + fraction)
}

/// Whether an instant says how far from Greenwich it was written.
pub(super) fn says_offset(text: &str) -> bool {
    let behind = text.as_bytes().get(19..).unwrap_or_default();
    behind.iter().any(|byte| matches!(byte, b'Z' | b'z' | b'+' | b'-'))
}

/// Microseconds behind the point, and what comes after them.
fn fraction(text: &[u8]) -> (i64, &[u8]) {
    let Some((b'.' | b',', digits)) = text.split_first() else { return (0, text) };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let micros = (0..6).fold(0, |sum, at| {
        let digit = if at < count { i64::from(digits[at] - b'0') } else { 0 };
        sum * 10 + digit
    });
    (micros, &digits[count..])
}

/// Seconds east of Greenwich.
fn offset(text: &[u8]) -> Option<i64> {
    let text = text.trim_ascii();
    let sign = match text.first() {
        None | Some(b'Z' | b'z') => return Some(0),
        Some(b'+') => 1,
        Some(b'-') => -1,
        Some(_) => return None,
    };
    let mut digits = text[1..]
        .iter()
        .filter(|byte| **byte != b':')
        .map(|byte| byte.is_ascii_digit().then(|| i64::from(byte - b'0')));
    let mut next = || digits.next().unwrap_or(Some(0));
    let (hours, minutes) = (next()? * 10 + next()?, next()? * 10 + next()?);
    Some(sign * (hours * 3600 + minutes * 60))
}

/// Days since 1970-01-01 in the civil calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that the leap day is the last of its year.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_as_another_library_reads_them() {
        for text in [
            "2021-10-25T18:04:30.3344711Z",
            "1970-01-01T00:00:00Z",
            "2000-02-29T23:59:59.000001Z",
            "2024-12-31T23:59:59.9999999Z",
            "1969-07-20T20:17:40.5Z",
            "2026-11-03T09:00:00+09:00",
            "2026-11-03 09:00:00.12-0330",
        ] {
            let expected: jiff::Timestamp = text.replace("-0330", "-03:30").parse().unwrap();
            // Ours cuts a fraction of a microsecond off; before 1970 that is towards the past.
            assert_eq!(instant(text), Some(expected.as_nanosecond().div_euclid(1000) as i64), "{text}");
        }
        assert_eq!(instant("2026-11-03 09:00:00"), instant("2026-11-03T09:00:00Z"));
        for text in [
            "",
            "2026-11-03",
            "2026-13-03T09:00:00Z",
            "2026-11-03T09:00:00X",
            "日本語2026-11-03T09:00:00",
            "2026-1a-03T09:00:00",
        ] {
            assert_eq!(instant(text), None, "{text}");
        }
    }
}
