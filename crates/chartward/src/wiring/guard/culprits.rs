//! Who answers for harm: an actor by itself, those who had a hand in it, and whoever filled a circle together.

use jiff::Timestamp;
use observe::files::Actor;
use observe::files::fanotify::Watch;
use schema::{Circle, Entity, Finding, GateInput, Reason, Subject, SubjectRole, Verdict};

use super::response::{Attribution, finding};
use super::{Guard, Report};

const SUBJECTS_MAX: usize = 32;

/// Those who are to be stopped together, and why.
#[derive(Debug, Default)]
pub(super) struct Culprits {
    /// Whose harm was the last straw comes first.
    actors: Vec<Actor>,
    reasons: Vec<Reason>,
    circle: Option<Circle>,
}

impl Culprits {
    fn add(&mut self, actor: Actor) {
        if !self.actors.contains(&actor) {
            self.actors.push(actor);
        }
    }
}

impl Guard {
    /// Judges what `actor` left unjudged, and what it shares with others.
    pub(super) fn accuse(&mut self, actor: Actor) -> Option<Culprits> {
        if self.is_stopped(actor) {
            // Judged already: whatever it did since is undone.
            self.late.insert(actor);
            return None;
        }
        let own = self.tracker.evidence(actor);
        let shared = self.tracker.take_shared();
        let mut culprits = Culprits::default();
        for (actor, input) in [(actor, own)].into_iter().chain(shared) {
            let input = self.policy.pass(input, actor, &self.tracker, Timestamp::now());
            // Nothing new: whoever was let pass before is let pass again.
            if !input.evidence.is_empty() && !self.told.contains(&actor) && !self.is_stopped(actor) {
                self.weigh(actor, &input, &mut culprits);
            }
        }
        if culprits.actors.is_empty() {
            return None;
        }
        for actor in culprits.actors.clone() {
            self.tracker.accomplices(actor).into_iter().for_each(|other| culprits.add(other));
        }
        culprits.actors.retain(|actor| !self.is_stopped(*actor));
        Some(culprits)
    }

    fn weigh(&mut self, actor: Actor, input: &GateInput, culprits: &mut Culprits) {
        let now = Timestamp::now();
        let verdict = self.gate.decide(input, now);
        let circles = self.lineage.circles(actor);
        let joint = self.circles.weigh(input, &circles, now);
        let (reasons, circle, others) = match (verdict, joint) {
            (Verdict::Stop(reasons), joint) => {
                let mut others = self.circles.alarm(actor.number(), &circles, now);
                others.extend(joint.into_iter().flat_map(|joint| joint.actors));
                (reasons, None, others)
            }
            (_, Some(joint)) => {
                let reasons = vec![Reason::ContentReplacedByNoise { files: joint.files }];
                (reasons, Some(joint.circle), joint.actors)
            }
            (_, None) => return,
        };
        culprits.add(actor);
        if culprits.reasons.is_empty() {
            (culprits.reasons, culprits.circle) = (reasons, circle);
        }
        let others = others.into_iter().filter_map(|number| self.tracker.by_number(number));
        others.collect::<Vec<_>>().into_iter().for_each(|other| culprits.add(other));
    }

    /// Judges an actor that waits for nothing.
    pub(super) fn judge_and_stop(
        &mut self,
        actor: Actor,
        tell: &mut dyn FnMut(Report),
    ) -> anyhow::Result<()> {
        let Some(culprits) = self.accuse(actor) else { return Ok(()) };
        let stopped = self.stop_all(culprits, tell)?;
        self.set_right(&stopped, tell)
    }

    /// Stops all of them; gives those who stand still now.
    pub(super) fn stop_all(
        &mut self,
        culprits: Culprits,
        tell: &mut dyn FnMut(Report),
    ) -> anyhow::Result<Vec<Actor>> {
        let Some(finding) = self.accusation(&culprits) else { return Ok(vec![]) };
        let _lent = self.watch.as_ref().map(Watch::lend);
        let with_processes = |actor: &Actor| (*actor, self.to_freeze(*actor));
        let actors = culprits.actors.iter().map(with_processes).collect();
        self.stop_each(finding, actors, tell)
    }

