//! From findings to incidents to countermeasures, written down in one transaction.

use std::collections::BTreeMap;

use act::notify::Notice;
use act::playbook::{Bounds, PlanInput, plan};
use decode::ocsf::Said;
use jiff::{SignedDuration, Timestamp};
use judge::correlate::{Sighting, Update};
use prove::Fact;
use prove::state::CountermeasureFilter;
use schema::{
    Act, ActKind, Countermeasure, CountermeasureState, Entity, Finding, Incident, IncidentId, IncidentStatus, Lang,
    Moment, Outcome, Severity, Stage, SubjectRole, WatcherClass,
};
use serde::{Deserialize, Serialize};

use super::core::Core;
use super::handle::Live;
use super::hands::Order;
use super::intake::Seen;

/// Countermeasures of one incident that are looked at before another one is planned.
const EXISTING_MAX: u32 = 1_000;
const A_MINUTE: SignedDuration = SignedDuration::from_secs(60);

/// A notice in the outbox, with the countermeasure that it carries out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Queued {
    pub(super) countermeasure: schema::CountermeasureId,
    pub(super) severity_id: Severity,
    pub(super) title: String,
    pub(super) title_ja: String,
    pub(super) body: String,
    pub(super) body_ja: String,
    pub(super) at: Timestamp,
    pub(super) lang: Lang,
}

impl Queued {
    pub(super) fn notice(self, incident: Option<IncidentId>) -> Notice {
        let Queued { severity_id, title, title_ja, body, body_ja, at, lang, .. } = self;
        Notice { incident, severity_id, title, title_ja, body, body_ja, at, lang }
    }
}

impl Core {
    /// Correlates a batch and plans what its findings call for.
    pub(super) fn decide(&mut self, seen: &[Seen], now: Timestamp) {
        let sightings: Vec<Sighting<'_>> = seen
            .iter()
            .map(|seen| Sighting { finding: &seen.finding, watcher: &seen.watcher, class: seen.class })
            .collect();
        let mut updates = Vec::new();
        let joined = self.correlator.step(&sightings, now, &mut updates);
        let mut moments = Vec::new();
        for update in updates {
            self.follow(update, now, &mut moments);
        }
        let mut news: BTreeMap<IncidentId, Vec<(WatcherClass, &Finding)>> = BTreeMap::new();
        for (seen, id) in seen.iter().zip(joined) {
            if let Some(id) = id {
                news.entry(id).or_default().push((seen.class, &seen.finding));
            }
        }
        let mut planned = Vec::new();
        for (id, findings) in news {
            planned.extend(self.plan(id, &findings, now, &mut moments));
        }
        if !planned.is_empty() || !moments.is_empty() {
            self.settle(planned, &moments);
        }
    }

    fn follow(&mut self, update: Update, now: Timestamp, moments: &mut Vec<(IncidentId, Moment)>) {
        match update {
            Update::Opened(id) => {
                self.dirty.insert(id);
                let Some(incident) = self.correlator.incident(id) else { return };
                self.facts.push(Fact::IncidentOpened {
                    id,
                    severity_id: incident.severity_id,
                    detectors: incident.detectors.keys().cloned().collect(),
                });
                moments.push((
                    id,
                    Moment {
                        at: now,
                        stage: Stage::Detect,
                        en: format!("The hub opened {id}."),
                        ja: format!("ハブが事案 {id} を開きました。"),
                    },
                ));
            }
            Update::Grown(id) => {
                self.dirty.insert(id);
            }
            Update::Merged { into, from } => {
                self.dirty.remove(&from);
                self.dirty.insert(into);
                self.close_merged(into, from, now, moments);
            }
            Update::Left(incident) => {
                let written = self.state.write(|tx| tx.put_incident(&incident));
                self.note_trouble(written);
            }
        }
    }

    /// The number stays, so that whoever noted it finds where the incident went.
    fn close_merged(
        &mut self,
        into: IncidentId,
        from: IncidentId,
        now: Timestamp,
        moments: &mut Vec<(IncidentId, Moment)>,
    ) {
        if let Ok(Some(mut gone)) = self.state.incident(from) {
            gone.status = IncidentStatus::Closed;
            let en = format!("{from} is part of {into}: they share an actor.");
            let ja = format!("{from} は同じ攻撃元の {into} に統合されました。");
            gone.title.clone_from(&en);
            gone.title_ja.clone_from(&ja);
            let written = self.state.write(|tx| tx.put_incident(&gone));
            self.note_trouble(written);
            moments.push((into, Moment { at: now, stage: Stage::Detect, en, ja }));
        }
    }

