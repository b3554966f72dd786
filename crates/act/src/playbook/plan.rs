use std::collections::HashMap;

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use schema::{
    Act, ActKind, Countermeasure, CountermeasureId, CountermeasureState, Entity, Finding, Incident, Lang,
    SubjectRole, Unknown, WatcherClass,
};

use super::caution::Caution;
use super::{Approval, Playbook, Template};
use crate::NeverTouch;

/// Characters of a finding's title that a sentence repeats.
const TITLE_MAX: usize = 160;
/// A failed act is not planned again before that, else every further finding would try it.
const FAILED_PAUSE: SignedDuration = SignedDuration::from_secs(60);

/// What may be planned against those whom findings name. Acts that name nobody (a notice, a snapshot) are as many as the
/// playbooks have and are not counted, so that a watcher that lies cannot use up what tells people of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// For one incident and one class of watcher: what one class claims never uses up what another needs.
    pub per_incident: usize,
    /// For one class of watcher within the last 60 seconds, over all incidents.
    pub per_minute: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { per_incident: 64, per_minute: 256 }
    }
}

/// All that planning rests on.
#[derive(Clone, Copy)]
pub struct PlanInput<'a> {
    /// The incident as it stands with the new findings.
    pub incident: &'a Incident,
    /// The findings that are new in it, with the class of the watcher that said each.
    pub findings: &'a [(WatcherClass, &'a Finding)],
    /// The playbooks, in the order of the configuration.
    pub playbooks: &'a [Playbook],
    /// What an administrator armed.
    pub armed: &'a dyn Fn(ActKind, WatcherClass) -> bool,
    /// Countermeasures of this incident, in whatever state; those of other incidents that are in force may stand among them.
    pub existing: &'a [Countermeasure],
    /// Acts against somebody that were planned within the last 60 seconds, over all incidents, for a class of watcher.
    pub last_minute: &'a dyn Fn(WatcherClass) -> usize,
    /// Names of what is protected.
    pub protects: &'a [String],
    /// The never-touch list.
    pub never: &'a NeverTouch,
    /// Networks of the hospital, besides those that are private everywhere.
    pub internal: &'a [IpNet],
    /// See [`Bounds`].
    pub bounds: Bounds,
    /// The time.
    pub now: Timestamp,
}

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Planned {
    /// The countermeasures, with 0 for their number. One that is approved here stands beside a weaker one of the same act
    /// that still waits: whoever applies it ends the weaker one.
    pub countermeasures: Vec<Countermeasure>,
    /// Acts that were left out since a bound was reached.
    pub left_out: u64,
    /// A sentence about them, for the incident.
    pub left_out_because: Option<Unknown>,
}

/// Says which acts the findings call for. No act that the never-touch list names comes out in a state that can be applied.
pub fn plan(input: PlanInput<'_>) -> Planned {
    let mut planner = Planner::new(input);
    for playbook in input.playbooks {
        let causes =
            input.findings.iter().filter(|(class, said)| playbook.is_caused_by(*class, &said.detector));
        for &(class, finding) in causes {
            for template in &playbook.acts {
                for (act, on_never_list) in acts(&input, playbook, template, class, finding) {
                    planner.add(playbook, class, finding, act, on_never_list);
                }
            }
        }
    }
    planner.finish()
}

/// An act, and the never-touch entry of a name that the finding gives its target.
type Wanted = (Act, Option<String>);

/// What one template makes of one finding.
fn acts(
    input: &PlanInput<'_>,
    playbook: &Playbook,
    template: &Template,
    class: WatcherClass,
    finding: &Finding,
) -> Vec<Wanted> {
    let severity = match is_counted(template.act) {
        true => finding.severity_id,
        false => input.incident.severity_id.max(finding.severity_id),
    };
    if severity < playbook.severity_min {
        return vec![];
    }
    let actors = || finding.subjects.iter().filter(|subject| subject.role == SubjectRole::Actor);
    let plain = |act| vec![(act, None)];
    match template.act {
        ActKind::BlockAddress => addresses(input, finding, SubjectRole::Actor)
            .map(|(address, never)| (Act::BlockAddress { address }, never))
            .collect(),
        ActKind::BlockEgress => addresses(input, finding, SubjectRole::Actor)
            .map(|(address, never)| (Act::BlockEgress { address }, never))
            .collect(),
        ActKind::IsolateHost => addresses(input, finding, template.of)
            .map(|(address, never)| (Act::IsolateHost { address }, never))
            .collect(),
        // Only the guard speaks of processes and groups of this machine; a start time that nobody told could be anybody's.
        ActKind::Freeze if class == WatcherClass::Guard => actors()
            .filter_map(|subject| match subject.entity {
                Entity::Process { pid, start_ticks } if start_ticks > 0 => {
                    Some((Act::Freeze { pid, start_ticks }, None))
                }
                _ => None,
            })
            .collect(),
        ActKind::FreezeCgroup if class == WatcherClass::Guard => actors()
            .filter_map(|subject| match &subject.entity {
                Entity::Cgroup { path } => Some((Act::FreezeCgroup { path: path.clone() }, None)),
                _ => None,
            })
            .collect(),
        ActKind::Freeze | ActKind::FreezeCgroup => vec![],
        ActKind::SnapshotNow => {
            let all = template.protect.as_slice();
            let names = if all.is_empty() { input.protects } else { all };
            names.iter().map(|protect| (Act::SnapshotNow { protect: protect.clone() }, None)).collect()
        }
        ActKind::LockVault => plain(Act::LockVault),
        ActKind::StartViewer => plain(Act::StartViewer),
        ActKind::Notify => {
            playbook.channels.iter().map(|channel| (Act::Notify { channel: channel.clone() }, None)).collect()
        }
    }
}

