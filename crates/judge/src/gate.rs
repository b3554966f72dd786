//! `encryption.replacement`: contents that had a structure are being replaced by bytes that have none.
//!
//! Every file is graded by its own content, original against present; names only lower the number of files that is enough. A
//! grade never falls with time spent between files, so that a slow attacker gains nothing by waiting, and a file counts
//! once however often it is measured.

mod actor;
mod grade;
mod indicators;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schema::{Attack, GateInput, Tactic, Verdict};
use serde::{Deserialize, Serialize};

use self::actor::Actor;
pub(crate) use self::grade::{Kind, kind_of};
pub use self::indicators::{Indicator, Indicators};
use crate::{Detector, Entry};

/// The detector's entry.
pub const ENTRY: Entry = Entry {
    id: "encryption.replacement",
    title: "Files are being replaced by encrypted content",
    title_ja: "ファイルが暗号化された内容に置き換えられている",
    attacks,
    make: Detector::Gate(Gate::default),
};

/// The same in the files of a database, where nobody can be told from its server, which is never stopped.
pub const DATABASE: Entry = Entry {
    id: "encryption.database",
    title: "A database's files are being replaced by noise",
    title_ja: "データベースのファイルが乱数状のデータに置き換えられている",
    attacks,
    make: Detector::Gate(Gate::default),
};

const ACTORS_MAX: usize = 4096;
const FORGET_AFTER: SignedDuration = SignedDuration::from_hours(24);

fn attacks() -> Vec<Attack> {
    vec![Attack {
        technique: "T1486".into(),
        name: "Data Encrypted for Impact".into(),
        tactic: Tactic::Impact,
    }]
}

/// The synchronous judge of the guard: it is asked before an actor's next open may pass.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    actors: BTreeMap<u64, Actor>,
    #[serde(default)]
    indicators: Indicators,
}

impl Gate {
    /// One that goes by these indicators only.
    pub fn with(indicators: Indicators) -> Self {
        Self { indicators, ..Self::default() }
    }

    /// Takes in what an actor did and says whether it may go on.
    pub fn decide(&mut self, input: &GateInput, now: Timestamp) -> Verdict {
        if input.evidence.is_empty() {
            return self.standing(input.actor);
        }
        self.forget(now);
        let actor = self.actors.entry(input.actor).or_default();
        actor.last = now;
        for evidence in &input.evidence {
            actor.take(evidence, self.indicators);
        }
        let verdict = actor.verdict();
        actor.stopped |= matches!(verdict, Verdict::Stop(_));
        if actor.is_blank() {
            self.actors.remove(&input.actor);
        }
        verdict
    }

    /// Whether something speaks against an actor.
    pub fn suspects(&self, actor: u64) -> bool {
        !matches!(self.standing(actor), Verdict::Allow)
    }

    /// Forgets an actor that a person has released.
    pub fn release(&mut self, actor: u64) {
        self.actors.remove(&actor);
    }

    /// The verdict on an actor that did nothing new.
    fn standing(&self, actor: u64) -> Verdict {
        self.actors.get(&actor).map_or(Verdict::Allow, Actor::verdict)
    }

    fn forget(&mut self, now: Timestamp) {
        let limit = now.checked_sub(FORGET_AFTER).unwrap_or(Timestamp::MIN);
        if self.actors.len() >= ACTORS_MAX {
            self.actors.retain(|_, actor| actor.stopped || actor.last >= limit);
        }
        while self.actors.len() >= ACTORS_MAX {
            let oldest = self.actors.iter().min_by_key(|(_, actor)| actor.last).map(|(number, _)| *number);
            let Some(number) = oldest else { return };
            self.actors.remove(&number);
        }
    }
}

#[cfg(test)]
mod tests;
