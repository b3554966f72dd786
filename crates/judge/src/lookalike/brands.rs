use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use toml::Spanned;

use super::host::Host;

const BUILTIN: &str = include_str!("../../data/brands.toml");
const BRANDS_MAX: usize = 4_096;
const WORDS_MAX: usize = 256;

/// Which of the [`Brands`] is meant: its place in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BrandId(pub u16);

/// A name that is worth posing as.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Brand {
    /// Its key: lower case, unique.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its name as written in Japan.
    pub name_ja: String,
    /// Brands of one group may write from each other's domains: the id of its first member.
    pub group: String,
    /// What it does.
    pub sector: Sector,
    /// The registrable domains that are its own; the first is the one that people know. With all below them.
    pub domains: Vec<String>,
    /// The words that look-alike hosts are made of.
    pub tokens: Vec<Token>,
    /// The words that it is called by.
    pub aliases: Vec<Alias>,
}

/// What a brand does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sector {
    /// The hospital itself, or a vendor of its own.
    Own,
    /// Shops and marketplaces.
    Shop,
    /// Banks and securities.
    Bank,
    /// Credit cards.
    Card,
    /// Payment other than by card.
    Payment,
    /// Telephone and internet access.
    Telecom,
    /// Parcels and letters.
    Delivery,
    /// Authorities and public services.
    State,
    /// Office, storage, software.
    Cloud,
    /// Mailboxes as such: "your mailbox is full".
    Mailbox,
    /// Social networks and messengers.
    Social,
    /// Cryptocurrencies.
    Crypto,
    /// Railways, roads, hotels.
    Travel,
    /// Films, music, games.
    Media,
    /// Everything else.
    #[default]
    Other,
}

/// A word that look-alike hosts are made of: ASCII letters and digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The word.
    pub text: String,
    /// How much it says.
    pub hold: Hold,
}

/// How much a token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hold {
    /// It is matched exactly, as a whole word, and only beside a lure (`login`, `verify`).
    Exact,
    /// It is matched exactly, as a whole word; below a domain of others it counts by itself.
    Distinct,
    /// Many write of it: it and its variants count beside a lure or under a cheap ending.
    Common,
    /// Nobody else has it in a name, though the brand has it in many: it and its variants count by themselves where they
    /// are no word among others.
    Strong,
    /// Nobody has it in a name, the brand itself only where it is known: it and its variants count anywhere.
    Sole,
}

/// A word that a brand is called by, in any script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The word, as people write it.
    pub text: String,
    /// Whether it says something by itself.
    pub strength: Strength,
}

/// How surely a word means a brand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strength {
    /// It is a word of the language too: only alone or beside a word such as "account" does it mean the brand.
    Weak,
    /// It means the brand.
    Strong,
}

/// The protected brands, with the words that go with them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Brands {
    all: Vec<Brand>,
    pub(crate) lures: BTreeSet<String>,
    pub(crate) hints: BTreeSet<String>,
    pub(crate) fillers: BTreeSet<String>,
    pub(crate) ordinary: BTreeSet<String>,
    pub(crate) passages: BTreeSet<String>,
    pub(crate) companions: BTreeSet<String>,
    pub(crate) platforms: BTreeSet<String>,
}

/// One of the hospital's own names: the hospital itself or a vendor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Own {
    /// Its name.
    pub name: String,
    /// Other names, short names.
    pub aliases: Vec<String>,
    /// Its domains, the known one first.
    pub domains: Vec<String>,
}

/// What is wrong in a file of brands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read brands, line {line}: {problem}")]
pub struct BrandsError {
    /// The line, from 1; 0 for what came from elsewhere than a file.
    pub line: usize,
    /// What is wrong there.
    pub problem: String,
}

impl Brands {
    /// Those that come with the program.
    pub fn builtin() -> Self {
        // A test holds that the file can be read, and nothing but the program's own build can change it.
        Self::parse(BUILTIN).unwrap_or_default()
    }

