//! Which language a mail is written in, roughly: for tables only.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Language {
    English,
    Japanese,
    German,
    Portuguese,
    Dutch,
    Spanish,
    French,
    Other,
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Language::English => "English",
            Language::Japanese => "Japanese",
            Language::German => "German",
            Language::Portuguese => "Portuguese",
            Language::Dutch => "Dutch",
            Language::Spanish => "Spanish",
            Language::French => "French",
            Language::Other => "other",
        })
    }
}

/// Little words that other languages do not have.
const WORDS: &[(Language, &[&str])] = &[
    (Language::English, &["the", "and", "you", "your", "is", "this", "for", "with", "of", "to"]),
    (
        Language::German,
        &["und", "der", "die", "das", "sie", "ihr", "ihre", "ist", "mit", "nicht", "für", "wir"],
    ),
    (Language::Portuguese, &["você", "seu", "sua", "não", "uma", "para", "com", "em", "dos", "são"]),
    (Language::Dutch, &["het", "een", "van", "voor", "uw", "wij", "niet", "naar", "jouw", "bij"]),
    (Language::Spanish, &["el", "los", "su", "usted", "una", "por", "con", "las", "del", "está"]),
    (Language::French, &["le", "les", "vous", "votre", "est", "une", "des", "pour", "avec", "nous"]),
];

pub(super) fn language(text: &str) -> Language {
    let kana = text.chars().take(4_000).filter(|char| ('\u{3041}'..='\u{30fe}').contains(char)).count();
    if kana > 5 {
        return Language::Japanese;
    }
    let lower = text.chars().take(8_000).collect::<String>().to_lowercase();
    let words: Vec<&str> =
        lower.split(|char: char| !char.is_alphabetic()).filter(|word| !word.is_empty()).collect();
    let count = |list: &[&str]| words.iter().filter(|word| list.contains(word)).count();
    let best = WORDS.iter().map(|(language, list)| (count(list), *language)).max_by_key(|(count, _)| *count);
    match best {
        Some((count, language)) if count > 1 => language,
        _ => Language::Other,
    }
}
