//! What stands in the policy's file, and the changes that can be made to it.

use anyhow::bail;
use judge::lookalike::Hosts;
use judge::mail::{MailError, MailPolicy, Weights, features};
use serde::{Deserialize, Serialize};

use super::Hand;

const HEAD: &str = "# How mail is weighed differently here. `chartward mail policy` and the console write this file: a comment added by hand stays only\n\
                    # in the history (`chartward mail policy history`), from which each change can be taken back. An allowed sender is let through\n\
                    # only where SPF or DKIM holds for its domain.\n";
/// What a single change may weigh at most; the gateway takes ±20.
const WEIGHT_MAX: f64 = 20.0;
const ENTRIES_MAX: usize = 1_000;
const TEXT_MAX: usize = 300;

/// The file as it is read and written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sheet {
    /// Reasons that weigh something else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) reason: Vec<Tuned>,
    /// Senders that are let through.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) allow: Vec<Allowed>,
}

/// A reason that weighs something else.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tuned {
    pub(crate) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    add: Option<f64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    silent: bool,
    #[serde(flatten)]
    pub(crate) note: Note,
}

/// A sender that is let through.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Allowed {
    pub(crate) sender: String,
    #[serde(flatten)]
    pub(crate) note: Note,
}

/// Who wrote an entry, and why; nothing but people reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) because: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<String>,
}

/// How a reason is changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Tuning {
    Weight(f64),
    Add(f64),
    Silent,
}

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    /// A reason weighs so much more; less where it is below zero.
    Shift { id: String, by: f64 },
    /// A reason is not looked at.
    Silence { id: String },
    /// A domain with all below it, or an address, is let through where it was verified.
    Allow { sender: String },
    /// A reason weighs again what it did, or a sender is not let through any more.
    Remove { what: String },
}

impl Change {
    /// In a few words.
    pub(crate) fn what(&self) -> String {
        match self {
            Change::Shift { id, by } if *by < 0.0 => format!("lower {id} by {}", -by),
            Change::Shift { id, by } => format!("raise {id} by {by}"),
            Change::Silence { id } => format!("silence {id}"),
            Change::Allow { sender } => format!("allow {sender}"),
            Change::Remove { what } => format!("remove {what}"),
        }
    }
}

impl Tuned {
    pub(crate) fn tuning(&self) -> Tuning {
        match (self.weight, self.add) {
            _ if self.silent => Tuning::Silent,
            (Some(weight), _) => Tuning::Weight(weight),
            (None, more) => Tuning::Add(more.unwrap_or_default()),
        }
    }

    /// What it weighs here, for a reason that weighs `weight` elsewhere; `None` where it is silent.
    pub(crate) fn here(&self, weight: f64) -> Option<f64> {
        match self.tuning() {
            Tuning::Weight(other) => Some(other),
            Tuning::Add(more) => Some(weight + more),
            Tuning::Silent => None,
        }
    }
}

impl Sheet {
    /// Reads a file as the gateway does, and says of an error in which line it is.
    pub(super) fn parse(text: &str) -> Result<Self, MailError> {
        MailPolicy::parse(text)?;
        toml::from_str(text)
            .map_err(|error| MailError::Policy { line: 1, problem: error.message().to_owned() })
    }

    pub(super) fn to_toml(&self) -> anyhow::Result<String> {
        if *self == Self::default() {
            return Ok(HEAD.to_owned());
        }
        Ok(format!("{HEAD}\n{}", toml::to_string(self)?))
    }

