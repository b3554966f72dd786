//! The first page: the one sentence, what speaks against it, and the one thing to do next.

use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use prove::state::{CountermeasureFilter, IncidentFilter, Promise};
use schema::{
    Alarm, Countermeasure, CountermeasureState, Incident, IncidentStatus, Status, WatcherHealth, WatcherState,
};

use crate::access::Permission;
use crate::console::icon;
use crate::console::parts;
use crate::console::plot::Plot;
use crate::console::reply::{Reply, Trouble};
use crate::console::route::{Needs, Route};
use crate::console::visit::Visit;
use crate::console::words;

pub(super) const ROUTES: &[Route] =
    &[Route::page("/", ("Home", "ホーム"), Needs::May(Permission::See), show).in_nav()];

const PLOTTED: SignedDuration = SignedDuration::from_hours(14 * 24);
const PROMISES_MAX: u32 = 4_000;
const SHOWN_MAX: u32 = 10;

/// What the page is made from.
pub(super) struct View {
    pub(super) promise: Option<Status>,
    pub(super) incidents: Vec<Incident>,
    pub(super) waiting: Vec<Countermeasure>,
    pub(super) blind: Vec<WatcherHealth>,
    pub(super) history: Vec<Promise>,
}

fn show(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let hub = &visit.console.hub;
    let shown = hub.shown();
    let going_on = IncidentFilter {
        statuses: vec![IncidentStatus::Open, IncidentStatus::Contained],
        ..IncidentFilter::default()
    };
    let view = View {
        promise: shown.promise,
        incidents: hub.state.incidents(&going_on, SHOWN_MAX, None)?,
        waiting: waiting(visit)?,
        blind: shown.watchers.into_iter().filter(|watcher| watcher.state != WatcherState::Ready).collect(),
        history: hub.state.promises(visit.now - PLOTTED, PROMISES_MAX)?,
    };
    Ok(visit.show(page(visit, &view)))
}

/// What waits for a person and still may be approved, the most urgent first.
pub(super) fn waiting(visit: &Visit<'_>) -> Result<Vec<Countermeasure>, Trouble> {
    let proposed = CountermeasureFilter {
        states: vec![CountermeasureState::Proposed],
        ..CountermeasureFilter::default()
    };
    let mut waiting = visit.console.hub.state.countermeasures(&proposed, 100, None)?;
    waiting.retain(|it| visit.now < it.deadline);
    waiting.sort_by_key(|it| it.deadline);
    Ok(waiting)
}

fn page(visit: &Visit<'_>, view: &View) -> Markup {
    let lang = visit.lang;
    let alarms = view.promise.as_ref().map_or(&[][..], |promise| &promise.alarms);
    html! {
        h1.hidden { (lang.pick("How things stand", "現在の状況")) }
        p.sentence { (sentence(visit, view.promise.as_ref())) }
        (next(visit, view))
        @if !alarms.is_empty() {
            section aria-labelledby="alarms" {
                h2 #alarms { (lang.pick("Alarms", "警告")) }
                @for alarm in alarms { (self::alarm(visit, alarm)) }
            }
        }
        section aria-labelledby="incidents" {
            h2 #incidents { (lang.pick("Open incidents", "進行中のインシデント（異常の可能性がある出来事）")) }
            @if view.incidents.is_empty() { p { (icon::CHECK) " " (lang.pick("None is open.", "進行中のものはありません。")) } }
            ul.plain {
                @for incident in &view.incidents {
                    li { a href={ "/incidents/" (incident.id.0) } { (lang.pick(&incident.title, &incident.title_ja)) } " "
                        (parts::severity(incident.severity_id, lang)) " " (parts::incident_status(incident.status, lang)) " " (visit.time(incident.last_at)) }
                }
            }
        }
        section aria-labelledby="waiting" {
            h2 #waiting { (lang.pick("Waits for approval", "承認待ち")) }
            @if view.waiting.is_empty() { p { (icon::CHECK) " " (lang.pick("Nothing waits.", "承認待ちはありません。")) } }
            ul.plain {
                @for it in &view.waiting { li { a href="/approvals" { (words::act(&it.act, lang)) } " " (visit.time(it.deadline)) } }
            }
        }
        @if !view.blind.is_empty() {
            section aria-labelledby="blind" {
                h2 #blind { (lang.pick("Watchers that do not watch", "監視できていないもの")) }
                ul.plain { @for watcher in &view.blind { li { a href="/watchers" { (watcher.name) } " " (parts::watcher_state(watcher.state, lang)) " " (watcher.trouble) } } }
            }
        }
        (history(visit, &view.history))
    }
}

