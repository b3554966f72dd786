//! Who belongs to which department: the closest of the configuration's patterns says so.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;

/// Mailboxes as the configuration names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mailboxes {
    /// One address, in lower case.
    One(String),
    /// All of a domain.
    Domain(String),
    /// All addresses that begin so.
    Prefix(String),
}

/// What is neither an address, `@DOMAIN` nor `PREFIX*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoMailboxes;

impl FromStr for Mailboxes {
    type Err = NoMailboxes;

    fn from_str(text: &str) -> Result<Self, NoMailboxes> {
        let text = text.trim().to_lowercase();
        if text.contains(|char: char| char.is_whitespace() || char.is_control()) {
            return Err(NoMailboxes);
        }
        let (begin, is_prefix) = text.strip_suffix('*').map_or((text.as_str(), false), |begin| (begin, true));
        if begin.contains('*') || begin.is_empty() {
            return Err(NoMailboxes);
        }
        match begin.split_once('@') {
            _ if is_prefix && !begin.starts_with('@') => Ok(Self::Prefix(begin.to_owned())),
            Some(("", domain)) if !is_prefix && is_domain(domain) => Ok(Self::Domain(domain.to_owned())),
            Some((_, domain)) if !is_prefix && is_domain(domain) => Ok(Self::One(text)),
            _ => Err(NoMailboxes),
        }
    }
}

impl fmt::Display for Mailboxes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(address) => write!(out, "{address}"),
            Self::Domain(domain) => write!(out, "@{domain}"),
            Self::Prefix(begin) => write!(out, "{begin}*"),
        }
    }
}

fn is_domain(domain: &str) -> bool {
    !domain.is_empty() && !domain.contains('@') && !domain.starts_with('.')
}

/// The departments of a hospital.
#[derive(Debug, Clone, Default)]
pub(crate) struct Departments {
    names: Vec<String>,
    one: HashMap<String, usize>,
    domain: HashMap<String, usize>,
    /// The longest first.
    prefixes: Vec<(String, usize)>,
}

impl Departments {
    /// As the configuration names them; what its check refuses is left out.
    pub(crate) fn new(named: &BTreeMap<String, Vec<String>>) -> Self {
        let mut all = Self::default();
        for (place, (name, patterns)) in named.iter().enumerate() {
            all.names.push(name.clone());
            for pattern in patterns.iter().filter_map(|text| text.parse().ok()) {
                match pattern {
                    Mailboxes::One(address) => drop(all.one.entry(address).or_insert(place)),
                    Mailboxes::Domain(domain) => drop(all.domain.entry(domain).or_insert(place)),
                    Mailboxes::Prefix(begin) => all.prefixes.push((begin, place)),
                }
            }
        }
        all.prefixes.sort_by_key(|(begin, place)| (std::cmp::Reverse(begin.len()), *place));
        all
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The place of a recipient's department among the names: by its whole address, else the longest beginning, else its domain.
    pub(crate) fn of(&self, address: &str) -> Option<usize> {
        let address = address.trim().to_lowercase();
        let by_prefix = || {
            let mut prefixes = self.prefixes.iter();
            prefixes.find(|(begin, _)| address.starts_with(begin.as_str())).map(|(_, place)| *place)
        };
        let by_domain = || self.domain.get(address.rsplit_once('@')?.1).copied();
        self.one.get(&address).copied().or_else(by_prefix).or_else(by_domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailboxes_are_an_address_a_domain_or_a_beginning() {
        for (text, expected) in [
            ("Naika@Hospital.example", Ok("naika@hospital.example")),
            ("@lab.hospital.example", Ok("@lab.hospital.example")),
            ("naika-*", Ok("naika-*")),
            ("naika@h*", Ok("naika@h*")),
            ("*", Err(NoMailboxes)),
            ("", Err(NoMailboxes)),
            ("naika", Err(NoMailboxes)),
            ("@", Err(NoMailboxes)),
            ("a@b@c", Err(NoMailboxes)),
            ("a*b@c", Err(NoMailboxes)),
            ("@h*", Err(NoMailboxes)),
            ("a b@c", Err(NoMailboxes)),
        ] {
            let read = text.parse::<Mailboxes>().map(|it| it.to_string());
            assert_eq!(read, expected.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn the_closest_pattern_says_whose_a_mailbox_is() {
        let named = [
            ("1 all", vec!["@hospital.example"]),
            ("2 inner", vec!["naika*"]),
            ("3 ward", vec!["naika-ward*"]),
            ("4 chief", vec!["naika-ward-chief@hospital.example"]),
        ];
        let named = named.map(|(name, of)| (name.to_owned(), of.into_iter().map(str::to_owned).collect()));
        let departments = Departments::new(&BTreeMap::from(named));
        for (address, expected) in [
            ("x@hospital.example", Some(0)),
            ("naika3@hospital.example", Some(1)),
            ("NAIKA-Ward2@hospital.example", Some(2)),
            ("naika-ward-chief@hospital.example", Some(3)),
            ("x@sub.hospital.example", None),
            ("x@other.example", None),
            ("", None),
        ] {
            assert_eq!(departments.of(address), expected, "{address}");
        }
    }
}
