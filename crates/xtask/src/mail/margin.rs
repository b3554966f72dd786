//! How high a threshold is set above the honest mail at hand, because the honest mail to come is not among it.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::corpus::{Label, Sample};
use super::validate::{FALSE_SHARE, threshold};
use super::{Settings, labelled};

/// A rule that chooses a threshold by looking at some of the mails only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// One honest mail in a thousand lies above it.
    Share,
    /// As the weights that are written have it: a smaller share, and a margin that was chosen by hand.
    Shipped,
    /// The highest honest mail, and as much on top as collections that were left out lay above the others.
    Bootstrap,
}

/// Collections are drawn so often.
const DRAWS: usize = 400;
/// In this share of the draws what was left out lay below.
const COVERED: f64 = 0.9;

impl Rule {
    pub(super) const ALL: [Self; 3] = [Self::Share, Self::Shipped, Self::Bootstrap];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Share => "one in a thousand",
            Self::Shipped => "as shipped (share and margin)",
            Self::Bootstrap => "highest honest mail and bootstrap margin",
        }
    }
}

/// The threshold by a rule that knows only the mails `among`.
pub(super) fn choose(
    rule: Rule,
    samples: &[Sample],
    scores: &[f64],
    settings: &Settings,
    among: impl Fn(usize) -> bool,
) -> f64 {
    match rule {
        Rule::Share => threshold(samples, scores, FALSE_SHARE, among),
        Rule::Shipped => threshold(samples, scores, settings.per_mille / 1_000.0, among) + settings.margin,
        Rule::Bootstrap => {
            let highest = threshold(samples, scores, 0.0, &among);
            highest + excess(&highest_of_each(samples, scores, among), settings.seed)
        }
    }
}

/// The highest honest score of each collection.
fn highest_of_each(samples: &[Sample], scores: &[f64], among: impl Fn(usize) -> bool) -> Vec<f64> {
    let mut highest: BTreeMap<&str, f64> = BTreeMap::new();
    for (at, sample) in labelled(samples, Label::Ham).filter(|&(at, _)| among(at)) {
        let known = highest.entry(&sample.group).or_insert(f64::NEG_INFINITY);
        *known = known.max(scores[at]);
    }
    highest.into_values().collect()
}

/// By how much collections that were not drawn lie above those that were, in all but the worst draws. Nothing where there is only one.
fn excess(highest: &[f64], seed: u64) -> f64 {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut found = Vec::new();
    for _ in 0..DRAWS {
        let mut drawn = vec![false; highest.len()];
        for _ in 0..highest.len() {
            drawn[(random.next_u64() % highest.len() as u64) as usize] = true;
        }
        let most = |wanted: bool| {
            let of = highest.iter().zip(&drawn).filter(|(_, drawn)| **drawn == wanted);
            of.map(|(score, _)| *score).fold(f64::NEG_INFINITY, f64::max)
        };
        let (inside, outside) = (most(true), most(false));
        if inside.is_finite() && outside.is_finite() {
            found.push((outside - inside).max(0.0));
        }
    }
    found.sort_by(f64::total_cmp);
    found.get((found.len() as f64 * COVERED) as usize).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collections_that_differ_ask_for_a_margin_and_equal_ones_for_none() {
        assert_eq!(excess(&[1.0; 6], 1), 0.0);
        assert_eq!(excess(&[1.0], 1), 0.0);
        let apart = excess(&[-2.0, -1.5, -1.0, 0.0, 2.0], 1);
        assert!((1.0..=4.0).contains(&apart), "{apart}");
    }
}
