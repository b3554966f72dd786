//! Which protected brand a mail poses as: the names in its display name, subject and body against who sent it and where
//! its links go.

mod normal;
mod shown;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};

use self::normal::{Normal, is_katakana};
pub use self::shown::displayed_host;
use crate::lookalike::{BrandId, Brands, Hashes, Index, Likeness, Lookalikes, Sector, Strength, hash_of};

/// Characters of a body that are looked at; lures name their brand early.
const BODY_MAX: usize = 8_192;
const LINE_MAX: usize = 512;
const MENTIONS_MAX: usize = 256;
const HOSTS_MAX: usize = 64;

/// Where a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The display name of the sender.
    Name,
    /// The subject.
    Subject,
    /// What a reader sees of the body.
    Body,
}

/// A brand that a text names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mention {
    /// Which.
    pub brand: BrandId,
    /// Where.
    pub place: Place,
    /// How surely it is meant.
    pub strength: Strength,
    /// Whether the name is misspelt, set apart or in letters of other scripts: nobody writes their own name like that.
    pub disguised: bool,
    /// The name as it was read (lower case, katakana for hiragana).
    pub name: String,
}

/// What a mail claims, and what it leads to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Claims<'a> {
    /// Display name of the sender.
    pub name: &'a str,
    /// Subject.
    pub subject: &'a str,
    /// What a reader sees of the body.
    pub body: &'a str,
    /// Domains that it comes from: From, and those that authentication vouches for.
    pub senders: &'a [&'a str],
    /// Hosts that its links go to.
    pub links: &'a [&'a str],
}

/// A brand that a mail names, against where it comes from and leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posing {
    /// Which brand.
    pub brand: BrandId,
    /// Each place where it is named, once: the surest mention there.
    pub mentions: Vec<Mention>,
    /// Whether any sender is the brand's own (the hospital's own, where the mailbox system is named).
    pub sender_own: bool,
    /// Links to the brand's own hosts.
    pub links_own: usize,
    /// Hosts of links that are neither the brand's nor a redirector or a bulk mailer, in their order, at most 16.
    pub links_foreign: Vec<String>,
}

impl Posing {
    /// The surest mention in a place.
    pub fn mention(&self, place: Place) -> Option<&Mention> {
        self.mentions.iter().find(|mention| mention.place == place)
    }

    /// Whether the brand is named where a reader looks first, and neither the sender nor any link is its own.
    pub fn is_foreign(&self) -> bool {
        let first = self.mentions.iter().any(|mention| mention.place != Place::Body);
        first && !self.sender_own && self.links_own == 0
    }
}

/// Finds names of protected brands in texts. Made once.
#[derive(Debug, Clone)]
pub struct Impersonation {
    names: Option<AhoCorasick>,
    /// What each pattern means; nothing for passages that only contain a name.
    meanings: Vec<Option<(BrandId, Strength)>>,
    companions: BTreeSet<String>,
    /// Latin names of one word, whose misspellings count.
    words: Index,
    owners: Vec<BrandId>,
    ordinary: Index,
    endings: Index,
}

impl Impersonation {
    /// Of these brands.
    pub fn new(brands: &Brands) -> Self {
        let mut patterns: BTreeMap<String, Option<(BrandId, Strength)>> = BTreeMap::new();
        for passage in &brands.passages {
            patterns.insert(normal(passage), None);
        }
        let mut words = Vec::new();
        for (id, brand) in brands.numbered() {
            for alias in &brand.aliases {
                let text = normal(&alias.text);
                if alias.strength == Strength::Strong && text.len() >= 6 && is_word(&text) {
                    words.push((text.clone(), id));
                }
                patterns.entry(text).or_insert(Some((id, alias.strength)));
            }
        }
        patterns.remove("");
        let endings = brands.lures.iter().chain(&brands.hints).chain(&brands.fillers);
        let names = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(patterns.keys()).ok();
        Self {
            names,
            meanings: patterns.values().copied().collect(),
            companions: brands.companions.iter().map(|word| normal(word)).collect(),
            words: Index::new(words.iter().map(|(word, _)| (word.as_str(), true))),
            owners: words.iter().map(|(_, id)| *id).collect(),
            ordinary: Index::new(brands.ordinary.iter().map(|word| (word.as_str(), false))),
            endings: Index::new(endings.map(|word| (word.as_str(), false))),
        }
    }

