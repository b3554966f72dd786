//! What a guard did by itself, told in the incident of the process that it stopped.

use decode::ocsf::{MailExpired, Policy, Restored, Said};
use jiff::Timestamp;
use prove::Fact;
use schema::{Entity, Incident, IncidentId, IncidentStatus, Moment, Outcome, Stage, SubjectRole};

use super::core::Core;
use super::handle::Live;

/// With the hash of the evidence, which is out of the attacker's reach from then on.
fn stopped(watcher: &str, done: &Restored) -> Fact {
    Fact::GuardStopped {
        watcher: watcher.to_owned(),
        stop: done.stop.chars().take(64).collect(),
        evidence_sha256: done.evidence_sha256.as_ref().map(|sha256| sha256.chars().take(64).collect()),
        files_touched: done.files_touched,
        files_put_back: done.files_put_back,
        files_irrecoverable: done.files_irrecoverable,
    }
}

fn changed(watcher: &str, policy: &Policy) -> Fact {
    Fact::GuardPolicy {
        watcher: watcher.to_owned(),
        approval: policy.approval.clone(),
        event: policy.event.clone(),
        tool: policy.tool.clone(),
        by: policy.by.clone(),
        because: policy.reason.clone(),
        files: policy.files,
    }
}

fn expired(watcher: &str, gone: &MailExpired) -> Fact {
    Fact::MailExpired {
        watcher: watcher.to_owned(),
        by_age: gone.by_age,
        for_room: gone.count.saturating_sub(gone.by_age),
        ids: gone.ids.clone(),
    }
}

impl Core {
    /// What a guard did by itself belongs to the incident of the process that it stopped.
    pub(super) fn tell_what_a_guard_did(&mut self, watcher: &str, said: &Said) {
        let now = Timestamp::now();
        if let Said::Restored(done) = said {
            let put_back = (watcher.to_owned(), done.clone());
            self.hub.show(|shown| shown.put_back.extend([put_back]), Live::Watchers);
            if !done.stop.is_empty() {
                self.facts.push(stopped(watcher, done));
                self.keep();
            }
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
            Said::Policy(policy) => {
                self.facts.push(changed(watcher, policy));
                return self.keep();
            }
            Said::MailExpired(gone) => {
                self.facts.push(expired(watcher, gone));
                return self.keep();
            }
            Said::Missed { .. } | Said::StillFrozen { .. } => return,
        };
        let Some(id) = self.incident_of(watcher, pid) else { return };
        if matches!(said, Said::Restored(_)) && self.correlator.mark(id, IncidentStatus::Contained).is_some()
        {
            self.dirty.insert(id);
        }
        self.pending.moments.push_back((id, Moment { at: now, stage: Stage::Contain, en, ja }));
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
        self.correlator
            .incidents()
            .filter(names)
            .max_by_key(|incident| incident.last_at)
            .map(|incident| incident.id)
    }
}
