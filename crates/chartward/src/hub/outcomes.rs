//! What came of countermeasures: in force, taken back, over, failed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use prove::Fact;
use prove::state::{Asset, AssetKind, AssetState};
use schema::{
    Act, ActKind, Countermeasure, CountermeasureId, CountermeasureState, IncidentStatus, Lang, Moment, Stage,
};

use super::book::holds;
use super::core::Core;
use super::handle::{Answer, Refusal};
use super::hands::{Done, Order};
use super::settle::Part;
use super::words::in_words;

/// Countermeasures whose time is over that are looked at in one tick.
const DUE_MAX: u32 = 4_096;
/// Before what could not be taken back is tried again; twice as long after each further time, up to 64 times as long.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// Countermeasures whose time is over and that are being taken back.
#[derive(Debug, Default)]
pub(super) struct Expiring(BTreeMap<CountermeasureId, Attempt>);

#[derive(Debug)]
struct Attempt {
    failed: u32,
    /// `None` while it is under way.
    again_at: Option<Instant>,
}

impl Expiring {
    /// Whether it is to be taken back now.
    fn begin(&mut self, id: CountermeasureId) -> bool {
        let attempt =
            self.0.entry(id).or_insert_with(|| Attempt { failed: 0, again_at: Some(Instant::now()) });
        attempt.again_at.take_if(|at| *at <= Instant::now()).is_some()
    }

    /// Whether it was the first time that this failed.
    fn failed(&mut self, id: CountermeasureId) -> bool {
        let Some(attempt) = self.0.get_mut(&id) else { return true };
        attempt.again_at = Some(Instant::now() + TRY_AGAIN * (1 << attempt.failed.min(6)));
        attempt.failed += 1;
        attempt.failed == 1
    }
}

impl Core {
    /// Takes note of what came of orders, writes it down together, and answers those who wait.
    pub(super) fn done(&mut self, all: impl Iterator<Item = Done>) {
        let mut answers = Vec::new();
        for done in all {
            let waiting = self.waiting.remove(&done.id).unwrap_or_default();
            let Some(answer) = self.outcome(done) else { continue };
            answers.extend(waiting.into_iter().map(|waiting| (waiting, answer.clone())));
        }
        let mut is_written = self.settle_acts();
        if !answers.is_empty() {
            self.wait();
            is_written &= !self.trouble.contains_key(&Part::State);
        }
        for (waiting, answer) in answers {
            let answer = if is_written { answer } else { answer.and_then(|_| Err(self.not_written())) };
            let _ = waiting.send(answer);
        }
    }

    /// What somebody is told whose command was carried out and would be forgotten by a crash.
    pub(super) fn not_written(&self) -> Refusal {
        let cause = self.trouble.values().next().map_or("", String::as_str);
        Refusal {
            en: format!(
                "it was carried out and could not be written down ({cause}); make room on the disk of the state folder: it is \
                 written as soon as that is possible, and forgotten if the hub ends before"
            ),
            ja: format!(
                "実行しましたが、記録を保存できません（{cause}）。状態フォルダーのディスクに空きを作ってください。空きができ次第保存しますが、\
                 その前にハブが終了すると記録は失われます"
            ),
        }
    }

