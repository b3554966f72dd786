//! The same as the pages for programs: JSON, the same permissions, a bearer token or a session.

mod metrics;
mod openapi;

use std::collections::BTreeMap;

use maud::html;
use prove::state::CountermeasureFilter;
use schema::{CountermeasureId, CountermeasureState, IncidentId, IncidentStatus};
use serde::Serialize;
use serde_json::json;

pub(super) use openapi::document;

use super::layout;
use super::pages;
use super::reply::{Reply, Trouble};
use super::route::{Api, Kind, Needs, Route, Verb};
use super::visit::Visit;
use super::words::Both;
use crate::access::Permission;
use crate::hub::{Answer, Command};

const fn get(path: &'static str, permission: Permission, api: Api, handle: super::route::Handle) -> Route {
    Route::api(Verb::Get, path, Needs::May(permission), api, handle)
}

const fn post(path: &'static str, permission: Permission, api: Api, handle: super::route::Handle) -> Route {
    Route::api(Verb::Post, path, Needs::May(permission), api, handle)
}

const fn api(id: &'static str, summary: &'static str, answer: &'static str, query: &'static [Both]) -> Api {
    Api { id, summary, answer, query }
}

const LIMIT: Both = ("limit", "At most so many, 1 to 200; 50 without it.");

pub(super) const ROUTES: &[Route] = &[
    get(
        "/api/v1/status",
        Permission::See,
        api(
            "getStatus",
            "The promise: what would be lost, how soon charts would be read again, and the alarms.",
            "Status",
            &[],
        ),
        status,
    ),
    get(
        "/api/v1/incidents",
        Permission::See,
        api(
            "listIncidents",
            "Incidents, the latest finding first.",
            "Incidents",
            &[
                ("status", "open, contained, closed or false_alarm."),
                ("severity", "At least so bad, 1 to 5."),
                ("before", "Go on below the incident of this number."),
                LIMIT,
            ],
        ),
        incidents,
    )
    .audited(),
    get(
        "/api/v1/incidents/{id}",
        Permission::See,
        api("getIncident", "One incident.", "Incident", &[]),
        incident,
    )
    .audited(),
    post(
        "/api/v1/incidents/{id}/close",
        Permission::MarkIncident,
        api("closeIncident", "Say that an incident is over.", "Incident", &[]),
        close,
    ),
    post(
        "/api/v1/incidents/{id}/false-alarm",
        Permission::MarkIncident,
        api("markFalseAlarm", "Say that an incident was none.", "Incident", &[]),
        false_alarm,
    ),
    get(
        "/api/v1/countermeasures",
        Permission::See,
        api(
            "listCountermeasures",
            "Countermeasures, the newest first.",
            "Countermeasures",
            &[
                (
                    "state",
                    "proposed, approved, applied, undone, expired, rejected, failed, never_touch or observe_only.",
                ),
                ("incident", "Those of this incident."),
                LIMIT,
            ],
        ),
        countermeasures,
    ),
    post(
        "/api/v1/countermeasures/{id}/approve",
        Permission::Approve,
        api("approve", "Approve a proposed countermeasure.", "Countermeasure", &[]),
        approve,
    ),
    post(
        "/api/v1/countermeasures/{id}/reject",
        Permission::Approve,
        api("reject", "Reject a proposed countermeasure.", "Countermeasure", &[]),
        reject,
    ),
    post(
        "/api/v1/countermeasures/{id}/undo",
        Permission::Undo,
        api("undo", "Take a countermeasure back.", "Countermeasure", &[]),
        undo,
    ),
    get(
        "/api/v1/watchers",
        Permission::See,
        api("listWatchers", "The watchers with their health and blind spots.", "Watchers", &[]),
        watchers,
    ),
    post(
        "/api/v1/watchers/{name}/restart",
        Permission::RestartWatcher,
        api("restartWatcher", "Restart a watcher.", "Done", &[]),
        restart,
    ),
    post(
        "/api/v1/jobs/{name}/run",
        Permission::RunJob,
        api("runJob", "Run a scheduled job now.", "Done", &[]),
        run_job,
    ),
    get(
        "/api/v1/findings",
        Permission::See,
        api(
            "countFindings",
            "How many lines each watcher and detector gave on each day.",
            "FindingCounts",
            &[("days", "The last so many days, 1 to 90; 7 without it.")],
        ),
        findings,
    ),
    get(
        "/api/openapi.json",
        Permission::ApiDocs,
        api("getOpenApi", "This document.", "OpenApi", &[]),
        openapi_json,
    ),
    Route::page("/api", ("API", "API"), Needs::May(Permission::ApiDocs), docs),
    metrics::ROUTE,
];

const LIMIT_MAX: u32 = 200;
const COUNTS_MAX: u32 = 10_000;

fn limit(visit: &Visit<'_>) -> u32 {
    visit.query.get("limit").parse().unwrap_or(50).clamp(1, LIMIT_MAX)
}

