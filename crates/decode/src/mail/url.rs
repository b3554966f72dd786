//! Where a URL leads, the way browsers find out (WHATWG URL, "URL parsing" and "host parsing").

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::parameters::percent;

/// Longer URLs are cut.
pub(super) const URL_MAX: usize = 2_048;
/// No name in the DNS is longer; room is left for what is not yet punycode.
const HOST_MAX: usize = 1_024;

/// The host that a browser would ask for `url`: lower case, without user information, port, trailing dot and invisible characters,
/// percent escapes undone, an IP address in its usual form (IPv6 without brackets), international names as they read. Empty where
/// there is none. A text without a scheme counts as a host where it begins like one (`shop.example/path`).
pub fn host_of(url: &str) -> String {
    let url = tidy(url);
    match scheme(&url) {
        Some((name, rest)) if is_web(name) => host(authority(rest.trim_start_matches(['/', '\\']))),
        Some((_, rest)) => rest.strip_prefix("//").map_or_else(String::new, |rest| host(authority(rest))),
        None => match url.strip_prefix(['/', '\\']) {
            Some(rest) => {
                rest.strip_prefix(['/', '\\']).map_or_else(String::new, |rest| host(authority(rest)))
            }
            None => bare_host(&url),
        },
    }
}

/// What stands there without a scheme: a host only where it looks like one, as it may be a path.
fn bare_host(url: &str) -> String {
    let authority = authority(url);
    if !authority.contains(['.', '。', '．', '｡']) || authority.contains(char::is_whitespace) {
        return String::new();
    }
    let host = host(authority);
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_host = host.contains('.')
        && (super::tlds::is_known(last) || host.parse::<Ipv4Addr>().is_ok() || !last.is_ascii());
    if is_host { host } else { String::new() }
}

/// The URL as it works: blanks and line ends as a browser drops them, backslashes as slashes, a scheme written out; at most
/// [`URL_MAX`] characters.
pub(super) fn resolve(raw: &str, base: Option<&str>) -> String {
    let url = tidy(raw);
    let whole = match scheme(&url) {
        Some((name, rest)) if is_web(name) => {
            let name = name.to_ascii_lowercase();
            format!("{name}://{}", slashes(rest.trim_start_matches(['/', '\\'])))
        }
        Some((name, rest)) => format!("{}:{rest}", name.to_ascii_lowercase()),
        None => join(&url, base),
    };
    cut(whole, URL_MAX)
}

fn join(url: &str, base: Option<&str>) -> String {
    let base = base.filter(|base| base.contains("://"));
    let is_slash = |c| matches!(c, '/' | '\\');
    let mut chars = url.chars();
    match (chars.next(), chars.next()) {
        (Some(first), Some(second)) if is_slash(first) && is_slash(second) => {
            let scheme = base.and_then(|base| base.split(':').next()).unwrap_or("http");
            format!("{scheme}://{}", slashes(url.trim_start_matches(['/', '\\'])))
        }
        (first, _) => {
            let Some(base) = base else { return url.to_owned() };
            let start = base.find("://").map_or(0, |at| at + 3);
            let path = base[start..].find(['/', '?', '#']).map_or(base.len(), |at| start + at);
            match first {
                None => base.to_owned(),
                Some('#' | '?') => format!("{}{url}", &base[..base.find(['?', '#']).unwrap_or(base.len())]),
                Some(first) if is_slash(first) => format!("{}{}", &base[..path], slashes(url)),
                Some(_) => {
                    let end = base[..base.find(['?', '#']).unwrap_or(base.len())]
                        .rfind('/')
                        .filter(|at| *at >= path);
                    format!("{}/{}", &base[..end.unwrap_or(path)], slashes(url))
                }
            }
        }
    }
}

/// Backslashes are slashes up to the query.
fn slashes(rest: &str) -> Cow<'_, str> {
    let path = rest.find(['?', '#']).unwrap_or(rest.len());
    if rest[..path].contains('\\') {
        Cow::Owned(format!("{}{}", rest[..path].replace('\\', "/"), &rest[path..]))
    } else {
        Cow::Borrowed(rest)
    }
}

