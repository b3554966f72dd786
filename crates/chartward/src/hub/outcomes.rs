//! What came of countermeasures: in force, taken back, over, failed.

use jiff::Timestamp;
use prove::Fact;
use prove::state::{Asset, AssetKind, AssetState};
use schema::{
    Act, ActKind, Countermeasure, CountermeasureState, IncidentId, IncidentStatus, Lang, Moment, Stage,
};

use super::core::Core;
use super::handle::{Answer, Live, Refusal};
use super::hands::{Done, Order};

/// Countermeasures whose time is over that are looked at in one tick.
const DUE_MAX: u32 = 256;

impl Core {
    pub(super) fn done(&mut self, done: Done) {
        let Ok(Some(mut measure)) = self.state.countermeasure(done.id) else { return };
        let is_over = self.expiring.remove(&done.id);
        match (&done.result, done.undo) {
            (Ok(words), false) => {
                measure.state = CountermeasureState::Applied;
                // What is in force again after a restart began when it first did.
                measure.applied_at.get_or_insert(done.at);
                measure.detail.clone_from(words);
            }
            (Ok(words), true) => {
                measure.state =
                    if is_over { CountermeasureState::Expired } else { CountermeasureState::Undone };
                measure.undone_at = Some(done.at);
                measure.detail.clone_from(words);
            }
            (Err(cause), false) => {
                measure.state = CountermeasureState::Failed;
                measure.detail.clone_from(cause);
            }
            // It stays in force and is tried again, or a person tries.
            (Err(cause), true) => measure.detail.clone_from(cause),
        }
        self.mark_asset(&measure, done.at);
        let moment = told(&measure, &done);
        self.record(&measure, moment);
        if measure.state == CountermeasureState::Applied {
            self.contain(&measure);
        }
        let answer = match done.result {
            Ok(_) => Ok(Answer::Countermeasure { countermeasure: measure.clone() }),
            Err(cause) => Err(Refusal {
                en: format!("it could not be done: {cause}"),
                ja: format!("実行できませんでした: {cause}"),
            }),
        };
        for waiting in self.waiting.remove(&done.id).unwrap_or_default() {
            let _ = waiting.send(answer.clone());
        }
    }

    /// Writes a changed countermeasure down, tells the ledger and whoever looks.
    pub(super) fn record(&mut self, measure: &Countermeasure, moment: Option<Moment>) {
        let written = self.state.write(|tx| {
            tx.put_countermeasure(measure)?;
            match (measure.incident, &moment) {
                (Some(id), Some(moment)) => tx.add_moment(id, moment),
                _ => Ok(()),
            }
        });
        self.note_trouble(written);
        self.facts.push(Fact::CountermeasureChanged { countermeasure: measure.clone() });
        self.tell_ledger();
        self.hub.tell(Live::Countermeasure { id: measure.id });
        if let Some(id) = measure.incident {
            self.hub.tell(Live::Incident { id });
        }
    }

    /// What waits too long is no longer meant; what held as long as it was meant to is taken back.
    pub(super) fn end_what_is_over(&mut self, now: Timestamp) {
        for mut measure in self.state.countermeasures_due(now, DUE_MAX).unwrap_or_default() {
            match measure.state {
                CountermeasureState::Applied if self.expiring.insert(measure.id) => {
                    let _ = self.orders.send(Order::Undo(measure));
                }
                CountermeasureState::Proposed => {
                    measure.state = CountermeasureState::Expired;
                    "nobody approved it in time".clone_into(&mut measure.detail);
                    self.record(&measure, None);
                }
                _ => {}
            }
        }
    }

    /// An incident whose actor is held by something is contained, until it shows itself again.
    fn contain(&mut self, measure: &Countermeasure) {
        let holds = matches!(
            measure.act.kind(),
            ActKind::BlockAddress | ActKind::IsolateHost | ActKind::Freeze | ActKind::FreezeCgroup
        );
        if let Some(id) = measure.incident.filter(|_| holds) {
            let is_open = self.correlator.incident(id).is_some_and(|it| it.status == IncidentStatus::Open);
            if is_open && self.correlator.mark(id, IncidentStatus::Contained).is_some() {
                self.dirty.insert(id);
                self.write_down(&[]);
            }
        }
    }

    /// A host that was isolated has to pass `reconnect` before it counts as normal again.
    fn mark_asset(&mut self, measure: &Countermeasure, at: Timestamp) {
        let Act::IsolateHost { address } = measure.act else { return };
        if measure.state != CountermeasureState::Applied {
            return;
        }
        let name = self.rules.hosts.get(&address).cloned().unwrap_or_else(|| address.to_string());
        let asset = Asset {
            name,
            kind: AssetKind::Host,
            address: Some(address),
            state: AssetState::Isolated,
            since: at,
            detail: serde_json::json!({ "countermeasure": measure.id, "incident": measure.incident }).to_string(),
        };
        let written = self.state.write(|tx| tx.put_asset(&asset));
        self.note_trouble(written);
    }

    /// A sentence of a person or the hub for an incident's timeline.
    pub(super) fn moment(&mut self, id: IncidentId, stage: Stage, en: String, ja: String) {
        let moment = Moment { at: Timestamp::now(), stage, en, ja };
        self.write_down(&[(id, moment)]);
    }
}

fn told(measure: &Countermeasure, done: &Done) -> Option<Moment> {
    measure.incident?;
    let (en, ja) = (in_words(&measure.act, Lang::En), in_words(&measure.act, Lang::Ja));
    let by = measure.approved_by.as_deref().unwrap_or("?");
    let (en, ja) = match (&done.result, done.undo) {
        (Ok(words), false) => (
            format!("{en}: done, approved by {by} ({words})."),
            format!("{ja}: 実行しました（承認: {by}）。"),
        ),
        (Ok(_), true) => (format!("{en}: taken back."), format!("{ja}: 解除しました。")),
        (Err(cause), false) => (
            format!("{en}: could not be done: {cause}."),
            format!("{ja}: 実行できませんでした: {cause}。"),
        ),
        (Err(cause), true) => (
            format!("{en}: could not be taken back: {cause}."),
            format!("{ja}: 解除できませんでした: {cause}。"),
        ),
    };
    Some(Moment { at: done.at, stage: Stage::Contain, en, ja })
}

/// An act as people say it.
pub(crate) fn in_words(act: &Act, lang: Lang) -> String {
    match act {
        Act::Freeze { pid, .. } => lang.pick(format!("Freeze process {pid}"), format!("プロセス {pid} の凍結")),
        Act::FreezeCgroup { path } => {
            lang.pick(format!("Freeze the control group {path}"), format!("コントロールグループ {path} の凍結"))
        }
        Act::BlockAddress { address } => lang.pick(format!("Block {address}"), format!("{address} の遮断")),
        Act::IsolateHost { address } => {
            lang.pick(format!("Isolate the host {address}"), format!("端末 {address} の隔離"))
        }
        Act::SnapshotNow { protect } => {
            lang.pick(format!("Snapshot of {protect} now"), format!("{protect} の即時バックアップ"))
        }
        Act::LockVault => lang.pick("Lock the vault against pruning", "保管庫の削除禁止").to_owned(),
        Act::StartViewer => lang.pick("Start the downtime viewer", "カルテ参照画面の起動").to_owned(),
        Act::Notify { channel } => lang.pick(format!("Notify {channel}"), format!("{channel} への通知")),
    }
}
