//! The file of weights.

use std::fmt::Write;

use judge::mail::features;

use super::corpus::{Label, Sample};
use super::validate::Learnt;
use super::{Settings, labelled};

pub(super) fn weights(samples: &[Sample], learnt: &Learnt, settings: &Settings) -> String {
    let (phish, ham) = (labelled(samples, Label::Phish).count(), labelled(samples, Label::Ham).count());
    let mut text = format!(
        "# What each feature of a mail weighs: log-odds in natural units, added up. Written by\n\
         #     cargo run --release -p xtask -- mail-fit --data DIR --out crates/judge/data/mail-weights.toml --hold {} --per-mille {} --margin {} --seed {}\n\
         # over {phish} phishing mails ({} campaigns) and {ham} honest ones (docs/mail-eval.md says how, and what it is worth).\n\
         # `interval`: within which the weight lies, with 95 % (bootstrap over campaigns); `phish`, `ham`: in how many mails it was seen.\n\
         # A weight without an interval is set by hand. What a reader is told of each stands in crates/judge/src/mail/features,\n\
         # in English and Japanese. Change a weight for one hospital in its policy (`--policy`), not here.\n\n\
         bias = {:.3}\nsuspicious = {:.3}\nphishing = {:.3}\n",
        settings.hold,
        settings.per_mille,
        settings.margin,
        settings.seed,
        learnt.campaigns,
        learnt.model.bias,
        learnt.suspicious,
        learnt.phishing,
    );
    for (place, feature) in features().enumerate() {
        let seen =
            |label| labelled(samples, label).filter(|(_, sample)| sample.with.contains(&place)).count();
        let (low, high) = learnt.intervals[place];
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\n[[weight]]\nid = \"{}\"\nweight = {:.3}\n",
            feature.id, learnt.model.weights[place]
        );
        if feature.bounds.0 < feature.bounds.1 {
            let _ = writeln!(text, "interval = [{low:.2}, {high:.2}]");
        }
        let _ = writeln!(text, "phish = {}\nham = {}", seen(Label::Phish), seen(Label::Ham));
    }
    text
}