    fn outcome(&mut self, done: Done) -> Option<Result<Answer, Refusal>> {
        let mut measure = self.measure(done.id).ok().flatten()?;
        let is_new = done.result.is_ok() || !done.undo || self.expiring.failed(done.id);
        match (&done.result, done.undo) {
            (Ok(words), false) => {
                measure.state = CountermeasureState::Applied;
                // What is in force again after a restart began when it first did.
                measure.applied_at.get_or_insert(done.at);
                measure.detail.clone_from(words);
            }
            (Ok(words), true) => {
                let is_over = self.expiring.0.remove(&done.id).is_some();
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
        if is_new {
            self.mark_asset(&measure, done.at);
            let moment = told(&measure, &done);
            self.note(&measure, moment);
        }
        if let (Act::Notify { channel }, Ok(proof)) = (&measure.act, &done.result) {
            let (channel, incident, proof) = (channel.clone(), measure.incident, proof.clone());
            self.facts.push(Fact::NoticeDelivered { channel, incident, proof });
        }
        if measure.state == CountermeasureState::Applied {
            self.contain(&measure);
        }
        let reconnecting = self.reconnecting.remove(&done.id).filter(|_| done.undo);
        Some(match done.result {
            Ok(_) if reconnecting.is_some() => Ok(self.reconnected(reconnecting?, done.at)),
            Ok(_) => Ok(Answer::Countermeasure { countermeasure: Box::new(measure) }),
            Err(cause) => Err(Refusal {
                en: format!("it could not be done: {cause}"),
                ja: format!("実行できませんでした: {cause}"),
            }),
        })
    }

    /// What waits too long is no longer meant; what held as long as it was meant to is taken back.
    pub(super) fn end_what_is_over(&mut self, now: Timestamp) {
        for mut measure in self.state.countermeasures_due(now, DUE_MAX).unwrap_or_default() {
            if self.pending.measures.contains_key(&measure.id) {
                continue;
            }
            match measure.state {
                CountermeasureState::Applied if !holds(measure.act.kind()) => {
                    measure.lasts_seconds = None;
                    self.note(&measure, None);
                }
                CountermeasureState::Applied if self.expiring.begin(measure.id) => {
                    self.ready.push(Order::Undo(measure));
                }
                CountermeasureState::Proposed => {
                    measure.state = CountermeasureState::Expired;
                    "nobody approved it in time".clone_into(&mut measure.detail);
                    let (en, ja) = (in_words(&measure.act, Lang::En), in_words(&measure.act, Lang::Ja));
                    let en = format!("{en}: nobody approved it in time.");
                    let ja = format!("{ja}: 期限までに承認されませんでした。");
                    self.note(&measure, Some(Moment { at: now, stage: Stage::Contain, en, ja }));
                }
                _ => {}
            }
        }
    }

    /// An incident whose actor is held by something is contained, until it shows itself again.
    fn contain(&mut self, measure: &Countermeasure) {
        let holds = matches!(
            measure.act.kind(),
            ActKind::BlockAddress
                | ActKind::BlockEgress
                | ActKind::IsolateHost
                | ActKind::Freeze
                | ActKind::FreezeCgroup
        );
        if let Some(id) = measure.incident.filter(|_| holds) {
            let is_open = self.correlator.incident(id).is_some_and(|it| it.status == IncidentStatus::Open);
            if is_open && self.correlator.mark(id, IncidentStatus::Contained).is_some() {
                self.dirty.insert(id);
            }
        }
    }

    /// A host that was isolated is not normal again because its isolation ended: it is watched first.
    fn mark_asset(&mut self, measure: &Countermeasure, at: Timestamp) {
        let Act::IsolateHost { address } = measure.act else { return };
        let state = match measure.state {
            CountermeasureState::Applied => AssetState::Isolated,
            CountermeasureState::Undone | CountermeasureState::Expired => AssetState::Watched,
            _ => return,
        };
        let name = self.rules.hosts.get(&address).cloned().unwrap_or_else(|| address.to_string());
        let known = self.state.asset(&name).ok().flatten();
        if known.is_some_and(|known| known.state == state) {
            // In force again after a restart: it is isolated since it first was.
            return;
        }
        let detail =
            serde_json::json!({ "countermeasure": measure.id, "incident": measure.incident }).to_string();
        let asset = Asset { name, kind: AssetKind::Host, address: Some(address), state, since: at, detail };
        self.pending.assets.insert(asset.name.clone(), asset);
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
        (Err(cause), false) => {
            (format!("{en}: could not be done: {cause}."), format!("{ja}: 実行できませんでした: {cause}。"))
        }
        (Err(cause), true) => (
            format!("{en}: could not be taken back: {cause}."),
            format!("{ja}: 解除できませんでした: {cause}。"),
        ),
    };
    Some(Moment { at: done.at, stage: Stage::Contain, en, ja })
}
