//! How names are folded for looking them up, and what people type when they look for a patient.

use std::ops::RangeInclusive;

use jiff::civil::Date;
use unicode_normalization::UnicodeNormalization;

/// Words of a query that are looked at.
const WORDS_MAX: usize = 8;
/// Letters of a query that are looked at.
const QUERY_MAX: usize = 200;

/// Eras by all their names, with the year before their first.
const ERAS: [(&[&str], i16); 5] = [
    (&["明治", "明", "m"], 1867),
    (&["大正", "大", "t"], 1911),
    (&["昭和", "昭", "s"], 1925),
    (&["平成", "平", "h"], 1988),
    (&["令和", "令", "r"], 2018),
];

/// Kanji of names that are written in an old and a new form, and taken for one another at a reception desk.
const VARIANTS: [(char, char); 23] = [
    ('髙', '高'),
    ('﨑', '崎'),
    ('嵜', '崎'),
    ('邊', '辺'),
    ('邉', '辺'),
    ('齋', '斉'),
    ('齊', '斉'),
    ('斎', '斉'),
    ('澤', '沢'),
    ('濱', '浜'),
    ('濵', '浜'),
    ('廣', '広'),
    ('嶋', '島'),
    ('嶌', '島'),
    ('眞', '真'),
    ('櫻', '桜'),
    ('德', '徳'),
    ('惠', '恵'),
    ('國', '国'),
    ('龍', '竜'),
    ('瀨', '瀬'),
    ('榮', '栄'),
    ('𠮷', '吉'),
];

/// Hiragana and half-width kana as katakana, small kana as large ones (old systems have no small ones), full-width
/// ASCII as ASCII, old forms of kanji as the new ones, no spaces, no case: `さいとう` and `ｻｲﾄｳ` find `サイトウ`.
pub(crate) fn folded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    fold_into(text, &mut out);
    out
}

pub(super) fn fold_into(text: &str, out: &mut String) {
    if text.is_ascii() {
        // Ids: nothing to decompose.
        out.extend(text.chars().filter(|c| *c > ' ' && *c != '\x7f').map(|c| c.to_ascii_lowercase()));
        return;
    }
    for c in text.nfkc().filter(|c| !c.is_whitespace() && !c.is_control()) {
        out.extend(plain(c).to_lowercase());
    }
}

fn plain(c: char) -> char {
    match katakana(c) {
        'ァ' => 'ア',
        'ィ' => 'イ',
        'ゥ' => 'ウ',
        'ェ' => 'エ',
        'ォ' => 'オ',
        'ッ' => 'ツ',
        'ャ' => 'ヤ',
        'ュ' => 'ユ',
        'ョ' => 'ヨ',
        'ヮ' => 'ワ',
        'ヵ' => 'カ',
        'ヶ' => 'ケ',
        c => VARIANTS.iter().find(|(old, _)| *old == c).map_or(c, |(_, new)| *new),
    }
}

fn katakana(c: char) -> char {
    match c {
        'ぁ'..='ゖ' => char::from_u32(u32::from(c) + 0x60).unwrap_or(c),
        _ => c,
    }
}

/// What a person at a counter typed. Every word has to fit.
pub(crate) struct Query {
    pub(super) words: Vec<Word>,
}

pub(super) struct Word {
    /// Folded; part of an id, a name, a kana name, or a whole ward.
    pub(super) text: String,
    /// The days of birth that it also stands for, as `YYYYMMDD`.
    pub(super) born: Option<RangeInclusive<u32>>,
}

impl Query {
    pub(crate) fn parse(typed: &str) -> Query {
        let typed: String = typed.chars().take(QUERY_MAX).collect();
        let whole = folded(&typed);
        // 昭和48年 4月 5日 is one date and not three words.
        if let Some(born) = born(&whole) {
            return Query { words: vec![Word { text: whole, born: Some(born) }] };
        }
        let words = typed.split_whitespace().map(folded).filter(|word| !word.is_empty());
        let word = |text: String| Word { born: born(&text), text };
        Query { words: words.take(WORDS_MAX).map(word).collect() }
    }

    /// Whether it fits somebody with these folded texts, this ward and day of birth.
    pub(crate) fn fits(&self, texts: &[&str], ward: Option<&str>, born: u32) -> bool {
        self.words.iter().all(|word| {
            texts.iter().any(|text| text.contains(&word.text))
                || ward == Some(&word.text)
                || word.born.as_ref().is_some_and(|days| days.contains(&born))
        })
    }
}

/// A day as the number `YYYYMMDD`; 0 for none.
pub(crate) fn day_number(date: Option<Date>) -> u32 {
    date.map_or(0, |date| {
        let [year, month, day] =
            [i32::from(date.year()), i32::from(date.month()), i32::from(date.day())].map(i32::unsigned_abs);
        year * 10_000 + month * 100 + day
    })
}

