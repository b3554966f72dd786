//! Tables in Markdown.

use std::collections::BTreeMap;

use judge::mail::features;
use schema::MailVerdict;

use super::corpus::{Label, Load, Sample};
use super::labelled;
use super::validate::{FALSE_SHARE, Known, Learnt, Outcome};
use crate::eval::table;

pub(super) fn headline(samples: &[Sample], learnt: &Learnt, load: &Load) -> String {
    let count = |label| labelled(samples, label).count();
    let rate = load.mails as f64 / load.took.as_secs_f64();
    let shipped = |known| {
        let scores = learnt.scores(known);
        super::validate::outcome(samples, scores, learnt.phishing, |_| true)
    };
    let suspicious =
        |known| super::validate::outcome(samples, learnt.scores(known), learnt.suspicious, |_| true);
    let row = |name: &str, outcome: Outcome| {
        vec![
            name.to_owned(),
            percent(outcome.caught, outcome.phish),
            format!("{} ({} of {})", percent(outcome.wrong, outcome.ham), outcome.wrong, outcome.ham),
        ]
    };
    let nested = learnt.nested.iter().flat_map(|(rule, with, without)| {
        [("Authentication-Results trusted", with), ("content alone", without)].map(|(known, outcome)| {
            row(&format!("{known}, threshold chosen without the fold: {}", rule.name()), *outcome)
        })
    });
    let shipped_rows = [
        row("Authentication-Results trusted, as shipped: phishing", shipped(Known::Results)),
        row("content alone, as shipped: phishing", shipped(Known::Nothing)),
        row("Authentication-Results trusted, as shipped: suspicious or worse", suspicious(Known::Results)),
        row("content alone, as shipped: suspicious or worse", suspicious(Known::Nothing)),
    ];
    let rows: Vec<_> = nested.chain(shipped_rows).collect();
    format!(
        "{} phish in {} campaigns, {} ham, {} ordinary spam; read and looked at twice: {rate:.0} mails/s on one core, {:.1} MB\n\n\
         Cross-validated by campaign; threshold for ≤ {:.1} % of ham.\n\n{}",
        count(Label::Phish),
        learnt.campaigns,
        count(Label::Ham),
        count(Label::Spam),
        load.bytes as f64 / 1e6,
        FALSE_SHARE * 100.0,
        table(&["", "phish caught", "ham flagged"], &rows),
    )
}

pub(super) fn tables(samples: &[Sample], synthetic: &[Sample], learnt: &Learnt) -> String {
    let sections = [
        ("Confusion", confusion(samples, learnt)),
        ("By language", by_language(samples, learnt)),
        ("Posing as a protected brand", impersonation(samples, synthetic, learnt)),
        ("Synthetic Japanese mails (never learnt from)", synthetic_table(synthetic, learnt)),
        ("Features", counts(samples, learnt)),
    ];
    sections.iter().map(|(title, text)| format!("### {title}\n\n{text}\n")).collect()
}

const VERDICTS: [MailVerdict; 5] = [
    MailVerdict::Clean,
    MailVerdict::Unreadable,
    MailVerdict::Suspicious,
    MailVerdict::Phishing,
    MailVerdict::Malicious,
];

fn confusion(samples: &[Sample], learnt: &Learnt) -> String {
    let mut rows = Vec::new();
    for (known, name) in [(Known::Results, "results trusted"), (Known::Nothing, "content alone")] {
        for (label, what) in [(Label::Phish, "phish"), (Label::Ham, "ham"), (Label::Spam, "ordinary spam")] {
            let mut counts: BTreeMap<MailVerdict, usize> = BTreeMap::new();
            for (at, sample) in labelled(samples, label) {
                *counts.entry(learnt.verdict(sample, learnt.scores(known)[at])).or_default() += 1;
            }
            let cells = VERDICTS.iter().map(|verdict| counts.get(verdict).copied().unwrap_or(0).to_string());
            rows.push([name.to_owned(), what.to_owned()].into_iter().chain(cells).collect());
        }
    }
    table(&["", "", "clean", "unreadable", "suspicious", "phishing", "malicious"], &rows)
}

fn by_language(samples: &[Sample], learnt: &Learnt) -> String {
    let mut languages: BTreeMap<_, [Outcome; 2]> = BTreeMap::new();
    for (at, sample) in samples.iter().enumerate() {
        let outcomes = languages.entry(sample.language).or_default();
        for (outcome, known) in outcomes.iter_mut().zip([Known::Results, Known::Nothing]) {
            let flagged = usize::from(learnt.scores(known)[at] >= learnt.phishing);
            match sample.label {
                Label::Phish => {
                    (outcome.phish, outcome.caught) = (outcome.phish + 1, outcome.caught + flagged)
                }
                Label::Ham => (outcome.ham, outcome.wrong) = (outcome.ham + 1, outcome.wrong + flagged),
                Label::Spam => {}
            }
        }
    }
    let row = |(language, [with, without]): (&super::language::Language, &[Outcome; 2])| {
        vec![
            language.to_string(),
            with.phish.to_string(),
            percent(with.caught, with.phish),
            percent(without.caught, without.phish),
            with.ham.to_string(),
            format!("{} / {}", with.wrong, without.wrong),
        ]
    };
    let rows: Vec<_> = languages.iter().map(row).collect();
    table(&["language", "phish", "caught, results trusted", "caught, content alone", "ham", "flagged"], &rows)
}

