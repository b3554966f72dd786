//! Evidence that nobody can click on.

/// Longest piece of evidence, characters.
const CHARS_MAX: usize = 120;

/// An address of the web that no program takes for one: `hxxps://example[.]test/…`.
pub(crate) fn url(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let (host, path) = rest.find(['/', '?', '#']).map_or((rest, ""), |at| rest.split_at(at));
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "" => String::new(),
        "http" => "hxxp://".to_owned(),
        "https" => "hxxps://".to_owned(),
        other => format!("{other}[:]//"),
    };
    text(&format!("{scheme}{}{path}", dots(host)))
}

/// A host or an address of mail, with its dots in brackets.
pub(crate) fn host(host: &str) -> String {
    text(&dots(host))
}

/// Other text: one line, without what would command a terminal or turn the writing around, with its links defused, at most 120 characters.
pub(crate) fn text(text: &str) -> String {
    let visible = |char: &char| {
        !char.is_control()
            && !matches!(char, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let mut out: String = text
        .chars()
        .map(|char| if char.is_whitespace() { ' ' } else { char })
        .filter(visible)
        .take(CHARS_MAX)
        .collect();
    if text.chars().nth(CHARS_MAX).is_some() {
        out.push('…');
    }
    out.replace("http://", "hxxp://").replace("https://", "hxxps://")
}

fn dots(host: &str) -> String {
    if host.contains("[.]") { host.to_owned() } else { host.replace('.', "[.]") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_cannot_be_clicked_on() {
        for (given, expected) in [
            ("https://login.example.test/a.b?c=d", "hxxps://login[.]example[.]test/a.b?c=d"),
            ("HTTP://192.0.2.7:8080/", "hxxp://192[.]0[.]2[.]7:8080/"),
            ("example.test", "example[.]test"),
            ("javascript://x", "javascript[:]//x"),
        ] {
            assert_eq!(url(given), expected);
        }
        assert_eq!(host("a@example.test"), "a@example[.]test");
        assert_eq!(text("see http://x.test\r\n\u{1b}[31m\u{202e}now"), "see hxxp://x.test  [31mnow");
        assert_eq!(text(&"あ".repeat(300)).chars().count(), CHARS_MAX + 1);
    }
}