    /// Reads a file of brands (TOML; the one that comes with the program shows its form).
    pub fn parse(text: &str) -> Result<Self, BrandsError> {
        let file: File = toml::from_str(text).map_err(|error| BrandsError {
            line: line_of(text, error.span().map_or(0, |span| span.start)),
            problem: error.message().to_owned(),
        })?;
        let mut brands = Self::default();
        for (from, into) in [
            (file.lures, &mut brands.lures),
            (file.hints, &mut brands.hints),
            (file.fillers, &mut brands.fillers),
            (file.ordinary, &mut brands.ordinary),
            (file.passages, &mut brands.passages),
            (file.companions, &mut brands.companions),
            (file.platforms, &mut brands.platforms),
        ] {
            into.extend(from.into_iter().map(|word| word.to_lowercase()));
        }
        for entry in file.brand {
            let at = |offset: usize, problem: String| BrandsError { line: line_of(text, offset), problem };
            let brand = entry.check(&at)?;
            let known = |other: &Brand| other.id == brand.id;
            if brands.all.iter().any(known) {
                return Err(at(entry.id.span().start, format!("`{}` is there twice", brand.id)));
            }
            if brands.all.len() == BRANDS_MAX {
                return Err(at(entry.id.span().start, format!("more than {BRANDS_MAX} brands")));
            }
            brands.all.push(brand);
        }
        Ok(brands)
    }

    /// These and the others; a brand of the others takes the place of one with the same id.
    #[must_use]
    pub fn join(mut self, others: Self) -> Self {
        for brand in others.all {
            let room = self.all.len() < BRANDS_MAX;
            match self.all.iter_mut().find(|known| known.id == brand.id) {
                Some(known) => *known = brand,
                None if room => self.all.push(brand),
                None => {}
            }
        }
        self.lures.extend(others.lures);
        self.hints.extend(others.hints);
        self.fillers.extend(others.fillers);
        self.ordinary.extend(others.ordinary);
        self.passages.extend(others.passages);
        self.companions.extend(others.companions);
        self.platforms.extend(others.platforms);
        self
    }

    /// These and the hospital's own names, which are judged first: whoever poses as them means this hospital. Their tokens
    /// are the first labels of their domains.
    pub fn with(mut self, own: &[Own]) -> Result<Self, BrandsError> {
        let mut all = Vec::new();
        for (place, own) in own.iter().enumerate() {
            let mut brand = Brand {
                id: format!("own-{place}"),
                name: own.name.clone(),
                name_ja: own.name.clone(),
                group: "own".to_owned(),
                sector: Sector::Own,
                ..Brand::default()
            };
            for domain in &own.domains {
                let domain = check_domain(domain).map_err(|problem| BrandsError { line: 0, problem })?;
                let label = domain.split('.').next().unwrap_or_default();
                let text = label.replace('-', "");
                if text.len() >= 3 && !brand.tokens.iter().any(|token| token.text == text) {
                    let hold = if text.len() >= 6 && !self.ordinary.contains(&text) {
                        Hold::Sole
                    } else {
                        Hold::Distinct
                    };
                    brand.tokens.push(Token { text, hold });
                }
                brand.domains.push(domain);
            }
            let names = std::iter::once(&own.name).chain(&own.aliases);
            brand.aliases = names
                .filter(|name| name.chars().count() >= 2)
                .map(|name| Alias { text: name.clone(), strength: Strength::Strong })
                .collect();
            all.push(brand);
        }
        all.append(&mut self.all);
        all.truncate(BRANDS_MAX);
        self.all = all;
        Ok(self)
    }

    /// All of them, in their order.
    pub fn all(&self) -> &[Brand] {
        &self.all
    }

    /// The brand of an id that one of these gave out.
    pub fn get(&self, id: BrandId) -> Option<&Brand> {
        self.all.get(usize::from(id.0))
    }

    /// The brand with this key.
    pub fn find(&self, id: &str) -> Option<BrandId> {
        self.numbered().find(|(_, brand)| brand.id == id).map(|(number, _)| number)
    }

    /// Whether mail of the one may come from the other.
    pub fn same_group(&self, one: BrandId, other: BrandId) -> bool {
        match (self.get(one), self.get(other)) {
            (Some(a), Some(b)) => one == other || a.group == b.group,
            _ => false,
        }
    }