/// Features that say that a brand is claimed.
const CLAIMS: [&str; 5] = [
    "brand.impersonation",
    "brand.display-name",
    "brand.subject",
    "brand.sender-lookalike",
    "brand.link-lookalike",
];

fn impersonation(samples: &[Sample], synthetic: &[Sample], learnt: &Learnt) -> String {
    let claims = |sample: &Sample| CLAIMS.iter().any(|id| sample.has(id));
    let by_name = |sample: &Sample| sample.has("brand.display-name");
    let line = |name: &str, known: Known, picks: &dyn Fn(&Sample) -> bool| {
        let posing: Vec<_> = labelled(samples, Label::Phish).filter(|(_, sample)| picks(sample)).collect();
        let caught = posing.iter().filter(|&&(at, sample)| {
            learnt.verdict(sample, learnt.scores(known)[at]) > MailVerdict::Unreadable
        });
        let sure = posing.iter().filter(|&&(at, sample)| {
            learnt.verdict(sample, learnt.scores(known)[at]) > MailVerdict::Suspicious
        });
        vec![
            name.to_owned(),
            posing.len().to_string(),
            percent(caught.count(), posing.len()),
            percent(sure.count(), posing.len()),
        ]
    };
    let caught = synthetic.iter().zip(&learnt.synthetic);
    let flagged = |at_least: MailVerdict| {
        caught.clone().filter(|&(sample, &score)| learnt.verdict(sample, score) >= at_least).count()
    };
    let rows = [
        line("any claim, results trusted", Known::Results, &claims),
        line("any claim, content alone", Known::Nothing, &claims),
        line("in the sender's name, results trusted", Known::Results, &by_name),
        line("in the sender's name, content alone", Known::Nothing, &by_name),
        vec![
            "synthetic, content alone".to_owned(),
            synthetic.len().to_string(),
            percent(flagged(MailVerdict::Suspicious), synthetic.len()),
            percent(flagged(MailVerdict::Phishing), synthetic.len()),
        ],
    ];
    table(&["brand claimed", "mails", "suspicious or worse", "phishing"], &rows)
}

fn synthetic_table(synthetic: &[Sample], learnt: &Learnt) -> String {
    let mut groups: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (sample, &score) in synthetic.iter().zip(&learnt.synthetic) {
        let (all, caught) = groups.entry(&sample.group).or_default();
        *all += 1;
        *caught += usize::from(learnt.verdict(sample, score) >= MailVerdict::Phishing);
    }
    let rows: Vec<_> = groups
        .iter()
        .map(|(group, (all, caught))| vec![(*group).to_owned(), all.to_string(), percent(*caught, *all)])
        .collect();
    table(&["sort", "mails", "phishing"], &rows)
}

fn counts(samples: &[Sample], learnt: &Learnt) -> String {
    let row = |(place, feature): (usize, &judge::mail::Feature)| {
        let count = |label, known: Known| {
            labelled(samples, label).filter(|(_, sample)| sample.features(known).contains(&place)).count()
        };
        let (low, high) = learnt.intervals[place];
        vec![
            feature.id.to_owned(),
            format!("{:+.2}", learnt.model.weights[place]),
            if feature.bounds.0 < feature.bounds.1 {
                format!("{low:.2} … {high:.2}")
            } else {
                "by hand".to_owned()
            },
            count(Label::Phish, Known::Results).to_string(),
            count(Label::Ham, Known::Results).to_string(),
            count(Label::Spam, Known::Results).to_string(),
        ]
    };
    let rows: Vec<_> = features().enumerate().map(row).collect();
    table(&["feature", "weight", "95 %", "phish", "ham", "spam"], &rows)
}

/// The honest mails that score highest, and the phishing mails that score lowest, each with its features.
pub(super) fn wrong(samples: &[Sample], learnt: &Learnt) -> String {
    let names = |sample: &Sample| {
        let name = |&place: &usize| features().nth(place).map_or("?", |feature| feature.id);
        sample.without.iter().map(name).collect::<Vec<_>>().join(" ")
    };
    let scores = learnt.scores(Known::Nothing);
    let list = |label, highest: bool, count: usize| {
        let mut order: Vec<_> = labelled(samples, label).collect();
        order.sort_by(|a, b| scores[a.0].total_cmp(&scores[b.0]));
        if highest {
            order.reverse();
        }
        let line = |(at, sample): &(usize, &Sample)| {
            format!("{:+.2} {} {}\n", scores[*at], sample.path, names(sample))
        };
        order.iter().take(count).map(line).collect::<String>()
    };
    format!(
        "Ham, highest:\n{}\nPhish, lowest:\n{}",
        list(Label::Ham, true, 40),
        list(Label::Phish, false, 250)
    )
}

fn percent(count: usize, all: usize) -> String {
    if all == 0 { "–".to_owned() } else { format!("{:.1} %", count as f64 * 100.0 / all as f64) }
}
