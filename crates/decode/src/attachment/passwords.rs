//! Passwords that a mail's text gives for what it carries.

/// Passwords that are given back.
const FOUND_MAX: usize = 8;
/// Characters that are searched.
const TEXT_MAX: usize = 256 << 10;
/// Words after which a password stands, in lower case and half width.
const WORDS: [&str; 14] = [
    "パスワード",
    "ぱすわーど",
    "パスコード",
    "ﾊﾟｽﾜｰﾄﾞ",
    "暗証番号",
    "解凍キー",
    "解凍pw",
    "復号キー",
    "password",
    "passcode",
    "passwort",
    "pass",
    "pwd",
    "pw",
];
/// Between the word and the password.
const LEADS: [&str; 18] =
    [":", "：", "=", "＝", "は", "is", "→", "⇒", "->", "=>", "「", "【", "[", "…", "・", "】", "」", "]"];
const OPENING: &str = "「『【《〈（(<[\"'“‘`＜［";
const CLOSING: &str = "」』】》〉）)>]\"'”’`＞］";

/// Passwords that a text names, at most eight, each once, as written and (where that differs) in half width.
pub fn passwords_in(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let text: String = text.chars().take(TEXT_MAX).collect();
    let lines: Vec<&str> = text.lines().collect();
    for (number, line) in lines.iter().enumerate() {
        for rest in after_words(line) {
            let rest = rest.trim_start();
            // The word may stand alone, as a heading above the password.
            let next =
                lines.get(number + 1..).and_then(|next| next.iter().find(|line| !line.trim().is_empty()));
            let Some(candidate) = candidate(rest, next.copied()) else { continue };
            for form in [candidate.clone(), half_width(&candidate)] {
                if found.len() < FOUND_MAX && !found.contains(&form) {
                    found.push(form);
                }
            }
        }
    }
    found
}

/// What stands behind each word for a password in a line.
fn after_words(line: &str) -> Vec<&str> {
    // Only ASCII letters change here, so that places stay the same.
    let lower = line.to_ascii_lowercase();
    let mut rests = Vec::new();
    for word in WORDS {
        let ascii = word.is_ascii();
        for (at, _) in lower.match_indices(word).take(4) {
            let before = lower.get(..at).and_then(|before| before.chars().next_back());
            let rest = line.get(at + word.len()..).unwrap_or_default();
            let inside_a_word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
            if !ascii || !inside_a_word(before) && !inside_a_word(rest.chars().next()) {
                rests.push(rest);
            }
        }
    }
    rests
}

fn candidate(rest: &str, next_line: Option<&str>) -> Option<String> {
    let mut rest = rest;
    let mut led = false;
    // 「パスワード(数字4桁)：1234」: what stands in brackets before the colon explains.
    if rest.starts_with(['(', '（'])
        && let Some((_, after)) = rest.split_once([')', '）'])
        && after.trim_start().starts_with([':', '：', '=', '＝'])
    {
        rest = after.trim_start();
    }
    while let Some(after) = LEADS.iter().find_map(|lead| rest.strip_prefix(lead)) {
        rest = after.trim_start();
        led = true;
        if rest.is_empty() {
            break;
        }
    }
    if rest.is_empty() {
        return next_line.filter(|line| led || line.trim().len() <= 40).and_then(|line| word(line.trim()));
    }
    // Without anything between, only in quotation marks: "password reset" names none.
    if led || rest.starts_with(|c| OPENING.contains(c)) { word(rest) } else { None }
}

/// The first word, without quotation marks and what ends a sentence.
fn word(text: &str) -> Option<String> {
    let text = text.trim_start_matches(|c| OPENING.contains(c) || c == ' ' || c == '　');
    let end = |c: char| c.is_whitespace() || c == '　' || "、。」』】》〉".contains(c);
    let word = text.split(end).next().unwrap_or_default();
    let word = word.strip_suffix("です").or_else(|| word.strip_suffix("となります")).unwrap_or(word);
    let word = word.trim_end_matches(|c| CLOSING.contains(c));
    // A full stop belongs to the sentence.
    let word = word.strip_suffix(['.', ',']).unwrap_or(word);
    let length = word.chars().count();
    let written = word.chars().any(|c| half(c).is_ascii_graphic());
    ((3..=64).contains(&length) && written).then(|| word.to_owned())
}

fn half_width(text: &str) -> String {
    text.chars().map(half).collect()
}

fn half(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        c => c,
    }
}
