use serde::{Deserialize, Serialize};

/// The two languages of everything that people read. What was recorded stays as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lang {
    /// English.
    En,
    /// Japanese.
    Ja,
}

impl Lang {
    /// Both, in the order in which they are written.
    pub const ALL: [Lang; 2] = [Lang::En, Lang::Ja];

    /// The language of a POSIX locale such as `LANG` names it: Japanese for `ja…`, else English.
    pub fn from_locale(locale: &str) -> Lang {
        if locale.starts_with("ja") { Lang::Ja } else { Lang::En }
    }

    /// BCP 47 tag, `en` or `ja`.
    pub fn tag(self) -> &'static str {
        self.pick("en", "ja")
    }

    /// One of two texts.
    pub fn pick<T>(self, en: T, ja: T) -> T {
        match self {
            Lang::En => en,
            Lang::Ja => ja,
        }
    }
}
