//! Values as people write them: lengths of time, sizes, times of the day, addresses, secrets.
//!
//! Each is read by one function, which the check of the whole file and serde both use, so that they cannot differ.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, SpanRelativeTo, civil};
use recover::drill::SampleSize;
use schema::Severity;
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};

use super::words::{Fault, Words};

/// A length of time: `15m`, `26h`, `7d`, `1h 30m`. A day is 24 hours. Never negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Period(pub(crate) SignedDuration);

/// A number of bytes: `2 GiB`, `500 MB`, `4096`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size(pub(crate) u64);

/// How much a sampled drill looks at: `5%`, `200`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample(pub(crate) SampleSize);

/// A time of the day in the configuration's time zone: `02:14`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeOfDay(pub(crate) civil::Time);

/// A time zone by its IANA name: `Asia/Tokyo`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Zone(pub(crate) TimeZone);

/// A network in CIDR notation, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network(pub(crate) IpNet);

/// A severity by its OCSF name: `high`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Level(pub(crate) Severity);

/// Where a secret is: never the secret itself, since a configuration is copied, mailed and backed up.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Secret {
    /// The name of an entry of the sealed store.
    Secret(String),
    /// A file that only its owner may read.
    File(PathBuf),
}

/// Names of severities, mildest first, in the order of [`Severity`].
pub(crate) const LEVELS: [&str; 5] = ["informational", "low", "medium", "high", "critical"];

pub(crate) fn period(text: &str) -> Result<Period, Fault> {
    let fault = || {
        Fault::new(
            Words::new(
                format!("{text:?} is not a length of time"),
                format!("{text:?} は時間の長さではありません"),
            ),
            Words::new(
                "write a number with s, m, h or d, such as \"15m\", \"26h\" or \"7d\"",
                "\"15m\"(15分)、\"26h\"(26時間)、\"7d\"(7日)のように、数字に s・m・h・d を付けて書いてください",
            ),
        )
    };
    let span: Span = text.parse().map_err(|_| fault())?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| fault())?;
    if duration.is_negative() { Err(fault()) } else { Ok(Period(duration)) }
}

pub(crate) fn size(text: &str) -> Result<Size, Fault> {
    let fault = || {
        Fault::new(
            Words::new(
                format!("{text:?} is not a number of bytes"),
                format!("{text:?} は容量ではありません"),
            ),
            Words::new(
                "write a whole number with a unit, such as \"500 MB\" or \"2 GiB\"",
                "\"500 MB\" や \"2 GiB\" のように、整数に単位を付けて書いてください",
            ),
        )
    };
    let digits = text.len() - text.trim_start_matches(|char: char| char.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| fault())?;
    let unit = match unit.trim() {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return Err(fault()),
    };
    number.checked_mul(unit).map(Size).ok_or_else(fault)
}

/// A share such as `5%`, or a number of patients and files such as `200`.
pub(crate) fn sample(text: &str) -> Result<Sample, Fault> {
    text.parse().map(Sample).map_err(|_| {
        Fault::new(
            Words::new(format!("{text:?} is no sample"), format!("{text:?} は抽出の量ではありません")),
            Words::new(
                "write a share such as \"5%\", or a number of patients such as \"200\"",
                "\"5%\" のような割合か、\"200\" のような患者数を書いてください",
            ),
        )
    })
}

pub(crate) fn time_of_day(text: &str) -> Result<TimeOfDay, Fault> {
    let fault = || {
        Fault::new(
            Words::new(
                format!("{text:?} is not a time of the day"),
                format!("{text:?} は時刻ではありません"),
            ),
            Words::new(
                "write hours and minutes, such as \"02:14\"",
                "\"02:14\" のように時と分を書いてください",
            ),
        )
    };
    let (hour, minute) = text.split_once(':').ok_or_else(fault)?;
    let number = |digits: &str| {
        let fits = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        if fits { digits.parse::<i8>().map_err(|_| fault()) } else { Err(fault()) }
    };
    civil::Time::new(number(hour)?, number(minute)?, 0, 0).map(TimeOfDay).map_err(|_| fault())
}

pub(crate) fn zone(text: &str) -> Result<Zone, Fault> {
    TimeZone::get(text).map(Zone).map_err(|_| {
        Fault::new(
            Words::new(
                format!("{text:?} is not a known time zone"),
                format!("{text:?} というタイムゾーンはありません"),
            ),
            Words::new(
                "write an IANA name such as \"Asia/Tokyo\"",
                "\"Asia/Tokyo\" のような IANA 名を書いてください",
            ),
        )
    })
}

pub(crate) fn address(text: &str) -> Result<IpAddr, Fault> {
    text.parse().map_err(|_| {
        Fault::new(
            Words::new(format!("{text:?} is not an address"), format!("{text:?} は IP アドレスではありません")),
            Words::new(
                "write an IPv4 or IPv6 address such as \"192.0.2.10\"; names are not looked up, since whoever \
                 answers for a name would choose the target",
                "\"192.0.2.10\" のような IPv4 または IPv6 アドレスを書いてください(名前は使えません。名前解決を偽られると対象が変わるためです)",
            ),
        )
    })
}

pub(crate) fn network(text: &str) -> Result<Network, Fault> {
    let one = || text.parse::<IpAddr>().ok().map(IpNet::from);
    let net = text.parse::<IpNet>().ok().or_else(one).ok_or_else(|| {
        Fault::new(
            Words::new(
                format!("{text:?} is not a network"),
                format!("{text:?} はネットワークではありません"),
            ),
            Words::new(
                "write an address or a network such as \"192.0.2.10\" or \"192.0.2.0/24\"",
                "\"192.0.2.10\" や \"192.0.2.0/24\" のように書いてください",
            ),
        )
    })?;
    if net.addr() == net.network() {
        return Ok(Network(net));
    }
    let right = net.trunc();
    Err(Fault::new(
        Words::new(
            format!("{text:?} names one address and a whole network at once"),
            format!("{text:?} は、1つのアドレスともネットワークとも読めます"),
        ),
        Words::new(
            format!("write \"{right}\" for the network or \"{}\" for the address", net.addr()),
            format!("ネットワークなら \"{right}\"、アドレスなら \"{}\" と書いてください", net.addr()),
        ),
    ))
}

pub(crate) fn listen(text: &str) -> Result<SocketAddr, Fault> {
    text.parse().map_err(|_| {
        Fault::new(
            Words::new(
                format!("{text:?} is not an address with a port"),
                format!("{text:?} は「アドレス:ポート」の形ではありません"),
            ),
            Words::new(
                "write for example \"127.0.0.1:8443\", or \"[::1]:8443\" for IPv6",
                "\"127.0.0.1:8443\"、IPv6 なら \"[::1]:8443\" のように書いてください",
            ),
        )
    })
}

pub(crate) fn level(text: &str) -> Option<Level> {
    let id = LEVELS.iter().position(|name| *name == text)?;
    Severity::try_from(u8::try_from(id).ok()? + 1).ok().map(Level)
}

impl fmt::Debug for Period {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:#}", self.0)
    }
}

/// What reads a text of the file as a value, for serde.
macro_rules! deserialize_with {
    ($($type:ty: $read:expr),+ $(,)?) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = String::deserialize(from)?;
                $read(&text).map_err(D::Error::custom)
            }
        }
    )+};
}

deserialize_with!(
    Period: period,
    Size: size,
    TimeOfDay: time_of_day,
    Sample: sample,
    Zone: zone,
    Network: network,
    Level: |text: &str| level(text).ok_or_else(|| format!("{text:?} is not one of {LEVELS:?}")),
);
