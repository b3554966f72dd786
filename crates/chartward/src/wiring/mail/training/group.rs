//! Mails that say the same are one lure.

use std::collections::HashMap;

use decode::mail::{Limits, LinkKind, Message};
use jiff::Timestamp;
use judge::lookalike::{Brands, Lookalikes};
use observe::mail::quarantine::Entry;
use schema::{MailReason, MailVerdict};

use super::mask::{self, Recipients};
use super::{Both, LINKS_MAX, Lure, REASONS_MAX};

/// Sorts of lures that are told apart; more are counted, and nothing else.
const GROUPS_MAX: usize = 10_000;
const KEY_MAX: usize = 120;
const SUBJECT_MAX: usize = 70;
const NAME_MAX: usize = 24;
const SENTENCE_MAX: usize = 160;
/// A mail to more people names none of them.
const RECIPIENTS_MAX: usize = 100;

/// A name that mails pose under.
#[derive(Debug)]
pub(super) struct Brand {
    /// What reasons call it, in lower case.
    known_as: String,
    names: Both,
}

impl Brand {
    /// The protected ones, and the hospital itself.
    pub(super) fn all(hospital: &str) -> Vec<Self> {
        let brands = Brands::builtin();
        let of =
            |name: &str, name_ja: &str| Self { known_as: name.to_lowercase(), names: named(name, name_ja) };
        let protected = brands.all().iter().map(|it| of(&it.name, &it.name_ja));
        protected.chain((!hospital.is_empty()).then(|| of(hospital, hospital))).collect()
    }
}

fn named(en: &str, ja: &str) -> Both {
    Both { en: en.to_owned(), ja: if ja.is_empty() { en } else { ja }.to_owned() }
}

/// The lures of some days.
#[derive(Debug)]
pub(super) struct Groups {
    brands: Vec<Brand>,
    by_key: HashMap<String, Group>,
}

/// One lure, with its newest mail.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// The newest mail.
    pub(super) id: String,
    at: Timestamp,
    subject: String,
    verdict: MailVerdict,
    sender: String,
    to: Vec<String>,
    reasons: Vec<MailReason>,
    posing_as: Option<Both>,
    seen: u32,
}

impl Groups {
    pub(super) fn new(brands: Vec<Brand>) -> Self {
        Self { brands, by_key: HashMap::new() }
    }

    /// Adds a mail that is a lure. One that could not be read teaches nothing.
    pub(super) fn add(&mut self, entry: &Entry) {
        if entry.verdict < MailVerdict::Suspicious {
            return;
        }
        let posing_as = self.posing_as(&entry.reasons);
        let key = key(entry, posing_as.as_ref());
        let is_full = self.by_key.len() >= GROUPS_MAX;
        match self.by_key.get_mut(&key) {
            Some(group) => {
                let seen = group.seen.saturating_add(1);
                let verdict = group.verdict.max(entry.verdict);
                if (entry.at, &entry.id) > (group.at, &group.id) {
                    *group = Group::new(entry, posing_as);
                }
                (group.seen, group.verdict) = (seen, verdict);
            }
            None if is_full => {}
            None => drop(self.by_key.insert(key, Group::new(entry, posing_as))),
        }
    }

    /// The most frequent first, then the worst, then the newest.
    pub(super) fn most_seen(&self) -> Vec<Group> {
        let mut all: Vec<_> = self.by_key.values().cloned().collect();
        all.sort_by(|a, b| (b.seen, b.verdict, b.at, &b.id).cmp(&(a.seen, a.verdict, a.at, &a.id)));
        all
    }

    /// Whose name it uses, as its reasons say: `Name`, or `host[.]tld (Name)`.
    fn posing_as(&self, reasons: &[MailReason]) -> Option<Both> {
        let brand = reasons.iter().filter(|reason| reason.id.starts_with("brand.") && reason.weight > 0.0);
        let mut evidence = brand.flat_map(|reason| &reason.evidence);
        evidence.find_map(|it| self.brand(it))
    }

    fn brand(&self, evidence: &str) -> Option<Both> {
        let within = evidence.strip_suffix(')').and_then(|it| it.rsplit_once(" (")).map(|(_, name)| name);
        let name = within.unwrap_or(evidence).trim();
        let known = self.brands.iter().find(|brand| brand.known_as == name.to_lowercase());
        known.map(|brand| Both { en: brand.names.en.clone(), ja: brand.names.ja.clone() })
    }
}

impl Group {
    fn new(entry: &Entry, posing_as: Option<Both>) -> Self {
        let against = entry.reasons.iter().filter(|reason| reason.weight > 0.0);
        Self {
            id: entry.id.clone(),
            at: entry.at,
            subject: entry.subject.chars().take(400).collect(),
            verdict: entry.verdict,
            sender: entry.envelope.from.chars().take(320).collect(),
            to: entry.envelope.to.iter().take(RECIPIENTS_MAX).cloned().collect(),
            reasons: against.take(REASONS_MAX).cloned().collect(),
            posing_as,
            seen: 1,
        }
    }