    /// The brands that a text names, each once with its surest mention.
    pub fn mentions(&self, text: &str, place: Place) -> Vec<Mention> {
        let normal = Normal::of(text, if place == Place::Body { BODY_MAX } else { LINE_MAX });
        let mut found: Vec<Mention> = Vec::new();
        let mut covered: Vec<Range<usize>> = Vec::new();
        let matches = self.names.iter().flat_map(|names| names.find_iter(&normal.text)).take(MENTIONS_MAX);
        for hit in matches {
            let range = hit.start()..hit.end();
            let meaning = self.meanings.get(hit.pattern().as_usize()).copied().flatten();
            if let Some((brand, strength)) = meaning
                && let Some(strength) = self.weigh(&normal.text, &range, strength, place)
            {
                let disguised = normal.is_disguised(&range);
                let name = normal.text.get(range.clone()).unwrap_or_default().to_owned();
                keep(&mut found, Mention { brand, place, strength, disguised, name });
            }
            covered.push(range);
        }
        self.misspelt(&normal.text, place, &covered, &mut found);
        found
    }

    /// What a mail poses as: every brand that it names, against its senders and links.
    pub fn judge(&self, claims: &Claims<'_>, lookalikes: &Lookalikes) -> Vec<Posing> {
        let mut by_brand: BTreeMap<BrandId, Vec<Mention>> = BTreeMap::new();
        for (text, place) in
            [(claims.name, Place::Name), (claims.subject, Place::Subject), (claims.body, Place::Body)]
        {
            for mention in self.mentions(text, place) {
                by_brand.entry(mention.brand).or_default().push(mention);
            }
        }
        by_brand.into_iter().map(|(brand, mentions)| posing(brand, mentions, claims, lookalikes)).collect()
    }

    /// The brand whose host a link shows while it leads elsewhere, with the host that is shown. Redirectors and bulk mailers
    /// lead where they say only later: nothing is said of them.
    pub fn misleading(
        &self,
        shown: &str,
        actual: &str,
        lookalikes: &Lookalikes,
    ) -> Option<(BrandId, String)> {
        let host = displayed_host(shown)?;
        let brand = lookalikes.official(&host)?;
        let sort = lookalikes.hosts().sort_url(actual);
        let passes_on = sort.redirector || sort.bulk_mailer;
        (!passes_on && !lookalikes.belongs(actual, brand)).then_some((brand, host))
    }

    /// How surely a name at this place of a text means its brand; `None` where it is part of something else.
    fn weigh(&self, text: &str, range: &Range<usize>, strength: Strength, place: Place) -> Option<Strength> {
        let (before, after) = (text.get(..range.start)?, text.get(range.end..)?);
        let name = text.get(range.clone())?;
        if !self.stands_free(before, name, after, strength, place) {
            return None;
        }
        if strength == Strength::Strong {
            return Some(strength);
        }
        let (before, after) = (before.trim_end_matches(is_joint), after.trim_start_matches(is_joint));
        let alone = before.is_empty() && after.is_empty() && place != Place::Body;
        let accompanied = self.companions.iter().any(|word| {
            after.strip_prefix(word.as_str()).is_some_and(|rest| ends_word(word, rest))
                || before.strip_suffix(word.as_str()).is_some_and(|rest| begins_word(word, rest))
        });
        (alone || accompanied).then_some(Strength::Weak)
    }

    fn stands_free(&self, before: &str, name: &str, after: &str, strength: Strength, place: Place) -> bool {
        let (first, last) = (name.chars().next(), name.chars().next_back());
        let (left, right) = (before.chars().next_back(), after.chars().next());
        if first.is_some_and(|c| c.is_ascii_alphanumeric()) {
            let inside = left.is_some_and(|c| c.is_ascii_alphanumeric());
            // In a body an address that holds the name is no mention: links are judged by themselves.
            let address =
                place == Place::Body && left.is_some_and(|c| matches!(c, '@' | '.' | '/' | '-' | '_'));
            if inside || address {
                return false;
            }
        }
        if last.is_some_and(|c| c.is_ascii_alphanumeric()) {
            let end = after.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(after.len());
            let tail = after.get(..end).unwrap_or_default();
            let known =
                strength == Strength::Strong && name.len() >= 4 && (tail == "s" || self.endings.has(tail));
            let mut next = after.chars();
            let dotted = next.next() == Some('.') && next.next().is_some_and(|c| c.is_ascii_alphanumeric());
            if (!tail.is_empty() && !known) || (dotted && place == Place::Body) {
                return false;
            }
        }
        // Katakana words have no blanks between them: a weak name must not be a part of a longer one.
        let inside_left = first.is_some_and(is_katakana) && left.is_some_and(is_katakana);
        let inside_right = last.is_some_and(is_katakana) && right.is_some_and(is_katakana);
        let companion = |text: &str| self.companions.iter().any(|word| text.starts_with(word.as_str()));
        !inside_left && (strength == Strength::Strong || !inside_right || companion(after))
    }