fn list(name: &str, items: &impl Serialize) -> Result<Reply, Trouble> {
    Reply::json(&BTreeMap::from([(name, items)]))
}

fn status(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    match visit.console.hub.shown().promise {
        Some(promise) => Reply::json(&promise),
        None => Err(Trouble::Bad(
            "The hub has just started and has not measured yet.",
            "ハブが起動したばかりで、まだ測定していません。",
        )),
    }
}

fn incidents(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    list(
        "incidents",
        &visit.console.hub.state.incidents(&pages::filter(visit), limit(visit), pages::before(visit))?,
    )
}

fn incident(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let incident = visit.console.hub.state.incident(IncidentId(visit.id("id")?))?;
    Reply::json(&incident.ok_or(Trouble::NotFound)?)
}

fn ask(visit: &Visit<'_>, command: Command) -> Result<Reply, Trouble> {
    match visit.console.hub.ask(command, visit.by())? {
        Answer::Countermeasure { countermeasure } => Reply::json(&countermeasure),
        Answer::Incident { incident } => Reply::json(&incident),
        Answer::Done { en, ja } => Reply::json(&json!({"en": en, "ja": ja})),
        Answer::Alarms { alarms } => list("alarms", &alarms),
    }
}

fn mark(visit: &Visit<'_>, status: IncidentStatus) -> Result<Reply, Trouble> {
    ask(visit, Command::Mark { id: IncidentId(visit.id("id")?), status })
}

fn close(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    mark(visit, IncidentStatus::Closed)
}

fn false_alarm(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    mark(visit, IncidentStatus::FalseAlarm)
}

fn countermeasures(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let state: Option<CountermeasureState> = serde_json::from_value(visit.query.get("state").into()).ok();
    let incident = visit.query.get("incident").parse().ok().map(IncidentId);
    let filter = CountermeasureFilter { incident, states: state.into_iter().collect() };
    list("countermeasures", &visit.console.hub.state.countermeasures(&filter, limit(visit), None)?)
}

fn approve(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    ask(visit, Command::Approve { id: CountermeasureId(visit.id("id")?) })
}

fn reject(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    ask(visit, Command::Reject { id: CountermeasureId(visit.id("id")?) })
}

fn undo(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    ask(visit, Command::Undo { id: CountermeasureId(visit.id("id")?) })
}

fn watchers(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    list("watchers", &visit.console.hub.shown().watchers)
}

fn restart(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    ask(visit, Command::RestartWatcher { name: visit.param("name").to_owned() })
}

fn run_job(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    ask(visit, Command::RunJob { name: visit.param("name").to_owned() })
}

fn findings(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let days: i64 = visit.query.get("days").parse().unwrap_or(7).clamp(1, 90);
    let from =
        (visit.now - jiff::SignedDuration::from_hours(24 * days)).to_zoned(jiff::tz::TimeZone::UTC).date();
    let counts: Vec<_> = visit
        .console
        .hub
        .state
        .daily(from, COUNTS_MAX)?
        .iter()
        .map(|it| {
            json!({
                "day": it.day, "class_uid": it.class_uid, "watcher": it.watcher, "detector": it.detector,
                "severity_id": it.severity_id, "lines": it.lines,
            })
        })
        .collect();
    list("counts", &counts)
}

fn openapi_json(_: &Visit<'_>) -> Result<Reply, Trouble> {
    Reply::json(&document())
}

/// The description for people, from the same table.
fn docs(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let lead = visit.pick((
        "For programs: JSON over HTTPS, with a token in the header Authorization: Bearer cw_…",
        "プログラム向けの接続仕様です。HTTPSとJSONを使い、Authorization: Bearer cw_… ヘッダーにトークンを指定します。",
    ));
    let heads = [
        visit.pick(("Method", "メソッド")),
        visit.pick(("Path", "パス")),
        visit.pick(("What it does", "内容（英語）")),
        visit.pick(("Needs", "必要な権限")),
    ];
    let rows: Vec<_> = ROUTES.iter().filter_map(|route| match route.kind {
        Kind::Api(api) => Some((route, api)),
        Kind::Page => None,
    }).map(|(route, api)| html! {
        td { code { (if route.verb == Verb::Post { "POST" } else { "GET" }) } }
        th scope="row" { code { (route.path) } }
        td lang="en" { (api.summary) @for (name, means) in api.query { br; code { "?" (name) "=" } " " (means) } }
        td { @if let Needs::May(permission) = route.needs { (permission.title(visit.lang)) } }
    }).collect();
    Ok(visit.show(html! {
        (layout::opening("API", lead, None, visit.lang))
        p { a href="/api/openapi.json" { "OpenAPI 3.1" } }
        (super::parts::table(visit.pick(("What can be asked", "利用できる操作")), &heads, &rows))
    }))
}
