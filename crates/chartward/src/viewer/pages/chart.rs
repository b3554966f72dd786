//! One patient's chart.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use recover::charts::{Chart, RosterLine, article};
use schema::{Lang, PatientId};
use serde_json::json;

use super::super::page::encoded;
use super::super::record::Act;
use super::super::visit::Visit;
use super::super::{Viewer, blocking};

/// Letters of an id that are looked at; none has more.
const ID_MAX: usize = 100;

pub(in crate::viewer) async fn get(
    State(viewer): State<Viewer>,
    visit: Visit,
    Path(patient): Path<String>,
) -> Response {
    let patient = PatientId(patient.chars().take(ID_MAX).collect());
    blocking(move || answer(&viewer, &visit, patient)).await
}

fn answer(viewer: &Viewer, visit: &Visit, patient: PatientId) -> Response {
    let Ok(chart) = viewer.chart(&patient) else {
        return viewer.look().page(
            StatusCode::SERVICE_UNAVAILABLE,
            visit,
            "503",
            &html! {
                p.notice { (visit.lang.pick("The viewer is ending.", "参照画面を終了しています。")) }
            },
        );
    };
    let found = chart.is_some();
    let recorded = viewer.record(visit, Act::ChartOpened { patient: patient.clone(), found });
    viewer.tell_hub(&json!({
        "type": "chart_opened", "at": jiff::Timestamp::now(), "reader": visit.reader.name, "way": visit.reader.way,
        "reason": visit.reader.reason, "patient": patient, "tag": viewer.tag(&patient), "found": found,
    }));
    let warning = viewer.not_recorded(&recorded, visit.lang);
    match chart {
        Some(chart) => page(viewer, visit, &chart, &warning),
        None => absent(viewer, visit, &patient, &warning),
    }
}

fn page(viewer: &Viewer, visit: &Visit, chart: &Chart, warning: &Markup) -> Response {
    let look = viewer.look();
    let beside = html! { @for beside in &look.beside { (beside(visit, chart)) } };
    let name = chart.banner.name.as_deref().unwrap_or("–");
    let content = html! {
        (warning)
        (round(viewer, chart, visit.lang))
        (article(chart, viewer.basis(), visit.lang, &look.zone, &beside))
    };
    viewer.page(visit, &format!("{name} · {}", chart.patient), &content)
}

/// To the ward's list and to the beds before and after this one.
fn round(viewer: &Viewer, chart: &Chart, lang: Lang) -> Markup {
    let ward = chart.banner.ward.as_ref().map(|bed| bed.value.ward.clone()).filter(|ward| !ward.is_empty());
    let lines = ward.as_ref().map(|ward| viewer.shelf().index().ward(ward)).unwrap_or_default();
    let at = lines.iter().position(|line| line.patient == chart.patient);
    let before = at.and_then(|at| lines.get(at.checked_sub(1)?));
    let after = at.and_then(|at| lines.get(at + 1));
    let link = |line: &RosterLine| {
        let bed = line.bed.as_ref().map(|bed| bed.place()).unwrap_or_default();
        (
            format!("/chart/{}", encoded(&line.patient.0)),
            format!("{bed} {}", line.name.as_deref().unwrap_or("–")),
        )
    };
    html! {
        nav.round aria-label=(lang.pick("Ward round", "回診")) {
            @match &ward {
                Some(ward) => a href={ "/ward/" (encoded(ward)) } data-keys="Escape" { "↑ " (lang.pick("Ward ", "病棟 ")) (ward) },
                None => a href="/" data-keys="Escape" { "↑ " (lang.pick("Patients", "患者一覧")) },
            }
            span.spacer {}
            @if let Some((address, text)) = before.map(link) {
                a rel="prev" href=(address) data-keys="p" { "← " span.heard { (lang.pick("Before: ", "前の患者: ")) } (text) }
            }
            @if let Some((address, text)) = after.map(link) {
                a rel="next" href=(address) data-keys="n" { span.heard { (lang.pick("Next: ", "次の患者: ")) } (text) " →" }
            }
        }
    }
}

fn absent(viewer: &Viewer, visit: &Visit, patient: &PatientId, warning: &Markup) -> Response {
    let lang = visit.lang;
    let title = lang.pick("No such patient", "該当する患者がいません");
    let content = html! {
        (warning)
        h1 { (title) }
        p.notice { (lang.pick(
            format!("There is no patient {patient} in these records."),
            format!("患者ID {patient} の記録は、このデータにありません。"),
        )) }
        p { (lang.pick(
            "This does not mean that the patient was never here: whoever was registered after the time of the data is missing.",
            "来院歴がないことを意味しません。データ時点より後に登録された患者は含まれていません。",
        )) }
        (viewer.look().basis(lang))
        p { a href="/" { (lang.pick("Back to the list", "患者一覧へ戻る")) } }
    };
    viewer.look().page(StatusCode::NOT_FOUND, visit, title, &content)
}