/// Without control characters and blanks at its ends, and without tabs and line ends anywhere. Cut in time: only the beginning counts.
fn tidy(raw: &str) -> Cow<'_, str> {
    let raw = raw.trim_matches(|c: char| c <= ' ');
    let raw = &raw[..floor(raw, URL_MAX * 4)];
    if raw.contains(['\t', '\r', '\n']) {
        Cow::Owned(raw.replace(['\t', '\r', '\n'], ""))
    } else {
        Cow::Borrowed(raw)
    }
}

/// The scheme and what follows its colon.
pub(super) fn scheme(url: &str) -> Option<(&str, &str)> {
    let head = &url.as_bytes()[..url.len().min(32)];
    let end = memchr::memchr(b':', head)?;
    let name = &url[..end];
    let sound = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    // `host.example:8080/` has no scheme.
    let is_port = name.contains('.') && url[end + 1..].starts_with(|c: char| c.is_ascii_digit());
    (sound && !is_port).then(|| (name, &url[end + 1..]))
}

/// Whether browsers are lenient about the slashes of this scheme.
pub(super) fn is_web(scheme: &str) -> bool {
    ["http", "https", "ftp", "ws", "wss"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
}

/// Up to the path, the query or the fragment.
fn authority(rest: &str) -> &str {
    &rest[..rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len())]
}

fn host(authority: &str) -> String {
    // The last at sign ends the user information: `http://bank.example@evil.test`.
    let host = authority.rsplit('@').next().unwrap_or_default();
    if let Some(inner) = host.strip_prefix('[') {
        let inner = &inner[..inner.find(']').unwrap_or(inner.len())];
        return inner.parse::<Ipv6Addr>().map_or_else(|_| folded(inner), |address| address.to_string());
    }
    let host = host.split(':').next().unwrap_or_default();
    let host = if host.contains('%') {
        let mut bytes = Vec::with_capacity(host.len());
        percent(host.as_bytes(), &mut bytes);
        // What an escape hides may not end a host; a browser gives up, others stop there.
        let end = bytes.iter().position(|byte| b"/\\?#@:".contains(byte)).unwrap_or(bytes.len());
        Cow::Owned(String::from_utf8_lossy(&bytes[..end]).into_owned())
    } else {
        Cow::Borrowed(host)
    };
    let host = folded(&host);
    ipv4(&host).map_or(host, |address| address.to_string())
}

/// Lower case, wide forms narrow, what nobody sees gone, no dots at the end.
fn folded(host: &str) -> String {
    let host = &host[..floor(host, HOST_MAX)];
    let mut out: String = if host.is_ascii() {
        host.bytes()
            .filter(|byte| *byte > b' ' && *byte != 0x7f)
            .map(|byte| byte.to_ascii_lowercase() as char)
            .collect()
    } else {
        host.chars().filter_map(narrow).filter(|c| !is_invisible(*c)).flat_map(char::to_lowercase).collect()
    };
    out.truncate(out.trim_end_matches('.').len());
    out
}

fn narrow(c: char) -> Option<char> {
    match c {
        '。' | '．' | '｡' => Some('.'),
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0),
        c if c.is_whitespace() || c.is_control() => None,
        c => Some(c),
    }
}

/// Characters that take no room: zero-width ones, soft hyphens, joiners, direction marks, variation selectors, tags.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// One to four numbers, decimal, octal (`0…`) or hexadecimal (`0x…`), the last one filling what is left.
fn ipv4(host: &str) -> Option<Ipv4Addr> {
    let last = host.rsplit('.').next()?;
    if !last.starts_with(|c: char| c.is_ascii_digit()) || host.len() > 64 {
        return None;
    }
    let mut numbers = Vec::with_capacity(4);
    for part in host.split('.') {
        if numbers.len() == 4 {
            return None;
        }
        numbers.push(number(part)?);
    }
    let last = numbers.pop()?;
    if numbers.iter().any(|number| *number > 255) || last >= 1u64 << (8 * (4 - numbers.len())) {
        return None;
    }
    let high = numbers.iter().enumerate().fold(0u64, |sum, (at, number)| sum | number << (8 * (3 - at)));
    Some(Ipv4Addr::from((high | last) as u32))
}

