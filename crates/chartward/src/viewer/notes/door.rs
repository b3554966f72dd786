//! A note comes in: who hands it in, whether it fits the chart, and that it is on the disk before anybody is told so.

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use jiff::Timestamp;
use recover::Error;
use recover::downtime::identity::{Mismatch, mismatches};
use recover::downtime::number::{Number, NumberFault};
use recover::downtime::{Identifier, Note};
use schema::{Lang, PatientId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::visit::View;
use super::super::{Viewer, Visit};
use super::{Book, Place, book, chart_of};

#[derive(Deserialize)]
pub(super) struct Handed {
    note: Note,
    /// That its author was inside when it was written.
    #[serde(default)]
    token: String,
    /// Whose chart was on the screen.
    #[serde(default)]
    chart: Option<PatientId>,
}

pub(super) async fn add(
    State(viewer): State<Viewer>,
    Extension(place): Extension<Place>,
    visit: Result<Visit, Response>,
    headers: HeaderMap,
    handed: Result<Json<Handed>, JsonRejection>,
) -> Response {
    let lang = View::of(&headers, viewer.default_lang()).lang;
    let Ok(visit) = visit else {
        return answer(StatusCode::UNAUTHORIZED, &json!({"login": true}));
    };
    let by = visit.reader.name;
    let Some(book) = place else {
        return failed(lang.pick("This viewer keeps no notes.", "この参照画面では記録を保存できません。"));
    };
    let Ok(Json(Handed { note, token, chart })) = handed else {
        let words = lang.pick(
            "The note cannot be read: check dates and numbers.",
            "記録を読み取れません。日付と数値をご確認ください。",
        );
        return refused(StatusCode::UNPROCESSABLE_ENTITY, words);
    };
    if let Err(fault) = note.check() {
        return refused(StatusCode::UNPROCESSABLE_ENTITY, &fault.words(lang));
    }
    if note.author != by && !book.vouches(&note.author, &token) {
        let words = lang.pick(
            format!("Written under the name {}: enter under that name to save it.", note.author),
            format!(
                "「{}」さんの名前で書かれた記録です。その名前で入り直してから保存してください。",
                note.author
            ),
        );
        return refused(StatusCode::UNPROCESSABLE_ENTITY, &words);
    }
    if let Some(words) = unfit(&viewer, &book, &note, chart, lang).await {
        return refused(StatusCode::UNPROCESSABLE_ENTITY, &words);
    }
    let (id, output) = (note.id.0.clone(), viewer.0.output);
    let kept = tokio::task::spawn_blocking(move || {
        let kept = book::kept(note, by.clone());
        let added = book.add(kept)?;
        // The head lies with whoever started the viewer: a journal that is put back to an older state is told by it.
        let (added, (records, head)) = added;
        let _ = output.line(&json!({
            "type": "note_kept", "at": Timestamp::now(), "reader": by, "note": id,
            "is_new": added == recover::downtime::Added::New, "records": records, "head": head,
        }));
        Ok(id)
    });
    match kept.await {
        Ok(Ok(id)) => answer(StatusCode::OK, &json!({"saved": id})),
        Ok(Err(error)) => not_kept(&error, lang),
        Err(_) => failed(lang.pick("The note was not saved.", "記録を保存できませんでした。")),
    }
}

/// Why the note cannot be about the patient that it names; the chart is asked, not the page that was sent.
async fn unfit(
    viewer: &Viewer,
    book: &Book,
    note: &Note,
    chart: Option<PatientId>,
    lang: Lang,
) -> Option<String> {
    if let Some(replaced) = &note.replaces {
        let whose = book.look(|notes| notes.get(replaced).map(|kept| kept.note.patient.clone()));
        let is_same = whose.is_some_and(|whose| {
            whose.id == note.patient.id
                && (whose.id.is_some() || whose.downtime_number == note.patient.downtime_number)
        });
        if !is_same {
            let words = lang.pick(
                "The note that this one corrects is about another patient, or is not here.",
                "訂正元の記録が、別の患者のものであるか、見つかりません。",
            );
            return Some(words.to_owned());
        }
    }
    let whom = note.patient.clone();
    if whom.id.is_none()
        && let Some(typed) = &whom.downtime_number
        && let Err(NumberFault::Check | NumberFault::Day) = typed.parse::<Number>()
    {
        // It has the length and the letters of a printed form's number, and one of them is wrong.
        let words = lang.pick(
            format!("The downtime number {typed} was misread or mistyped: look at the form again."),
            format!("仮番号 {typed} に読み違いか入力違いがあります。用紙をもう一度ご確認ください。"),
        );
        return Some(words);
    }
    let named = whom.id.clone()?;
    let patient = chart.unwrap_or_else(|| named.clone());
    let found = match chart_of(viewer, patient.clone()).await {
        Ok(chart) => chart.map(|chart| {
            let mut odd = mismatches(&whom, &patient, &chart.banner);
            if odd.is_empty() && named != patient {
                // The same but for zeros in front: the note is filed under the chart's own spelling or not at all.
                odd.push(Mismatch { which: Identifier::Id, note: named.0, chart: patient.0 });
            }
            odd
        }),
        Err(_) => return Some(lang.pick("The viewer is ending.", "参照画面が終了しています。").to_owned()),
    };
    match found {
        None => Some(
            lang.pick(
                "No chart has this patient id. For somebody without a chart, use a downtime number.",
                "この患者IDのカルテがありません。カルテのない方は仮番号で記録してください。",
            )
            .to_owned(),
        ),
        Some(odd) if odd.is_empty() => None,
        Some(odd) => {
            let odd: Vec<String> = odd.iter().map(|odd| odd.words(lang)).collect();
            Some(lang.pick(
                format!("WRONG PATIENT? {}. Nothing was saved.", odd.join("; ")),
                format!("患者が違う可能性があります。{}。保存していません。", odd.join("、")),
            ))
        }
    }
}

fn not_kept(error: &Error, lang: Lang) -> Response {
    match error {
        Error::NoteRefused { source, .. } => refused(StatusCode::UNPROCESSABLE_ENTITY, &source.words(lang)),
        Error::NoteDiffers { .. } => refused(
            StatusCode::CONFLICT,
            lang.pick(
                "This note was saved before with other content: correct the saved one instead.",
                "この記録は、別の内容ですでに保存されています。保存済みの記録を訂正してください。",
            ),
        ),
        Error::Io { source, .. } => {
            let is_full = matches!(
                source.kind(),
                std::io::ErrorKind::StorageFull
                    | std::io::ErrorKind::QuotaExceeded
                    | std::io::ErrorKind::FileTooLarge
            );
            failed(if is_full {
                lang.pick(
                    "The viewer's disk is full. Tell whoever runs the viewer.",
                    "参照画面のディスクがいっぱいです。担当者に連絡してください。",
                )
            } else {
                lang.pick(
                    "The viewer cannot write. Tell whoever runs the viewer.",
                    "参照画面が書き込めません。担当者に連絡してください。",
                )
            })
        }
        _ => failed(lang.pick("The note was not saved.", "記録を保存できませんでした。")),
    }
}

fn refused(status: StatusCode, words: &str) -> Response {
    answer(status, &json!({"refused": words}))
}

/// Nothing is wrong with the note: it stays on the device and is sent again.
fn failed(words: &str) -> Response {
    answer(StatusCode::SERVICE_UNAVAILABLE, &json!({"failed": words}))
}

fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
