//! Authentication-Results (RFC 8601): what a server on the way says it found.

use schema::{AuthResult, Authentication};

use super::values::AuthenticationResults;
use super::words;

/// Signatures of one field that are looked at.
const SIGNATURES_MAX: usize = 32;

/// Reads one field; `None` where it says nothing.
pub(super) fn parse(raw: &[u8]) -> Option<AuthenticationResults> {
    let text = words::raw(raw);
    let mut clauses = Clauses { rest: &text }.peekable();
    // Some servers (Exchange Online) leave their name out and begin with a result.
    let named = clauses.peek().is_some_and(|clause| clause.first().is_some_and(|(_, value)| value.is_none()));
    let mut found = AuthenticationResults::default();
    if named {
        let id = clauses.next().and_then(|clause| clause.into_iter().next());
        found.authserv_id = id.map_or_else(String::new, |(id, _)| id.to_lowercase());
    }
    found.results.by.clone_from(&found.authserv_id);
    let mut any = named;
    for clause in clauses {
        any |= take(&clause, &mut found.results);
    }
    any.then_some(found)
}

/// Words of one clause: a name, and the value behind its equals sign.
type Clause = Vec<(String, Option<String>)>;

fn take(clause: &Clause, into: &mut Authentication) -> bool {
    let Some((method, Some(result))) = clause.first() else { return false };
    let method = method.split('/').next().unwrap_or_default();
    let Some(result) = outcome(&result.to_ascii_lowercase()) else { return false };
    let property = |names: &[&str]| {
        names.iter().find_map(|name| {
            let (_, value) = clause.iter().find(|(found, _)| found == name)?;
            value.as_deref().map(domain).filter(|domain| !domain.is_empty())
        })
    };
    match method {
        "spf" => {
            let envelope = property(&["smtp.mailfrom", "smtp.mfrom", "smtp.mail", "smtp.from"]);
            // The HELO name is checked too; the sender's result is the one that counts.
            if envelope.is_some() || into.spf.is_none() {
                let domain = envelope.or_else(|| property(&["smtp.helo", "smtp.ehlo"])).unwrap_or_default();
                into.spf = Some((result, domain));
            }
        }
        "dkim" | "dkim-adsp" if method == "dkim" && into.dkim.len() < SIGNATURES_MAX => {
            into.dkim.push((result, property(&["header.d", "header.i", "header.from"]).unwrap_or_default()));
        }
        "dmarc" if into.dmarc.is_none() => {
            into.dmarc = Some((result, property(&["header.from", "header.d", "from"]).unwrap_or_default()));
        }
        "arc" if into.arc.is_none() => into.arc = Some(result),
        _ => return false,
    }
    true
}

fn outcome(word: &str) -> Option<AuthResult> {
    Some(match word {
        "pass" => AuthResult::Pass,
        "fail" | "hardfail" | "reject" => AuthResult::Fail,
        "softfail" => AuthResult::SoftFail,
        // A policy of the server's own made it worthless.
        "neutral" | "policy" => AuthResult::Neutral,
        // Exchange's guess where the domain publishes no policy.
        "none" | "bestguesspass" | "nxdomain" => AuthResult::None,
        "temperror" | "error" | "timeout" => AuthResult::TempError,
        "permerror" | "unknown" | "invalid" => AuthResult::PermError,
        _ => return None,
    })
}

/// The domain of an address, an identity (`@domain`) or a domain.
fn domain(value: &str) -> String {
    let value = value.trim_matches(['<', '>', '"', '\'']);
    value.rsplit('@').next().unwrap_or_default().trim_end_matches('.').to_lowercase()
}

/// What stands between semicolons.
struct Clauses<'a> {
    rest: &'a str,
}

