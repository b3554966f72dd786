use jiff::Timestamp;
use jiff::tz::TimeZone;
use schema::Lang;

pub(crate) fn unknown(lang: Lang) -> &'static str {
    lang.pick("not known", "不明")
}

/// A count with thousands separated.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// "1 file", "2 files"; 「2ファイル」.
pub(crate) fn counted(n: u64, lang: Lang, one: &str, many: &str, ja: &str) -> String {
    match lang {
        Lang::En => format!("{} {}", count(n), if n == 1 { one } else { many }),
        Lang::Ja => format!("{}{ja}", count(n)),
    }
}

/// A measured duration as people say it, to about two significant digits.
pub(crate) fn duration(seconds: f64, lang: Lang) -> String {
    in_units(seconds, lang, |value, decimals| format!("{value:.decimals$}"))
}

/// A duration that is promised to nobody shorter than it was measured: the last digit is rounded up.
pub(crate) fn duration_at_most(seconds: f64, lang: Lang) -> String {
    in_units(seconds, lang, |value, decimals| {
        let scale = 10f64.powi(decimals as i32);
        // Keeps 2.3000000000000003 from becoming 2.4.
        let up = (value * scale - 1e-6).ceil() / scale;
        format!("{up:.decimals$}")
    })
}

fn in_units(seconds: f64, lang: Lang, write: impl Fn(f64, usize) -> String) -> String {
    if !seconds.is_finite() {
        return unknown(lang).to_owned();
    }
    let seconds = seconds.max(0.0);
    let (value, decimals, en, ja) = match seconds {
        s if s < 0.1 => (s * 1000.0, 0, "millisecond", "ミリ秒"),
        s if s < 1.0 => (s, 2, "second", "秒"),
        s if s < 10.0 => (s, 1, "second", "秒"),
        s if s < 120.0 => (s, 0, "second", "秒"),
        s if s < 7_200.0 => (s / 60.0, 0, "minute", "分"),
        s if s < 172_800.0 => (s / 3_600.0, 1, "hour", "時間"),
        s => (s / 86_400.0, 1, "day", "日"),
    };
    let number = write(value, decimals);
    let number = number.strip_suffix(".0").unwrap_or(&number);
    match lang {
        Lang::En if number == "1" => format!("1 {en}"),
        Lang::En => format!("{number} {en}s"),
        Lang::Ja => format!("{number}{ja}"),
    }
}

/// Bytes with a binary unit.
pub(crate) fn bytes(n: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    let mut value = n as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", units[unit])
}

/// Local date and time to the second.
pub(crate) fn date_time(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Local date and time, to the millisecond where there are any.
pub(crate) fn date_time_exact(at: Timestamp, zone: &TimeZone) -> String {
    let told = date_time(at, zone);
    match at.subsec_millisecond() {
        0 => told,
        ms => format!("{told}.{ms:03}"),
    }
}

/// The zone as a reader needs it beside local times: "Asia/Tokyo, UTC+09:00".
pub(crate) fn zone_name(at: Timestamp, zone: &TimeZone) -> String {
    let offset = at.to_zoned(zone.clone()).strftime("UTC%:z").to_string();
    match zone.iana_name() {
        Some("UTC") => "UTC".to_owned(),
        Some(name) => format!("{name}, {offset}"),
        None => offset,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        for (seconds, en, ja) in [
            (0.0, "0 milliseconds", "0ミリ秒"),
            (0.042, "42 milliseconds", "42ミリ秒"),
            (0.412, "0.41 seconds", "0.41秒"),
            (4.23, "4.2 seconds", "4.2秒"),
            (61.2, "61 seconds", "61秒"),
            (3_600.0, "60 minutes", "60分"),
            (12_345.0, "3.4 hours", "3.4時間"),
            (86_400.0 * 2.0, "2 days", "2日"),
            (259_200.0, "3 days", "3日"),
            (-3.0, "0 milliseconds", "0ミリ秒"),
            (f64::NAN, "not known", "不明"),
        ] {
            assert_eq!(duration(seconds, Lang::En), en);
            assert_eq!(duration(seconds, Lang::Ja), ja);
        }
    }

    #[test]
    fn a_promise_is_never_rounded_down() {
        for (seconds, en) in [
            (0.411, "0.42 seconds"),
            (4.21, "4.3 seconds"),
            (2.3, "2.3 seconds"),
            (60.01, "61 seconds"),
            (2_401.0, "41 minutes"),
            (90_000.0, "25 hours"),
        ] {
            assert_eq!(duration_at_most(seconds, Lang::En), en);
        }
    }

    #[test]
    fn counts_have_their_thousands_apart() {
        for (n, written) in [(0, "0"), (999, "999"), (1_133, "1,133"), (12_345_678, "12,345,678")] {
            assert_eq!(count(n), written);
        }
        assert_eq!(counted(1, Lang::En, "file", "files", "ファイル"), "1 file");
        assert_eq!(counted(1_133, Lang::Ja, "file", "files", "ファイル"), "1,133ファイル");
        assert_eq!(bytes(1536), "1.5 KiB");
    }
}