    /// What may be told of it; the mail itself has the visible sender and the links.
    pub(super) fn lure(&self, lookalikes: &Lookalikes, message: Option<&[u8]>) -> Lure {
        let message = message.map(|bytes| decode::mail::read(bytes, &Limits::default())).unwrap_or_default();
        let addresses = self.to.iter().chain(message.to.iter().map(|to| &to.address).take(RECIPIENTS_MAX));
        let names = message.to.iter().map(|to| to.name.as_str()).take(RECIPIENTS_MAX);
        let recipients = Recipients::new(addresses.map(String::as_str), names);
        let subject = if self.subject.is_empty() { &message.subject } else { &self.subject };
        let sentence = |text: &str| mask::text(text, &Recipients::default(), SENTENCE_MAX);
        let why = |it: &MailReason| Both { en: sentence(&it.text), ja: sentence(&it.text_ja) };
        Lure {
            subject: mask::text(subject, &recipients, SUBJECT_MAX),
            verdict: self.verdict,
            posing_as: self.posing_as.clone().or_else(|| self.looks_like(lookalikes, &message)),
            from: self.from(&message, &recipients),
            links: links(lookalikes, &message, &recipients),
            why: self.reasons.iter().map(why).collect(),
            seen: self.seen,
        }
    }

    fn from(&self, message: &Message, recipients: &Recipients) -> String {
        let visible = message.from.first();
        let address = visible.map_or(self.sender.as_str(), |from| &from.address);
        let address = mask::address(address, recipients);
        let name = visible.map(|from| mask::text(&from.name, recipients, NAME_MAX)).unwrap_or_default();
        match (name.is_empty(), address.is_empty()) {
            (true, _) => address,
            (false, true) => name,
            (false, false) => format!("{name} <{address}>"),
        }
    }

    fn looks_like(&self, lookalikes: &Lookalikes, message: &Message) -> Option<Both> {
        let sender = message.from.first().map_or(self.sender.as_str(), |from| &from.address);
        let sender = sender.rsplit_once('@').map(|(_, domain)| domain);
        let mut places =
            sender.into_iter().chain(message.links.iter().take(50).map(|link| link.host.as_str()));
        places.find_map(|place| {
            let brand = lookalikes.brands().get(lookalikes.judge(place)?.brand?)?;
            Some(named(&brand.name, &brand.name_ja))
        })
    }
}

/// Where it leads, each place once, without the true pages of those it poses as.
fn links(lookalikes: &Lookalikes, message: &Message, recipients: &Recipients) -> Vec<String> {
    let clicked = |kind: LinkKind| kind != LinkKind::Fetched;
    let mut found: Vec<String> = Vec::new();
    for link in message.links.iter().filter(|link| clicked(link.kind) && !link.host.is_empty()).take(200) {
        if lookalikes.official(&link.host).is_some() {
            continue;
        }
        let told = mask::link(&link.url, &link.host, recipients);
        if !found.contains(&told) {
            found.push(told);
        }
        if found.len() == LINKS_MAX {
            break;
        }
    }
    found
}

/// The same for mails that say the same to different people: letters of the subject without names and numbers, and whose name it uses, or
/// else where it comes from and leads to.
fn key(entry: &Entry, posing_as: Option<&Both>) -> String {
    let recipients = Recipients::new(
        entry.envelope.to.iter().take(RECIPIENTS_MAX).map(String::as_str),
        std::iter::empty(),
    );
    let subject = mask::text(&entry.subject, &recipients, 400).to_lowercase();
    let mut subject = subject.as_str();
    while let Some(rest) = ["re:", "fw:", "fwd:"].iter().find_map(|answer| subject.strip_prefix(answer)) {
        subject = rest.trim_start();
    }
    // A serial number is a word with a digit.
    let words = subject.split(|char: char| !char.is_alphanumeric()).map(without_serial);
    let subject: String = words.collect::<String>().chars().take(KEY_MAX).collect();
    match posing_as {
        Some(brand) => format!("{subject}\n{}", brand.en),
        None if subject.is_empty() => format!("\n{}\n{}", domain(&entry.envelope.from), places(entry)),
        None => format!("{subject}\n\n{}", places(entry)),
    }
}

/// A word without its run of ASCII letters and digits that has a digit; 「第3四半期」 and 「第4四半期」 are the same then.
fn without_serial(word: &str) -> String {
    let runs = word.split_inclusive(|char: char| !char.is_ascii_alphanumeric());
    let letters = |run: &str| {
        let has_digit = run.bytes().any(|byte| byte.is_ascii_digit());
        run.chars()
            .filter(|char| !has_digit || !char.is_ascii())
            .filter(|char| !char.is_numeric())
            .collect::<String>()
    };
    runs.map(letters).collect()
}

fn domain(address: &str) -> String {
    address.rsplit_once('@').map_or("", |(_, domain)| domain).to_lowercase()
}

/// Hosts that its reasons name.
fn places(entry: &Entry) -> String {
    let evidence =
        entry.reasons.iter().filter(|reason| reason.weight > 0.0).flat_map(|reason| &reason.evidence);
    let is_host = |it: &&String| it.contains("[.]") && !it.contains(['@', ' ']);
    let mut hosts: Vec<String> = evidence.filter(is_host).map(|it| place(it)).collect();
    hosts.sort();
    hosts.dedup();
    hosts.truncate(3);
    hosts.join(" ")
}

fn place(evidence: &str) -> String {
    let rest = evidence.split_once("://").map_or(evidence, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default().to_lowercase()
}
