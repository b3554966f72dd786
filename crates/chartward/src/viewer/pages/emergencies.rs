//! Emergency accesses, shown to the next administrator until one takes note of them.

use axum::extract::{Form, State};
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::super::record::{Act, Entry};
use super::super::visit::Visit;
use super::super::{Viewer, blocking};
use crate::viewer::door::Way;

/// What an administrator sees on the first page.
pub(super) fn notice(viewer: &Viewer, visit: &Visit) -> Markup {
    let count = if visit.reader.is_admin() { viewer.emergencies().len() } else { 0 };
    html! {
        @if count > 0 {
            p.notice role="alert" {
                "⚠ " (visit.lang.pick(
                    format!("Emergency accesses that no administrator has noted yet: {count}. "),
                    format!("管理者が未確認の緊急アクセスが {count} 件あります。"),
                ))
                a href="/emergencies" { (visit.lang.pick("See who, why and which charts", "利用者・理由・開いたカルテを確認")) }
            }
        }
    }
}

/// Those since the last note, with what was opened; from the record, the eldest first.
pub(in crate::viewer) fn pending(entries: Vec<Entry>) -> Vec<Entry> {
    let noted = entries.iter().rev().find_map(|entry| match entry.act {
        Act::EmergenciesNoted { up_to } => Some(up_to),
        _ => None,
    });
    let is_pending =
        |entry: &Entry| entry.way == Some(Way::Emergency) && noted.is_none_or(|noted| entry.at > noted);
    entries.into_iter().filter(is_pending).collect()
}

pub(in crate::viewer) async fn get(State(viewer): State<Viewer>, visit: Visit) -> Response {
    blocking(move || {
        if !visit.reader.is_admin() {
            return Redirect::to("/").into_response();
        }
        let lang = visit.lang;
        let entries = pending(viewer.written().map(|written| written.entries).unwrap_or_default());
        let until = entries.last().map(|entry| entry.at);
        let title = lang.pick("Emergency accesses", "緊急アクセスの記録");
        let what = |entry: &Entry| match &entry.act {
            Act::Entered => lang.pick("came in", "開始").to_owned(),
            Act::ChartOpened { patient, .. } => {
                lang.pick(format!("chart {patient}"), format!("カルテ {patient}"))
            }
            Act::Searched { query, .. } => lang.pick(format!("search “{query}”"), format!("検索「{query}」")),
            Act::WardOpened { ward } => lang.pick(format!("ward {ward}"), format!("病棟 {ward}")),
            Act::Did { what, patient } => {
                format!("{what} {}", patient.as_ref().map_or("", |patient| patient.0.as_str()))
            }
            _ => lang.pick("went out", "終了").to_owned(),
        };
        let zone = &viewer.look().zone;
        let content = html! {
            h1 { (title) }
            table.people {
                caption { (lang.pick("Since the last note of an administrator", "前回の確認以降")) }
                thead { tr {
                    th scope="col" { (lang.pick("When", "日時")) }
                    th scope="col" { (lang.pick("Who", "氏名")) }
                    th scope="col" { (lang.pick("Reason", "理由")) }
                    th scope="col" { (lang.pick("What", "内容")) }
                    th scope="col" { (lang.pick("From", "接続元")) }
                } }
                tbody { @for entry in &entries {
                    tr {
                        td { (entry.at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()) }
                        th scope="row" { (entry.who) }
                        td { (entry.reason.as_deref().unwrap_or("–")) }
                        td { (what(entry)) }
                        td { @if let Some(address) = entry.address { (address) } }
                    }
                } }
            }
            @if let Some(until) = until {
                form method="post" action="/emergencies" {
                    input type="hidden" name="csrf" value=(visit.reader.csrf);
                    input type="hidden" name="up_to" value=(until);
                    p { button.main { (lang.pick("I have taken note of these", "内容を確認しました")) } }
                }
            } @else { p { (lang.pick("There is none.", "ありません。")) } }
        };
        viewer.page(&visit, title, &content)
    })
    .await
}

#[derive(Deserialize)]
pub(in crate::viewer) struct Noted {
    #[serde(default)]
    csrf: String,
    up_to: Timestamp,
}

pub(in crate::viewer) async fn noted(
    State(viewer): State<Viewer>,
    visit: Visit,
    Form(noted): Form<Noted>,
) -> Response {
    blocking(move || {
        let up_to = noted.up_to.min(Timestamp::now());
        let may = visit.reader.is_admin() && visit.is_own_form(&noted.csrf);
        if may && viewer.record(&visit, Act::EmergenciesNoted { up_to }).is_ok() {
            viewer.emergencies().retain(|entry| entry.at > up_to);
        }
        Redirect::to("/").into_response()
    })
    .await
}
