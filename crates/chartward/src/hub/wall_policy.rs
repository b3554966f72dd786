//! The declared policy of the wall: what people applied and confirmed is put back when somebody takes it out.

use act::wall::gate::{Drift, Ended, Gate};
use jiff::Timestamp;

use super::wall_kept::Missing;

/// What a look at the policy came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mended {
    /// It stands, or none was ever confirmed.
    Whole,
    /// Somebody changed it, and it is back.
    PutBack(Drift),
    /// It cannot be looked at or put back.
    Failed(String),
}

/// Looks, and puts back what is not as it was loaded. While somebody tries out a policy nothing is touched.
pub(super) fn mend(gate: &Gate) -> Mended {
    match gate.mend(Timestamp::now()) {
        Ok(None) => Mended::Whole,
        Ok(Some(drift)) => Mended::PutBack(drift),
        Err(error) => {
            let causes =
                std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
            Mended::Failed(causes.map(ToString::to_string).collect::<Vec<_>>().join(": "))
        }
    }
}

/// A trial that ended by itself, once.
pub(super) fn ended(gate: &Gate) -> Option<Ended> {
    let ended = gate.ended(Timestamp::now()).ok().flatten()?;
    gate.ended_is_told(&ended).ok().map(|()| ended)
}

impl Mended {
    /// Adds it to what was found of the bans.
    pub(super) fn with(&self, missing: Missing, trouble: Option<String>) -> (Missing, Option<String>) {
        match self {
            Mended::Whole => (missing, trouble),
            Mended::PutBack(_) => (Missing { rules: true, ..missing }, trouble),
            Mended::Failed(cause) => (missing, trouble.or_else(|| Some(cause.clone()))),
        }
    }

    pub(super) fn because(&self) -> String {
        match self {
            Mended::Whole => "",
            Mended::PutBack(Drift::Gone) => "the declared policy was not there",
            Mended::PutBack(Drift::Changed) => "the declared policy was changed",
            Mended::Failed(cause) => cause,
        }
        .to_owned()
    }
}