/// Addresses that a finding names in one role. Where it also gives that role a name that is never touched, nobody can tell
/// which of them the name belongs to: then none of them is touched.
fn addresses(
    input: &PlanInput<'_>,
    finding: &Finding,
    role: SubjectRole,
) -> impl Iterator<Item = (std::net::IpAddr, Option<String>)> {
    let of_role = move |subject: &&schema::Subject| subject.role == role;
    let never = finding.subjects.iter().filter(of_role).find_map(|subject| match &subject.entity {
        Entity::Host { name } => input.never.holds_host(name),
        _ => None,
    });
    finding.subjects.iter().filter(of_role).filter_map(move |subject| match subject.entity {
        Entity::Address { address } => Some((address.to_canonical(), never.clone())),
        _ => None,
    })
}

/// Whether an act is against somebody whom a finding names, and so falls under the bounds.
fn is_counted(kind: ActKind) -> bool {
    use ActKind::{BlockAddress, BlockEgress, Freeze, FreezeCgroup, IsolateHost};
    matches!(kind, BlockAddress | BlockEgress | IsolateHost | Freeze | FreezeCgroup)
}

struct Planner<'a> {
    input: PlanInput<'a>,
    /// The strongest standing of each act that there is already.
    standing: HashMap<Act, u8>,
    /// Place of an act among those planned now.
    places: HashMap<Act, usize>,
    /// Acts counted against the bounds: of this incident, and of the last minute.
    counted: HashMap<WatcherClass, (usize, usize)>,
    left_out: HashMap<WatcherClass, u64>,
    planned: Vec<Countermeasure>,
}

impl<'a> Planner<'a> {
    fn new(input: PlanInput<'a>) -> Self {
        let mut standing = HashMap::new();
        let mut counted: HashMap<WatcherClass, (usize, usize)> =
            WatcherClass::ALL.into_iter().map(|class| (class, (0, (input.last_minute)(class)))).collect();
        for existing in input.existing {
            let rank: &mut u8 = standing.entry(existing.act.clone()).or_default();
            *rank = (*rank).max(rank_of_existing(existing, input.now));
            let class = existing.caused_by.filter(|_| existing.incident == Some(input.incident.id));
            if let Some((here, _)) = class.and_then(|class| counted.get_mut(&class))
                && is_counted(existing.act.kind())
            {
                *here += 1;
            }
        }
        Self {
            input,
            standing,
            places: HashMap::new(),
            counted,
            left_out: HashMap::new(),
            planned: Vec::new(),
        }
    }

    fn add(
        &mut self,
        playbook: &Playbook,
        class: WatcherClass,
        finding: &Finding,
        act: Act,
        on_never_list: Option<String>,
    ) {
        let never = self.input.never.forbids(&act).or(on_never_list);
        let caution = Caution::of(&act, class, &finding.detector, self.input.never, self.input.internal);
        let state = match playbook.approval {
            _ if never.is_some() => CountermeasureState::NeverTouch,
            _ if !(self.input.armed)(act.kind(), class) => CountermeasureState::ObserveOnly,
            _ if caution == Some(Caution::NoAllowList) => CountermeasureState::ObserveOnly,
            Approval::Person => CountermeasureState::Proposed,
            Approval::None if caution.is_some() => CountermeasureState::Proposed,
            Approval::None => CountermeasureState::Approved,
        };
        if self.standing.get(&act).is_some_and(|known| *known >= rank(state)) {
            return;
        }
        // What waits for a person is told so above; what is planned anew over a weaker plan of this very call takes its place.
        let place = self.places.get(&act).copied();
        if place.is_none() && is_counted(act.kind()) && !self.count(class) {
            *self.left_out.entry(class).or_default() += 1;
            return;
        }
        let mut measure = self.measure(playbook, class, finding, act.clone(), state, never);
        // Said where it decides: somebody will ask why it was not done.
        if let (Some(caution), Approval::None) = (caution, playbook.approval)
            && matches!(state, CountermeasureState::Proposed | CountermeasureState::ObserveOnly)
        {
            measure.because.push_str(caution.words(Lang::En));
            measure.because_ja.push_str(caution.words(Lang::Ja));
        }
        self.standing.insert(act.clone(), rank(state));
        match place.and_then(|place| self.planned.get_mut(place)) {
            Some(weaker) => *weaker = measure,
            None => {
                self.places.insert(act, self.planned.len());
                self.planned.push(measure);
            }
        }
    }

