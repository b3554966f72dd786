//! Which share, and as whom.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::str::FromStr;

use crate::Error;

/// No credentials file is longer.
const BYTES_MAX: u64 = 16 * 1024;

/// `//server/share`, the server in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareName {
    /// Name or address of the server.
    pub server: String,
    /// Name of the share.
    pub share: String,
}

impl FromStr for ShareName {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self, Error> {
        let wrong = || Error::ShareName { given: given.to_owned() };
        let text = given.replace('\\', "/");
        let rest = text.strip_prefix("//").ok_or_else(wrong)?;
        let (server, share) = rest.trim_end_matches('/').split_once('/').ok_or_else(wrong)?;
        let is_word = |word: &str| {
            !word.is_empty() && word.len() <= 255 && !word.contains(|c: char| c == '/' || c.is_control())
        };
        if !is_word(server) || !is_word(share) {
            return Err(wrong());
        }
        Ok(Self { server: server.to_lowercase(), share: share.to_owned() })
    }
}

impl fmt::Display for ShareName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "//{}/{}", self.server, self.share)
    }
}

/// Who signs in. It should be able to read the share and nothing else.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Name; empty for a guest.
    pub username: String,
    /// Password.
    pub password: String,
    /// Domain; empty for an account of the server itself.
    pub domain: String,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("username", &self.username)
            .field("domain", &self.domain)
            .finish_non_exhaustive()
    }
}

impl Account {
    /// Reads a file of lines `username=…`, `password=…`, `domain=…`, as smbclient's `-A` and mount.cifs do. Others than the owner
    /// may not be able to read it.
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Credentials { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode();
        if mode & 0o077 != 0 {
            let open = format!("others may read it (mode {:o}); chmod 600 it", mode & 0o777);
            return Err(failed(io::Error::new(io::ErrorKind::PermissionDenied, open)));
        }
        let mut text = String::new();
        file.take(BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
        Ok(Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let mut account = Self::default();
        for line in text.lines() {
            let Some((key, value)) = line.split_once('=') else { continue };
            let field = match key.trim().to_lowercase().as_str() {
                "username" | "user" => &mut account.username,
                "password" => &mut account.password,
                "domain" => &mut account.domain,
                _ => continue,
            };
            // A password may begin or end with blanks; one after the sign is how people write such files.
            value.strip_prefix(' ').unwrap_or(value).trim_end_matches('\r').clone_into(field);
        }
        account
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_named_as_windows_and_unix_do() {
        for (given, expected) in [
            ("//EMR01/ssmix", Some("//emr01/ssmix")),
            ("\\\\EMR01\\ssmix\\", Some("//emr01/ssmix")),
            ("//10.0.0.5/診療録$", Some("//10.0.0.5/診療録$")),
            ("//emr01", None),
            ("//emr01/", None),
            ("emr01/ssmix", None),
            ("//emr01/a/b", None),
            ("//emr01/a\n", None),
        ] {
            let read = given.parse::<ShareName>().ok().map(|name| name.to_string());
            assert_eq!(read.as_deref(), expected, "{given:?}");
        }
    }

    #[test]
    fn credentials_are_read_as_smbclient_reads_them_and_never_shown() {
        let account = Account::parse("username = watch\r\npassword= two words =x\ndomain=HOSP\nother=1\n");
        assert_eq!(account.username, "watch");
        assert_eq!(account.password, "two words =x");
        assert_eq!(account.domain, "HOSP");
        assert!(!format!("{account:?}").contains("words"));
    }

    #[test]
    fn a_credentials_file_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("account");
        std::fs::write(&path, "username=a\n").unwrap();
        for (mode, expected) in [(0o600, true), (0o400, true), (0o640, false), (0o644, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(Account::from_file(&path).is_ok(), expected, "{mode:o}");
        }
    }
}