    pub(super) fn apply(&mut self, change: &Change, hand: Hand<'_>) -> anyhow::Result<()> {
        let shown = |text: &str| -> Option<String> {
            let text: String = text.chars().filter(|char| !char.is_control()).take(TEXT_MAX).collect();
            Some(text).filter(|text| !text.is_empty())
        };
        let note = Note {
            because: shown(hand.because),
            by: shown(hand.by),
            at: Some(hand.at.strftime("%F").to_string()),
        };
        match change {
            Change::Shift { id, by } => self.shift(id, *by, note)?,
            Change::Silence { id } => {
                known(id)?;
                self.reason.retain(|tuned| tuned.id != *id);
                self.reason.push(Tuned { id: id.clone(), silent: true, note, ..Tuned::default() });
            }
            Change::Allow { sender } => {
                let sender = sender.trim().to_lowercase();
                check_sender(&sender)?;
                if self.allow.iter().any(|allowed| allowed.sender.eq_ignore_ascii_case(&sender)) {
                    bail!("{sender} is allowed already");
                }
                self.allow.push(Allowed { sender, note });
            }
            Change::Remove { what } => {
                let count = self.reason.len() + self.allow.len();
                self.reason.retain(|tuned| tuned.id != *what);
                self.allow.retain(|allowed| !allowed.sender.eq_ignore_ascii_case(what.trim()));
                if self.reason.len() + self.allow.len() == count {
                    bail!("{what} stands nowhere in the policy; next: `chartward mail policy show`");
                }
            }
        }
        if self.reason.len() + self.allow.len() > ENTRIES_MAX {
            bail!("the policy has {ENTRIES_MAX} entries already; remove what is not needed any more");
        }
        Ok(())
    }

    fn shift(&mut self, id: &str, by: f64, note: Note) -> anyhow::Result<()> {
        known(id)?;
        if !by.is_finite() || by == 0.0 || by.abs() > WEIGHT_MAX {
            bail!("a reason is raised or lowered by more than 0 and at most {WEIGHT_MAX}");
        }
        let old = self.reason.iter().find(|tuned| tuned.id == id).map(Tuned::tuning);
        let (weight, add) = match old {
            Some(Tuning::Silent) => {
                bail!("{id} is silent; next: `chartward mail policy remove {id}`, then raise or lower it")
            }
            Some(Tuning::Weight(weight)) => (Some(tidy(weight + by)), None),
            Some(Tuning::Add(more)) => (None, Some(tidy(more + by))),
            None => (None, Some(tidy(by))),
        };
        if weight.or(add).is_some_and(|value| value.abs() > WEIGHT_MAX) {
            bail!("with that {id} would be further than {WEIGHT_MAX} from what it weighs elsewhere");
        }
        self.reason.retain(|tuned| tuned.id != id);
        // Raised as much as it was lowered, it weighs what it does elsewhere.
        if add != Some(0.0) {
            self.reason.push(Tuned { id: id.to_owned(), weight, add, silent: false, note });
        }
        Ok(())
    }
}

/// Sums of tenths that people write, without what binary fractions add to them.
fn tidy(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

fn known(id: &str) -> anyhow::Result<()> {
    if features().any(|feature| feature.id == id) {
        return Ok(());
    }
    bail!("there is no reason {id:?}; next: `chartward mail policy show --all`")
}

/// What everybody may have a mailbox or a domain at is nobody in particular.
fn check_sender(sender: &str) -> anyhow::Result<()> {
    let (local, domain) =
        sender.rsplit_once('@').map_or((None, sender), |(local, domain)| (Some(local), domain));
    let is_plain = |char: char| !char.is_whitespace() && !char.is_control() && !"<>\"'@,;".contains(char);
    if local.is_some_and(str::is_empty) || !sender.chars().all(|char| is_plain(char) || char == '@') {
        bail!("{sender:?} is neither a domain nor an address");
    }
    let sort = Hosts::builtin().sort(domain);
    if local.is_none() && sort.free_mail {
        bail!("anybody may have a mailbox at {domain}; allow a single address instead");
    }
    Ok(())
}

/// All reasons with what they weigh where nobody changed anything.
pub(crate) fn all_reasons() -> anyhow::Result<Vec<(&'static judge::mail::Feature, f64)>> {
    let weights = Weights::builtin()?;
    Ok(features().enumerate().map(|(place, feature)| (feature, weights.of(place))).collect())
}