fn number(part: &str) -> Option<u64> {
    let (digits, radix) = match part.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None if part.len() > 1 && part.starts_with('0') => (&part[1..], 8),
        None => (part, 10),
    };
    match digits {
        "" => (radix != 10).then_some(0),
        digits if digits.starts_with('+') => None,
        digits => u64::from_str_radix(digits, radix).ok().filter(|number| *number <= u64::from(u32::MAX)),
    }
}

/// The last character border at or before `at`.
pub(super) fn floor(text: &str, at: usize) -> usize {
    if at >= text.len() {
        return text.len();
    }
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// At most `chars` characters.
pub(super) fn cut(mut text: String, chars: usize) -> String {
    if text.len() > chars
        && let Some((at, _)) = text.char_indices().nth(chars)
    {
        text.truncate(at);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{host_of, resolve};

    #[test]
    fn hosts_are_those_that_a_browser_asks() {
        for (url, host) in [
            ("https://Shop.Example/a?b#c", "shop.example"),
            ("http://shop.example@evil.test/", "evil.test"),
            ("http://shop.example:pass@word@evil.test:8080/", "evil.test"),
            ("http://evil.test\\@shop.example/", "evil.test"),
            ("http:\\\\evil.test\\a", "evil.test"),
            ("http:/\\/evil.test", "evil.test"),
            ("http:evil.test/a", "evil.test"),
            ("http:////evil.test", "evil.test"),
            (" \u{1}ht\ntp://ev\til.te\rst/\n", "evil.test"),
            ("http://evil%2Etest/", "evil.test"),
            ("http://%65vil.test%2fshop.example/", "evil.test"),
            ("http://evil.test./", "evil.test"),
            ("http://evil.test?shop.example/", "evil.test"),
            ("http://evil.test#shop.example/", "evil.test"),
            ("http://3221226219/", "192.0.2.235"),
            ("http://0xC0.0.0x2.0353/", "192.0.2.235"),
            ("http://0300.0.747/", "192.0.2.235"),
            ("http://192.0.2.235.:80/", "192.0.2.235"),
            ("http://1.2.3.4.5/", "1.2.3.4.5"),
            ("http://[2001:DB8:0::1]:80/", "2001:db8::1"),
            ("http://ama\u{200b}z\u{ad}on.test/", "amazon.test"),
            ("http://ａｍａｚｏｎ。test/", "amazon.test"),
            ("http://ПРИМЕР.test/", "пример.test"),
            ("http://日本語.jp/", "日本語.jp"),
            ("//evil.test/a", "evil.test"),
            ("/a.example/b", ""),
            ("shop.co.jp/a", "shop.co.jp"),
            ("shop.co.jp:80/a", "shop.co.jp"),
            ("page.html", ""),
            ("just words. And more", ""),
            ("mailto:a@b.example", ""),
            ("javascript:alert(1)", ""),
            ("data:text/html,http://a.example/", ""),
            ("tel:110", ""),
            ("intent://evil.test/#Intent", "evil.test"),
            ("", ""),
            ("http://", ""),
            ("http://@", ""),
            ("http://[::", "::"),
        ] {
            assert_eq!(host_of(url), host, "{url:?}");
        }
    }

    #[test]
    fn relative_links_are_resolved() {
        let base = Some("https://shop.example/a/b?c");
        for (raw, base, url) in [
            ("http:/\\evil.test\\a?\\b", None, "http://evil.test/a?\\b"),
            ("HTTP://Evil.test", None, "http://Evil.test"),
            ("//evil.test", None, "http://evil.test"),
            ("//evil.test", base, "https://evil.test"),
            ("/x", base, "https://shop.example/x"),
            ("x", base, "https://shop.example/a/x"),
            ("?x", base, "https://shop.example/a/b?x"),
            ("", base, "https://shop.example/a/b?c"),
            ("x", Some("https://shop.example"), "https://shop.example/x"),
            ("x", Some("nonsense"), "x"),
            ("java\nscript:x", None, "javascript:x"),
        ] {
            assert_eq!(resolve(raw, base), url, "{raw:?}");
        }
        assert_eq!(resolve(&"http://a.example/".repeat(1_000), None).chars().count(), super::URL_MAX);
    }
}
