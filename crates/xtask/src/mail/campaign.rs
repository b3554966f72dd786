//! Mails of one campaign: they must not stand on both sides of a cross-validation, or it measures memory.

use std::collections::{BTreeMap, BTreeSet};

use decode::mail::{LinkKind, Message};
use sha2::{Digest, Sha256};

use super::corpus::{Label, Sample};

/// Smallest hashes of runs of words that are compared.
const SHINGLES: usize = 48;
/// Words in a run.
const RUN: usize = 4;

/// What mails of one campaign share.
#[derive(Debug, Clone, Default)]
pub(super) struct Fingerprint {
    /// Letters of the subject, without numbers, addresses and decoration.
    subject: String,
    /// Hosts that it leads to.
    hosts: BTreeSet<String>,
    /// The smallest hashes of its runs of words.
    shingles: BTreeSet<u64>,
}

impl Fingerprint {
    pub(super) fn of(message: &Message, text: &str) -> Fingerprint {
        let clicks =
            message.links.iter().filter(|link| link.kind != LinkKind::Fetched && !link.host.is_empty());
        Fingerprint {
            subject: letters(&message.subject),
            hosts: clicks.map(|link| link.host.clone()).collect(),
            shingles: shingles(text),
        }
    }

    fn is_like(&self, other: &Fingerprint) -> bool {
        let same_subject = self.subject.chars().count() >= 8 && self.subject == other.subject;
        let common = self.shingles.intersection(&other.shingles).count();
        let least = self.shingles.len().min(other.shingles.len());
        same_subject || (least >= 6 && common * 2 >= least)
    }
}

fn letters(subject: &str) -> String {
    let words = subject
        .split_whitespace()
        .filter(|word| !word.contains('@') && !word.chars().any(|char| char.is_ascii_digit()));
    words.flat_map(str::chars).filter(|char| char.is_alphabetic()).flat_map(char::to_lowercase).collect()
}

fn shingles(text: &str) -> BTreeSet<u64> {
    let text: String = text.chars().take(20_000).collect();
    let words: Vec<String> = text
        .split(|char: char| !char.is_alphanumeric())
        .filter(|word| !word.is_empty() && !word.chars().any(|char| char.is_ascii_digit()))
        .map(str::to_lowercase)
        .collect();
    let hash = |run: &[String]| {
        let digest = Sha256::digest(run.join(" "));
        digest.iter().take(8).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))
    };
    let mut hashes: BTreeSet<u64> = words.windows(RUN).map(hash).collect();
    while hashes.len() > SHINGLES {
        hashes.pop_last();
    }
    hashes
}

/// Puts phish together that have the same subject, most of their words, or a host that few others lead to; ham by where it was collected.
pub(super) fn assign(samples: &mut [Sample]) {
    let mut parents: Vec<usize> = (0..samples.len()).collect();
    let phish: Vec<usize> = (0..samples.len()).filter(|&at| samples[at].label == Label::Phish).collect();
    let mut by_host: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for &at in &phish {
        for host in &samples[at].fingerprint.hosts {
            by_host.entry(host).or_default().push(at);
        }
    }
    // A host that very many lead to is a service, not a campaign.
    for group in by_host.values().filter(|group| group.len() < 25) {
        group.windows(2).for_each(|pair| join(&mut parents, pair[0], pair[1]));
    }
    for (place, &a) in phish.iter().enumerate() {
        for &b in &phish[place + 1..] {
            if samples[a].fingerprint.is_like(&samples[b].fingerprint) {
                join(&mut parents, a, b);
            }
        }
    }
    let mut groups: BTreeMap<(Label, String), usize> = BTreeMap::new();
    for (at, sample) in samples.iter().enumerate().filter(|(_, sample)| sample.label != Label::Phish) {
        let first = *groups.entry((sample.label, sample.group.clone())).or_insert(at);
        join(&mut parents, first, at);
    }
    let campaigns: Vec<usize> = (0..samples.len()).map(|at| root(&mut parents, at)).collect();
    for (sample, campaign) in samples.iter_mut().zip(campaigns) {
        sample.campaign = campaign;
    }
}

fn root(parents: &mut [usize], mut at: usize) -> usize {
    while parents[at] != at {
        parents[at] = parents[parents[at]];
        at = parents[at];
    }
    at
}

fn join(parents: &mut [usize], a: usize, b: usize) {
    let (a, b) = (root(parents, a), root(parents, b));
    parents[a.max(b)] = a.min(b);
}
