//! The OpenAPI document, made from the table of routes and from values of the very types that are sent.

use jiff::Timestamp;
use schema::{
    Act, Alarm, Attack, Chapter, Countermeasure, CountermeasureId, CountermeasureState, Entity, Finding,
    FindingClass, Incident, IncidentId, IncidentStatus, InterfaceHealth, PacketHealth, Remark, Severity,
    SnapshotId, Status, Subject, SubjectRole, Tactic, Unknown, WatcherClass, WatcherHealth, WatcherState,
};
use serde_json::{Map, Value, json};

use super::ROUTES;
use crate::console::route::{Api, Kind, Needs, Route, Verb};

/// The whole document.
pub(in crate::console) fn document() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        if let Kind::Api(api) = route.kind {
            let method = if route.verb == Verb::Post { "post" } else { "get" };
            let path = paths.entry(route.path).or_insert_with(|| json!({}));
            path[method] = operation(route, api);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Chartward",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What the console shows and does, for programs. Unknown fields may be added, none is removed.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "An API token of the console, cw_…"}},
            "schemas": schemas(),
        },
    })
}

fn operation(route: &Route, api: Api) -> Value {
    let in_path =
        route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).map(|name| {
            let kind = if name == "id" { "integer" } else { "string" };
            json!({"name": name, "in": "path", "required": true, "schema": {"type": kind}})
        });
    let in_query = api.query.iter().map(|(name, means)| {
        json!({"name": name, "in": "query", "required": false, "description": means, "schema": {"type": "string"}})
    });
    let content = match api.answer {
        "Metrics" => json!({"text/plain": {"schema": {"type": "string"}}}),
        answer => json!({"application/json": {"schema": {"$ref": format!("#/components/schemas/{answer}")}}}),
    };
    let error = |means: &str| json!({"description": means, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}});
    let permission = match route.needs {
        Needs::May(permission) => permission.id(),
        _ => "",
    };
    json!({
        "operationId": api.id,
        "summary": api.summary,
        "description": format!("Needs the permission {permission}."),
        "parameters": in_path.chain(in_query).collect::<Vec<_>>(),
        "responses": {
            "200": {"description": "Done.", "content": content},
            "400": error("What was sent cannot be meant."),
            "401": error("There is no token, or it is worth nothing."),
            "403": error("The token's role does not include this."),
            "404": error("There is no such thing."),
            "409": error("The hub refused; the text says why."),
        },
    })
}

fn schemas() -> Value {
    let (incident, countermeasure, watcher) = (json!(incident()), json!(countermeasure()), json!(watcher()));
    let text = json!({"en": "", "ja": ""});
    let all = [
        ("Status", json!(status())),
        ("Incidents", json!({"incidents": [incident]})),
        ("Incident", incident),
        ("Countermeasures", json!({"countermeasures": [countermeasure]})),
        ("Countermeasure", countermeasure),
        ("Watchers", json!({"watchers": [watcher]})),
        ("Done", text),
        (
            "FindingCounts",
            json!({"counts": [{"day": "2026-03-03", "class_uid": 2004, "watcher": "", "detector": "", "severity_id": 4, "lines": 1}]}),
        ),
        ("OpenApi", json!({"openapi": "3.1.0"})),
        ("Error", json!({"error": {"en": "", "ja": "", "next_en": "", "next_ja": ""}})),
    ];
    all.into_iter().map(|(name, example)| (name.to_owned(), shape(&example))).collect::<Map<_, _>>().into()
}

/// The schema that a value fits. A null stands for "any": it is what an absent option looks like.
fn shape(value: &Value) -> Value {
    match value {
        Value::Null => json!({}),
        Value::Bool(_) => json!({"type": "boolean"}),
        Value::Number(number) if number.is_f64() => json!({"type": ["number", "null"]}),
        Value::Number(_) => json!({"type": "integer"}),
        Value::String(text) if text.parse::<Timestamp>().is_ok() => {
            json!({"type": "string", "format": "date-time"})
        }
        Value::String(_) => json!({"type": "string"}),
        Value::Array(items) => json!({"type": "array", "items": items.first().map_or(json!({}), shape)}),
        Value::Object(fields) => {
            let properties: Map<_, _> =
                fields.iter().map(|(name, value)| (name.clone(), shape(value))).collect();
            json!({"type": "object", "properties": properties})
        }
    }
}

