//! A finding as the OCSF line that our watchers print.

use std::borrow::Cow;
use std::net::IpAddr;

use schema::{Attack, Entity, Finding, Lang, Severity, Subject, SubjectRole};
use serde::Serialize;
use serde_json::Value;

/// OCSF finding (class 2002, 2003 or 2004, activity Create).
///
/// [`super::parse`] with [`super::Trust::Own`] gives the same finding back, provided that it keeps that module's
/// bounds, its subjects are sorted and its time is in whole milliseconds: OCSF `time` has no finer ones.
pub fn write(finding: &Finding) -> Value {
    // Its keys are texts and its numbers finite, so that it always becomes a value.
    serde_json::to_value(Written::new(finding)).unwrap_or_default()
}

/// What [`write`] gives, written straight from the finding: a log with ten thousand findings makes no tree of each.
#[derive(Serialize)]
pub struct Written<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    class_uid: u32,
    category_uid: u32,
    activity_id: u32,
    type_uid: u64,
    time: i64,
    severity_id: Severity,
    detector: &'a str,
    finding_info: Info<'a>,
    attacks: Vec<Technique<'a>>,
    actor_name: &'a str,
    message: String,
    reasons: &'a [String],
    reasons_ja: &'a [String],
    metadata: Metadata,
    #[serde(flatten)]
    places: Places<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resources: Vec<Resource<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    evidences: Vec<Places<'a>>,
}

#[derive(Serialize)]
struct Info<'a> {
    title: &'a str,
    title_ja: &'a str,
    uid: Cow<'a, str>,
    attacks: Vec<Technique<'a>>,
}

#[derive(Clone, Serialize)]
struct Technique<'a> {
    technique: Named<'a>,
    tactic: Named<'a>,
}

#[derive(Clone, Serialize)]
struct Named<'a> {
    uid: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
struct Metadata {
    product: Product,
    version: &'static str,
}

#[derive(Serialize)]
struct Product {
    name: &'static str,
    vendor_name: &'static str,
}

/// Where readers of OCSF look for who did it and to what.
#[derive(Default, Serialize)]
struct Places<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    src_endpoint: Option<Endpoint<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dst_endpoint: Option<Endpoint<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<Endpoint<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<User<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<Process>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<Actor<'a>>,
}

#[derive(Default, Serialize)]
struct Endpoint<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hostname: Option<&'a str>,
}

#[derive(Serialize)]
struct User<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<&'a str>,
    name: &'a str,
}

#[derive(Default, Serialize)]
struct Actor<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<User<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<ActorProcess<'a>>,
}

#[derive(Serialize)]
struct Process {
    pid: i32,
    uid: String,
}

/// Readers of the first lines look for the actor's words in its name.
#[derive(Default, Serialize)]
struct ActorProcess<'a> {
    #[serde(flatten)]
    process: Option<Process>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

/// Stores and control groups; OCSF 1.4 `role_id` is 1 for a target and 2 for an actor.
#[derive(Serialize)]
struct Resource<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'a str,
    role_id: u32,
}

impl<'a> Written<'a> {
    /// Where everything of a finding stands in its line.
    pub fn new(finding: &'a Finding) -> Self {
        let attacks: Vec<_> = finding.attacks.iter().map(Technique::new).collect();
        let class_uid = finding.class.uid();
        let time = finding.time.as_millisecond();
        let uid = match finding.uid.as_str() {
            "" => format!("{}-{time}", finding.detector).into(),
            uid => uid.into(),
        };
        // The first of each sort stands where every reader of OCSF looks; the others are evidence artifacts.
        let (mut places, mut resources, mut evidences) = (Places::default(), Vec::new(), Vec::new());
        for subject in &finding.subjects {
            if let Some(resource) = Resource::new(subject) {
                resources.push(resource);
            } else if !places.place(subject) {
                let mut evidence = Places::default();
                evidence.place(subject);
                evidences.push(evidence);
            }
        }
        let actor = places.actor.get_or_insert_default();
        actor.process.get_or_insert_default().name = Some(&finding.actor);
        Self {
            kind: "finding",
            class_uid,
            category_uid: 2,
            activity_id: 1,
            type_uid: u64::from(class_uid) * 100 + 1,
            time,
            severity_id: finding.severity_id,
            detector: &finding.detector,
            finding_info: Info {
                title: &finding.title,
                title_ja: &finding.title_ja,
                uid,
                attacks: attacks.clone(),
            },
            attacks,
            actor_name: &finding.actor,
            message: finding.reasons.join("; "),
            reasons: &finding.reasons,
            reasons_ja: &finding.reasons_ja,
            metadata: Metadata {
                product: Product { name: "chartward", vendor_name: "chartward" },
                version: "1.6.0",
            },
            places,
            resources,
            evidences,
        }
    }
}

impl<'a> Technique<'a> {
    fn new(attack: &'a Attack) -> Self {
        let Attack { technique, name, tactic } = attack;
        Self {
            technique: Named { uid: technique, name },
            tactic: Named { uid: tactic.id(), name: tactic.name(Lang::En) },
        }
    }
}

impl<'a> Resource<'a> {
    fn new(subject: &'a Subject) -> Option<Self> {
        let (kind, name) = match &subject.entity {
            Entity::Store { name } => ("store", name),
            Entity::Cgroup { path } => ("cgroup", path),
            _ => return None,
        };
        let role_id = match subject.role {
            SubjectRole::Target => 1,
            SubjectRole::Actor => 2,
        };
        Some(Self { kind, name, role_id })
    }
}

impl<'a> Places<'a> {
    /// Puts the subject where it belongs, unless another one stands there.
    fn place(&mut self, subject: &'a Subject) -> bool {
        let is_actor = subject.role == SubjectRole::Actor;
        match &subject.entity {
            Entity::Address { address } => {
                let end = if is_actor { &mut self.src_endpoint } else { &mut self.dst_endpoint };
                put(&mut end.get_or_insert_default().ip, *address)
            }
            Entity::Host { name } => {
                let end = if is_actor { &mut self.src_endpoint } else { &mut self.device };
                put(&mut end.get_or_insert_default().hostname, name)
            }
            Entity::Account { name } if is_actor => {
                put(&mut self.actor.get_or_insert_default().user, User::new(name))
            }
            Entity::Account { name } => put(&mut self.user, User::new(name)),
            Entity::Process { pid, start_ticks } => {
                let process = Process { pid: *pid, uid: format!("{pid}-{start_ticks}") };
                if is_actor {
                    let actor = self.actor.get_or_insert_default();
                    put(&mut actor.process.get_or_insert_default().process, process)
                } else {
                    put(&mut self.process, process)
                }
            }
            // These are resources.
            Entity::Store { .. } | Entity::Cgroup { .. } => true,
        }
    }
}

/// Fills a place that is still free.
fn put<T>(place: &mut Option<T>, value: T) -> bool {
    let is_free = place.is_none();
    if is_free {
        *place = Some(value);
    }
    is_free
}

impl<'a> User<'a> {
    fn new(name: &'a str) -> Self {
        match name.split_once('\\') {
            Some((domain, name)) if !domain.is_empty() && !name.is_empty() => {
                Self { domain: Some(domain), name }
            }
            _ => Self { domain: None, name },
        }
    }
}