    fn plan(
        &mut self,
        id: IncidentId,
        findings: &[(WatcherClass, &Finding)],
        now: Timestamp,
        moments: &mut Vec<(IncidentId, Moment)>,
    ) -> Vec<Countermeasure> {
        let Some(incident) = self.correlator.incident(id) else { return Vec::new() };
        let filter = CountermeasureFilter { incident: Some(id), states: Vec::new() };
        let existing = self.state.countermeasures(&filter, EXISTING_MAX, None).unwrap_or_default();
        while self.planned.front().is_some_and(|(at, _)| now.duration_since(*at) > A_MINUTE) {
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
            bounds: Bounds::default(),
            now,
        });
        self.superseded.extend(existing.iter().filter(|older| {
            let is_same = |newer: &Countermeasure| {
                newer.act == older.act && newer.state == CountermeasureState::Approved
            };
            older.state == CountermeasureState::Proposed && out.countermeasures.iter().any(is_same)
        }).cloned());
        for measure in out.countermeasures.iter().filter(|measure| is_against_somebody(measure.act.kind())) {
            self.planned.extend(measure.caused_by.map(|class| (now, class)));
        }
        if let Some(left_out) = out.left_out_because {
            moments.push((id, Moment { at: now, stage: Stage::Contain, en: left_out.en, ja: left_out.ja }));
        }
        out.countermeasures
    }

    /// Writes plans and moments down with the incidents they belong to, then hands the approved ones over.
    pub(super) fn settle(&mut self, planned: Vec<Countermeasure>, moments: &[(IncidentId, Moment)]) {
        let mut planned = planned;
        let incidents: Vec<Incident> =
            self.dirty.iter().filter_map(|id| self.correlator.incident(*id)).cloned().collect();
        let channels = &self.rules.channels;
        let written = self.state.write(|tx| {
            for incident in &incidents {
                tx.put_incident(incident)?;
            }
            for measure in &mut planned {
                measure.id = tx.next_countermeasure_id()?;
                tx.put_countermeasure(measure)?;
                if let (Act::Notify { channel }, CountermeasureState::Approved) = (&measure.act, measure.state) {
                    let about = incidents.iter().find(|incident| Some(incident.id) == measure.incident);
                    let lang = channels.get(channel).copied().unwrap_or(Lang::Ja);
                    tx.queue_notice(channel, measure.incident, &queued(measure, about, lang), measure.planned_at)?;
                }
            }
            for (id, moment) in moments {
                tx.add_moment(*id, moment)?;
            }
            Ok(())
        });
        for mut older in std::mem::take(&mut self.superseded) {
            older.state = CountermeasureState::Expired;
            "done without waiting, by another playbook".clone_into(&mut older.detail);
            self.record(&older, None);
        }
        let is_written = written.is_ok();
        self.note_trouble(written);
        if is_written {
            self.dirty.clear();
        }
        for measure in planned {
            self.facts.push(Fact::CountermeasureChanged { countermeasure: measure.clone() });
            self.hub.tell(Live::Countermeasure { id: measure.id });
            // What could not be written down is not done either: after a crash nobody would know of it, and nobody could undo it.
            if is_written && measure.state == CountermeasureState::Approved && measure.act.kind() != ActKind::Notify {
                let _ = self.orders.send(Order::Apply(measure));
            }
        }
        for incident in incidents {
            self.hub.tell(Live::Incident { id: incident.id });
        }
        self.tell_ledger();
    }

    /// Puts the notice that a person asked for into the outbox.
    pub(super) fn queue_notice(&mut self, measure: &Countermeasure) {
        let Act::Notify { channel } = &measure.act else { return };
        let about = measure.incident.and_then(|id| self.correlator.incident(id));
        let lang = self.rules.channels.get(channel).copied().unwrap_or(Lang::Ja);
        let notice = queued(measure, about, lang);
        let written =
            self.state.write(|tx| tx.queue_notice(channel, measure.incident, &notice, Timestamp::now()).map(|_| ()));
        self.note_trouble(written);
    }

    /// Writes down what grew.
    pub(super) fn write_down(&mut self, moments: &[(IncidentId, Moment)]) {
        self.written = std::time::Instant::now();
        if !self.dirty.is_empty() || !moments.is_empty() {
            self.settle(Vec::new(), moments);
        }
    }

    /// What a guard did by itself belongs to the incident of the process that it stopped.
    pub(super) fn tell_what_a_guard_did(&mut self, watcher: &str, said: &Said) {
        let now = Timestamp::now();
        if let Said::Restored(done) = said {
            self.hub.show(|shown| drop(shown.put_back.insert(watcher.to_owned(), done.clone())), Live::Watchers);
        }
        let (pid, en, ja) = match said {
            Said::Action(action) => {
                let Some((pid, _)) = action.act.process() else { return };
                match &action.outcome {
                    Outcome::Applied => (
                        Some(pid),
                        format!("{watcher} froze process {pid}."),
                        format!("{watcher} がプロセス {pid} を凍結しました。"),
                    ),
                    Outcome::Undone => (
                        Some(pid),
                        format!("{watcher} let process {pid} go on."),
                        format!("{watcher} がプロセス {pid} を再開させました。"),
                    ),
                    Outcome::NeverTouch => (
                        Some(pid),
                        format!("Process {pid} is on the never-touch list of {watcher} and goes on."),
                        format!("プロセス {pid} は {watcher} の対象外リストにあり、続行しています。"),
                    ),
                    Outcome::Failed { cause } => (
                        Some(pid),
                        format!("{watcher} could not freeze process {pid}: {cause}"),
                        format!("{watcher} はプロセス {pid} を凍結できませんでした: {cause}"),
                    ),
                }
            }
            Said::Restored(done) => (
                None,
                format!(
                    "{watcher} stopped it {} ms after the first harm: {} files touched, {} put back, {} irrecoverable.",
                    done.time_to_stop_ms, done.files_touched, done.files_put_back, done.files_irrecoverable
                ),
                format!(
                    "{watcher} が最初の加害から {} ミリ秒で停止: 被害ファイル {}、復元 {}、復元不能 {}。",
                    done.time_to_stop_ms, done.files_touched, done.files_put_back, done.files_irrecoverable
                ),
            ),
            Said::Missed { .. } | Said::StillFrozen { .. } => return,
        };
        let Some(id) = self.incident_of(watcher, pid) else { return };
        if matches!(said, Said::Restored(_)) {
            if self.correlator.mark(id, IncidentStatus::Contained).is_some() {
                self.dirty.insert(id);
            }
        }
        self.write_down(&[(id, Moment { at: now, stage: Stage::Contain, en, ja })]);
    }

    /// The latest incident that this watcher contributed to, and that names the process where one is given.
    fn incident_of(&self, watcher: &str, pid: Option<i32>) -> Option<IncidentId> {
        let names = |incident: &&Incident| {
            incident.watchers.contains_key(watcher)
                && pid.is_none_or(|pid| {
                    incident.subjects.iter().any(|(subject, _)| {
                        subject.role == SubjectRole::Actor
                            && matches!(subject.entity, Entity::Process { pid: known, .. } if known == pid)
                    })
                })
        };
        self.correlator.incidents().filter(names).max_by_key(|incident| incident.last_at).map(|incident| incident.id)
    }

    pub(super) fn note_trouble(&mut self, result: Result<(), prove::Error>) {
        if let Err(error) = result {
            self.trouble = Some(format!("{:#}", anyhow::Error::from(error)));
        }
    }
}

