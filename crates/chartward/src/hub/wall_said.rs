//! What is told when somebody else changed the packet filter.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use prove::Fact;
use schema::{Countermeasure, CountermeasureId, IncidentId, Lang, Moment, Severity, Stage};

use super::core::Core;
use super::handle::Live;
use super::wall_kept::{WallSaid, WallTold};
use super::words::in_words;
use crate::wiring::wall::recorded::ended_by_itself;

/// Countermeasures that a line of the ledger names, and whose incidents are told.
const NAMED_MAX: usize = 256;
/// Of these a notice names.
const IN_A_NOTICE: usize = 5;
/// What flushes the rules every minute is told to people once an hour, and to the ledger each time.
const TELL_AGAIN: Duration = Duration::from_secs(3600);

impl Core {
    pub(super) fn wall_told(&mut self, told: &WallTold) {
        match told {
            WallTold::Said(said) => self.wall_said(said),
            WallTold::Ended(ended) => {
                self.facts.push(ended_by_itself(ended));
                self.settle();
            }
        }
    }

    /// Tells the ledger, the incidents and people that something was gone, and whether it is back.
    fn wall_said(&mut self, said: &WallSaid) {
        let was_troubled = self.hub.shown().wall_trouble.is_some();
        self.hub.show(|shown| shown.wall_trouble.clone_from(&said.trouble), Live::Promise);
        let was_changed = said.rules || !said.gone.is_empty();
        let named: Vec<Countermeasure> = said
            .gone
            .iter()
            .take(NAMED_MAX)
            .filter_map(|id: &CountermeasureId| self.measure(*id).ok().flatten())
            .collect();
        if was_changed {
            self.facts.push(Fact::WallChanged {
                rules: said.rules,
                gone: said.gone.len() as u64,
                countermeasures: said.gone.iter().take(NAMED_MAX).copied().collect(),
                put_back: said.trouble.is_none(),
                because: said.trouble.clone().unwrap_or_else(|| said.because.clone()),
            });
        }
        let is_due = self.wall_told_at.is_none_or(|at| at.elapsed() >= TELL_AGAIN);
        if said.trouble.is_some() || was_troubled || is_due {
            self.wall_told_at = Some(Instant::now());
            let (en, ja) = (in_a_sentence(said, &named, Lang::En), in_a_sentence(said, &named, Lang::Ja));
            let severity = if said.trouble.is_some() { Severity::Critical } else { Severity::High };
            self.tell_everybody(severity, &en, &ja);
            self.tell_incidents(&named, said.at, &en, &ja);
        }
        self.settle();
    }

    fn tell_incidents(&mut self, named: &[Countermeasure], at: Timestamp, en: &str, ja: &str) {
        let incidents: BTreeSet<IncidentId> = named.iter().filter_map(|measure| measure.incident).collect();
        for id in incidents {
            let moment = Moment { at, stage: Stage::Contain, en: en.to_owned(), ja: ja.to_owned() };
            self.pending.moments.push_back((id, moment));
        }
    }
}

/// What was gone, and what became of it.
fn in_a_sentence(said: &WallSaid, named: &[Countermeasure], lang: Lang) -> String {
    let mut gone: Vec<String> =
        named.iter().take(IN_A_NOTICE).map(|measure| in_words(&measure.act, lang)).collect();
    let further = said.gone.len().saturating_sub(gone.len());
    if further > 0 {
        gone.push(lang.pick(format!("{further} more"), format!("ほか{further}件")));
    }
    let list = gone.join(lang.pick(", ", "、"));
    let was_changed = said.rules || !said.gone.is_empty();
    if !was_changed && said.trouble.is_none() {
        let en = "The packet filter can be looked at again: what was blocked or isolated still is.";
        return lang.pick(en, "パケットフィルターを再び確認できました。遮断と隔離は有効です。").to_owned();
    }
    let what = match (was_changed, said.rules, gone.is_empty()) {
        (false, _, _) => lang.pick(
            "It cannot be seen whether what was blocked or isolated still is".to_owned(),
            "遮断や隔離が有効かどうか確認できません".to_owned(),
        ),
        (true, true, true) => lang.pick(
            "Somebody changed Chartward's rules in the packet filter".to_owned(),
            "パケットフィルターの Chartward の規則が何者かに変更されました".to_owned(),
        ),
        (true, true, false) => lang.pick(
            format!("Somebody removed or changed Chartward's rules in the packet filter; no longer in force: {list}"),
            format!("パケットフィルターの Chartward の規則が何者かに削除または変更され、次の対処が無効になっていました: {list}"),
        ),
        (true, false, _) => lang.pick(
            format!("Somebody took these out of the packet filter: {list}"),
            format!("次の対処が何者かによってパケットフィルターから外されました: {list}"),
        ),
    };
    match &said.trouble {
        None => {
            lang.pick(format!("{what}. All of it was put back."), format!("{what}。すべて元に戻しました。"))
        }
        Some(cause) => lang.pick(
            format!("{what}. It could not be put right: {cause}. Cut off by hand until it is."),
            format!("{what}。元に戻せませんでした: {cause}。直るまでは手作業で切り離してください。"),
        ),
    }
}
