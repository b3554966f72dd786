//! Notes in the viewer: forms beside the chart, drafts that stay on the device until their note is on this machine's disk.

mod book;
mod door;
mod page;
mod reconcile;

use std::sync::{Arc, LazyLock};

use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use base64::Engine;
use maud::html;
use recover::charts::Chart;
use schema::{Lang, PatientId};
use serde::Deserialize;
use sha2::{Digest, Sha256};

pub(crate) use book::{Book, Key};

use super::{Extra, Viewer, Visit};

/// A text of 20,000 characters as JSON, and the rest of the note.
const NOTE_BYTES_MAX: usize = 256 * 1024;
const SCRIPT: &str = include_str!("notes.js");
/// The one script that these pages may run.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(SCRIPT.as_bytes()));
    format!(
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{hash}'; connect-src 'self'; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'"
    )
});

/// Where notes are kept; `None` where they cannot be.
type Place = Option<Arc<Book>>;

/// What notes add to the viewer: their pages and reconciliation, and what stands on every chart.
pub(crate) fn extra(place: Place) -> Extra {
    let routes = Router::new()
        .route("/notes", post(door::add))
        .route("/notes/new", get(newcomer))
        .route("/notes/{patient}", get(of_patient))
        .merge(reconcile::routes())
        .layer(Extension(place.clone()))
        .layer(DefaultBodyLimit::max(NOTE_BYTES_MAX));
    let beside = move |visit: &Visit, chart: &Chart| match &place {
        Some(book) => {
            let notes = book.look(|notes| page::of_patient(notes, &chart.patient));
            page::beside_chart(&notes, &chart.patient.0, visit.lang)
        }
        None => html! {},
    };
    Extra { routes, beside: Arc::new(beside), style: page::BESIDE_STYLE, script: "" }
}

#[derive(Deserialize)]
struct Asking {
    /// The note that is to be corrected.
    replaces: Option<String>,
    /// The number of a downtime form.
    number: Option<String>,
}

/// A patient's chart, read on a thread that may wait for the disk.
async fn chart_of(viewer: &Viewer, patient: PatientId) -> anyhow::Result<Option<Box<Chart>>> {
    let viewer = viewer.clone();
    tokio::task::spawn_blocking(move || viewer.chart(&patient)).await?
}

async fn of_patient(
    State(viewer): State<Viewer>,
    Extension(place): Extension<Place>,
    visit: Visit,
    Path(patient): Path<String>,
    Query(asking): Query<Asking>,
) -> Response {
    let lang = visit.lang;
    let Some(book) = place else { return no_book(lang) };
    let patient = PatientId(patient);
    let notes = book.look(|notes| page::of_patient(notes, &patient));
    match chart_of(&viewer, patient).await {
        Ok(Some(chart)) => {
            let name = visit.reader.name;
            let writer = page::Writer { voucher: &book.voucher(&name), name: &name };
            let html =
                page::for_chart(&chart, viewer.basis(), &notes, asking.replaces.as_deref(), writer, lang);
            scripted(StatusCode::OK, html)
        }
        Ok(None) => scripted(StatusCode::NOT_FOUND, page::unknown(lang)),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn newcomer(
    Extension(place): Extension<Place>,
    visit: Visit,
    Query(asking): Query<Asking>,
) -> Response {
    let lang = visit.lang;
    let Some(book) = place else { return no_book(lang) };
    let name = visit.reader.name;
    let writer = page::Writer { voucher: &book.voucher(&name), name: &name };
    let html = book.look(|notes| {
        page::for_newcomer(notes, asking.number.as_deref(), asking.replaces.as_deref(), writer, lang)
    });
    scripted(StatusCode::OK, html)
}

fn no_book(lang: Lang) -> Response {
    scripted(StatusCode::SERVICE_UNAVAILABLE, page::no_book(lang))
}

/// A page with patient data and our one script.
pub(super) fn scripted(status: StatusCode, html: String) -> Response {
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not `no-referrer`: browsers then say of our own forms, too, that they come from nowhere.
        (header::REFERRER_POLICY, "same-origin"),
        (header::CONTENT_SECURITY_POLICY, POLICY.as_str()),
    ];
    (status, headers, Html(html)).into_response()
}
