//! What the sensor is told, as the configuration and the hub hand it over.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::tz::TimeZone;
use judge::network::Rules;
use serde::{Deserialize, Serialize};

use crate::config::Sensor;

/// Lists are made by others: a wrong path must not read a disk image into memory.
const LIST_BYTES_MAX: u64 = 256 << 20;
const NAMES_MAX: usize = 2_000_000;
const NAME_BYTES_MAX: usize = 253;

/// Everything that a sensor needs, without its folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) interfaces: Vec<String>,
    /// Without what is read from files.
    pub(crate) rules: Rules,
    pub(crate) phishing_lists: Vec<PathBuf>,
    pub(crate) malware_lists: Vec<PathBuf>,
    pub(crate) brands: Option<PathBuf>,
    pub(crate) learn_seconds: i64,
    pub(crate) ring_bytes: u64,
    pub(crate) flows_keep_days: u16,
    pub(crate) flows_bytes_max: u64,
}

impl Settings {
    pub(crate) fn of(sensor: &Sensor, zone: TimeZone) -> Self {
        // One that has no name, such as a machine's own rules, cannot be handed over.
        let zone =
            if zone.iana_name().is_some() || zone.to_fixed_offset().is_ok() { zone } else { TimeZone::UTC };
        Self {
            interfaces: sensor.interfaces.clone(),
            rules: sensor.rules(zone),
            phishing_lists: sensor.phishing_lists.clone(),
            malware_lists: sensor.malware_lists.clone(),
            brands: sensor.brands.clone(),
            learn_seconds: sensor.learn_for.0.as_secs(),
            ring_bytes: sensor.ring.0,
            flows_keep_days: u16::try_from(sensor.flows_keep.0.as_secs() / 86_400).unwrap_or(u16::MAX),
            flows_bytes_max: sensor.flows_max.0,
        }
    }

    /// Files that it reads.
    pub(crate) fn lists(&self) -> impl Iterator<Item = &Path> {
        self.phishing_lists.iter().chain(&self.malware_lists).chain(&self.brands).map(PathBuf::as_path)
    }

    /// What it has to be able to read for them: a list that is replaced is another file in the same folder.
    pub(crate) fn readable(&self) -> impl Iterator<Item = PathBuf> {
        self.lists().map(replaceable)
    }

    /// The rules with the names of the lists.
    pub(crate) fn with_lists(&self) -> anyhow::Result<Rules> {
        let all = |paths: &[PathBuf]| -> anyhow::Result<Vec<String>> {
            let mut names = BTreeSet::new();
            for path in paths {
                read_list(path, &mut names)?;
            }
            Ok(names.into_iter().collect())
        };
        let brands = self.brands.as_deref().map(|path| {
            let mut text = String::new();
            let read = File::open(path).and_then(|file| file.take(1 << 20).read_to_string(&mut text));
            read.map(|_| text).with_context(|| format!("read the brands {}", path.display()))
        });
        Ok(Rules {
            names_phishing: all(&self.phishing_lists)?,
            names_malware: all(&self.malware_lists)?,
            brands: brands.transpose()?,
            ..self.rules.clone()
        })
    }
}

/// The folder of a file that others replace, unless much else lies there.
pub(crate) fn replaceable(file: &Path) -> PathBuf {
    let folder = file.parent().filter(|dir| dir.components().count() > 2);
    folder.unwrap_or(file).to_owned()
}

/// Domains of a list: one a line, a hosts file's second word, or the owner name of a response-policy zone's record.
pub(crate) fn read_list(path: &Path, names: &mut BTreeSet<String>) -> anyhow::Result<()> {
    let at = || format!("read the list of names {}", path.display());
    let file = File::open(path).with_context(at)?;
    let mut lines = BufReader::new(file.take(LIST_BYTES_MAX));
    let mut line = Vec::new();
    while names.len() < NAMES_MAX {
        line.clear();
        if lines.read_until(b'\n', &mut line).with_context(at)? == 0 {
            break;
        }
        names.extend(std::str::from_utf8(&line).ok().and_then(listed));
    }
    Ok(())
}

fn listed(line: &str) -> Option<String> {
    let line = line.split(['#', ';', '!']).next().unwrap_or_default();
    let mut words = line.split_whitespace();
    let first = words.next()?;
    // 0.0.0.0 and 127.0.0.1 stand before the names of a hosts file.
    let name = if first.parse::<std::net::IpAddr>().is_ok() { words.next()? } else { first };
    let name = name.trim_start_matches("*.").trim_start_matches("||").trim_end_matches('^');
    domain(name)
}

/// A name as DNS carries it: labels of letters, digits, `-` and `_`, in lower case and punycode; `None` for anything else.
pub(crate) fn domain(name: &str) -> Option<String> {
    let name = name.trim_end_matches('.');
    let ascii = idna::domain_to_ascii(name).ok()?.to_lowercase();
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let fits = ascii.len() <= NAME_BYTES_MAX && ascii.contains('.') && ascii.split('.').all(is_label);
    (fits && ascii.parse::<std::net::IpAddr>().is_err()).then_some(ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_names_are_read_as_they_are_published() {
        for (line, expected) in [
            ("evil.example", Some("evil.example")),
            ("EVIL.example.  # since May", Some("evil.example")),
            ("0.0.0.0 ads.example", Some("ads.example")),
            ("*.bad.example", Some("bad.example")),
            ("||bad.example^", Some("bad.example")),
            ("偽病院.example", Some("xn--94q6tt26erua.example")),
            ("# comment", None),
            ("", None),
            ("localhost", None),
            ("192.0.2.1", None),
            ("bad name.example", None),
            ("a..example", None),
            ("$TTL 300", None),
        ] {
            let found = listed(line);
            match expected {
                Some(expected) if !expected.starts_with("xn--") => {
                    assert_eq!(found.as_deref(), Some(expected))
                }
                Some(_) => assert!(found.unwrap().starts_with("xn--"), "{line}"),
                None => assert_eq!(found, None, "{line}"),
            }
        }
    }
}