    /// Waits until the stopped stand still, and puts back what they touched.
    pub(super) fn set_right(
        &mut self,
        stopped: &[Actor],
        tell: &mut dyn FnMut(Report),
    ) -> anyhow::Result<()> {
        let Some(leader) = stopped.first() else { return Ok(()) };
        self.refuse_turns();
        let _lent = self.watch.as_ref().map(Watch::lend);
        stopped.iter().for_each(|actor| self.let_it_come_to_rest(*actor));
        self.put_back(*leader, Attribution::Certain(stopped.to_vec()), tell)
    }

    /// Undoes what actors did that were stopped before: a connection that was ended a moment too late, a removal that nobody holds.
    pub(super) fn undo_late(&mut self, tell: &mut dyn FnMut(Report)) -> anyhow::Result<()> {
        let late: Vec<Actor> = std::mem::take(&mut self.late).into_iter().collect();
        let Some(first) = late.first().copied() else { return Ok(()) };
        let _lent = self.watch.as_ref().map(Watch::lend);
        late.iter().for_each(|actor| self.show_out(*actor));
        self.put_back(first, Attribution::Late(late), tell)
    }

    /// It is frozen, or a client that is no longer served.
    pub(super) fn is_stopped(&self, actor: Actor) -> bool {
        self.frozen.contains_key(&actor)
            || self.lineage.client(actor).is_some_and(|client| self.door.refuses(client.address))
            // While somebody is refused, whoever slips in and is gone before it can be seen is taken for the one.
            || (self.lineage.is_unnamed(actor) && self.door.is_shut())
    }

    fn accusation(&self, culprits: &Culprits) -> Option<Finding> {
        let leader = *culprits.actors.first()?;
        let mut finding = finding(leader, &culprits.reasons, &self.settings, Timestamp::now());
        let is_process = |subject: &Subject| matches!(subject.entity, Entity::Process { .. });
        finding.subjects.retain(|subject| !is_process(subject));
        let mut subjects: Vec<Subject> = Vec::new();
        for actor in culprits.actors.iter().take(SUBJECTS_MAX) {
            let entities = self.entities(*actor).into_iter();
            subjects.extend(entities.map(|entity| Subject { role: SubjectRole::Actor, entity }));
        }
        subjects.append(&mut finding.subjects);
        subjects.sort();
        subjects.dedup();
        finding.subjects = subjects;
        if let Some(words) = self.client_words(leader) {
            finding.actor = words;
        }
        if let Some((en, ja)) = culprits.circle.as_ref().map(|circle| words(circle, culprits.actors.len())) {
            finding.reasons.push(en);
            finding.reasons_ja.push(ja);
        }
        Some(finding)
    }

    /// What the hub may act on. A server's process is none of it: freezing that would be the hub's to regret.
    fn entities(&self, actor: Actor) -> Vec<Entity> {
        let Some(client) = self.lineage.client(actor) else {
            return vec![Entity::Process { pid: actor.pid, start_ticks: actor.start_ticks }];
        };
        let user = self.user_of(client).map(|name| Entity::Account { name: name.to_lowercase() });
        [Entity::Address { address: client.address }].into_iter().chain(user).collect()
    }
}

/// What they had in common.
fn words(circle: &Circle, actors: usize) -> (String, String) {
    match circle {
        Circle::Cgroup { .. } => (
            format!("{actors} jobs of one control group did it together"),
            format!("同じコントロールグループの{actors}個のジョブが共同で行いました"),
        ),
        Circle::Address { address } => (
            format!("{actors} accounts at {address} did it together"),
            format!("{address}の{actors}個のアカウントが共同で行いました"),
        ),
        Circle::User { uid } => (
            format!("{actors} jobs of user {uid} did it together"),
            format!("ユーザー{uid}の{actors}個のジョブが共同で行いました"),
        ),
        Circle::Anybody => (
            format!("{actors} jobs that share nothing else did it within a minute"),
            format!("ほかに共通点のない{actors}個のジョブが1分以内に行いました"),
        ),
    }
}
