//! URLs in texts without mark-up.

use memchr::{memchr, memchr2_iter};

use super::tlds;
use super::url::{self, floor, host_of, is_invisible};
use super::values::{Link, LinkKind};

/// More than this is not looked for in one text.
const URLS_MAX: usize = 4_096;
/// Where the beginning of a bare domain is looked for, bytes back.
const DOMAIN_MAX: usize = 253;

/// The URLs that mail programs make links of: with a scheme, with `www.`, and bare domains that a path follows or that stand in
/// angle brackets. In their order, each place, at most 4,096.
///
/// Japanese text may follow a URL without a blank: characters beyond ASCII end it, but for international names.
pub fn urls(text: &str) -> Vec<Link> {
    found(text).into_iter().map(|url| link(&url)).collect()
}

fn link(url: &str) -> Link {
    let whole = if url::scheme(url).is_some_and(|(name, _)| url::is_web(name)) {
        url::resolve(url, None)
    } else {
        url::resolve(&format!("http://{url}"), None)
    };
    Link { host: host_of(&whole), url: whole, shown: String::new(), kind: LinkKind::Plain }
}

/// As they stand, but for line breaks within angle brackets.
fn found(text: &str) -> Vec<String> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    // Everything before this is decided.
    let mut done = 0;
    for hit in memchr2_iter(b':', b'.', bytes) {
        if hit < done {
            continue;
        }
        let start =
            if bytes[hit] == b':' { scheme_before(text, hit, done) } else { www_before(bytes, hit, done) };
        let place = match start {
            Some(start) => Some((start, end_of_url(text, start, hit))),
            None if bytes[hit] == b'.' => {
                let (place, looked) = bare_domain(text, hit, done);
                done = looked;
                place
            }
            None => None,
        };
        let Some((start, end)) = place else { continue };
        let end = trimmed(text, start, end);
        if end <= hit + 1 {
            continue;
        }
        let (url, end) = over_lines(text, start, end);
        done = end;
        found.push(url);
        if found.len() >= URLS_MAX {
            break;
        }
    }
    found
}

/// Where `http`, `https` or `ftp` begins before the colon at `colon`, when slashes follow it.
fn scheme_before(text: &str, colon: usize, done: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    if !matches!(bytes.get(colon + 1), Some(b'/' | b'\\'))
        || !matches!(bytes.get(colon + 2), Some(b'/' | b'\\'))
    {
        return None;
    }
    ["https", "http", "ftp"].iter().find_map(|name| {
        let start = colon.checked_sub(name.len()).filter(|start| *start >= done)?;
        bytes[start..colon].eq_ignore_ascii_case(name.as_bytes()).then_some(start)
    })
}

/// Where `www` begins before the dot at `dot`, at the beginning of a word.
fn www_before(bytes: &[u8], dot: usize, done: usize) -> Option<usize> {
    let start = dot.checked_sub(3).filter(|start| *start >= done)?;
    let is_www = bytes[start..dot].eq_ignore_ascii_case(b"www");
    let alone = start == 0
        || !(bytes[start - 1].is_ascii_alphanumeric()
            || matches!(bytes[start - 1], b'.' | b'-' | b'@' | b'_'));
    let follows = bytes.get(dot + 1).is_some_and(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii());
    (is_www && alone && follows).then_some(start)
}

/// A domain around the dot at `dot` that is followed by a path or stands in angle brackets; and up to where it was looked for.
fn bare_domain(text: &str, dot: usize, done: usize) -> (Option<(usize, usize)>, usize) {
    let bytes = text.as_bytes();
    let is_domain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    let from = done.max(dot.saturating_sub(DOMAIN_MAX));
    let start = from + bytes[from..dot].iter().rposition(|byte| !is_domain(byte)).map_or(0, |at| at + 1);
    let end = dot + bytes[dot..].iter().take_while(|byte| is_domain(byte)).count();
    let before = start.checked_sub(1).map(|at| bytes[at]);
    let after = bytes.get(end);
    let in_brackets = before == Some(b'<') && after == Some(&b'>');
    let follows_path =
        after == Some(&b'/') && !matches!(before, Some(b'@' | b'/' | b'\\' | b'_' | b'=' | b'&'));
    if !(in_brackets || follows_path) || !is_domain_name(text[start..end].trim_end_matches('.')) {
        return (None, end);
    }
    (Some((start, if in_brackets { end } else { tail(text, end) })), end)
}

