//! Where a repository is: a folder, or a server's address with a key and a reason to trust its certificate.

use std::fmt;
use std::path::{Path, PathBuf};

use ureq::http::Uri;

use crate::Error;

/// Where a repository is.
#[derive(Debug, Clone)]
pub enum VaultAt {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A server.
    Rest(RestAccess),
}

impl From<&Path> for VaultAt {
    fn from(dir: &Path) -> VaultAt {
        VaultAt::Folder(dir.to_owned())
    }
}

impl From<&PathBuf> for VaultAt {
    fn from(dir: &PathBuf) -> VaultAt {
        VaultAt::Folder(dir.clone())
    }
}

impl From<&VaultAt> for VaultAt {
    fn from(at: &VaultAt) -> VaultAt {
        at.clone()
    }
}

/// Why a server's certificate is trusted.
#[derive(Debug, Clone)]
pub enum Trust {
    /// A public authority signed it.
    PublicRoots,
    /// One of these authorities signed it, or it is one of these certificates itself (PEM).
    Ca(Vec<u8>),
    /// Its SHA-256 is this one.
    Fingerprint([u8; 32]),
}

impl Trust {
    /// A fingerprint as people write it: 64 hexadecimal digits, with or without colons.
    pub fn fingerprint(text: &str) -> Option<Trust> {
        let digits: String = text.chars().filter(|c| *c != ':').collect();
        let mut fingerprint = [0; 32];
        hex::decode_to_slice(digits.trim(), &mut fingerprint).ok()?;
        Some(Trust::Fingerprint(fingerprint))
    }
}

/// A server's repository and how to get at it. The key is never shown.
#[derive(Clone)]
pub struct RestAccess {
    url: String,
    name: String,
    key: String,
    trust: Trust,
}

impl fmt::Debug for RestAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RestAccess").field("url", &self.url).field("name", &self.name).finish_non_exhaustive()
    }
}

impl RestAccess {
    /// Whether this is an address, not a folder.
    pub fn is_address(text: &str) -> bool {
        text.starts_with("rest:")
    }

    /// From `rest:https://[name@]host[:port]/repository/`. Without a name, it is the repository's. A key in the address is refused:
    /// whoever lists the processes of a machine would read it there.
    pub fn new(address: &str, key: &str, trust: Trust) -> Result<RestAccess, Error> {
        let bare = address.strip_prefix("rest:").unwrap_or(address);
        let (scheme, rest) = bare.split_once("://").unwrap_or(("", bare));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (name, host) = match authority.rsplit_once('@') {
            Some((name, host)) => (Some(name), host),
            None => (None, authority),
        };
        let shown = format!("rest:{scheme}://{host}/{path}");
        let unusable = |reason: &str| Error::RemoteUnusable { url: shown.clone(), reason: reason.to_owned() };
        if name.is_some_and(|name| name.contains(':')) {
            return Err(unusable(
                "a key does not belong into an address: use CHARTWARD_REST_KEY or --rest-key-file",
            ));
        }
        let path = path.trim_end_matches('/');
        let repository = path.rsplit('/').next().unwrap_or_default();
        let name = name.unwrap_or_else(|| repository.split('@').next().unwrap_or_default());
        let url = if path.is_empty() {
            format!("{scheme}://{host}/")
        } else {
            format!("{scheme}://{host}/{path}/")
        };
        let uri: Uri = url.parse().map_err(|_| unusable("it is not an address"))?;
        let host = uri.host().ok_or_else(|| unusable("it names no host"))?.trim_matches(['[', ']']);
        let is_here =
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        match scheme {
            "https" => {}
            "http" if is_here => {}
            "http" => {
                return Err(unusable("without TLS the key would cross the network in the clear: use https"));
            }
            _ => return Err(unusable("an address begins with rest:https://")),
        }
        if name.is_empty() || key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(unusable(
                "it takes a name in the address and a key: CHARTWARD_REST_KEY or --rest-key-file",
            ));
        }
        Ok(RestAccess { url, name: name.to_owned(), key: key.to_owned(), trust })
    }

    /// The address without name and key, with a slash at its end.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    pub(super) fn trust(&self) -> &Trust {
        &self.trust
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_a_server_a_repository_and_a_client() {
        let read = |address: &str| {
            RestAccess::new(address, "key", Trust::PublicRoots)
                .map(|at| (at.url, at.name))
                .map_err(|e| e.to_string())
        };
        for (address, url, name) in [
            ("rest:https://vault.example:8443/clinic/", "https://vault.example:8443/clinic/", "clinic"),
            ("rest:https://vault.example/clinic", "https://vault.example/clinic/", "clinic"),
            ("rest:https://boss@vault.example/clinic/", "https://vault.example/clinic/", "boss"),
            ("rest:https://[fd00::1]:8443/clinic", "https://[fd00::1]:8443/clinic/", "clinic"),
            ("rest:http://127.0.0.1:8000/clinic", "http://127.0.0.1:8000/clinic/", "clinic"),
            (
                "rest:https://vault/clinic@20260101T000000Z/",
                "https://vault/clinic@20260101T000000Z/",
                "clinic",
            ),
        ] {
            assert_eq!(read(address), Ok((url.to_owned(), name.to_owned())), "{address}");
        }
        for (address, reason) in [
            ("rest:https://name:secret@vault.example/clinic", "does not belong into an address"),
            ("rest:http://vault.example/clinic", "in the clear"),
            ("rest:http://127.0.0.1.example/clinic", "in the clear"),
            ("rest:ftp://vault.example/clinic", "begins with rest:https://"),
            ("rest:vault.example/clinic", "begins with rest:https://"),
            ("rest:https://vault.example/", "takes a name"),
            ("rest:https:///clinic", "not an address"),
        ] {
            let refused = read(address).unwrap_err();
            assert!(refused.contains(reason) && !refused.contains("secret"), "{address}: {refused}");
        }
        assert!(RestAccess::new("rest:https://v/c", "a\nb", Trust::PublicRoots).is_err());
    }

    #[test]
    fn fingerprints_are_read_with_and_without_colons() {
        let plain = "5a".repeat(32);
        let colons = vec!["5A"; 32].join(":");
        for text in [plain, colons] {
            assert!(
                matches!(Trust::fingerprint(&text), Some(Trust::Fingerprint(found)) if found == [0x5a; 32])
            );
        }
        assert!(Trust::fingerprint("5a").is_none());
    }
}
