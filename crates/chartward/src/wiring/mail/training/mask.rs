//! Text of a lure that anybody may read: nothing to click on, and nothing that says whom it was written to.

use std::net::IpAddr;

use unicode_normalization::UnicodeNormalization;

/// Stands where somebody's name or address was.
const SOMEBODY: &str = "○○";
/// Names shorter than this stand in too many words by chance.
const NAME_MIN: usize = 3;
/// Longer labels of a host, and those that hold a name, are a recipient's number rather than a place.
const LABEL_MAX: usize = 24;
/// Before 様 and its like these are nobody's name.
const NOBODY: &[&str] = &[
    "客",
    "皆",
    "会員",
    "利用者",
    "ユーザー",
    "ユーザ",
    "メンバー",
    "カスタマー",
    "担当者",
    "担当",
    "関係者",
    "患者",
    "職員",
    "員",
    "各",
    "仕",
    "同",
    "多",
    "模",
    "有",
    "異",
    "神",
    "貴",
];
/// After 様 these make it another word.
const NO_TITLE: &[char] = &['々', '子', '式', '態', '相', '変'];
const GREETINGS: &[&str] = &["dear", "hi", "hello", "attn", "attention"];
/// Whom a greeting may name.
const ANYBODY: &[&str] = &[
    "customer",
    "user",
    "client",
    "member",
    "sir",
    "madam",
    "valued",
    "all",
    "team",
    "account",
    "friend",
    "colleague",
    "owner",
    "our",
    "amazon",
    "staff",
    "subscriber",
];

/// Names and addresses of those whom a mail was written to.
#[derive(Debug, Clone, Default)]
pub(super) struct Recipients {
    /// In lower case, the longest first.
    names: Vec<String>,
    domains: Vec<String>,
}

impl Recipients {
    pub(super) fn new<'a>(
        addresses: impl Iterator<Item = &'a str>,
        display: impl Iterator<Item = &'a str>,
    ) -> Self {
        let mut all = Self::default();
        for address in addresses {
            let address = address.to_lowercase();
            if let Some((local, domain)) = address.rsplit_once('@') {
                all.names.push(local.to_owned());
                all.domains.push(domain.to_owned());
            }
            all.names.push(address);
        }
        for name in display {
            let name = name.trim().to_lowercase();
            // 「山田 太郎」 is greeted as 「山田様」 too.
            all.names.extend(name.split_whitespace().map(str::to_owned));
            all.names.push(name);
        }
        let is_long = |name: &String| {
            name.chars().count() >= NAME_MIN || (!name.is_ascii() && name.chars().count() > 1)
        };
        all.names.retain(is_long);
        all.names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        all.names.dedup();
        all.domains.sort();
        all.domains.dedup();
        all
    }

    fn are_named_in(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.names.iter().any(|name| text.contains(name.as_str()))
    }
}

/// A subject, a display name or a sentence, as one line of at most `max` characters.
pub(super) fn text(text: &str, recipients: &Recipients, max: usize) -> String {
    let line: String = text
        .nfkc()
        .map(|char| if char.is_whitespace() { ' ' } else { char })
        .filter(is_shown)
        .take(1_000)
        .collect();
    // Links first: a name within one would cut it in two.
    let line = without_links(&line, recipients);
    let line = without_names(&line, recipients);
    let line = without_titles(&line);
    let line = without_greeting(&line);
    let mut short: String = line.trim().chars().take(max).collect();
    if line.trim().chars().nth(max).is_some() {
        short.push('…');
    }
    short
}

/// A host with its dots in brackets; labels that are somebody's number become `…`.
pub(super) fn host(host: &str, recipients: &Recipients) -> String {
    let host = host.trim_matches('.').to_lowercase();
    if host.parse::<IpAddr>().is_ok() {
        return host.replace('.', "[.]").replace(':', "[:]");
    }
    let labels: Vec<&str> = host.split('.').collect();
    // What was registered stays: it is what a reader should know again.
    let kept = labels.len().saturating_sub(2);
    let label = |(at, label): (usize, &&str)| {
        let is_number =
            label.chars().count() > LABEL_MAX || recipients.are_named_in(label) || is_serial(label);
        if at < kept && is_number {
            "…".to_owned()
        } else {
            label.chars().filter(is_shown).take(63).collect()
        }
    };
    labels.iter().enumerate().map(label).collect::<Vec<_>>().join("[.]")
}

/// A link of which only the host is told: what stands after it may say who opened it.
pub(super) fn link(url: &str, host_of: &str, recipients: &Recipients) -> String {
    let scheme = if url.trim_start().to_ascii_lowercase().starts_with("http:") { "hxxp" } else { "hxxps" };
    format!("{scheme}://{}/…", host(host_of, recipients))
}

