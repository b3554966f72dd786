//! Names that come over the network. Paths are only ever made of what was parsed here, so nothing else can lead anywhere.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::vault::Id;

/// Letters of a client's name; with a suffix it still fits a file's name.
const CLIENT_MAX: usize = 48;

/// The name of a client and of its repository: `a`–`z`, `0`–`9`, `-`, `_` and `.`, beginning with a letter or a digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientName(String);

impl ClientName {
    /// The name, if it is one.
    pub fn parse(text: &str) -> Option<ClientName> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let fits = !text.is_empty()
            && text.len() <= CLIENT_MAX
            && text.bytes().all(|byte| plain(byte) || matches!(byte, b'-' | b'_' | b'.'))
            && plain(text.as_bytes()[0]);
        fits.then(|| ClientName(text.to_owned()))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ClientName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<ClientName, &'static str> {
        ClientName::parse(&text).ok_or("not a client's name")
    }
}

impl From<ClientName> for String {
    fn from(name: ClientName) -> String {
        name.0
    }
}

/// The kinds of files of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The one file that makes a folder a repository.
    Config,
    /// A key file.
    Keys,
    /// A lock, the only kind that clients may remove.
    Locks,
    /// A snapshot.
    Snapshots,
    /// An index.
    Index,
    /// A pack.
    Data,
}

impl Kind {
    /// The kinds that have a folder.
    pub const FOLDERS: [Kind; 5] = [Kind::Keys, Kind::Locks, Kind::Snapshots, Kind::Index, Kind::Data];

    /// The folder's name, which is also what the protocol calls it.
    pub fn folder(self) -> &'static str {
        match self {
            Kind::Config => "config",
            Kind::Keys => "keys",
            Kind::Locks => "locks",
            Kind::Snapshots => "snapshots",
            Kind::Index => "index",
            Kind::Data => "data",
        }
    }

    /// The kind that has this folder.
    pub fn parse(text: &str) -> Option<Kind> {
        Kind::FOLDERS.into_iter().find(|kind| kind.folder() == text)
    }

    /// Bytes that a file of it may have. A pack of restic has at most 128 MiB and one blob more.
    pub fn size_max(self) -> u64 {
        match self {
            Kind::Config | Kind::Keys | Kind::Locks => 64 << 10,
            Kind::Snapshots => 64 << 20,
            Kind::Index | Kind::Data => 256 << 20,
        }
    }

    /// Files of it that a repository may have. Whoever opens it tries every key and reads every lock.
    pub(super) fn count_max(self) -> u64 {
        match self {
            Kind::Config => 1,
            Kind::Keys => 64,
            Kind::Locks => 1000,
            Kind::Snapshots => 200_000,
            Kind::Index | Kind::Data => u64::MAX,
        }
    }
}

/// One file of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileName {
    /// Its kind.
    pub kind: Kind,
    /// SHA-256 of its content; zeros for the config, which is named otherwise.
    pub id: Id,
}

impl FileName {
    /// The config.
    pub const CONFIG: FileName = FileName { kind: Kind::Config, id: Id([0; 32]) };

    /// A file in one of the folders, by the 64 lower-case digits of its name.
    pub fn parse(kind: Kind, name: &str) -> Option<FileName> {
        let plain = name.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'));
        let id = Id::from_hex(name).filter(|_| plain)?;
        Some(FileName { kind, id })
    }

    /// Where it lies in the repository, and its name there.
    pub(super) fn place(&self) -> (String, String) {
        match self.kind {
            Kind::Config => (".".to_owned(), "config".to_owned()),
            Kind::Data => (format!("data/{}", hex::encode(&self.id.0[..1])), self.id.to_string()),
            kind => (kind.folder().to_owned(), self.id.to_string()),
        }
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Config => f.write_str("config"),
            kind => write!(f, "{}/{}", kind.folder(), self.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_names() {
        for (text, is_name) in [
            ("clinic", true),
            ("emr-01.ward_3", true),
            ("0", true),
            ("", false),
            (".", false),
            ("..", false),
            (".hidden", false),
            ("-rf", false),
            ("a/b", false),
            ("a%2e", false),
            ("a\0", false),
            ("Clinic", false),
            ("clinic@20260101T000000Z", false),
            ("電子カルテ", false),
            (&"a".repeat(49), false),
        ] {
            assert_eq!(ClientName::parse(text).is_some(), is_name, "{text:?}");
        }
    }

    #[test]
    fn only_lower_case_digits_name_a_file() {
        let id = "0123456789abcdef".repeat(4);
        assert!(FileName::parse(Kind::Data, &id).is_some());
        for other in [id.to_uppercase(), id[1..].to_owned(), format!("{id}0"), format!("../{}", &id[3..])] {
            assert!(FileName::parse(Kind::Data, &other).is_none(), "{other}");
        }
    }
}