/// Whether an act harms somebody when it is wrong.
fn is_against_somebody(kind: ActKind) -> bool {
    matches!(kind, ActKind::BlockAddress | ActKind::IsolateHost | ActKind::Freeze | ActKind::FreezeCgroup)
}

fn queued(measure: &Countermeasure, incident: Option<&Incident>, lang: Lang) -> Queued {
    let story = |lang: Lang| {
        let chapters = incident.into_iter().flat_map(|incident| &incident.story);
        let lines: Vec<String> = chapters
            .map(|chapter| {
                let tactic = chapter.tactic.map_or("", |tactic| tactic.name(lang));
                format!("- {tactic}: {} ({})", lang.pick(&chapter.en, &chapter.ja), chapter.findings)
            })
            .collect();
        lines.join("\n")
    };
    let about = |text: fn(&Incident) -> &str, otherwise: &str| {
        incident.map_or_else(
            || otherwise.to_owned(),
            |incident| format!("{} {}", incident.id, text(incident)),
        )
    };
    Queued {
        countermeasure: measure.id,
        severity_id: incident.map_or(Severity::Informational, |incident| incident.severity_id),
        title: about(|incident| &incident.title, &measure.because),
        title_ja: about(|incident| &incident.title_ja, &measure.because_ja),
        body: format!("{}\n{}", measure.because, story(Lang::En)),
        body_ja: format!("{}\n{}", measure.because_ja, story(Lang::Ja)),
        at: measure.planned_at,
        lang,
    }
}