/// The days that a folded text means: `1948-04-05`, `1948/4/5`, `19480405`, `1948年4月`, `昭和48年4月5日`, `s48.4.5`,
/// `s480405`, `令和元年5月`. A bare year or an era's letter with one is none: that is rather part of an id or a ward.
fn born(text: &str) -> Option<RangeInclusive<u32>> {
    let (before, rest) = ERAS
        .iter()
        .flat_map(|(names, before)| names.iter().map(move |name| (name, *before)))
        .find_map(|(name, before)| Some((Some(before), text.strip_prefix(name)?)))
        .unwrap_or((None, text));
    let has_era_in_words = before.is_some() && !text.starts_with(|c: char| c.is_ascii());
    let rest = rest.replacen('元', "1", 1);
    let has_year_sign = rest.contains('年');
    let plain: String = rest.trim_end_matches('日').replace(['年', '月', '/', '-', '−', 'ー'], ".");
    let plain = plain.trim_end_matches('.');
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = match (before, plain.len()) {
        (None, 8) if is_digits(plain) => vec![&plain[..4], &plain[4..6], &plain[6..]],
        (Some(_), 6) if is_digits(plain) => vec![&plain[..2], &plain[2..4], &plain[4..]],
        _ => plain.split('.').collect(),
    };
    if parts.len() > 3 || !parts.iter().all(|part| is_digits(part) && part.len() <= 4) {
        return None;
    }
    let number = |at: usize| parts.get(at).map(|part| part.parse::<i16>().ok());
    let year = number(0)??;
    let year = match before {
        Some(before) if (1..=99).contains(&year) => before + year,
        None if (1850..=2199).contains(&year) => year,
        _ => return None,
    };
    let base = u32::try_from(year).ok()? * 10_000;
    match (number(1), number(2)) {
        (None, _) => (has_year_sign || has_era_in_words).then_some(base..=base + 9_999),
        (Some(month), None) => {
            let month = u32::try_from(month?).ok().filter(|month| (1..=12).contains(month))?;
            Some(base + month * 100..=base + month * 100 + 99)
        }
        (Some(month), Some(day)) => {
            let date = Date::new(year, month?.try_into().ok()?, day?.try_into().ok()?).ok()?;
            let number = day_number(Some(date));
            Some(number..=number)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_static_bundle_folds_names_as_the_viewer_does() {
        let script = include_str!("../../bundle/page/search.js");
        let small = "ァィゥェォッャュョヮヵヶ".chars().map(|small| (small, plain(small)));
        for (old, new) in VARIANTS.into_iter().chain(small) {
            assert!(script.contains(&format!("{old}{new}")), "{old} {new}");
        }
    }

    #[test]
    fn a_birth_date_is_understood_as_people_write_it() {
        let check = |typed: &str, expected: Option<RangeInclusive<u32>>| {
            assert_eq!(born(&folded(typed)), expected, "{typed}");
        };
        let day = Some(19_730_405..=19_730_405);
        for typed in [
            "1973-04-05",
            "1973/4/5",
            "19730405",
            "1973年4月5日",
            "１９７３．４．５",
            "S48.4.5",
            "s480405",
            "S48/04/05",
            "昭和48年4月5日",
            "昭和４８年４月５日",
            "昭48.4.5",
            "㍼48.4.5",
        ] {
            check(typed, day.clone());
        }
        check("令和元年5月1日", Some(20_190_501..=20_190_501));
        check("R1.5.1", Some(20_190_501..=20_190_501));
        check("H31-04-30", Some(20_190_430..=20_190_430));
        check("T15.12.24", Some(19_261_224..=19_261_224));
        check("明治45年7月", Some(19_120_700..=19_120_799));
        check("昭和48年", Some(19_730_000..=19_739_999));
        check("昭和48", Some(19_730_000..=19_739_999));
        check("1973-04", Some(19_730_400..=19_730_499));
        for typed in [
            "1973",
            "S3",
            "3A",
            "48.4.5",
            "1973-13-01",
            "1973-02-30",
            "12345678",
            "",
            "年",
            "昭和",
            "0001234567",
            "S48.4.5.6",
            "h1-2-3-4",
        ] {
            check(typed, None);
        }
    }

    #[test]
    fn the_static_bundle_understands_birth_dates_as_the_viewer_does() {
        let Some(node) =
            testkit::tool("the_static_bundle_understands_birth_dates_as_the_viewer_does", "node")
        else {
            return;
        };
        let typed = [
            "1973-04-05",
            "1973/4/5",
            "19730405",
            "1973年4月5日",
            "１９７３．４．５",
            "S48.4.5",
            "s480405",
            "昭和48年4月5日",
            "㍼48.4.5",
            "令和元年5月1日",
            "R1.5.1",
            "T15.12.24",
            "明治45年7月",
            "昭和48年",
            "昭和48",
            "1973-04",
            "1973",
            "S3",
            "3A",
            "48.4.5",
            "1973-13-01",
            "1973-02-30",
            "2000-02-29",
            "1900-02-29",
            "12345678",
            "年",
            "昭和",
            "0001234567",
            "S48.4.5.6",
            "h1-2-3-4",
            "さとう",
            "1973年",
        ];
        let script = format!(
            "{}\nfor (const typed of {}) console.log(JSON.stringify(bornBetween(folded(typed))));",
            include_str!("../../bundle/page/search.js"),
            serde_json::to_string(&typed).unwrap()
        );
        let done = std::process::Command::new(node).args(["-e", &script]).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let said = String::from_utf8(done.stdout).unwrap();
        let ours = typed.map(|typed| match born(&folded(typed)) {
            Some(days) => format!("[{},{}]", days.start(), days.end()),
            None => "null".into(),
        });
        assert_eq!(said.lines().collect::<Vec<_>>(), ours);
    }

    #[test]
    fn names_are_the_same_however_they_are_written() {
        for (written, typed) in [
            ("サイトウ", "さいとう"),
            ("サイトウ", "ｻｲﾄｳ"),
            ("ガブリエル", "ｶﾞﾌﾞﾘｴﾙ"),
            ("ショウジ", "ｼﾖｳｼﾞ"),
            ("髙橋", "高橋"),
            ("山﨑", "山崎"),
            ("渡邊", "渡辺"),
            ("齋藤", "斎藤"),
            ("Smith", "ＳＭＩＴＨ"),
            ("患者 太郎", "患者　太郎"),
        ] {
            assert_eq!(folded(written), folded(typed), "{written} {typed}");
        }
    }
}