    /// Latin words that are a letter away from a name.
    fn misspelt(&self, text: &str, place: Place, covered: &[Range<usize>], found: &mut Vec<Mention>) {
        let mut end = 0;
        for piece in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
            let word = piece.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            let range = end..end + word.len();
            end += piece.len();
            if word.len() < 5 || word.len() > self.words.longest() + 1 {
                continue;
            }
            if covered.iter().any(|known| known.start < range.end && range.start < known.end) {
                continue;
            }
            if let Some(number) = self.misspelling(word, place)
                && let Some(brand) = self.owners.get(number)
            {
                let name = word.to_owned();
                keep(
                    found,
                    Mention { brand: *brand, place, strength: Strength::Strong, disguised: true, name },
                );
            }
        }
    }

    fn misspelling(&self, word: &str, place: Place) -> Option<usize> {
        if self.ordinary.has(word) || self.ordinary.has(word.trim_end_matches('s')) {
            return None;
        }
        if let Some(letters) = lettered(word) {
            return self.nearest(&letters, place, Likeness::Far);
        }
        // Only whole names are read out of pairs: many words have them.
        let paired = word.replace("rn", "m").replace("vv", "w");
        let pairs = (paired != word).then(|| self.nearest(&paired, Place::Body, Likeness::Same)).flatten();
        pairs.or_else(|| self.nearest(word, place, Likeness::Far).filter(|_| !self.words.has(word)))
    }

    /// The name that a word is or, in a short text, is any edit away from.
    fn nearest(&self, word: &str, place: Place, least: Likeness) -> Option<usize> {
        let near = self.words.near(hash_of(word.as_bytes()), || word.as_bytes().to_vec());
        // Long texts hold many words: there only what the eye passes over counts.
        let near = near.filter(|(_, likeness)| place != Place::Body || *likeness >= Likeness::Near);
        let far = || self.words.far(&Hashes::of(word.as_bytes()), word.as_bytes(), 0..word.len());
        let found = near.or_else(|| (place != Place::Body).then(far).flatten());
        found.filter(|(_, likeness)| *likeness >= least).map(|(number, _)| number)
    }
}

fn posing(brand: BrandId, mentions: Vec<Mention>, claims: &Claims<'_>, lookalikes: &Lookalikes) -> Posing {
    let brands = lookalikes.brands();
    let about_mailbox = brands.get(brand).is_some_and(|brand| brand.sector == Sector::Mailbox);
    // The hospital's own department writes of the hospital's own mailboxes.
    let own = |host: &str| {
        lookalikes.belongs(host, brand)
            || (about_mailbox
                && lookalikes
                    .official(host)
                    .and_then(|owner| brands.get(owner))
                    .is_some_and(|owner| owner.sector == Sector::Own))
    };
    let mut posing = Posing {
        brand,
        mentions,
        sender_own: claims.senders.iter().take(HOSTS_MAX).any(|host| own(host)),
        links_own: 0,
        links_foreign: Vec::new(),
    };
    let mut seen = BTreeSet::new();
    for host in claims.links.iter().take(HOSTS_MAX).filter(|host| !host.is_empty() && seen.insert(**host)) {
        if own(host) {
            posing.links_own += 1;
            continue;
        }
        let sort = lookalikes.hosts().sort(host);
        if !sort.redirector && !sort.bulk_mailer && posing.links_foreign.len() < 16 {
            posing.links_foreign.push((*host).to_owned());
        }
    }
    posing
}

/// Keeps the surest mention of each brand in each place.
fn keep(found: &mut Vec<Mention>, new: Mention) {
    match found.iter_mut().find(|known| known.brand == new.brand && known.place == new.place) {
        Some(known) => {
            known.disguised |= new.disguised;
            if new.strength > known.strength {
                known.strength = new.strength;
                known.name = new.name;
            }
        }
        None => found.push(new),
    }
}

/// Digits inside a word as the letters that they pass for; `None` where there are none or they stand at its end.
fn lettered(word: &str) -> Option<String> {
    let inside = word.trim_end_matches(|c: char| c.is_ascii_digit());
    if !inside.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    let letter = |c| match c {
        '0' => 'o',
        '1' => 'l',
        '3' => 'e',
        '4' => 'a',
        '5' => 's',
        '7' => 't',
        '8' => 'b',
        other => other,
    };
    Some(word.chars().map(letter).collect())
}

fn normal(text: &str) -> String {
    Normal::of(text, LINE_MAX).text
}

fn is_word(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_lowercase())
}

/// What may stand between a name and its companion.
fn is_joint(c: char) -> bool {
    c == 'ノ' || (!c.is_alphanumeric() && !matches!(c, '。' | '\n'))
}

fn ends_word(word: &str, rest: &str) -> bool {
    !(word.is_ascii() && rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
}

fn begins_word(word: &str, rest: &str) -> bool {
    !(word.is_ascii() && rest.ends_with(|c: char| c.is_ascii_alphanumeric()))
}
