//! `tamper.guard`: the guard itself could not see, keep or judge everything.
//!
//! Whoever wants to encrypt unseen would bring that about first, and so would a full disk. It is told once for each sort.

use std::collections::BTreeSet;

use schema::{Attack, Lapse, Severity, Tactic};
use serde::{Deserialize, Serialize};

use crate::{Detector, Entry};

/// The detector's entry.
pub const ENTRY: Entry = Entry {
    id: "tamper.guard",
    title: "The guard could not watch everything",
    title_ja: "監視が一部の操作を見届けられませんでした",
    attacks,
    make: Detector::Lapses(Lapses::default),
};

fn attacks() -> Vec<Attack> {
    vec![Attack {
        technique: "T1562.001".into(),
        name: "Impair Defenses: Disable or Modify Tools".into(),
        tactic: Tactic::DefenseEvasion,
    }]
}

/// Sorts of lapses that were told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lapses {
    told: BTreeSet<Lapse>,
}

impl Lapses {
    /// How bad it is; `None` for what was told before or is no sign of anything.
    pub fn weigh(&mut self, lapse: Lapse) -> Option<Severity> {
        let severity = match lapse {
            // Nobody watched, or nobody would be stopped for good.
            Lapse::Gap | Lapse::StateFull => Severity::Medium,
            Lapse::StoreFull | Lapse::Passed | Lapse::Denied | Lapse::Descriptors => Severity::Low,
            Lapse::Late | Lapse::Names | Lapse::Lines => return None,
        };
        self.told.insert(lapse).then_some(severity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sort_is_told_once() {
        let mut lapses = Lapses::default();
        for (lapse, expected) in [
            (Lapse::Gap, Some(Severity::Medium)),
            (Lapse::Gap, None),
            (Lapse::StoreFull, Some(Severity::Low)),
            (Lapse::StoreFull, None),
            (Lapse::Late, None),
        ] {
            assert_eq!(lapses.weigh(lapse), expected, "{lapse:?}");
        }
    }
}
