use std::borrow::Cow;

use crate::lookalike::skeleton;

/// Longer than any host; what is cut off was no host.
const RAW_MAX: usize = 2_048;
const HOST_MAX: usize = 253;

/// A host as it is compared: lower case, without user information, port, invisible characters and last dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    ascii: String,
    unicode: Option<String>,
    user: Option<String>,
    suffix_at: usize,
    private_suffix: bool,
    address: bool,
}

impl Host {
    /// Reads a host, or the host of a URL, or of what stands between `//` and the path. `None` where there is none.
    pub fn read(raw: &str) -> Option<Self> {
        let raw = raw.trim();
        let raw = &raw[..raw.floor_char_boundary(RAW_MAX)];
        let (user, host) = authority(raw);
        let visible = without_invisible(host);
        let decoded = percent_decoded(&visible);
        let trimmed = decoded.trim_matches(['.', ' ']);
        let (ascii, unicode) = both_forms(trimmed)?;
        if ascii.is_empty() || ascii.len() > HOST_MAX {
            return None;
        }
        let address = is_address(&ascii);
        let suffix = psl::suffix(ascii.as_bytes());
        let suffix_len = suffix.map_or(0, |suffix| suffix.as_bytes().len());
        let private_suffix = suffix.is_some_and(|suffix| suffix.typ() == Some(psl::Type::Private));
        let suffix_at = if address { 0 } else { ascii.len() - suffix_len };
        Some(Self { ascii, unicode, user: user.map(str::to_owned), suffix_at, private_suffix, address })
    }

    /// In ASCII, punycode where it has to be; as it stands where IDNA forbids it.
    pub fn ascii(&self) -> &str {
        &self.ascii
    }

    /// As a reader sees it, where that differs from ASCII.
    pub fn unicode(&self) -> Option<&str> {
        self.unicode.as_deref()
    }

    /// What stands before `@`: never where a browser goes, always where a reader looks.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Whether it is an IP address, however written.
    pub fn is_address(&self) -> bool {
        self.address
    }

    /// What somebody registered: the public suffix and one label; the whole host where there is no such label.
    pub fn registrable(&self) -> &str {
        let Some(front) = self.front().strip_suffix('.') else { return &self.ascii };
        &self.ascii[front.rfind('.').map_or(0, |dot| dot + 1)..]
    }

    /// The public suffix: `co.jp`, `com`, `github.io`.
    pub fn suffix(&self) -> &str {
        &self.ascii[self.suffix_at..]
    }

    /// Whether anybody may have a name below the suffix from its owner, as with free hosting (the private part of the Public
    /// Suffix List).
    pub fn has_private_suffix(&self) -> bool {
        self.private_suffix
    }

    /// What stands before the suffix, with its dot: what its owner chose.
    pub(super) fn front(&self) -> &str {
        &self.ascii[..self.suffix_at]
    }

    /// The same of what a reader sees, where that differs.
    pub(super) fn unicode_front(&self) -> Option<&str> {
        let unicode = self.unicode()?;
        let labels = self.suffix().split('.').count();
        let mut end = unicode.len();
        for _ in 0..labels {
            end = unicode[..end].rfind('.')?;
        }
        Some(&unicode[..=end])
    }
}

/// User information and host of a URL or a part of one.
fn authority(raw: &str) -> (Option<&str>, &str) {
    let rest = match raw.split_once("//") {
        Some((scheme, rest)) if !scheme.contains(['.', '@', '/']) => rest.trim_start_matches(['/', '\\']),
        _ => raw,
    };
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (user, host) = match rest[..end].rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, &rest[..end]),
    };
    if let Some(v6) = host.strip_prefix('[') {
        return (user, v6.split(']').next().unwrap_or_default());
    }
    match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') && port.bytes().all(|b| b.is_ascii_digit()) => (user, name),
        _ => (user, host),
    }
}

fn without_invisible(host: &str) -> Cow<'_, str> {
    if host.is_ascii() { Cow::Borrowed(host) } else { skeleton::visible(host) }
}

/// Browsers decode percent escapes in a host.
fn percent_decoded(host: &str) -> Cow<'_, str> {
    if !host.contains('%') {
        return Cow::Borrowed(host);
    }
    let mut bytes = Vec::with_capacity(host.len());
    let mut rest = host.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = (first == b'%').then(|| after.get(..2)).flatten().and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 16).ok()
        });
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// Lower case in ASCII and, where it differs, in Unicode.
fn both_forms(host: &str) -> Option<(String, Option<String>)> {
    let mut ascii = host.to_ascii_lowercase();
    let punycode = ascii.starts_with("xn--") || ascii.contains(".xn--");
    if ascii.is_ascii() && !punycode {
        return Some((ascii, None));
    }
    // Errors are no reason to look away: a browser may show what IDNA forbids.
    let (unicode, _) = idna::domain_to_unicode(host);
    let unicode = unicode.trim_matches('.').to_owned();
    if let Ok(encoded) = idna::domain_to_ascii(host) {
        ascii = encoded.trim_matches('.').to_owned();
    } else {
        ascii.clone_from(&unicode);
    }
    (!unicode.is_empty()).then(|| {
        let differs = unicode != ascii || !ascii.is_ascii();
        (ascii, differs.then_some(unicode))
    })
}

/// Dotted, decimal, octal or hexadecimal: what a browser takes for an address (WHATWG URL: the last label is a number).
fn is_address(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    let hexadecimal =
        last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    host.contains(':') || hexadecimal || (!last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_read_as_a_browser_would() {
        for (raw, ascii, registrable) in [
            ("Example.COM", "example.com", "example.com"),
            ("https://user:pw@www.shop.example.co.jp:8443/a?b@c", "www.shop.example.co.jp", "example.co.jp"),
            ("//evil.example\\@good.example/", "evil.example", "evil.example"),
            ("www.example.com.", "www.example.com", "example.com"),
            ("exa\u{ad}mp\u{200b}le.com", "example.com", "example.com"),
            ("exam%70le.com", "example.com", "example.com"),
            ("bücher.example", "xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("ｅｘａｍｐｌｅ。ｃｏｍ", "example.com", "example.com"),
            ("a.b.github.io", "a.b.github.io", "b.github.io"),
            ("co.jp", "co.jp", "co.jp"),
            ("localhost", "localhost", "localhost"),
        ] {
            let host = Host::read(raw).unwrap();
            assert_eq!((host.ascii(), host.registrable()), (ascii, registrable), "{raw}");
            assert!(!host.is_address(), "{raw}");
        }
    }

    #[test]
    fn addresses_are_known_however_written() {
        for raw in ["192.0.2.1", "http://3221225985/", "0xc0000201", "[2001:db8::1]:80", "0300.0.2.1"] {
            assert!(Host::read(raw).unwrap().is_address(), "{raw}");
        }
    }

    #[test]
    fn what_is_no_host_is_none() {
        let long = "a".repeat(3000);
        for raw in ["", "  ", "http://", "@", "...", "\u{200b}", long.as_str()] {
            assert_eq!(Host::read(raw), None, "{raw}");
        }
    }

    #[test]
    fn the_front_is_what_its_owner_chose() {
        for (raw, front, unicode) in [
            ("www.example.co.jp", "www.example.", None),
            ("bücher.example.co.jp", "xn--bcher-kva.example.", Some("bücher.example.")),
        ] {
            let host = Host::read(raw).unwrap();
            assert_eq!((host.front(), host.unicode_front()), (front, unicode), "{raw}");
        }
    }
}
