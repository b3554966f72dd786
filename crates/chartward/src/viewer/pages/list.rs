//! Searching patients; the first page.

use std::time::Duration;

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use recover::charts::words;
use schema::{Lang, PatientId};
use serde::Deserialize;

use super::super::page::encoded;
use super::super::record::Act;
use super::super::visit::{Stranger, Visit};
use super::super::{Viewer, blocking};

/// Lines on one page; whoever is looked for is found by more letters, not by scrolling.
const LISTED_MAX: usize = 100;
/// Letters of a query.
const QUERY_MAX: usize = 100;
/// How long a first page waits for the list to be whole.
const PATIENCE: Duration = Duration::from_millis(1_500);

#[derive(Deserialize)]
pub(in crate::viewer) struct Search {
    #[serde(default)]
    q: String,
}

pub(in crate::viewer) async fn get(
    State(viewer): State<Viewer>,
    visit: Result<Visit, Response>,
    stranger: Stranger,
    Query(search): Query<Search>,
) -> Response {
    let Ok(visit) = visit else { return super::entrance::page(&viewer, stranger.view, None) };
    blocking(move || answer(&viewer, &visit, &search.q)).await
}

fn answer(viewer: &Viewer, visit: &Visit, typed: &str) -> Response {
    let query: String = typed.trim().chars().take(QUERY_MAX).collect();
    let lang = visit.lang;
    let shelf = viewer.shelf();
    let state = shelf.state(PATIENCE);
    if let Some(patient) = known(viewer, &query, state.is_whole) {
        return Redirect::to(&format!("/chart/{}", encoded(&patient.0))).into_response();
    }
    let (found, patients, unread) = {
        let index = shelf.index();
        (index.search(&query, LISTED_MAX), index.len(), index.unread().1)
    };
    let mut recorded = Ok(());
    if !query.is_empty() {
        recorded = viewer.record(visit, Act::Searched { query: query.clone(), found: found.total });
    }
    let more = found.total.saturating_sub(found.lines.len());
    let title = match query.as_str() {
        "" => lang.pick("Patients", "患者一覧").to_owned(),
        query => lang.pick(format!("Search: {query}"), format!("検索: {query}")),
    };
    let caption = lang.pick(
        format!("{} of {patients} patients", found.total),
        format!("{} 人が該当（全 {patients} 人）", found.total),
    );
    let content = html! {
        (viewer.not_recorded(&recorded, lang))
        (super::emergencies::notice(viewer, visit))
        h1 { (title) }
        (viewer.look().basis(lang))
        (super::reading(state, patients, lang))
        @if unread > 0 {
            p.notice { "⚠ " (words::unread_count(unread, lang)) (lang.pick(
                ": somebody may be missing here or be without a name. Their charts open by id.",
                "。このため一覧に出ない患者や氏名の出ない患者がいる場合があります。患者IDでカルテを開けます。",
            )) }
        }
        @if found.lines.is_empty() { (nobody(&query, lang)) } @else { (super::people(&found.lines, &caption, lang)) }
        @if more > 0 {
            p.hint { (lang.pick(
                format!("{more} more: type more letters."),
                format!("ほか {more} 人。文字を足して絞り込んでください。"),
            )) }
        }
    };
    viewer.page(visit, &title, &content)
}

/// Whoever's whole id was typed. While the list is being read, the records themselves are asked.
fn known(viewer: &Viewer, query: &str, is_whole: bool) -> Option<PatientId> {
    let patient = PatientId(query.to_owned());
    let could_be = (4..=15).contains(&query.len()) && query.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !could_be {
        return None;
    }
    if viewer.shelf().index().get(&patient).is_some() {
        return Some(patient);
    }
    let found = !is_whole && viewer.chart(&patient).is_ok_and(|chart| chart.is_some());
    found.then_some(patient)
}

fn nobody(query: &str, lang: Lang) -> Markup {
    html! {
        p.notice role="status" {
            strong { (lang.pick(format!("Nobody was found for “{query}”."), format!("「{query}」に該当する患者は見つかりません。"))) }
        }
        p { (lang.pick(
            "Try fewer letters, the kana, or the birth date (1973-04-05, S48.4.5). A patient registered after the time of the data is not here.",
            "文字数を減らす、カナや生年月日（1973-04-05、S48.4.5 など）で探すなどをお試しください。データ時点より後に登録された患者は表示されません。",
        )) }
    }
}
