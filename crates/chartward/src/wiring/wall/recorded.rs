//! Changes of the wall's policy, each with its line in the ledger.

use std::time::Duration;

use act::wall::gate::{Ended, Gate, Kept, Standing};
use act::wall::policy::{Policy, differences};
use anyhow::Context;
use jiff::Timestamp;
use prove::{Fact, Ledger};
use schema::Lang;
use sha2::{Digest, Sha256};

/// Sentences that one line of the ledger holds, and letters of each.
const SENTENCES_MAX: usize = 20;
const LETTERS_MAX: usize = 300;

/// Who changes something, and why.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hand<'a> {
    pub(crate) by: &'a str,
    pub(crate) because: &'a str,
    pub(crate) at: Timestamp,
}

/// What came of a change.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) standing: Standing,
    /// Sentences that are new or gone.
    pub(crate) changes: usize,
}

/// A gate and the ledger that tells of it. The ledger is open before anything is done: what nobody can record is not done.
pub(crate) struct Recorded<'a> {
    pub(crate) gate: &'a Gate,
    pub(crate) ledger: &'a Ledger,
}

impl Recorded<'_> {
    /// See [`Gate::apply`].
    pub(crate) fn apply(
        &self,
        policy: &Policy,
        trial: Option<Duration>,
        hand: Hand<'_>,
    ) -> anyhow::Result<Changed> {
        let event = if trial.is_some() { "on_trial" } else { "applied" };
        self.change(event, hand, |gate| gate.apply(policy, trial, hand.at))
    }

    /// See [`Gate::confirm`].
    pub(crate) fn confirm(&self, hand: Hand<'_>) -> anyhow::Result<Changed> {
        self.change("confirmed", hand, |gate| gate.confirm(hand.at))
    }

    /// See [`Gate::undo`].
    pub(crate) fn undo(&self, hand: Hand<'_>) -> anyhow::Result<Changed> {
        self.change("undone", hand, |gate| gate.undo(hand.at))
    }

    /// See [`Gate::load`].
    pub(crate) fn load(&self, hand: Hand<'_>) -> anyhow::Result<Changed> {
        self.change("loaded", hand, |gate| gate.load(hand.at))
    }

    fn change(
        &self,
        event: &str,
        hand: Hand<'_>,
        carry_out: impl FnOnce(&Gate) -> Result<Standing, act::Error>,
    ) -> anyhow::Result<Changed> {
        self.note_ended(hand.at)?;
        let before = self.gate.standing(hand.at)?.current;
        let standing = carry_out(self.gate)?;
        let all = differences(policy(before.as_ref()), policy(standing.current.as_ref()), Lang::En);
        let sentences = all.iter().take(SENTENCES_MAX).map(|it| {
            let sign = if it.is_new { '+' } else { '-' };
            format!("{sign} {}", it.sentence.chars().take(LETTERS_MAX).collect::<String>())
        });
        let fact = Fact::WallPolicyChanged {
            event: event.to_owned(),
            number: standing.current.as_ref().map(|kept| kept.number),
            sha256: standing.current.as_ref().map(|kept| sha256(&kept.policy)).transpose()?,
            until: standing.trial.as_ref().map(|trial| trial.until),
            changes: all.len() as u64,
            sentences: sentences.collect(),
            by: hand.by.to_owned(),
            because: hand.because.to_owned(),
        };
        let appended = self.ledger.append(fact, hand.at);
        appended.context("the wall's policy was changed, but the ledger could not be told of it")?;
        Ok(Changed { standing, changes: all.len() })
    }

    /// A trial that the kernel ended is told by whoever comes next.
    fn note_ended(&self, now: Timestamp) -> anyhow::Result<()> {
        if let Some(ended) = self.gate.ended(now)? {
            self.ledger.append(ended_by_itself(&ended), now)?;
            self.gate.ended_is_told(&ended)?;
        }
        Ok(())
    }
}

/// The line about a trial that nobody confirmed.
pub(crate) fn ended_by_itself(ended: &Ended) -> Fact {
    let number = ended.number.unwrap_or_default();
    Fact::WallPolicyChanged {
        event: "trial_ended".to_owned(),
        number: ended.then,
        sha256: None,
        until: Some(ended.at),
        changes: 0,
        sentences: Vec::new(),
        by: String::new(),
        because: format!("nobody confirmed policy {number} in time"),
    }
}

fn policy(kept: Option<&Kept>) -> Option<&Policy> {
    kept.map(|kept| &kept.policy)
}

fn sha256(policy: &Policy) -> anyhow::Result<String> {
    Ok(hex::encode(Sha256::digest(serde_json::to_vec(policy)?)))
}
