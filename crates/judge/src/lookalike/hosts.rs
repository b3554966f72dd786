use serde::Deserialize;

use super::host::Host;
use super::variants::{Hashes, Index};

const BUILTIN: &str = include_str!("../../data/hosts.toml");

/// What anybody can have, sorted: mailboxes, links, web sites.
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    index: Index,
    sorts: Vec<HostSort>,
    redirects: Vec<(String, String)>,
}

/// What a host is known for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HostSort {
    /// Anybody has a mailbox there.
    pub free_mail: bool,
    /// It stands for a link that nobody sees.
    pub shortener: bool,
    /// Anybody puts pages or forms there.
    pub free_hosting: bool,
    /// Its ending costs next to nothing and is used accordingly.
    pub cheap_suffix: bool,
    /// It passes on to where its link says.
    pub redirector: bool,
    /// It sends mail and counts clicks for others.
    pub bulk_mailer: bool,
}

impl Hosts {
    /// Those that come with the program.
    pub fn builtin() -> Self {
        // A test holds that the file can be read, and nothing but the program's own build can change it.
        Self::parse(BUILTIN).unwrap_or_default()
    }

    fn parse(text: &str) -> Result<Self, toml::de::Error> {
        let file: File = toml::from_str(text)?;
        let sort = |set: fn(&mut HostSort)| {
            let mut sort = HostSort::default();
            set(&mut sort);
            sort
        };
        let lists = [
            (file.free_mail, sort(|sort| sort.free_mail = true)),
            (file.shorteners, sort(|sort| sort.shortener = true)),
            (file.free_hosting, sort(|sort| sort.free_hosting = true)),
            (file.cheap_suffixes, sort(|sort| sort.cheap_suffix = true)),
            (file.redirectors, sort(|sort| sort.redirector = true)),
            (file.bulk_mailers, sort(|sort| sort.bulk_mailer = true)),
        ];
        let mut names: Vec<String> = Vec::new();
        let mut sorts: Vec<HostSort> = Vec::new();
        for (list, sort) in lists {
            for name in list {
                if let Some(known) = names.iter().position(|known| *known == name) {
                    if let Some(both) = sorts.get_mut(known) {
                        *both = both.and(sort);
                    }
                } else {
                    names.push(name);
                    sorts.push(sort);
                }
            }
        }
        let redirects = file
            .redirecting_paths
            .iter()
            .filter_map(|place| place.split_once('/'))
            .map(|(host, path)| (host.to_owned(), format!("/{path}")))
            .collect();
        Ok(Self { index: Index::new(names.iter().map(|name| (name.as_str(), false))), sorts, redirects })
    }

    /// What a host, as written anywhere, is known for.
    pub fn sort(&self, host: &str) -> HostSort {
        Host::read(host).map_or_else(HostSort::default, |host| self.sort_host(&host))
    }

    /// What a URL's host is known for, and whether its path passes on elsewhere (`google.com/url?q=…`).
    pub fn sort_url(&self, url: &str) -> HostSort {
        let Some(host) = Host::read(url) else { return HostSort::default() };
        let mut sort = self.sort_host(&host);
        let after = url.split_once("//").map_or(url, |(_, after)| after);
        let path = after.find('/').map_or("", |at| &after[at..]);
        sort.redirector |= self
            .redirects
            .iter()
            .any(|(domain, prefix)| path.starts_with(prefix.as_str()) && is_below(host.ascii(), domain));
        sort
    }

    /// The same of a host that was read before.
    pub fn sort_host(&self, host: &Host) -> HostSort {
        self.sort_hashed(host, &Hashes::of(host.ascii().as_bytes()))
    }

    pub(super) fn sort_hashed(&self, host: &Host, hashes: &Hashes) -> HostSort {
        let text = host.ascii().as_bytes();
        let mut sort = HostSort { free_hosting: host.has_private_suffix(), ..HostSort::default() };
        for from in suffixes(text) {
            for place in self.index.places(hashes.part(from..text.len()), &text[from..]) {
                sort = sort.and(self.sorts.get(place).copied().unwrap_or_default());
            }
        }
        sort
    }
}

impl HostSort {
    fn and(self, other: Self) -> Self {
        Self {
            free_mail: self.free_mail || other.free_mail,
            shortener: self.shortener || other.shortener,
            free_hosting: self.free_hosting || other.free_hosting,
            cheap_suffix: self.cheap_suffix || other.cheap_suffix,
            redirector: self.redirector || other.redirector,
            bulk_mailer: self.bulk_mailer || other.bulk_mailer,
        }
    }
}

/// Where a host's suffixes begin, the longest first.
pub(super) fn suffixes(host: &[u8]) -> impl Iterator<Item = usize> {
    std::iter::once(0).chain(host.iter().enumerate().filter(|(_, byte)| **byte == b'.').map(|(at, _)| at + 1))
}

fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|front| front.is_empty() || front.ends_with('.'))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    free_mail: Vec<String>,
    shorteners: Vec<String>,
    free_hosting: Vec<String>,
    cheap_suffixes: Vec<String>,
    redirectors: Vec<String>,
    bulk_mailers: Vec<String>,
    redirecting_paths: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_that_comes_along_can_be_read() {
        let hosts = Hosts::parse(BUILTIN).unwrap();
        assert!(hosts.sorts.len() > 300);
        assert!(!hosts.redirects.is_empty());
    }

    #[test]
    fn a_host_is_known_with_all_below_it_and_nothing_beside() {
        let hosts = Hosts::builtin();
        let sort = |host| hosts.sort(host);
        assert!(sort("gmail.com").free_mail && sort("YAHOO.co.jp").free_mail);
        assert!(sort("bit.ly").shortener);
        assert!(sort("abc.duckdns.org").free_hosting && sort("forms.gle").free_hosting);
        assert!(sort("a.b.xyz").cheap_suffix);
        assert!(sort("click.list-manage.com").bulk_mailer);
        assert_eq!(sort("notgmail.com"), HostSort::default());
        assert_eq!(sort("gmail.com.example.jp"), HostSort::default());
        assert_eq!(sort(""), HostSort::default());
    }

    #[test]
    fn a_path_that_passes_on_is_a_redirector() {
        let hosts = Hosts::builtin();
        assert!(hosts.sort_url("https://www.google.com/url?q=https://x.example/").redirector);
        assert!(!hosts.sort_url("https://www.google.com/maps").redirector);
        assert!(!hosts.sort_url("https://google.com.example.jp/url?q=1").redirector);
    }
}
