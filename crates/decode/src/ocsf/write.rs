//! A finding as the OCSF line that our watchers print.

use schema::{Attack, Entity, Finding, Lang, Subject, SubjectRole};
use serde_json::{Map, Value, json};

/// OCSF finding (class 2002, 2003 or 2004, activity Create).
///
/// [`super::parse`] with [`super::Trust::Own`] gives the same finding back, provided that it keeps that module's
/// bounds, its subjects are sorted and its time is in whole milliseconds: OCSF `time` has no finer ones.
pub fn write(finding: &Finding) -> Value {
    let attacks: Vec<_> = finding.attacks.iter().map(attack).collect();
    let class_uid = finding.class.uid();
    let uid = match finding.uid.as_str() {
        "" => format!("{}-{}", finding.detector, finding.time.as_millisecond()),
        uid => uid.to_owned(),
    };
    let mut line = json!({
        "type": "finding",
        "class_uid": class_uid,
        "category_uid": 2,
        "activity_id": 1,
        "type_uid": u64::from(class_uid) * 100 + 1,
        "time": finding.time.as_millisecond(),
        "severity_id": finding.severity_id,
        "detector": finding.detector,
        "finding_info": {
            "title": finding.title,
            "title_ja": finding.title_ja,
            "uid": uid,
            "attacks": attacks,
        },
        "attacks": attacks,
        "actor_name": finding.actor,
        "message": finding.reasons.join("; "),
        "reasons": finding.reasons,
        "reasons_ja": finding.reasons_ja,
        "metadata": {"product": {"name": "chartward", "vendor_name": "chartward"}, "version": "1.6.0"},
    });
    if let Some(fields) = line.as_object_mut() {
        place_all(fields, &finding.subjects);
        // Readers of the first lines look for the actor's words here.
        if let Some(process) = object(fields, "actor").and_then(|actor| object(actor, "process")) {
            process.insert("name".into(), finding.actor.as_str().into());
        }
    }
    line
}

fn attack(attack: &Attack) -> Value {
    json!({
        "technique": {"uid": attack.technique, "name": attack.name},
        "tactic": {"uid": attack.tactic.id(), "name": attack.tactic.name(Lang::En)},
    })
}

/// The first of each sort stands where every reader of OCSF looks; the others are evidence artifacts.
fn place_all(line: &mut Map<String, Value>, subjects: &[Subject]) {
    let (mut resources, mut evidences) = (Vec::new(), Vec::new());
    for subject in subjects {
        if let Some(resource) = resource(subject) {
            resources.push(resource);
        } else if !place(line, subject) {
            let mut evidence = Map::new();
            place(&mut evidence, subject);
            evidences.push(Value::Object(evidence));
        }
    }
    for (field, list) in [("resources", resources), ("evidences", evidences)] {
        if !list.is_empty() {
            line.insert(field.into(), list.into());
        }
    }
}

/// Stores and control groups; OCSF 1.4 `role_id` is 1 for a target and 2 for an actor.
fn resource(subject: &Subject) -> Option<Value> {
    let (kind, name) = match &subject.entity {
        Entity::Store { name } => ("store", name),
        Entity::Cgroup { path } => ("cgroup", path),
        _ => return None,
    };
    let role_id = match subject.role {
        SubjectRole::Target => 1,
        SubjectRole::Actor => 2,
    };
    Some(json!({"type": kind, "name": name, "role_id": role_id}))
}

/// Puts the subject where it belongs, unless another one stands there.
fn place(line: &mut Map<String, Value>, subject: &Subject) -> bool {
    let is_actor = subject.role == SubjectRole::Actor;
    let (place, fields): (&[&str], Vec<(&str, Value)>) = match &subject.entity {
        Entity::Address { address } if is_actor => {
            (&["src_endpoint"], vec![("ip", address.to_string().into())])
        }
        Entity::Address { address } => (&["dst_endpoint"], vec![("ip", address.to_string().into())]),
        Entity::Host { name } if is_actor => (&["src_endpoint"], vec![("hostname", name.as_str().into())]),
        Entity::Host { name } => (&["device"], vec![("hostname", name.as_str().into())]),
        Entity::Account { name } if is_actor => (&["actor", "user"], user(name)),
        Entity::Account { name } => (&["user"], user(name)),
        Entity::Process { pid, start_ticks } => {
            let uid = format!("{pid}-{start_ticks}").into();
            let place: &[&str] = if is_actor { &["actor", "process"] } else { &["process"] };
            (place, vec![("pid", (*pid).into()), ("uid", uid)])
        }
        // These are resources.
        Entity::Store { .. } | Entity::Cgroup { .. } => return true,
    };
    let Some(at) = place.iter().try_fold(line, |at, name| object(at, name)) else { return false };
    if fields.iter().any(|(field, _)| at.contains_key(*field)) {
        return false;
    }
    at.extend(fields.into_iter().map(|(field, value)| (field.to_owned(), value)));
    true
}

fn user(name: &str) -> Vec<(&'static str, Value)> {
    match name.split_once('\\') {
        Some((domain, name)) if !domain.is_empty() && !name.is_empty() => {
            vec![("domain", domain.into()), ("name", name.into())]
        }
        _ => vec![("name", name.into())],
    }
}

/// The object at that field, made where there is none; `None` where something else stands there.
fn object<'a>(line: &'a mut Map<String, Value>, field: &str) -> Option<&'a mut Map<String, Value>> {
    line.entry(field).or_insert_with(|| Value::Object(Map::new())).as_object_mut()
}