impl Iterator for Clauses<'_> {
    type Item = Clause;

    fn next(&mut self) -> Option<Clause> {
        if self.rest.is_empty() {
            return None;
        }
        let mut clause = Clause::new();
        let mut expects_value = false;
        while let Some(c) = self.rest.chars().next() {
            match c {
                ';' => {
                    self.rest = &self.rest[1..];
                    break;
                }
                '(' => self.rest = after_comment(self.rest),
                '=' => {
                    expects_value = !clause.is_empty();
                    self.rest = &self.rest[1..];
                }
                c if c.is_whitespace() => self.rest = &self.rest[c.len_utf8()..],
                '"' => {
                    let (word, rest) = quoted(&self.rest[1..]);
                    self.rest = rest;
                    push(&mut clause, word, &mut expects_value);
                }
                _ => {
                    let ends =
                        |c: char| c.is_whitespace() || matches!(c, ';' | '(') || (c == '=' && !expects_value);
                    let (word, rest) = self.rest.split_at(self.rest.find(ends).unwrap_or(self.rest.len()));
                    self.rest = rest;
                    push(&mut clause, word.to_owned(), &mut expects_value);
                }
            }
        }
        Some(clause)
    }
}

fn push(clause: &mut Clause, word: String, expects_value: &mut bool) {
    match clause.last_mut() {
        Some((_, value)) if *expects_value => *value = Some(word),
        _ => clause.push((word.to_ascii_lowercase(), None)),
    }
    *expects_value = false;
}

fn after_comment(text: &str) -> &str {
    let mut depth = 0usize;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '(' => depth += 1,
            ')' if depth == 1 => return &text[at + 1..],
            ')' => depth -= 1,
            '\\' => drop(chars.next()),
            _ => {}
        }
    }
    ""
}

fn quoted(text: &str) -> (String, &str) {
    let mut word = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (word, &text[at + 1..]),
            '\\' => word.extend(chars.next().map(|(_, next)| next)),
            c => word.push(c),
        }
    }
    (word, "")
}

#[cfg(test)]
mod tests {
    use schema::AuthResult::{Fail, None as Nothing, Pass, PermError, SoftFail};
    use schema::Authentication;

    use super::parse;

    #[test]
    fn results_are_read_as_servers_write_them() {
        let one = |result, domain: &str| Some((result, domain.to_owned()));
        let by = |by: &str| Authentication { by: by.to_owned(), ..Authentication::default() };
        for (raw, expected) in [
            (
                &b" MX.Hospital.Example 1; spf=pass (sender: \"a;b\" (nested)) smtp.mailfrom=Bounce@News.Example;\r\n\tdkim=fail (bad; signature) header.i=@news.example header.b=\"ab=;\"; dkim = pass header.d=mailer.example header.s=x; dmarc=fail (p=NONE sp=NONE) header.from=news.example; arc=pass"[..],
                Authentication {
                    spf: one(Pass, "news.example"),
                    dkim: vec![(Fail, "news.example".into()), (Pass, "mailer.example".into())],
                    dmarc: one(Fail, "news.example"),
                    arc: Some(Pass),
                    by: "mx.hospital.example".into(),
                },
            ),
            (
                b"spf=softfail (sender IP is 192.0.2.1)\r\n smtp.mailfrom=x.test; dkim=none (message not signed)\r\n header.d=none;dmarc=bestguesspass action=none header.from=x.test;compauth=fail reason=001",
                Authentication {
                    spf: one(SoftFail, "x.test"),
                    dkim: vec![(Nothing, "none".into())],
                    dmarc: one(Nothing, "x.test"),
                    ..by("")
                },
            ),
            (
                b"mx.example; spf=none smtp.helo=h.example; spf=fail smtp.mailfrom=a@b.example; spf=pass smtp.helo=h.example",
                Authentication { spf: one(Fail, "b.example"), ..by("mx.example") },
            ),
            (b"mx.example; none", by("mx.example")),
            (b"mx.example", by("mx.example")),
            (b"\"mx.example\" (here); dkim/1=permerror reason=\"a b\" header.d=d.example;;", Authentication {
                dkim: vec![(PermError, "d.example".into())],
                ..by("mx.example")
            }),
        ] {
            let found = parse(raw).unwrap();
            assert_eq!(found.results, expected, "{}", raw.escape_ascii());
            assert_eq!(found.authserv_id, expected.by);
        }
        for raw in [&b""[..], b";", b"=;=", b"spf=maybe"] {
            assert_eq!(parse(raw), None, "{}", raw.escape_ascii());
        }
    }
}
