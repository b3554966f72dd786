//! What the gate goes by, each of which can be switched off: to see what it is worth, and where one does harm on a site.

use serde::{Deserialize, Serialize};

/// One thing that the gate looks for. Names are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Indicator {
    /// Structured content became noise.
    Noise,
    /// Noise was written into a file whose frame still stands.
    PartlyNoise,
    /// A new suffix, and the structure is lost.
    Suffix,
    /// Suffixes and names that known families give.
    Family,
    /// Notes to the victim, and notes named after a new suffix.
    Note,
    /// The guard's own canaries.
    Canary,
    /// Many files that lost their format, whatever their bytes look like.
    Breadth,
    /// Text that spells noise.
    Text,
    /// Files that were emptied or cut off.
    Emptied,
    /// Formats by more than their first bytes.
    Forged,
    /// Originals that went away while noise was written elsewhere.
    Removed,
}

impl Indicator {
    /// Every one.
    pub const ALL: [Self; 11] = [
        Self::Noise,
        Self::PartlyNoise,
        Self::Suffix,
        Self::Family,
        Self::Note,
        Self::Canary,
        Self::Breadth,
        Self::Text,
        Self::Emptied,
        Self::Forged,
        Self::Removed,
    ];

    /// Its name, as on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Noise => "noise",
            Self::PartlyNoise => "partly-noise",
            Self::Suffix => "suffix",
            Self::Family => "family",
            Self::Note => "note",
            Self::Canary => "canary",
            Self::Breadth => "breadth",
            Self::Text => "text",
            Self::Emptied => "emptied",
            Self::Forged => "forged",
            Self::Removed => "removed",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|indicator| indicator.name() == name)
    }
}

/// Those that are switched on; all by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Indicators(u16);

impl Default for Indicators {
    fn default() -> Self {
        Self::ALL
    }
}

impl Indicators {
    /// All of them.
    pub const ALL: Self = Self(u16::MAX);

    /// All but these.
    pub fn without(off: impl IntoIterator<Item = Indicator>) -> Self {
        Self(off.into_iter().fold(u16::MAX, |on, indicator| on & !(1 << indicator as u16)))
    }

    /// Whether this one counts.
    pub fn has(self, indicator: Indicator) -> bool {
        self.0 & 1 << indicator as u16 != 0
    }

    /// The names of those that count.
    pub fn names(self) -> Vec<&'static str> {
        Indicator::ALL.into_iter().filter(|&one| self.has(one)).map(Indicator::name).collect()
    }
}
