//! `phishing.name` and `malware.name`: machines ask for names that pose as others, or that lists know.
//!
//! Names come from DNS questions, TLS and HTTP. The lists decide first; then the look-alike engine of the mail, of which only the kinds
//! that hardly occur by chance are told with more than low severity.

use std::hash::BuildHasher;
use std::hint::black_box;
use std::net::IpAddr;
use std::sync::OnceLock;

use foldhash::fast::FixedState;
use hashbrown::HashSet;
use schema::{Attack, NameSource, Severity, Sight, Tactic};

use crate::lookalike::{Brands, How, Lookalike, Lookalikes};
use crate::network::telling::{Saying, Tell, Words, attack};
use crate::network::view::{DAY, Trail, View, fnv};
use crate::network::{Detectors, Rules};
use crate::{Detector, Entry};

/// A name that poses as another, or is known for phishing.
pub(crate) const PHISHING: Entry = Entry {
    id: "phishing.name",
    title: "A machine reaches for a name that poses as another",
    title_ja: "他をかたる名前のサイトに機器が接続しようとしている",
    attacks: phishing,
    make: Detector::Network(Detectors::new),
};

/// A name that is known for malware.
pub(crate) const MALWARE: Entry = Entry {
    id: "malware.name",
    title: "A machine reaches for a name that is known for malware",
    title_ja: "不正プログラムで知られる名前に機器が接続しようとしている",
    attacks: malware,
    make: Detector::Network(Detectors::new),
};

fn phishing() -> Vec<Attack> {
    vec![attack("T1566.002", "Phishing: Spearphishing Link", Tactic::InitialAccess)]
}

fn malware() -> Vec<Attack> {
    vec![attack("T1071.001", "Application Layer Protocol: Web Protocols", Tactic::CommandAndControl)]
}

/// What judges names, made from the rules.
#[derive(Debug, Clone)]
pub(super) struct Names {
    brands: Option<String>,
    /// Made with the first name that is asked about: it takes longer than everything else together.
    lookalikes: OnceLock<Lookalikes>,
    allowed: Domains,
    phishing: Domains,
    malware: Domains,
    harmless: Harmless,
}

/// Domains, with all below them.
#[derive(Debug, Clone)]
struct Domains {
    hashes: HashSet<u64, FixedState>,
}

impl Domains {
    fn new(names: &[String]) -> Self {
        let mut hashes = HashSet::with_hasher(FixedState::default());
        hashes.extend(names.iter().map(|name| {
            let name = name.trim().trim_start_matches("*.").trim_matches('.').to_ascii_lowercase();
            fnv(&[name.as_bytes()])
        }));
        Self { hashes }
    }

    /// The listed domain that this name is or is below of.
    fn covers<'n>(&self, name: &'n str) -> Option<&'n str> {
        if self.hashes.is_empty() {
            return None;
        }
        let after_dots = name.match_indices('.').map(|(at, _)| at + 1);
        let mut suffixes = std::iter::once(0).chain(after_dots).filter_map(|at| name.get(at..));
        suffixes.find(|suffix| self.hashes.contains(&fnv(&[suffix.as_bytes()])))
    }
}

/// Names of which nothing is to be said, as they were judged lately: the same ones are asked for again and again. A name is compared as a
/// whole, so that no other one passes for it.
#[derive(Debug, Clone, Default)]
struct Harmless {
    /// With their hashes, in rows of [`HARMLESS_ROW`]: two names that fall together do not push each other out whenever they are asked for
    /// in turn.
    names: Vec<(u64, Box<str>)>,
    next: usize,
}

/// So many names, of 255 bytes at most.
const HARMLESS_MAX: usize = 16_384;
const HARMLESS_ROW: usize = 4;

impl Harmless {
    fn hash(name: &str) -> u64 {
        FixedState::default().hash_one(name.as_bytes())
    }

    /// Where a hash's row is.
    fn row(hash: u64) -> std::ops::Range<usize> {
        let begin = hash as usize % (HARMLESS_MAX / HARMLESS_ROW) * HARMLESS_ROW;
        begin..begin + HARMLESS_ROW
    }

    fn holds(&self, hash: u64, name: &str) -> bool {
        let is_it = |held: &(u64, Box<str>)| held.0 == hash && *held.1 == *name;
        self.names.get(Self::row(hash)).is_some_and(|row| row.iter().any(is_it))
    }

    fn put(&mut self, hash: u64, name: &str) {
        if self.names.is_empty() {
            self.names.resize_with(HARMLESS_MAX, Default::default);
        }
        let Some(row) = self.names.get_mut(Self::row(hash)) else { return };
        self.next = (self.next + 1) % HARMLESS_ROW;
        let at = row.iter().position(|held| held.1.is_empty()).unwrap_or(self.next);
        if let Some(held) = row.get_mut(at) {
            *held = (hash, name.into());
        }
    }
}

impl Names {
    pub(super) fn new(rules: &Rules) -> Self {
        Self {
            brands: rules.brands.clone(),
            lookalikes: OnceLock::new(),
            allowed: Domains::new(&rules.names_allowed),
            phishing: Domains::new(&rules.names_phishing),
            malware: Domains::new(&rules.names_malware),
            harmless: Harmless::default(),
        }
    }

