use crate::lookalike::Host;

/// The host of the address that a link shows instead of its own, where its text is or begins with one.
///
/// A scheme, `www.` or a path says that an address is meant; without them only a text that is nothing but a domain of a
/// registered ending does (`amazon.co.jp`, and not `v1.2` or `see report.pdf`).
pub fn displayed_host(shown: &str) -> Option<String> {
    if !may_hold_dot(shown) {
        return None;
    }
    let mut words = shown
        .split(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '(' | ')' | '「' | '」' | '"' | '\''));
    let alone = shown.split_whitespace().count() == 1;
    words.find_map(|word| {
        let word = word.trim_end_matches(['.', ',', ';', ':', '!', '?', '…', '。', '、']);
        let scheme = ["http://", "https://"]
            .iter()
            .any(|scheme| word.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
        if word.contains('@') && !scheme {
            return None;
        }
        // Reading a host costs more than all else here, and most words are just words.
        if !may_hold_dot(word) || (!scheme && !alone && !may_be_meant(word)) || ends_as_sentence(word) {
            return None;
        }
        let host = Host::read(word)?;
        let meant = scheme || host.ascii().starts_with("www.") || word.contains('/') || alone;
        (meant && is_domain(&host)).then(|| host.ascii().to_owned())
    })
}

/// Whether what would be the last label is Japanese and longer than any ending: `…です。詳しくはこちらをご覧ください`. (The longest is
/// `.ファッション`.)
fn ends_as_sentence(word: &str) -> bool {
    let is_letter =
        |c: &char| matches!(c, '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fc}' | '\u{4e00}'..='\u{9fff}');
    word.chars().rev().take_while(is_letter).nth(8).is_some()
        && !word.contains(['/', '\\', '?', '#', ':', '%'])
}

/// Whether there may be a dot in a text once it is read as a host: an escape, and what is mapped to one (UTS 46), is a dot then.
fn may_hold_dot(text: &str) -> bool {
    if text.is_ascii() {
        return text.bytes().any(|byte| matches!(byte, b'.' | b'%'));
    }
    text.chars().any(|c| {
        matches!(
            c,
            '.' | '%' | '\u{2024}'..='\u{2026}' | '\u{2488}'..='\u{249b}' | '\u{3002}' | '\u{33c2}' | '\u{33c7}' | '\u{33d8}'
                | '\u{fe12}' | '\u{fe19}' | '\u{fe30}' | '\u{fe52}' | '\u{ff0e}' | '\u{ff61}' | '\u{1f100}'
        )
    })
}

/// Whether a word among others may show that it is an address: by a path, or by its first label.
fn may_be_meant(word: &str) -> bool {
    if word.contains(['/', '%', '[']) {
        return true;
    }
    if word.is_ascii() {
        let start = word.trim_start_matches('.');
        return start.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("www."));
    }
    // Nothing that begins with another letter of these begins with `www.` once it is read.
    word.chars().next().is_some_and(|first| match first {
        'w' | 'W' => true,
        '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' | '\u{4e00}'..='\u{9fff}' => false,
        first => !first.is_ascii_alphanumeric(),
    })
}

fn is_domain(host: &Host) -> bool {
    let known = psl::suffix(host.ascii().as_bytes()).is_some_and(|suffix| suffix.is_known());
    let sound = host.ascii().bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    known && sound && !host.is_address() && host.ascii().contains('.') && host.registrable() != host.suffix()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is skipped before a host is read is never one.
    #[test]
    fn every_character_that_becomes_a_dot_is_known() {
        for c in (0..=0x2_ffff).filter_map(char::from_u32) {
            let read = Host::read(&format!("sample{c}com"));
            if read.is_some_and(|host| host.ascii().contains('.')) {
                assert!(may_hold_dot(&c.to_string()), "{:x}", u32::from(c));
            }
        }
        for (word, expected) in [
            ("ｗｗｗ.amazon.co.jp", Some("www.amazon.co.jp")),
            ("www．amazon。co｡jp", Some("www.amazon.co.jp")),
            ("詳細は www%2eamazon.co.jp", Some("www.amazon.co.jp")),
        ] {
            assert_eq!(displayed_host(&format!("こちら {word} です")).as_deref(), expected, "{word}");
        }
    }

    #[test]
    fn an_address_that_is_shown_is_found_and_nothing_else() {
        for (shown, expected) in [
            ("https://www.amazon.co.jp/gp/signin", Some("www.amazon.co.jp")),
            ("HTTPS://Amazon.co.jp", Some("amazon.co.jp")),
            ("amazon.co.jp", Some("amazon.co.jp")),
            ("www.paypal.com を開く", Some("www.paypal.com")),
            ("▼ログイン https://www.smbc-card.com/mem/", Some("www.smbc-card.com")),
            ("smbc-card.com/mem/index.jsp", Some("smbc-card.com")),
            ("https://evil.jp@amazon.co.jp/", Some("amazon.co.jp")),
            ("support@amazon.co.jp", None),
            ("こちらをクリック", None),
            ("お知らせです。詳しくはこちらをご覧ください。", None),
            ("www.アマゾン.ファッション", Some("www.xn--cckwcxetd.xn--bck1b9a5dre4c")),
            ("https://amazon.co.jp/ご利用状況のご確認はこちら", Some("amazon.co.jp")),
            ("v1.2", None),
            ("report.pdf", None),
            ("see main.rs for more", None),
            ("co.jp", None),
            ("192.0.2.1", None),
            ("", None),
        ] {
            assert_eq!(displayed_host(shown).as_deref(), expected, "{shown}");
        }
    }
}
