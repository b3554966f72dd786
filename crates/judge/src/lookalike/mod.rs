//! Hosts that pose as a protected brand: misspelt, in another script, beside a lure, below another domain.
//!
//! No list of popular sites is asked (a hospital has none): what is said of a host follows from the host and the brands
//! alone. A host of the brand itself, and all below it, is never a look-alike; words that many sites have in their names
//! count only beside a word that asks for something.

mod brands;
mod host;
mod hosts;
mod matching;
mod reading;
mod skeleton;
#[cfg(test)]
mod tests;
mod variants;
mod weighing;

pub use brands::{Alias, Brand, BrandId, Brands, BrandsError, Hold, Own, Sector, Strength, Token};
pub use host::Host;
pub use hosts::{HostSort, Hosts};
pub(crate) use skeleton::{is_invisible, latin};
pub(crate) use variants::{Hashes, Index, Likeness, hash_of};

use matching::Matcher;

/// A host that poses as somebody else's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookalike {
    /// Whose it passes for; `None` where it only passes for a Japanese one ([`How::Country`]).
    pub brand: Option<BrandId>,
    /// How it does that.
    pub how: How,
    /// The part of it that does, as it stands there (punycode decoded).
    pub token: String,
    /// What was registered for it.
    pub domain: String,
}

/// How a host passes for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum How {
    /// The brand's host stands before an `@`: `amazon.co.jp@evil.example`.
    UserInfo,
    /// The brand's domain stands at the front of another: `amazon.co.jp.evil.example`.
    Embedded,
    /// The brand's name is a label below another domain.
    Subdomain,
    /// The brand's name stands beside other words: `amazon-login`.
    Combosquat,
    /// The brand's name under a cheap ending.
    Ending,
    /// The name with a letter changed, swapped, doubled, left out or put in.
    Misspelt,
    /// Digits or pairs of letters for letters: `amaz0n`, `arnazon`.
    Digits,
    /// Letters of another script.
    Homograph,
    /// `co-jp`, `go.jp` and the like inside a domain that is none of these.
    Country,
}

impl How {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::UserInfo,
        Self::Embedded,
        Self::Subdomain,
        Self::Combosquat,
        Self::Ending,
        Self::Misspelt,
        Self::Digits,
        Self::Homograph,
        Self::Country,
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UserInfo => "user_info",
            Self::Embedded => "embedded",
            Self::Subdomain => "subdomain",
            Self::Combosquat => "combosquat",
            Self::Ending => "ending",
            Self::Misspelt => "misspelt",
            Self::Digits => "digits",
            Self::Homograph => "homograph",
            Self::Country => "country",
        }
    }
}

/// Tells look-alikes of some brands. Made once; each question costs a microsecond or so.
#[derive(Debug, Clone)]
pub struct Lookalikes {
    brands: Brands,
    official: Index,
    owners: Vec<BrandId>,
    platforms: Index,
    hosts: Hosts,
    matcher: Matcher,
}

impl Lookalikes {
    /// Of these brands.
    pub fn new(brands: &Brands) -> Self {
        let domains: Vec<(BrandId, &str)> = brands
            .numbered()
            .flat_map(|(id, brand)| brand.domains.iter().map(move |domain| (id, domain.as_str())))
            .collect();
        Self {
            official: Index::new(domains.iter().map(|(_, domain)| (*domain, false))),
            owners: domains.iter().map(|(id, _)| *id).collect(),
            platforms: Index::new(brands.platforms.iter().map(|name| (name.as_str(), false))),
            hosts: Hosts::builtin(),
            matcher: Matcher::new(brands),
            brands: brands.clone(),
        }
    }

    /// The brands that it was made of.
    pub fn brands(&self) -> &Brands {
        &self.brands
    }

    /// What hosts are known for.
    pub fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// Whether a host, a URL or its authority passes for a protected brand's, and how. `None` too where it is the brand's.
    pub fn judge(&self, host: &str) -> Option<Lookalike> {
        self.judge_host(&Host::read(host)?)
    }

    /// The same of a host that was read before.
    pub fn judge_host(&self, host: &Host) -> Option<Lookalike> {
        if let Some(found) = self.user_info(host) {
            return Some(found);
        }
        if host.is_address() {
            return None;
        }
        let hashes = Hashes::of(host.ascii().as_bytes());
        let sort = self.hosts.sort_hashed(host, &hashes);
        let mut front = host.front().len();
        if let Some((_, at)) = self.owned(host, &hashes) {
            if !sort.free_hosting {
                return None;
            }
            // Anybody may have a name below it: what stands before it was chosen by others.
            front = front.min(at);
        }
        let platform =
            hosts::suffixes(host.ascii().as_bytes()).any(|at| self.is_in(&self.platforms, host, &hashes, at));
        if platform {
            return None;
        }
        let cheap = sort.cheap_suffix || sort.free_hosting;
        let (found, brand) = self.matcher.find(host, front, cheap)?;
        Some(Lookalike { brand, how: found.how, token: found.token, domain: host.registrable().to_owned() })
    }

    /// Whose host it is, where only its owner puts anything there.
    pub fn official(&self, host: &str) -> Option<BrandId> {
        let host = Host::read(host)?;
        let hashes = Hashes::of(host.ascii().as_bytes());
        if self.hosts.sort_hashed(&host, &hashes).free_hosting {
            return None;
        }
        self.owned(&host, &hashes).map(|(brand, _)| brand)
    }

    /// Whether a host belongs to a brand or to another of its group, be it that others may put things there too.
    pub fn belongs(&self, host: &str, brand: BrandId) -> bool {
        let Some(host) = Host::read(host) else { return false };
        let hashes = Hashes::of(host.ascii().as_bytes());
        let text = host.ascii().as_bytes();
        hosts::suffixes(text).any(|at| {
            let hash = hashes.part(at..text.len());
            let mut places = self.official.places(hash, &text[at..]);
            places.any(|place| {
                self.owners.get(place).is_some_and(|owner| self.brands.same_group(*owner, brand))
            })
        })
    }

    /// The owner of a host, and where in it the owner's domain begins.
    fn owned(&self, host: &Host, hashes: &Hashes) -> Option<(BrandId, usize)> {
        let text = host.ascii().as_bytes();
        hosts::suffixes(text).find_map(|at| {
            let hash = hashes.part(at..text.len());
            let place = self.official.places(hash, &text[at..]).next()?;
            Some((*self.owners.get(place)?, at))
        })
    }

    fn is_in(&self, index: &Index, host: &Host, hashes: &Hashes, at: usize) -> bool {
        let text = host.ascii().as_bytes();
        index.places(hashes.part(at..text.len()), &text[at..]).next().is_some()
    }

    fn user_info(&self, host: &Host) -> Option<Lookalike> {
        let user = host.user()?;
        let shown = user.split([':', '%', '/', '?', ' ']).next()?;
        let brand = self.official(shown).filter(|_| shown.contains('.'))?;
        // A mail address of the brand itself is no trick.
        (!self.belongs(host.ascii(), brand)).then(|| Lookalike {
            brand: Some(brand),
            how: How::UserInfo,
            token: shown.to_owned(),
            domain: host.registrable().to_owned(),
        })
    }
}