    /// Brands that cannot be read leave those that are built in: whoever configures them is told elsewhere.
    fn lookalikes(&self) -> &Lookalikes {
        self.lookalikes.get_or_init(|| {
            let own = self.brands.as_deref().and_then(|text| Brands::parse(text).ok());
            let builtin = Brands::builtin();
            Lookalikes::new(&match own {
                Some(own) => builtin.join(own),
                None => builtin,
            })
        })
    }

    /// Has the processor fetch a name and what is known of it.
    #[inline]
    pub(super) fn warm(&self, name: &str) {
        black_box(self.harmless.holds(Harmless::hash(name), name));
    }

    /// Takes in a name that somebody wanted to reach.
    pub(super) fn take(&mut self, view: &View<'_>, tell: &mut Tell<'_>) {
        let Sight::Named { name, source } = view.sight() else { return };
        let name = name.as_ref();
        let hash = Harmless::hash(name);
        if self.harmless.holds(hash, name) {
            return;
        }
        if is_local(name) || self.allowed.covers(name).is_some() {
            return;
        }
        if let Some(domain) = self.malware.covers(name) {
            listed(&MALWARE, Severity::High, name, domain, *source, view, tell);
        } else if let Some(domain) = self.phishing.covers(name) {
            listed(&PHISHING, Severity::High, name, domain, *source, view, tell);
        } else if let Some((found, severity)) = self.lookalikes().judge(name).and_then(graded) {
            self.pose(&found, severity, name, *source, view, tell);
        } else {
            self.harmless.put(hash, name);
        }
    }

    fn pose(
        &self,
        found: &Lookalike,
        severity: Severity,
        name: &str,
        source: NameSource,
        view: &View<'_>,
        tell: &mut Tell<'_>,
    ) {
        let brand =
            found.brand.and_then(|id| self.lookalikes().brands().get(id)).map(|brand| brand.name.clone());
        let saying = Saying::new(&PHISHING, view.client(), None, Trail::of(view.event))
            .about(fnv(&[found.domain.as_bytes()]))
            .severity(severity)
            .pause(DAY)
            .size(1);
        tell.say(saying, || {
            let (client, domain) = (view.client(), shown(&found.domain));
            let whose = brand.clone().unwrap_or_else(|| "a Japanese site".into());
            let whose_ja = brand.unwrap_or_else(|| "日本のサイト".into());
            Words::new(
                [
                    format!("{client} reaches for {domain}, which poses as another's"),
                    format!("{client} が、他をかたる名前 {domain} に接続しようとしました"),
                ],
                phishing(),
            )
            .name(&found.domain)
            .because(
                format!(
                    "{} ({}) passes for {whose}: {}",
                    shown(name),
                    source_word(source),
                    found.how.as_str()
                ),
                format!(
                    "{}（{}）は {whose_ja} に見せかけています: {}",
                    shown(name),
                    source_word(source),
                    found.how.as_str()
                ),
            )
        });
    }
}

/// How bad a look-alike is; `None` for what is part of many honest names: it takes a mail to make that suspicious.
fn graded(found: Lookalike) -> Option<(Lookalike, Severity)> {
    let severity = match found.how {
        How::Homograph | How::Digits | How::Embedded | How::UserInfo => Severity::Medium,
        How::Misspelt | How::Combosquat | How::Country => Severity::Low,
        How::Subdomain | How::Ending => return None,
    };
    Some((found, severity))
}

fn listed(
    entry: &'static Entry,
    severity: Severity,
    name: &str,
    domain: &str,
    source: NameSource,
    view: &View<'_>,
    tell: &mut Tell<'_>,
) {
    let client: IpAddr = view.client();
    let saying = Saying::new(entry, client, None, Trail::of(view.event))
        .about(fnv(&[domain.as_bytes()]))
        .severity(severity)
        .pause(DAY)
        .size(1);
    tell.say(saying, || {
        let asked = shown(name);
        Words::new(
            [
                format!("{client} reaches for {asked}, which is on a list"),
                format!("{client} が、危険な名前の一覧にある {asked} に接続しようとしました"),
            ],
            (entry.attacks)(),
        )
        .name(name)
        .because(
            format!("{} is listed ({})", shown(domain), source_word(source)),
            format!("{} が一覧にあります（{}）", shown(domain), source_word(source)),
        )
    });
}

/// Names that are asked for on the spot and never on the Internet.
fn is_local(name: &str) -> bool {
    !name.contains('.')
        || [".local", ".arpa", ".lan", ".internal", ".home", ".localdomain"]
            .iter()
            .any(|end| name.ends_with(end))
}

fn source_word(source: NameSource) -> &'static str {
    match source {
        NameSource::Dns => "DNS",
        NameSource::Sni => "TLS SNI",
        NameSource::HttpHost => "HTTP Host",
    }
}

/// A name as it is safely shown: ASCII, and no link that a mail program would make of it.
fn shown(name: &str) -> String {
    let end = name.floor_char_boundary(120);
    name[..end].escape_default().to_string().replace('.', "[.]")
}
