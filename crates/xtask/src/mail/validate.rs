//! Cross-validation by campaign: every mail is scored by a model that knew nothing of its campaign.

use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use schema::MailVerdict;

use super::corpus::{Label, Sample};
use super::margin::{self, Rule};
use super::regression::{Model, Row, fit};
use super::{Settings, labelled};

/// What is said of an honest mail that everybody would open: at most this share may be taken for phishing in the figures.
pub(super) const FALSE_SHARE: f64 = 0.001;

/// What is known of where a mail comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// What the collecting server wrote.
    Results,
    /// Nothing: the content alone.
    Nothing,
}

impl Sample {
    pub(super) fn features(&self, known: Known) -> &[usize] {
        match known {
            Known::Results => &self.with,
            Known::Nothing => &self.without,
        }
    }
}

/// Everything that was learnt.
pub(super) struct Learnt {
    /// Fitted on all of it: what is written.
    pub(super) model: Model,
    pub(super) suspicious: f64,
    pub(super) phishing: f64,
    /// Scores by models that did not know the mail's campaign; spam by the model of all.
    pub(super) with: Vec<f64>,
    pub(super) without: Vec<f64>,
    /// The same for the synthetic mails, by the model of all, which knows none of them.
    pub(super) synthetic: Vec<f64>,
    /// With thresholds that were chosen without the fold that is judged, by each rule.
    pub(super) nested: Vec<(Rule, Outcome, Outcome)>,
    /// Between which each weight lies, with 95 %.
    pub(super) intervals: Vec<(f64, f64)>,
    pub(super) campaigns: usize,
}

/// How many were taken for phishing.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Outcome {
    pub(super) phish: usize,
    pub(super) caught: usize,
    pub(super) ham: usize,
    pub(super) wrong: usize,
}

impl Learnt {
    pub(super) fn scores(&self, known: Known) -> &[f64] {
        match known {
            Known::Results => &self.with,
            Known::Nothing => &self.without,
        }
    }

    pub(super) fn verdict(&self, sample: &Sample, score: f64) -> MailVerdict {
        let by_score = match score {
            score if score >= self.phishing => MailVerdict::Phishing,
            score if score >= self.suspicious => MailVerdict::Suspicious,
            _ => MailVerdict::Clean,
        };
        by_score.max(sample.at_least)
    }
}

pub(super) fn all(samples: &[Sample], synthetic: &[Sample], settings: &Settings) -> Learnt {
    let folds = deal(samples, settings.folds.max(2));
    let everything: Vec<usize> = (0..samples.len()).collect();
    let model = learn(samples, &everything, settings.hold);
    let (mut with, mut without) = (vec![0.0; samples.len()], vec![0.0; samples.len()]);
    for fold in 0..settings.folds.max(2) {
        let others: Vec<usize> = everything.iter().copied().filter(|&at| folds[at] != fold).collect();
        let blind = learn(samples, &others, settings.hold);
        for &at in everything.iter().filter(|&&at| folds[at] == fold) {
            let model = if samples[at].label == Label::Spam { &model } else { &blind };
            with[at] = model.score(&samples[at].with);
            without[at] = model.score(&samples[at].without);
        }
    }
    let nested = |rule: Rule, scores: &[f64]| {
        (0..settings.folds.max(2)).fold(Outcome::default(), |sum, fold| {
            let threshold = margin::choose(rule, samples, scores, settings, |at| folds[at] != fold);
            sum.and(outcome(samples, scores, threshold, |at| folds[at] == fold))
        })
    };
    let nested = Rule::ALL.map(|rule| (rule, nested(rule, &with), nested(rule, &without))).to_vec();
    // One threshold for both: the higher of the two.
    let at = |share: f64| {
        threshold(samples, &with, share, |_| true).max(threshold(samples, &without, share, |_| true))
    };
    let (phishing, suspicious) = (at(settings.per_mille / 1_000.0) + settings.margin, at(FALSE_SHARE));
    let intervals = bootstrap(samples, settings, &model);
    let campaigns =
        labelled(samples, Label::Phish).map(|(_, sample)| sample.campaign).collect::<BTreeSet<_>>().len();
    let synthetic = synthetic.iter().map(|sample| model.score(&sample.without)).collect();
    Learnt { model, suspicious, phishing, with, without, synthetic, nested, intervals, campaigns }
}