fn is_domain_name(domain: &str) -> bool {
    let tld = domain.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    domain.contains('.') && !domain.starts_with(['.', '-']) && !domain.contains("..") && tlds::is_known(&tld)
}

/// Where the URL that begins at `start` ends; its host lies behind `hit`.
fn end_of_url(text: &str, start: usize, hit: usize) -> usize {
    let begun = if text.as_bytes()[hit] == b':' { hit + 1 } else { start };
    let host = begun + text[begun..].find(|c| !matches!(c, '/' | '\\')).unwrap_or(text.len() - begun);
    let end = end_of_host(text, host);
    if end == host { start } else { tail(text, end) }
}

/// Letters of any script may stand in a name, but Japanese ones behind a whole domain are the sentence that goes on.
fn end_of_host(text: &str, start: usize) -> usize {
    let mut wide: Option<usize> = None;
    let mut end = text.len();
    for (at, c) in text[start..].char_indices() {
        let at = start + at;
        let goes_on = match c {
            c if c.is_ascii() => is_url_character(c) && !matches!(c, '/' | '\\' | '?' | '#'),
            c if is_invisible(c) => true,
            c => c.is_alphanumeric(),
        };
        if !goes_on || at - start > 512 {
            end = at;
            break;
        }
        if wide.is_none() && is_japanese(c) {
            wide = Some(at);
        }
    }
    let Some(wide) = wide else { return end };
    let before = &text[start..wide];
    let tld = before.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let port = before
        .rsplit(':')
        .next()
        .is_some_and(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    // `www.example.comを` ends at its domain; `日本語.jp` and `買い物.example` are names.
    let is_whole = before.contains('.') && (tlds::is_known(&tld) || port || before.ends_with('.'));
    let is_name = text[wide..end].contains('.');
    if is_whole || !is_name { wide } else { end }
}

fn is_japanese(c: char) -> bool {
    matches!(c, '\u{3005}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}')
}

/// The path and what follows, from the end of the host on.
fn tail(text: &str, from: usize) -> usize {
    if !matches!(text.as_bytes().get(from), Some(b'/' | b'\\' | b'?' | b'#' | b':')) {
        return from;
    }
    let rest = &text[from..];
    from + rest.find(|c| !(is_url_character(c) || is_invisible(c))).unwrap_or(rest.len())
}

fn is_url_character(c: char) -> bool {
    c.is_ascii_graphic() && !matches!(c, '<' | '>' | '"' | '`' | '{' | '}' | '|' | '^')
}

/// Without the punctuation of the sentence around it.
fn trimmed(text: &str, start: usize, end: usize) -> usize {
    let mut url = &text[start..end];
    // Counted once: a URL of nothing but brackets takes no longer than another.
    let count = |wanted| url.chars().filter(|c| *c == wanted).count();
    let mut round = count(')').saturating_sub(count('('));
    let mut square = count(']').saturating_sub(count('['));
    while let Some(last) = url.chars().next_back() {
        let surplus = match last {
            ')' => &mut round,
            ']' => &mut square,
            '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '*' | '~' => &mut 1,
            last if is_invisible(last) => &mut 1,
            _ => break,
        };
        if *surplus == 0 {
            break;
        }
        *surplus -= 1;
        url = &url[..url.len() - last.len_utf8()];
    }
    start + url.len()
}

/// A URL in angle brackets goes on over line ends up to the closing one (RFC 3986, appendix C).
fn over_lines(text: &str, start: usize, end: usize) -> (String, usize) {
    let one = (text[start..end].to_owned(), end);
    if start == 0 || text.as_bytes()[start - 1] != b'<' || !text[end..].starts_with(['\r', '\n']) {
        return one;
    }
    let window = &text[end..floor(text, end + 1_024)];
    let Some(close) = memchr(b'>', window.as_bytes()) else { return one };
    let more = &window[..close];
    let lines = more.trim().lines();
    if lines.clone().count() > 6 || lines.clone().any(|line| line.trim().contains(|c| !is_url_character(c))) {
        return one;
    }
    (std::iter::once(one.0.as_str()).chain(lines.map(str::trim)).collect(), end + close)
}

#[cfg(test)]
mod tests {
    use super::{super::values::LinkKind, urls};

    fn check(text: &str, expected: &[(&str, &str)]) {
        let links = urls(text);
        let found: Vec<_> = links.iter().map(|link| (link.url.as_str(), link.host.as_str())).collect();
        assert_eq!(found, expected, "{text:?}");
        assert!(links.iter().all(|link| link.kind == LinkKind::Plain && link.shown.is_empty()));
    }

    #[test]
    fn urls_end_where_a_reader_sees_them_end() {
        check(
            "see https://shop.example/a?b=c#d, please",
            &[("https://shop.example/a?b=c#d", "shop.example")],
        );
        check("こちらhttps://shop.example/aをクリック", &[("https://shop.example/a", "shop.example")]);
        check("www.shop.comをご覧ください。", &[("http://www.shop.com", "www.shop.com")]);
        check("「http://shop.example」、", &[("http://shop.example", "shop.example")]);
        check("http://shop.example　全角", &[("http://shop.example", "shop.example")]);
        check("http://shop.example：8080です", &[("http://shop.example", "shop.example")]);
        check("http://shop.example:8080です", &[("http://shop.example:8080", "shop.example")]);
        check("http://日本語.jp/道", &[("http://日本語.jp/", "日本語.jp")]);
        check("http://日本語です", &[]);
        check("http://аmazon.test/x", &[("http://аmazon.test/x", "аmazon.test")]);
        check("http://ama\u{200b}zon.test/x", &[("http://ama\u{200b}zon.test/x", "amazon.test")]);
        check(
            "(http://a.example/b_(c)) [http://d.example]",
            &[("http://a.example/b_(c)", "a.example"), ("http://d.example", "d.example")],
        );
        check("http://a@b.test:80/!?", &[("http://a@b.test:80/", "b.test")]);
        check("HTTP:\\\\evil.test\\x", &[("http://evil.test/x", "evil.test")]);
        check("http://a.example/http://b.example/", &[("http://a.example/http://b.example/", "a.example")]);
        check("<http://a.example/long\n  er/still>", &[("http://a.example/longer/still", "a.example")]);
        check("<http://a.example/long\nwords follow>", &[("http://a.example/long", "a.example")]);
    }

    #[test]
    fn bare_domains_need_a_path_or_brackets() {
        check("go to shop.co.jp/login now", &[("http://shop.co.jp/login", "shop.co.jp")]);
        check("詳細はshop.example.com/xまで", &[("http://shop.example.com/x", "shop.example.com")]);
        check("<shop.top>", &[("http://shop.top", "shop.top")]);
        check("shop.co.jp and a.b.c. Fine.And you", &[]);
        check("and/or.files/main.rs src/lib.rs/x read.html/x a@b.example/c", &[]);
        check("2.5/3 v1.2.3/4 .../...", &[]);
        check("www. www.. wwww.a.example", &[]);
        check("wwwx.a.example/b", &[("http://wwwx.a.example/b", "wwwx.a.example")]);
    }

    #[test]
    fn texts_made_of_beginnings_take_no_time() {
        for text in ["a.", "http://", "www.", "<http://a\n", "http:", "(((", "://", ")", "a.b/"] {
            let many = text.repeat(200_000);
            assert!(urls(&many).len() <= 4_096, "{text}");
            assert!(urls(&format!("http://a{many}")).len() <= 4_096, "{text}");
        }
    }
}
