//! A message with what its header said, and the pieces that formats are put together from.

use std::net::IpAddr;

use schema::{AuthEvent, AuthOutcome, AuthProtocol, AuthReason, Micros};

/// Nobody's account is longer; what is forged to be is cut.
pub(super) const NAME_BYTES_MAX: usize = 256;

/// A message and what its header said.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) at: Micros,
    /// Lower case, without its domain.
    pub(super) host: &'a str,
    pub(super) program: &'a str,
    pub(super) pid: &'a str,
    pub(super) text: &'a str,
}

impl<'a> Line<'a> {
    pub(super) fn event(
        &self,
        protocol: AuthProtocol,
        outcome: AuthOutcome,
        reason: AuthReason,
    ) -> AuthEvent<'a> {
        AuthEvent {
            at: self.at,
            host: self.host,
            protocol,
            outcome,
            reason,
            account: None,
            domain: None,
            source: None,
            workstation: None,
            logon_type: None,
            session: some(self.pid),
        }
    }

    pub(super) fn failure(&self, protocol: AuthProtocol, reason: AuthReason) -> AuthEvent<'a> {
        self.event(protocol, AuthOutcome::Failure, reason)
    }

    pub(super) fn success(&self, protocol: AuthProtocol) -> AuthEvent<'a> {
        self.event(protocol, AuthOutcome::Success, AuthReason::None)
    }

    pub(super) fn ended(&self, protocol: AuthProtocol) -> AuthEvent<'a> {
        self.event(protocol, AuthOutcome::Ended, AuthReason::None)
    }

    pub(super) fn reached(&self, protocol: AuthProtocol, reason: AuthReason) -> AuthEvent<'a> {
        self.event(protocol, AuthOutcome::Reached, reason)
    }
}

/// What formats fill in, as written in a log.
pub(super) trait Fill<'a>: Sized {
    /// The account, cut where it is too long. `DOMAIN\name` is taken apart.
    fn account(self, name: &'a str) -> Self;
    /// An address, with a port or not; a name that is none is the client's name for itself or what DNS says.
    fn from(self, text: &'a str) -> Self;
}

impl<'a> Fill<'a> for AuthEvent<'a> {
    fn account(mut self, name: &'a str) -> Self {
        let name = match name.split_once('\\') {
            Some((domain, name)) if !domain.contains(' ') && !name.is_empty() => {
                self.domain = some(cut(domain));
                name
            }
            _ => name,
        };
        self.account = Some(cut(name));
        self
    }

    fn from(mut self, text: &'a str) -> Self {
        match address(text) {
            Some(address) => self.source = Some(address),
            None => self.workstation = some(cut(text)),
        }
        self
    }
}

pub(super) fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// Not more than a name may have.
pub(super) fn cut(text: &str) -> &str {
    let mut end = text.len().min(NAME_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// An address with a port, brackets, a zone, or neither; an IPv4-mapped one is IPv4.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    // The longest one is `[ffff:…:255.255.255.255%zone]:65535`.
    if text.len() < 3 || text.len() > 80 {
        return None;
    }
    let address = plain(text).or_else(|| {
        if let Some(inner) = text.strip_prefix('[') {
            return plain(inner.split_once(']')?.0);
        }
        let (address, port) = text.rsplit_once(':')?;
        port.bytes().all(|byte| byte.is_ascii_digit()).then(|| plain(address))?
    })?;
    Some(address.to_canonical())
}

fn plain(text: &str) -> Option<IpAddr> {
    text.parse().ok().or_else(|| text.split_once('%')?.0.parse().ok())
}

/// The text between two marks, the first of each.
pub(super) fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_once(after)?.0)
}

/// Up to the first space, and what follows it.
pub(super) fn word(text: &str) -> (&str, &str) {
    match memchr::memchr(b' ', text.as_bytes()) {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default()),
        None => (text, ""),
    }
}

/// `USER from ADDRESS`: who wrote the name may have written ` from ` too, so that the last one counts.
pub(super) fn user_from(text: &str) -> Option<(&str, &str)> {
    let at = memchr::memmem::rfind(text.as_bytes(), b" from ")?;
    Some((text.get(..at)?, text.get(at + 6..)?))
}

/// The value of `name=value` or `name="value"` in a list of such, from the left; a name inside of a quoted value is none.
pub(super) fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    pairs(text).find(|(other, _)| *other == name).map(|(_, value)| value)
}

/// `name=value name="va lue"` in order. Quotes inside of a value are written `\"`.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([' ', ',']);
        let equals = memchr::memchr(b'=', rest.as_bytes())?;
        let name = rest.get(..equals)?;
        let behind = rest.get(equals + 1..)?;
        let (value, used) = if let Some(quoted) = behind.strip_prefix('"') {
            let end = quoted_end(quoted.as_bytes());
            (quoted.get(..end)?, end + 2)
        } else {
            let end = memchr::memchr(b' ', behind.as_bytes()).unwrap_or(behind.len());
            (behind.get(..end)?, end)
        };
        rest = behind.get(used..).unwrap_or_default();
        Some((
            memchr::memrchr(b' ', name.as_bytes()).and_then(|at| name.get(at + 1..)).unwrap_or(name),
            value,
        ))
    })
}

fn quoted_end(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        if text.get(at + found) == Some(&b'"') {
            return at + found;
        }
        at += found + 2;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_however_they_are_written() {
        for (text, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1:5000", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1:60495", "192.0.2.1"),
            ("[::ffff:192.0.2.1]:60495", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]:22", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
        ] {
            assert_eq!(address(text), expected.parse().ok(), "{text}");
        }
        for text in ["", "192.030.0.6", "host.example", "192.0.2.1:x", "1", ":", "[", "%"] {
            assert_eq!(address(text), None, "{text}");
        }
    }

    #[test]
    fn values_are_found_by_name_and_never_inside_of_another() {
        let text = r#"a=1 b="two words" c="a \" d=5" d=4"#;
        let expected = [("a", "1"), ("b", "two words"), ("c", r#"a \" d=5"#), ("d", "4")];
        assert!(pairs(text).eq(expected));
        assert_eq!(value(text, "d"), Some("4"));
        assert_eq!(value(text, "e"), None);
        assert_eq!(pairs(r#"a=" b c=1"#).count(), 1);
        assert_eq!(pairs("=").count(), 1);
    }

    #[test]
    fn names_are_cut_between_letters() {
        let long = "あ".repeat(100);
        assert_eq!(cut(&long).len(), 255);
        let line = Line { at: 0, host: "", program: "", pid: "", text: "" };
        let event = line.success(AuthProtocol::Smb).account("HOSP\\yamada").from("ws1");
        assert_eq!(
            (event.account, event.domain, event.workstation),
            (Some("yamada"), Some("HOSP"), Some("ws1"))
        );
    }
}