/// Deals campaigns out to folds, the largest first, each label by itself, always to the emptiest fold.
fn deal(samples: &[Sample], folds: usize) -> Vec<usize> {
    let mut sizes: BTreeMap<(Label, usize), usize> = BTreeMap::new();
    for sample in samples {
        *sizes.entry((sample.label, sample.campaign)).or_default() += 1;
    }
    let mut order: Vec<_> = sizes.into_iter().collect();
    order.sort_by_key(|&(key, size)| (std::cmp::Reverse(size), key));
    let mut filled: BTreeMap<(Label, usize), usize> = BTreeMap::new();
    let mut place: BTreeMap<(Label, usize), usize> = BTreeMap::new();
    for (key, size) in order {
        let fold =
            (0..folds).min_by_key(|&fold| filled.get(&(key.0, fold)).copied().unwrap_or(0)).unwrap_or(0);
        *filled.entry((key.0, fold)).or_default() += size;
        place.insert(key, fold);
    }
    samples.iter().map(|sample| place.get(&(sample.label, sample.campaign)).copied().unwrap_or(0)).collect()
}

/// Each mail is learnt from as it is with and without what a server says of it, half each, so that one set of weights serves both.
fn learn(samples: &[Sample], among: &[usize], hold: f64) -> Model {
    let rows: Vec<Row> = among
        .iter()
        .map(|&at| &samples[at])
        .filter(|sample| sample.label != Label::Spam)
        .flat_map(|sample| {
            [Known::Results, Known::Nothing].map(|known| Row {
                features: sample.features(known),
                is_phish: sample.label == Label::Phish,
                share: 0.5,
            })
        })
        .collect();
    fit(&rows, hold)
}

/// The lowest threshold above which no more than this share of ham scores.
pub(super) fn threshold(
    samples: &[Sample],
    scores: &[f64],
    share: f64,
    among: impl Fn(usize) -> bool,
) -> f64 {
    let mut ham: Vec<f64> =
        labelled(samples, Label::Ham).filter(|&(at, _)| among(at)).map(|(at, _)| scores[at]).collect();
    ham.sort_by(|a, b| b.total_cmp(a));
    let allowed = (ham.len() as f64 * share).floor() as usize;
    ham.get(allowed).map_or(0.0, |score| score + 0.01)
}

pub(super) fn outcome(
    samples: &[Sample],
    scores: &[f64],
    threshold: f64,
    among: impl Fn(usize) -> bool,
) -> Outcome {
    let mut sum = Outcome::default();
    for (at, sample) in samples.iter().enumerate().filter(|&(at, _)| among(at)) {
        let flagged = usize::from(scores[at] >= threshold);
        match sample.label {
            Label::Phish => (sum.phish, sum.caught) = (sum.phish + 1, sum.caught + flagged),
            Label::Ham => (sum.ham, sum.wrong) = (sum.ham + 1, sum.wrong + flagged),
            Label::Spam => {}
        }
    }
    sum
}

impl Outcome {
    fn and(self, other: Outcome) -> Outcome {
        Outcome {
            phish: self.phish + other.phish,
            caught: self.caught + other.caught,
            ham: self.ham + other.ham,
            wrong: self.wrong + other.wrong,
        }
    }
}

/// Fits again on campaigns drawn with replacement; the middle 95 % of what each weight came to.
fn bootstrap(samples: &[Sample], settings: &Settings, model: &Model) -> Vec<(f64, f64)> {
    let mut random = ChaCha8Rng::seed_from_u64(settings.seed);
    let mut members: BTreeMap<(Label, usize), Vec<usize>> = BTreeMap::new();
    for (at, sample) in samples.iter().enumerate() {
        // Ham is drawn mail by mail: its few groups would come and go as a whole.
        let campaign = if sample.label == Label::Phish { sample.campaign } else { at };
        members.entry((sample.label, campaign)).or_default().push(at);
    }
    let campaigns: Vec<&Vec<usize>> = members.values().collect();
    let fits: Vec<Model> = (0..settings.bootstrap)
        .map(|_| {
            let draw = (0..campaigns.len())
                .map(|_| campaigns[(random.next_u64() % campaigns.len() as u64) as usize]);
            let drawn: Vec<usize> = draw.flatten().copied().collect();
            learn(samples, &drawn, settings.hold)
        })
        .collect();
    (0..model.weights.len())
        .map(|place| {
            let mut values: Vec<f64> = fits.iter().map(|fit| fit.weights[place]).collect();
            values.sort_by(f64::total_cmp);
            let at = |share: f64| {
                values.get((values.len() as f64 * share) as usize).copied().unwrap_or(model.weights[place])
            };
            (at(0.025), at(0.975))
        })
        .collect()
}