    fn count(&mut self, class: WatcherClass) -> bool {
        let (here, minute) = self.counted.entry(class).or_default();
        let fits = *here < self.input.bounds.per_incident && *minute < self.input.bounds.per_minute;
        if fits {
            *here += 1;
            *minute += 1;
        }
        fits
    }

    fn measure(
        &self,
        playbook: &Playbook,
        class: WatcherClass,
        finding: &Finding,
        act: Act,
        state: CountermeasureState,
        never: Option<String>,
    ) -> Countermeasure {
        let now = self.input.now;
        let wait = SignedDuration::try_from(std::time::Duration::from_secs(playbook.deadline_seconds));
        let approved = state == CountermeasureState::Approved;
        Countermeasure {
            id: CountermeasureId(0),
            incident: Some(self.input.incident.id),
            because: because(Lang::En, playbook, class, finding, never.as_deref()),
            because_ja: because(Lang::Ja, playbook, class, finding, never.as_deref()),
            act,
            caused_by: Some(class),
            planned_at: now,
            deadline: wait.ok().and_then(|wait| now.checked_add(wait).ok()).unwrap_or(Timestamp::MAX),
            lasts_seconds: playbook.lasts_seconds,
            state,
            approved_by: approved.then(|| format!("playbook {}", playbook.name)),
            applied_at: None,
            undone_at: None,
            detail: String::new(),
        }
    }

    fn finish(self) -> Planned {
        let left_out: u64 = self.left_out.values().sum();
        let mut classes: Vec<&str> = self.left_out.keys().map(|class| class.id()).collect();
        classes.sort_unstable();
        let classes = classes.join(", ");
        let Bounds { per_incident, per_minute } = self.input.bounds;
        let sentence = Unknown {
            en: format!(
                "{left_out} further targets named by {classes} were left out: a class of watcher may cause at most \
                 {per_incident} acts in one incident and {per_minute} in one minute"
            ),
            ja: format!(
                "{classes} が挙げたほかの {left_out} 件の対象には処置を行っていません。1種類の監視が起こせる処置は、\
                 1件のインシデントで {per_incident} 件、1分間で {per_minute} 件までです。"
            ),
        };
        Planned {
            countermeasures: self.planned,
            left_out,
            left_out_because: (left_out > 0).then_some(sentence),
        }
    }
}

/// How much a plan says about an act: a stronger one is made beside a weaker one, never the other way round, and nothing is
/// stronger than the never-touch list.
fn rank(state: CountermeasureState) -> u8 {
    match state {
        CountermeasureState::ObserveOnly => 1,
        CountermeasureState::Proposed => 2,
        CountermeasureState::NeverTouch => 4,
        _ => 3,
    }
}

/// The same for one that there is already. What a person took back or refused stays so for this incident; what ended by
/// itself may be needed again.
fn rank_of_existing(existing: &Countermeasure, now: Timestamp) -> u8 {
    match existing.state {
        CountermeasureState::Expired => 0,
        CountermeasureState::Failed if now.duration_since(existing.planned_at) >= FAILED_PAUSE => 0,
        state => rank(state),
    }
}

fn because(
    lang: Lang,
    playbook: &Playbook,
    class: WatcherClass,
    finding: &Finding,
    never: Option<&str>,
) -> String {
    let title = shown(lang.pick(&finding.title, &finding.title_ja));
    let (name, class, detector) = (shown(&playbook.name), class.id(), shown(&finding.detector));
    let said = lang.pick(
        format!("playbook {name}: a watcher of class {class} said ({detector}): {title}"),
        format!(
            "対応手順「{name}」による処置です。{class} の監視が次のとおり検知しました({detector}): {title}"
        ),
    );
    match never {
        None => said,
        Some(entry) => {
            let entry = shown(entry);
            lang.pick(
                format!("{said}; not done, since the never-touch list has {entry}"),
                format!("{said} 対象外リストに {entry} があるため、実行しません。"),
            )
        }
    }
}

/// Text from outside on one line and of bounded length.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TITLE_MAX).collect()
}