fn status() -> Status {
    let at = Timestamp::UNIX_EPOCH;
    let alarm = Alarm {
        id: "backup.stale".to_owned(),
        severity_id: Severity::High,
        title: String::new(),
        title_ja: String::new(),
        next_step: String::new(),
        next_step_ja: String::new(),
    };
    Status {
        at,
        rpo_seconds: Some(0.5),
        snapshot_age_seconds: Some(0.5),
        rto_first_chart_seconds: Some(0.5),
        rto_full_seconds: Some(0.5),
        proven_at: Some(at),
        snapshot: Some(SnapshotId(String::new())),
        alarms: vec![alarm],
        remarks: vec![Remark { id: String::new(), title: String::new(), title_ja: String::new() }],
    }
}

fn incident() -> Incident {
    let at = Timestamp::UNIX_EPOCH;
    let attack = Attack { technique: "T1486".to_owned(), name: String::new(), tactic: Tactic::Impact };
    let subject = Subject { role: SubjectRole::Actor, entity: Entity::Host { name: String::new() } };
    let finding = Finding {
        time: at,
        class: FindingClass::Detection,
        detector: String::new(),
        title: String::new(),
        title_ja: String::new(),
        severity_id: Severity::High,
        attacks: vec![attack.clone()],
        actor: String::new(),
        reasons: vec![String::new()],
        reasons_ja: vec![String::new()],
        uid: String::new(),
        subjects: vec![subject.clone()],
    };
    let chapter = Chapter {
        tactic: Some(Tactic::Impact),
        attack: Some(attack),
        first_at: at,
        last_at: at,
        findings: 1,
        en: String::new(),
        ja: String::new(),
    };
    Incident {
        id: IncidentId(1),
        first_at: at,
        last_at: at,
        status: IncidentStatus::Open,
        severity_id: Severity::High,
        title: String::new(),
        title_ja: String::new(),
        subjects: vec![(subject, 1)],
        findings: 1,
        detectors: [("encryption.noise".to_owned(), 1)].into(),
        watchers: [("guard".to_owned(), WatcherClass::Guard)].into(),
        story: vec![chapter],
        unknowns: vec![Unknown { en: String::new(), ja: String::new() }],
        samples: vec![finding],
    }
}

fn countermeasure() -> Countermeasure {
    let at = Timestamp::UNIX_EPOCH;
    Countermeasure {
        id: CountermeasureId(1),
        incident: Some(IncidentId(1)),
        act: Act::LockVault,
        caused_by: Some(WatcherClass::Guard),
        because: String::new(),
        because_ja: String::new(),
        planned_at: at,
        deadline: at,
        lasts_seconds: Some(3_600),
        state: CountermeasureState::Proposed,
        approved_by: Some(String::new()),
        applied_at: Some(at),
        undone_at: Some(at),
        detail: String::new(),
    }
}

fn watcher() -> WatcherHealth {
    let at = Timestamp::UNIX_EPOCH;
    WatcherHealth {
        name: String::new(),
        class: WatcherClass::Guard,
        state: WatcherState::Ready,
        pid: Some(1),
        ready_at: Some(at),
        last_line_at: Some(at),
        lines: 0,
        garbage: 0,
        dropped: 0,
        restarts: 0,
        trouble: String::new(),
        blind_spots: vec![String::new()],
        blind_spots_ja: vec![String::new()],
        packets: Some(PacketHealth {
            interfaces: vec![InterfaceHealth::default()],
            ..PacketHealth::default()
        }),
    }
}