/// A sender's address. The part before the `@` is left out where it tells of the hospital's own people.
pub(super) fn address(address: &str, recipients: &Recipients) -> String {
    let Some((local, domain)) = address.rsplit_once('@') else { return host(address, recipients) };
    let domain = domain.to_lowercase();
    let tells = recipients.domains.contains(&domain)
        || recipients.are_named_in(local)
        || recipients.domains.iter().any(|of| local.to_lowercase().contains(of.as_str()))
        || local.contains('=')
        || local.chars().count() > 40;
    let local: String = if tells { "…".to_owned() } else { local.chars().filter(is_shown).collect() };
    format!("{}@{}", local.replace('.', "[.]"), host(&domain, recipients))
}

/// What neither commands a terminal nor turns the writing around.
fn is_shown(char: &char) -> bool {
    !char.is_control()
        && !matches!(char, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// `a1b2c3d4e5f6`: digits and letters in turn, as no word has them.
fn is_serial(label: &str) -> bool {
    let digits = label.bytes().filter(u8::is_ascii_digit).count();
    label.len() >= 10 && digits >= 3 && digits < label.len()
}

fn without_names(line: &str, recipients: &Recipients) -> String {
    let mut line = line.to_owned();
    for name in &recipients.names {
        line = replaced(&line, name);
    }
    line
}

/// Each whole word `name`, which is in lower case, becomes somebody.
fn replaced(line: &str, name: &str) -> String {
    let chars: Vec<char> = line.chars().collect();
    let wanted: Vec<char> = name.chars().collect();
    let same = |a: &char, b: &char| a.to_lowercase().eq(b.to_lowercase());
    let is_word = |char: Option<&char>| char.is_some_and(char::is_ascii_alphanumeric);
    let (mut out, mut at) = (String::new(), 0);
    while let Some(char) = chars.get(at) {
        let here = chars.get(at..at + wanted.len());
        let fits = here.is_some_and(|here| here.iter().zip(&wanted).all(|(a, b)| same(a, b)));
        let before = at.checked_sub(1).and_then(|before| chars.get(before));
        let joined = (is_word(before) && is_word(wanted.first()))
            || (is_word(chars.get(at + wanted.len())) && is_word(wanted.last()));
        if fits && !joined && !wanted.is_empty() {
            out.push_str(SOMEBODY);
            at += wanted.len();
        } else {
            out.push(*char);
            at += 1;
        }
    }
    out
}

/// 「山田太郎様」 becomes 「○○様」; 「お客様」 stays.
fn without_titles(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((at, title)) =
        ["様", "さま", "殿", "さん"].iter().filter_map(|it| Some((rest.find(it)?, *it))).min()
    {
        let (before, after) = rest.split_at(at);
        let after = after.get(title.len()..).unwrap_or_default();
        out.push_str(before);
        let is_title = !(title == "様" && after.starts_with(NO_TITLE));
        let begin = name_before(&out);
        let name = out.get(begin..).unwrap_or_default().trim();
        if is_title && !name.is_empty() && !NOBODY.iter().any(|it| name.ends_with(it)) {
            out.truncate(begin);
            out.push_str(SOMEBODY);
        }
        out.push_str(title);
        rest = after;
    }
    out + rest
}

/// Where the name begins that a text ends with: kanji, katakana or letters, at most two words.
fn name_before(text: &str) -> usize {
    let is_name = |char: char| {
        matches!(char, '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{30a1}'..='\u{30fa}' | 'ー' | '々' | '○')
            || char.is_ascii_alphabetic()
    };
    let (mut begin, mut blanks) = (text.len(), 0);
    for (at, char) in text.char_indices().rev() {
        if char == ' ' && blanks == 0 && begin < text.len() {
            blanks += 1;
        } else if char == ' ' && begin == text.len() {
            // Between the name and its title.
        } else if is_name(char) {
            begin = at;
        } else {
            break;
        }
    }
    begin
}

/// "Dear Taro Yamada," becomes "Dear ○○,"; "Dear customer," stays.
fn without_greeting(line: &str) -> String {
    let lower = line.to_ascii_lowercase();
    for greeting in GREETINGS {
        let found = lower.match_indices(greeting).find(|(at, word)| {
            let before = lower.get(..*at).and_then(|text| text.chars().next_back());
            let after = lower.get(at + word.len()..).and_then(|text| text.chars().next());
            before.is_none_or(|char| !char.is_alphanumeric()) && after == Some(' ')
        });
        let Some((at, word)) = found else { continue };
        let (head, rest) = line.split_at(at + word.len());
        let rest = rest.trim_start();
        let first = rest.split(|char: char| !char.is_alphanumeric()).next().unwrap_or_default();
        if ANYBODY.contains(&first.to_lowercase().as_str())
            || rest.starts_with(SOMEBODY)
            || !first.starts_with(char::is_uppercase)
        {
            continue;
        }
        let end = rest.find([',', ':', '!', '.', '-', ';', '、', '。']).unwrap_or(rest.len()).min(rest.len());
        return format!("{head} {SOMEBODY}{}", rest.get(end..).unwrap_or_default());
    }
    line.to_owned()
}

/// Links and addresses within a text: the host only, with its dots in brackets.
fn without_links(line: &str, recipients: &Recipients) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for char in line.chars().chain([' ']) {
        let joins = char.is_ascii_graphic()
            && !matches!(char, '<' | '>' | '"' | '(' | ')' | '[' | ']' | ',' | '|' | '\'');
        if joins {
            word.push(char);
            continue;
        }
        out.push_str(&defused(&word, recipients));
        word.clear();
        out.push(char);
    }
    out.pop();
    out
}

fn defused(word: &str, recipients: &Recipients) -> String {
    if let Some((scheme, rest)) = word.split_once("://") {
        let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
        let place = authority.rsplit('@').next().unwrap_or_default();
        return link(&format!("{scheme}:"), place.split(':').next().unwrap_or_default(), recipients);
    }
    if word.contains('@') && word.len() > 1 {
        return SOMEBODY.to_owned();
    }
    let place = word.split(['/', '?', '#', ':']).next().unwrap_or_default();
    let end = place.rsplit_once('.').map_or("", |(_, end)| end);
    let is_host =
        end.len() > 1 && end.bytes().all(|byte| byte.is_ascii_alphabetic()) && !place.starts_with('.');
    match (is_host, place.len() < word.len()) {
        (true, true) => format!("{}/…", host(place, recipients)),
        (true, false) => place.replace('.', "[.]"),
        (false, _) => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipients() -> Recipients {
        Recipients::new(["yamada@hospital.example"].into_iter(), ["山田 太郎"].into_iter())
    }

    #[test]
    fn nobody_is_named_and_nothing_can_be_clicked_on() {
        for (given, expected) in [
            ("お使いのアカウントがロックされました", "お使いのアカウントがロックされました"),
            ("山田様、お支払いの確認", "○○様、お支払いの確認"),
            ("【重要】佐藤 花子 様へのお知らせ", "【重要】○○様へのお知らせ"),
            ("親愛なるお客様、仕様変更と様々なご案内", "親愛なるお客様、仕様変更と様々なご案内"),
            ("山田太郎さんのアカウント", "○○さんのアカウント"),
            ("ご確認ください: yamada@hospital.example", "ご確認ください: ○○"),
            ("YAMADA, your mailbox is full", "○○, your mailbox is full"),
            ("Dear Hanako Sato, act now", "Dear ○○, act now"),
            ("Dear customer, act now", "Dear customer, act now"),
            (
                "see https://Login.bank-jp.invalid/a?t=9f8e7d now",
                "see hxxps://login[.]bank-jp[.]invalid/… now",
            ),
            ("http://u:p@evil.invalid:81/x", "hxxp://evil[.]invalid/…"),
            ("go to evil.invalid/tok3n", "go to evil[.]invalid/…"),
            ("ｈｔｔｐｓ：／／ｅｖｉｌ．ｉｎｖａｌｉｄ／ａ", "hxxps://evil[.]invalid/…"),
            ("x\u{202e}y\u{200b}\r\nz\u{1b}[31m", "xy  z[31m"),
            ("other@example.test", "○○"),
            ("https://yamada.evil.invalid/yamada?u=yamada yamada", "hxxps://…[.]evil[.]invalid/… ○○"),
            ("Ver.2.0 の案内", "Ver.2.0 の案内"),
        ] {
            assert_eq!(text(given, &recipients(), 80), expected, "{given}");
        }
        assert_eq!(text(&"あ".repeat(90), &recipients(), 80).chars().count(), 81);
    }

    #[test]
    fn of_a_link_only_the_place_is_told() {
        for (url, place, expected) in [
            (
                "https://a.amazon-x.invalid/u/yamada?t=1",
                "a.amazon-x.invalid",
                "hxxps://a[.]amazon-x[.]invalid/…",
            ),
            ("http://192.0.2.7/x", "192.0.2.7", "hxxp://192[.]0[.]2[.]7/…"),
            ("https://yamada.evil.invalid/", "yamada.evil.invalid", "hxxps://…[.]evil[.]invalid/…"),
            (
                "https://9f8e7d6c5b4a.evil.invalid/",
                "9f8e7d6c5b4a.evil.invalid",
                "hxxps://…[.]evil[.]invalid/…",
            ),
        ] {
            assert_eq!(link(url, place, &recipients()), expected);
        }
    }

    #[test]
    fn a_sender_is_told_unless_it_names_our_people() {
        for (given, expected) in [
            ("no.reply@amazon-x.invalid", "no[.]reply@amazon-x[.]invalid"),
            ("bounce+yamada=hospital.example@evil.invalid", "…@evil[.]invalid"),
            ("sato@hospital.example", "…@hospital[.]example"),
            ("yamada-notice@evil.invalid", "…@evil[.]invalid"),
            ("", ""),
        ] {
            assert_eq!(address(given, &recipients()), expected, "{given}");
        }
    }
}