    pub(crate) fn numbered(&self) -> impl Iterator<Item = (BrandId, &Brand)> {
        // BRANDS_MAX fits.
        self.all.iter().enumerate().map(|(place, brand)| (BrandId(place as u16), brand))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    lures: Vec<String>,
    #[serde(default)]
    hints: Vec<String>,
    #[serde(default)]
    fillers: Vec<String>,
    #[serde(default)]
    ordinary: Vec<String>,
    #[serde(default)]
    passages: Vec<String>,
    #[serde(default)]
    companions: Vec<String>,
    #[serde(default)]
    platforms: Vec<String>,
    #[serde(default)]
    brand: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: Spanned<String>,
    name: Spanned<String>,
    name_ja: Option<String>,
    group: Option<String>,
    #[serde(default)]
    sector: Sector,
    #[serde(default)]
    domains: Vec<Spanned<String>>,
    #[serde(default)]
    sole: Vec<Spanned<String>>,
    #[serde(default)]
    tokens: Vec<Spanned<String>>,
    #[serde(default)]
    common: Vec<Spanned<String>>,
    #[serde(default)]
    distinct: Vec<Spanned<String>>,
    #[serde(default)]
    exact: Vec<Spanned<String>>,
    #[serde(default)]
    aliases: Vec<Spanned<String>>,
    #[serde(default)]
    weak: Vec<Spanned<String>>,
}

impl Entry {
    fn check(&self, at: &dyn Fn(usize, String) -> BrandsError) -> Result<Brand, BrandsError> {
        let id = self.id.get_ref();
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
            return Err(at(
                self.id.span().start,
                format!("`{id}`: an id has lower-case letters, digits and hyphens"),
            ));
        }
        if self.name.get_ref().trim().is_empty() {
            return Err(at(self.name.span().start, "the name is empty".to_owned()));
        }
        let mut brand = Brand {
            id: id.clone(),
            name: self.name.get_ref().clone(),
            name_ja: self.name_ja.clone().unwrap_or_else(|| self.name.get_ref().clone()),
            group: self.group.clone().unwrap_or_else(|| id.clone()),
            sector: self.sector,
            ..Brand::default()
        };
        for domain in &self.domains {
            let checked =
                check_domain(domain.get_ref()).map_err(|problem| at(domain.span().start, problem))?;
            brand.domains.push(checked);
        }
        self.check_words(&mut brand, at)?;
        Ok(brand)
    }

    fn check_words(
        &self,
        brand: &mut Brand,
        at: &dyn Fn(usize, String) -> BrandsError,
    ) -> Result<(), BrandsError> {
        let mut seen = BTreeMap::new();
        for (words, hold) in [
            (&self.sole, Hold::Sole),
            (&self.tokens, Hold::Strong),
            (&self.common, Hold::Common),
            (&self.distinct, Hold::Distinct),
            (&self.exact, Hold::Exact),
        ] {
            for word in words {
                let text = word.get_ref();
                let shortest = if matches!(hold, Hold::Exact | Hold::Distinct) { 2 } else { 5 };
                let problem = if text.len() < shortest || text.len() > 32 {
                    format!("`{text}`: a token of this sort has {shortest} to 32 letters")
                } else if !text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
                    format!("`{text}`: a token has lower-case letters and digits only")
                } else if seen.insert(text.clone(), ()).is_some() {
                    format!("`{text}` is there twice")
                } else {
                    brand.tokens.push(Token { text: text.clone(), hold });
                    continue;
                };
                return Err(at(word.span().start, problem));
            }
        }
        for (words, strength) in [(&self.aliases, Strength::Strong), (&self.weak, Strength::Weak)] {
            for word in words {
                let text = word.get_ref();
                if text.trim().is_empty() || text.chars().count() > 64 {
                    return Err(at(word.span().start, "an alias has 1 to 64 characters".to_owned()));
                }
                brand.aliases.push(Alias { text: text.clone(), strength });
            }
        }
        if brand.tokens.len() + brand.aliases.len() + brand.domains.len() > WORDS_MAX {
            return Err(at(self.id.span().start, format!("more than {WORDS_MAX} words and domains")));
        }
        Ok(())
    }
}

/// A domain in the form that hosts are compared in.
fn check_domain(domain: &str) -> Result<String, String> {
    match Host::read(domain) {
        // Some brands have a top-level domain of their own (`apple`); `com` and the like cannot be meant.
        Some(host)
            if !host.is_address()
                && (host.ascii().contains('.') || host.ascii().len() >= 4)
                && host.ascii().bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-')) =>
        {
            Ok(host.ascii().to_owned())
        }
        _ => Err(format!("`{domain}` is no domain")),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count()
}
