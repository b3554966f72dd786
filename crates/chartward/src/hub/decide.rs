//! From findings to incidents to countermeasures.

use std::collections::BTreeMap;

use act::playbook::{Bounds, PlanInput, plan};
use jiff::{SignedDuration, Timestamp};
use judge::correlate::{Sighting, Update};
use prove::Fact;
use schema::{
    Act, ActKind, Countermeasure, CountermeasureState, Finding, IncidentId, IncidentStatus, Moment, Stage,
    WatcherClass,
};

use super::book::holds;
use super::core::Core;
use super::hands::Order;
use super::intake::Seen;

const A_MINUTE: SignedDuration = SignedDuration::from_secs(60);

impl Core {
    /// Correlates a batch and plans what its findings call for. Nothing is written or done before [`Core::settle`].
    pub(super) fn decide(&mut self, seen: &[Seen], now: Timestamp) {
        let sightings: Vec<Sighting<'_>> = seen
            .iter()
            .map(|seen| Sighting { finding: &seen.finding, watcher: &seen.watcher, class: seen.class })
            .collect();
        let mut updates = Vec::new();
        let joined = self.correlator.step(&sightings, now, &mut updates);
        for update in updates {
            self.follow(update, now);
        }
        let mut news: BTreeMap<IncidentId, Vec<(WatcherClass, &Finding)>> = BTreeMap::new();
        for (seen, id) in seen.iter().zip(joined) {
            if let Some(id) = id {
                news.entry(id).or_default().push((seen.class, &seen.finding));
            }
        }
        for (id, findings) in news {
            if !self.is_settled(id) {
                self.plan(id, &findings, now);
            }
        }
    }

    fn follow(&mut self, update: Update, now: Timestamp) {
        match update {
            Update::Opened(id) => {
                self.dirty.insert(id);
                let Some(incident) = self.correlator.incident(id) else { return };
                let (severity_id, detectors) =
                    (incident.severity_id, incident.detectors.keys().cloned().collect());
                if self.is_settled(id) {
                    return;
                }
                self.facts.push(Fact::IncidentOpened { id, severity_id, detectors });
                let (en, ja) =
                    (format!("The hub opened {id}."), format!("ハブがインシデント {id} を開きました。"));
                self.pending.moments.push_back((id, Moment { at: now, stage: Stage::Detect, en, ja }));
            }
            Update::Grown(id) => {
                self.dirty.insert(id);
            }
            Update::Merged { into, from } => {
                self.dirty.remove(&from);
                self.dirty.insert(into);
                self.close_merged(into, from, now);
            }
            Update::Left(incident) => {
                self.dirty.remove(&incident.id);
                self.book.forget(incident.id);
                self.pending.incidents.insert(incident.id, *incident);
            }
        }
    }

    /// The number stays, so that whoever noted it finds where the incident went. What was done about it, and what a person
    /// said about that, counts for the one it went into.
    fn close_merged(&mut self, into: IncidentId, from: IncidentId, now: Timestamp) {
        // Its last state first: what waits is newer than what the database has.
        self.settle();
        let Ok(Some(mut gone)) = self.state.incident(from) else { return };
        let en = format!("{from} is part of {into}: they share an actor.");
        if gone.title == en {
            return;
        }
        let ja = format!("{from} は同じ攻撃元の {into} に統合されました。");
        gone.status = IncidentStatus::Closed;
        gone.title.clone_from(&en);
        gone.title_ja.clone_from(&ja);
        self.pending.incidents.insert(from, gone);
        for measure in self.book.existing(&self.state, from, std::iter::empty()) {
            if measure.incident == Some(from) {
                let moved = Countermeasure { incident: Some(into), ..measure };
                self.pending.measures.insert(moved.id, moved);
            }
        }
        self.book.forget(from);
        self.book.forget(into);
        self.pending.moments.push_back((into, Moment { at: now, stage: Stage::Detect, en, ja }));
        self.settle();
    }

    fn plan(&mut self, id: IncidentId, findings: &[(WatcherClass, &Finding)], now: Timestamp) {
        let Some(incident) = self.correlator.incident(id) else { return };
        let existing = self.book.existing(&self.state, id, findings.iter().map(|(_, finding)| *finding));
        // A clock that was set back must not keep what was counted before.
        while self.planned.front().is_some_and(|(at, _)| now.duration_since(*at).abs() > A_MINUTE) {
            self.planned.pop_front();
        }
        let out = plan(PlanInput {
            incident,
            findings,
            playbooks: &self.rules.playbooks,
            armed: &|kind, class| self.armed.contains(&(kind, class)),
            existing: &existing,
            last_minute: &|class| self.planned.iter().filter(|(_, known)| *known == class).count(),
            protects: &self.rules.protects,
            never: &self.rules.never,
            internal: &self.rules.internal,
            bounds: Bounds::default(),
            now,
        });
        if let Some(left_out) = out.left_out_because {
            // A flood of targets is told once, not with each of its batches.
            let is_new = self.left_out.insert(id);
            let moment = Moment { at: now, stage: Stage::Contain, en: left_out.en, ja: left_out.ja };
            self.pending.moments.extend(is_new.then_some((id, moment)));
        }
        let severity = incident.severity_id;
        for measure in out.countermeasures {
            // Planned again when the incident has become worse.
            if matches!(&measure.act, Act::Notify { channel } if !self.is_told_of(channel, severity)) {
                continue;
            }
            self.replace_weaker(&measure, &existing);
            self.take_on(measure, now);
        }
    }

    /// A proposal that another playbook makes needless.
    fn replace_weaker(&mut self, newer: &Countermeasure, existing: &[Countermeasure]) {
        if newer.state != CountermeasureState::Approved {
            return;
        }
        let waits =
            |older: &&Countermeasure| older.state == CountermeasureState::Proposed && older.act == newer.act;
        for older in existing.iter().filter(waits) {
            let mut older = older.clone();
            older.state = CountermeasureState::Expired;
            "done without waiting, by another playbook".clone_into(&mut older.detail);
            self.note(&older, None);
        }
    }

    /// Numbers a plan and hands it over once it is written down.
    fn take_on(&mut self, mut measure: Countermeasure, now: Timestamp) {
        measure.id = self.book.number();
        if !holds(measure.act.kind()) {
            // Done once and for all: there is nothing that could be over or taken back.
            measure.lasts_seconds = None;
        }
        if is_against_somebody(measure.act.kind()) {
            self.planned.extend(measure.caused_by.map(|class| (now, class)));
        }
        self.note(&measure, None);
        if measure.state == CountermeasureState::Approved {
            self.carry_out(measure);
        }
    }

    /// A notice goes into the outbox with the plan, everything else to the hands after it.
    pub(super) fn carry_out(&mut self, measure: Countermeasure) {
        match measure.act.kind() {
            ActKind::Notify => self.queue_notice(&measure),
            _ => self.ready.push(Order::Apply(measure)),
        }
    }
}

/// Whether an act harms somebody when it is wrong.
fn is_against_somebody(kind: ActKind) -> bool {
    matches!(
        kind,
        ActKind::BlockAddress
            | ActKind::BlockEgress
            | ActKind::IsolateHost
            | ActKind::Freeze
            | ActKind::FreezeCgroup
    )
}
