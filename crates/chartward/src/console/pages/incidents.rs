//! The list of incidents, with filter and pages.

use maud::{Markup, html};
use prove::state::IncidentFilter;
use schema::{Incident, IncidentId, IncidentStatus, Severity};

use crate::access::Permission;
use crate::console::layout;
use crate::console::parts;
use crate::console::reply::{Reply, Trouble};
use crate::console::route::{Needs, Route};
use crate::console::visit::Visit;
use crate::console::words;
use crate::hub;

pub(super) const ROUTES: &[Route] =
    &[Route::page("/incidents", ("Incidents", "インシデント"), Needs::May(Permission::See), show)
        .in_nav()
        .audited()];

const PAGE: u32 = 25;

/// What the page is made from.
struct View {
    incidents: Vec<Incident>,
    /// Where the next page goes on.
    more: Option<IncidentId>,
    counts: Vec<(IncidentStatus, u64)>,
}

/// The filter of a query: `status` and `severity`, both optional.
pub(in crate::console) fn filter(visit: &Visit<'_>) -> IncidentFilter {
    let status: Option<IncidentStatus> = serde_json::from_value(visit.query.get("status").into()).ok();
    let severity = visit.query.get("severity").parse::<u8>().ok().and_then(|id| Severity::try_from(id).ok());
    IncidentFilter { statuses: status.into_iter().collect(), severity_at_least: severity }
}

/// Where the page goes on: `before`, the last incident of the page before.
pub(in crate::console) fn before(visit: &Visit<'_>) -> Option<IncidentId> {
    visit.query.get("before").parse().ok().map(IncidentId)
}

fn show(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let state = &visit.console.hub.state;
    let mut incidents = state.incidents(&filter(visit), PAGE + 1, before(visit))?;
    let is_more = incidents.len() > PAGE as usize;
    incidents.truncate(PAGE as usize);
    let more = incidents.last().filter(|_| is_more).map(|last| last.id);
    let view = View { incidents, more, counts: state.incident_counts()? };
    Ok(visit.show(page(visit, &view)))
}

fn page(visit: &Visit<'_>, view: &View) -> Markup {
    let lang = visit.lang;
    let open =
        view.counts.iter().find(|(status, _)| *status == IncidentStatus::Open).map_or(0, |(_, count)| *count);
    let lead = match open {
        0 => lang.pick("No incident is open.".to_owned(), "進行中のインシデントはありません。".to_owned()),
        n => lang.pick(
            format!("{} open.", words::count(n)),
            format!("進行中のインシデントが{}件あります。", words::count(n)),
        ),
    };
    let heads = [
        lang.pick("Number", "番号"),
        lang.pick("What happened", "内容"),
        lang.pick("Severity", "重要度"),
        lang.pick("Status", "状態"),
        lang.pick("Findings", "検知数"),
        lang.pick("Latest", "最新の検知"),
    ];
    let rows: Vec<Markup> = view
        .incidents
        .iter()
        .map(|incident| {
            html! {
                th scope="row" { a href={ "/incidents/" (incident.id.0) } { (incident.id) } }
                td { (lang.pick(&incident.title, &incident.title_ja)) }
                td { (parts::severity(incident.severity_id, lang)) }
                td { (parts::incident_status(incident.status, lang)) }
                td.number { (words::count(incident.findings)) }
                td { (visit.time(incident.last_at)) }
            }
        })
        .collect();
    html! {
        (layout::opening(visit.pick(visit.route.title), &lead, None, lang))
        (choose(visit))
        @if rows.is_empty() { p { (lang.pick("None is of this kind.", "該当するインシデントはありません。")) } }
        @else { (parts::table(lang.pick("Incidents, the latest finding first", "インシデント一覧（新しい順）"), &heads, &rows)) }
        @if let Some(more) = view.more {
            p { a.button.second href=(visit.with_query("before", &more.0.to_string())) rel="next" { (lang.pick("Older ones", "さらに古いもの")) } }
        }
    }
}

fn choose(visit: &Visit<'_>) -> Markup {
    let lang = visit.lang;
    let chosen = visit.query.get("status");
    let statuses = [
        ("open", IncidentStatus::Open),
        ("contained", IncidentStatus::Contained),
        ("closed", IncidentStatus::Closed),
        ("false_alarm", IncidentStatus::FalseAlarm),
    ];
    html! {
        nav aria-label=(lang.pick("Which incidents", "表示するインシデント")) {
            ul.tabs {
                li { a href="/incidents" aria-current=[chosen.is_empty().then_some("true")] { (lang.pick("all", "すべて")) } }
                @for (id, status) in statuses {
                    li { a href={ "/incidents?status=" (id) } aria-current=[(chosen == id).then_some("true")] { (hub::status_in_words(status, lang)) } }
                }
            }
        }
    }
}
