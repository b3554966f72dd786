//! What an administrator changed. Each change is one table of a file; taking the table out undoes it.

use serde::Deserialize;
use toml::Spanned;

use super::{MailError, features, line_of};

/// An administrator's changes to how mail is judged.
///
/// ```toml
/// [[reason]]
/// id = "link.shortener"
/// add = -1.0            # or `weight = 0.5`, or `silent = true`
/// because = "…"         # for people, as are `by` and `at`
///
/// [[allow]]
/// sender = "example.jp" # a domain with all below it, or one address; only where SPF or DKIM holds for it
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MailPolicy {
    /// Reasons that weigh something else.
    pub reasons: Vec<Tuned>,
    /// Senders that are let through.
    pub allow: Vec<Allowed>,
}

/// A reason that weighs something else.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuned {
    /// The feature's id.
    pub id: String,
    /// What is changed.
    pub tuning: Tuning,
}

/// How a reason is changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Tuning {
    /// It weighs this.
    Weight(f64),
    /// It weighs so much more, or less.
    Add(f64),
    /// It is not looked at.
    Silent,
}

/// A sender that is let through where SPF or DKIM holds for its domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// An address, or a domain with all below it; lower case.
    pub sender: String,
}

impl MailPolicy {
    /// Reads a policy (TOML).
    pub fn parse(text: &str) -> Result<Self, MailError> {
        let wrong =
            |offset: usize, problem: String| MailError::Policy { line: line_of(text, offset), problem };
        let file: File = toml::from_str(text)
            .map_err(|error| wrong(error.span().map_or(0, |span| span.start), error.message().to_owned()))?;
        let mut policy = Self::default();
        for reason in file.reason {
            let at = reason.id.span().start;
            let tuned = reason.check().map_err(|problem| wrong(at, problem))?;
            if policy.reasons.iter().any(|known| known.id == tuned.id) {
                return Err(wrong(at, format!("`{}` is there twice", tuned.id)));
            }
            policy.reasons.push(tuned);
        }
        for allow in file.allow {
            let sender = allow.sender.get_ref().trim().to_lowercase();
            let at = allow.sender.span().start;
            let domain = sender.rsplit('@').next().unwrap_or_default();
            if !domain.contains('.') || domain.starts_with('.') {
                return Err(wrong(at, format!("`{sender}` is neither a domain nor an address")));
            }
            if psl::domain(domain.as_bytes()).is_none() {
                return Err(wrong(at, format!("below `{sender}` anybody may have a domain")));
            }
            policy.allow.push(Allowed { sender });
        }
        Ok(policy)
    }

    /// What a reason weighs; `None` where it is silent.
    pub(super) fn weigh(&self, id: &str, weight: f64) -> Option<f64> {
        match self.reasons.iter().find(|tuned| tuned.id == id).map(|tuned| tuned.tuning) {
            None => Some(weight),
            Some(Tuning::Weight(other)) => Some(other),
            Some(Tuning::Add(more)) => Some(weight + more),
            Some(Tuning::Silent) => None,
        }
    }

    /// The entry that lets this sender through.
    pub(super) fn allows(&self, address: &str, domain: &str) -> Option<&str> {
        let matches = |allowed: &str| {
            allowed.eq_ignore_ascii_case(address)
                || domain == allowed
                || domain.strip_suffix(allowed).is_some_and(|rest| rest.ends_with('.'))
        };
        self.allow.iter().map(|allowed| allowed.sender.as_str()).find(|allowed| matches(allowed))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    reason: Vec<ReasonEntry>,
    #[serde(default)]
    allow: Vec<AllowEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReasonEntry {
    id: Spanned<String>,
    weight: Option<f64>,
    add: Option<f64>,
    #[serde(default)]
    silent: bool,
    #[serde(rename = "because")]
    _because: Option<String>,
    #[serde(rename = "by")]
    _by: Option<String>,
    #[serde(rename = "at")]
    _at: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AllowEntry {
    sender: Spanned<String>,
    #[serde(rename = "because")]
    _because: Option<String>,
    #[serde(rename = "by")]
    _by: Option<String>,
    #[serde(rename = "at")]
    _at: Option<String>,
}

impl ReasonEntry {
    fn check(&self) -> Result<Tuned, String> {
        let id = self.id.get_ref().clone();
        if !features().any(|feature| feature.id == id) {
            return Err(format!("there is no reason `{id}`"));
        }
        let is_sound = |weight: f64| weight.is_finite() && weight.abs() <= 20.0;
        let tuning = match (self.weight, self.add, self.silent) {
            (Some(weight), None, false) if is_sound(weight) => Tuning::Weight(weight),
            (None, Some(more), false) if is_sound(more) => Tuning::Add(more),
            (None, None, true) => Tuning::Silent,
            _ => return Err("give one of `weight`, `add` (within ±20) and `silent = true`".to_owned()),
        };
        Ok(Tuned { id, tuning })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_raised_lowered_and_silenced() {
        let policy = MailPolicy::parse(
            "[[reason]]\nid = \"link.ip\"\nadd = -1.5\n[[reason]]\nid = \"html.form\"\nweight = 4\n[[reason]]\nid = \"html.only\"\nsilent = true\n",
        )
        .unwrap();
        for (id, expected) in
            [("link.ip", Some(0.5)), ("html.form", Some(4.0)), ("html.only", None), ("link.port", Some(2.0))]
        {
            assert_eq!(policy.weigh(id, 2.0), expected, "{id}");
        }
    }

    #[test]
    fn senders_are_allowed_by_domain_and_by_address() {
        let policy =
            MailPolicy::parse("[[allow]]\nsender = \"Example.jp\"\n[[allow]]\nsender = \"a@vendor.test\"\n")
                .unwrap();
        for (address, domain, expected) in [
            ("x@example.jp", "example.jp", true),
            ("x@mail.example.jp", "mail.example.jp", true),
            ("x@notexample.jp", "notexample.jp", false),
            ("A@vendor.test", "vendor.test", true),
            ("b@vendor.test", "vendor.test", false),
        ] {
            assert_eq!(policy.allows(address, domain).is_some(), expected, "{address}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, line) in [
            ("[[reason]]\nid = \"no.such\"\nsilent = true", 2),
            ("\n[[reason]]\nid = \"link.ip\"\nweight = 1\nsilent = true", 3),
            ("[[reason]]\nid = \"link.ip\"\nweight = 99", 2),
            ("[[allow]]\nsender = \"com\"", 2),
            ("[[allow]]\nsender = \"co.jp\"", 2),
            ("[[allow]]\nsender = \"a@b.test\"\nforever = 1", 3),
        ] {
            let error = MailPolicy::parse(text).unwrap_err().to_string();
            assert!(error.contains(&format!("line {line}")), "{text}: {error}");
        }
    }
}
