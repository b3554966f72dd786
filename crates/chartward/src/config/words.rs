use schema::Lang;

/// One sentence in both languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) en: String,
    pub(crate) ja: String,
}

impl Words {
    pub(crate) fn new(en: impl Into<String>, ja: impl Into<String>) -> Words {
        Words { en: en.into(), ja: ja.into() }
    }

    pub(crate) fn pick(&self, lang: Lang) -> &str {
        lang.pick(&self.en, &self.ja)
    }
}

/// What is wrong with a value and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}; {}", .what.en, .remedy.en)]
pub(crate) struct Fault {
    pub(crate) what: Words,
    pub(crate) remedy: Words,
}

impl Fault {
    pub(crate) fn new(what: Words, remedy: Words) -> Fault {
        Fault { what, remedy }
    }
}
