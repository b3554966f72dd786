//! `phishing.mail`, `malware.mail`: what a mail is, and why.
//!
//! A mail's score is the sum of the weights of what speaks for or against it (log-odds), its verdict follows from the score and from what
//! makes it at least suspicious or malicious by itself. Weights are data (`data/mail-weights.toml`, fitted by `xtask mail-fit`), words and
//! hosts are data (`data/mail-words.toml`), and an administrator's [`MailPolicy`] comes on top.

mod defuse;
mod features;
mod fold;
mod policy;
#[cfg(test)]
mod tests;
mod trust;
mod view;
mod weights;
mod words;

use std::sync::Arc;

use decode::attachment::Look;
use decode::mail::Message;
use schema::{Attack, Authentication, MailJudgement, MailReason, MailVerdict, Tactic};

pub use features::{Feature, features};
pub use policy::{Allowed, MailPolicy, Tuned, Tuning};
pub use trust::{Trusted, trusted_authentication};
pub use weights::Weights;

use crate::impersonation::Impersonation;
use crate::lookalike::{Brands, Lookalikes};
use crate::{Detector, Entry};
use view::View;
use words::Words;

/// The detector's entry for what poses as somebody else.
pub const PHISHING: Entry = Entry {
    id: "phishing.mail",
    title: "A mail poses as somebody else",
    title_ja: "他者をかたるメールが届きました",
    attacks: || vec![attack("T1566.002", "Phishing: Spearphishing Link")],
    make: Detector::Mail(MailJudge::builtin),
};

/// The detector's entry for what carries something that runs or infects.
pub const MALWARE: Entry = Entry {
    id: "malware.mail",
    title: "A mail carries something that runs or infects",
    title_ja: "危険な添付ファイル付きのメールが届きました",
    attacks: || vec![attack("T1566.001", "Phishing: Spearphishing Attachment")],
    make: Detector::Mail(MailJudge::builtin),
};

fn attack(technique: &str, name: &str) -> Attack {
    Attack { technique: technique.into(), name: name.into(), tactic: Tactic::InitialAccess }
}

/// The entry whose finding a verdict is.
pub fn detector(verdict: MailVerdict) -> Option<&'static Entry> {
    match verdict {
        MailVerdict::Clean | MailVerdict::Unreadable => None,
        MailVerdict::Suspicious | MailVerdict::Phishing => Some(&PHISHING),
        MailVerdict::Malicious => Some(&MALWARE),
    }
}

/// What goes wrong before the first mail.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The list of words cannot be read.
    #[error("read the words for mail, line {line}: {problem}")]
    Words {
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        problem: String,
    },
    /// The weights cannot be read.
    #[error("read the weights for mail, line {line}: {problem}")]
    Weights {
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        problem: String,
    },
    /// The administrator's settings cannot be read.
    #[error("read the policy for mail, line {line}: {problem}")]
    Policy {
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        problem: String,
    },
    /// The words are too many to be searched for.
    #[error("prepare the words for mail")]
    Automaton(#[source] aho_corasick::BuildError),
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count()
}

/// What is known of one mail.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// The mail.
    pub message: &'a Message,
    /// What is known of where it comes from; `None` where nobody looked.
    pub authentication: Option<&'a Authentication>,
    /// What was seen in the files that it carries.
    pub looks: &'a [Look],
    /// What the virus scanner calls what it carries.
    pub signatures: &'a [String],
}

/// A feature that a mail has, with its evidence (defused; may be empty).
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its place in [`features`].
    pub place: usize,
    /// The feature.
    pub feature: &'static Feature,
    /// What it rests on.
    pub evidence: Vec<String>,
}

/// Judges mail. The same mail gets the same verdict; it keeps nothing of what it saw.
#[derive(Debug)]
pub struct MailJudge {
    /// Shared by judges that differ in their policy only: they take time to make.
    tools: Arc<Tools>,
    weights: Weights,
    policy: MailPolicy,
}

/// What the features look things up in.
#[derive(Debug)]
struct Tools {
    words: Words,
    names: Impersonation,
    lookalikes: Lookalikes,
}

impl MailJudge {
    /// With the brands and weights that come with the program, and no policy.
    pub fn builtin() -> Result<Self, MailError> {
        Self::new(&Brands::builtin(), Weights::builtin()?, MailPolicy::default())
    }

    /// With these.
    pub fn new(brands: &Brands, weights: Weights, policy: MailPolicy) -> Result<Self, MailError> {
        let tools = Tools {
            words: Words::builtin()?,
            names: Impersonation::new(brands),
            lookalikes: Lookalikes::new(brands),
        };
        Ok(Self { tools: Arc::new(tools), weights, policy })
    }

    /// The same with another policy.
    #[must_use]
    pub fn with_policy(&self, policy: MailPolicy) -> Self {
        Self { tools: Arc::clone(&self.tools), weights: self.weights.clone(), policy }
    }

    /// The brands that are protected.
    pub fn brands(&self) -> &Brands {
        self.tools.lookalikes.brands()
    }

    /// Everything that speaks for or against a mail, whatever it weighs.
    pub fn look(&self, given: &Given) -> Vec<Seen> {
        self.seen(&View::new(given, &self.tools))
    }

    fn seen(&self, view: &View) -> Vec<Seen> {
        let see = |(place, feature): (usize, &'static Feature)| {
            (feature.look)(view).map(|evidence| Seen { place, feature, evidence })
        };
        features().enumerate().filter_map(see).collect()
    }

    /// What a mail is, and why.
    pub fn judge(&self, given: &Given) -> MailJudgement {
        let view = View::new(given, &self.tools);
        let mut score = self.weights.bias;
        let mut at_least = MailVerdict::Clean;
        let mut reasons = Vec::new();
        for Seen { place, feature, evidence } in self.seen(&view) {
            let Some(weight) = self.policy.weigh(feature.id, self.weights.of(place)) else { continue };
            score += weight;
            at_least = at_least.max(feature.at_least.unwrap_or(MailVerdict::Clean));
            if weight != 0.0 || feature.at_least.is_some() {
                reasons.push(reason(feature.id, weight, feature.text, feature.text_ja, evidence));
            }
        }
        let by_score = self.weights.verdict(score);
        let verdict = match self.allowed(&view) {
            Some(allowed) => {
                reasons.push(allowed);
                if at_least == MailVerdict::Malicious { at_least } else { MailVerdict::Clean }
            }
            None => by_score.max(at_least),
        };
        reasons.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| a.id.cmp(&b.id)));
        MailJudgement { verdict, score, reasons }
    }

    /// The reason that an administrator gave for letting a sender through. It holds only for who was authenticated.
    fn allowed(&self, view: &View) -> Option<MailReason> {
        let from = view.from?;
        let allowed = self.policy.allows(&from.address.address, from.domain).filter(|_| view.aligned)?;
        Some(reason(
            "policy.allowed",
            0.0,
            "An administrator allows this sender, and it was verified that it is this sender.",
            "管理者が許可した差出人で、送信元も認証で確認できました。",
            vec![defuse::host(allowed)],
        ))
    }
}

fn reason(id: &str, weight: f64, text: &str, text_ja: &str, evidence: Vec<String>) -> MailReason {
    MailReason { id: id.into(), weight, text: text.into(), text_ja: text_ja.into(), evidence }
}
