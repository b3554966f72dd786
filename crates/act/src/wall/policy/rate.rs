use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// So many in a second, a minute or an hour: `10/minute`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    count: u32,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Second,
    Minute,
    Hour,
}

const UNITS: [(&str, Unit); 3] = [("second", Unit::Second), ("minute", Unit::Minute), ("hour", Unit::Hour)];

impl Rate {
    /// Seconds after which a source that was silent is forgotten.
    pub(super) fn memory_seconds(self) -> u32 {
        match self.unit {
            Unit::Second => 60,
            Unit::Minute => 600,
            Unit::Hour => 7200,
        }
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let (count, unit) = text.split_once('/')?;
            let count = count.trim().parse().ok().filter(|count| (1..=100_000).contains(count))?;
            let (_, unit) = UNITS.into_iter().find(|(name, _)| *name == unit.trim())?;
            Some(Rate { count, unit })
        };
        read().ok_or_else(|| format!("{text:?} is no rate such as 10/minute, 5/second or 100/hour"))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().find(|(_, unit)| *unit == self.unit).map_or("second", |(name, _)| name);
        write!(f, "{}/{unit}", self.count)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