fn sentence(visit: &Visit<'_>, promise: Option<&Status>) -> String {
    match promise {
        Some(promise) => prove::sentence(promise, visit.lang, &visit.console.settings.zone),
        None => visit
            .pick((
                "The hub has just started and is still measuring how things stand.",
                "ハブが起動したばかりです。現在の状況を確認しています。",
            ))
            .to_owned(),
    }
}

/// The one thing to do next: the most urgent of what waits.
fn next(visit: &Visit<'_>, view: &View) -> Markup {
    let lang = visit.lang;
    let open = view.incidents.iter().find(|incident| incident.status == IncidentStatus::Open);
    let alarm = view.promise.as_ref().and_then(|promise| promise.alarms.first());
    html! {
        p.next {
            strong { (lang.pick("Next: ", "次にすること：")) }
            @if let Some(it) = view.waiting.first() {
                a href="/approvals" { (lang.pick("decide on what waits for approval", "承認待ちの対処を確認する")) }
                (lang.pick(" – ", "（")) (words::act(&it.act, lang)) (lang.pick(", ", "、期限："))  (words::from_now(it.deadline, visit.now, lang)) (lang.pick("", "）"))
            } @else if let Some(incident) = open {
                a href={ "/incidents/" (incident.id.0) } { (lang.pick("look at the open incident", "進行中のインシデントを確認する")) }
            } @else if let Some(alarm) = alarm {
                (lang.pick(&alarm.next_step, &alarm.next_step_ja))
            } @else if let Some(watcher) = view.blind.first() {
                a href="/watchers" { (lang.pick("look at the watcher ", "監視の状態を確認する：")) (watcher.name) }
            } @else {
                (lang.pick("nothing. Everything goes its way.", "対応が必要な事項はありません。"))
            }
        }
    }
}

fn alarm(visit: &Visit<'_>, alarm: &Alarm) -> Markup {
    let lang = visit.lang;
    html! {
        div.card.alarm {
            h3 { (parts::severity(alarm.severity_id, lang)) " " (lang.pick(&alarm.title, &alarm.title_ja)) }
            p { strong { (lang.pick("What to do: ", "対応：")) } (lang.pick(&alarm.next_step, &alarm.next_step_ja)) }
        }
    }
}

fn history(visit: &Visit<'_>, history: &[Promise]) -> Markup {
    let lang = visit.lang;
    let zone = &visit.console.settings.zone;
    let points = |value: fn(&Promise) -> Option<f64>| -> Vec<(Timestamp, Option<f64>)> {
        history.iter().map(|promise| (promise.at, value(promise))).collect()
    };
    let loss = points(|promise| promise.rpo_seconds);
    let first = points(|promise| promise.rto_first_chart_seconds);
    let step = history.len().div_ceil(40).max(1);
    let told = |value: Option<f64>| {
        value.map_or_else(
            || lang.pick("not proven", "未実証").to_owned(),
            |seconds| words::duration(seconds, lang),
        )
    };
    let rows: Vec<Markup> = history.iter().rev().step_by(step).map(|promise| html! {
        th scope="row" { (visit.time(promise.at)) }
        td { (told(promise.rpo_seconds)) } td { (told(promise.rto_first_chart_seconds)) } td { (told(promise.rto_full_seconds)) }
        td.number { (promise.alarms) }
    }).collect();
    let caption = lang.pick(
        "The promise over the last 14 days, as measured by drills",
        "過去14日間の実証結果（復元訓練による測定）",
    );
    let heads = [
        lang.pick("When", "時刻"),
        lang.pick("Records lost (RPO)", "失われる記録（RPO）"),
        lang.pick("First chart (RTO)", "最初のカルテまで（RTO）"),
        lang.pick("Everything", "全体の復元"),
        lang.pick("Alarms", "警告数"),
    ];
    html! {
        section aria-labelledby="history" {
            h2 #history { (lang.pick("How it was over the last 14 days", "過去14日間の推移")) }
            (Plot { title: lang.pick("Records that would be lost (RPO)", "失われる記録の範囲（RPO）"), points: &loss, zone, lang }.show())
            (Plot { title: lang.pick("Time until a chart can be read (RTO)", "カルテを読めるまでの時間（RTO）"), points: &first, zone, lang }.show())
            @if !rows.is_empty() {
                details #history-table { summary { (lang.pick("The same as a table", "表で見る")) } (parts::table(caption, &heads, &rows)) }
            }
        }
    }
}
