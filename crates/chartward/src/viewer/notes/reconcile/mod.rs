//! `/reconcile`: notes beside the restored EMR's chart, and what people decide of them.
//!
//! The charts that this viewer serves are the EMR's side: it is started from a snapshot that was captured after the EMR came back.
//! The log of decisions is opened for each act and closed again, so that an export can be made beside a running viewer.

mod page;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use jiff::Timestamp;
use recover::Error;
use recover::charts::Chart;
use recover::downtime::chain::Secret;
use recover::downtime::reconcile::{
    Act, Choice, DecisionLog, Decisions, Line, Seen, State as Outcome, Subject, may, piles, view,
};
use recover::downtime::{Findings, NoteId};
use schema::{Lang, PatientId};
use serde::Deserialize;
use serde_json::json;

use super::super::{Viewer, Visit};
use super::page::segment;
use super::{Book, Place, no_book, scripted};

/// An export or another act may have the log for a moment.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);

pub(super) fn routes() -> Router<Viewer> {
    Router::new()
        .route("/reconcile", get(list))
        .route("/reconcile/log", get(log))
        .route("/reconcile/patient/{id}", get(patient))
        .route("/reconcile/number/{number}", get(number))
        .route("/reconcile/act", post(act))
}

/// The decisions on this book's notes; none yet where there is no log.
fn decisions(book: &Book) -> Result<(Decisions, Findings), Error> {
    let path = DecisionLog::beside(&book.path);
    if !path.exists() {
        return Ok(Default::default());
    }
    DecisionLog::read(&path, book.key.secret())
}

async fn list(State(viewer): State<Viewer>, Extension(place): Extension<Place>, visit: Visit) -> Response {
    let lang = visit.lang;
    let Some(book) = place else { return no_book(lang) };
    let done = tokio::task::spawn_blocking(move || {
        let (decisions, findings) = decisions(&book)?;
        let piles = book.look(|notes| piles(notes, &decisions));
        let snapshots: BTreeSet<String> =
            book.look(|notes| notes.all().iter().filter_map(|kept| kept.note.snapshot.clone()).collect());
        Ok((piles, findings, snapshots))
    });
    match done.await {
        Ok(Ok((piles, findings, snapshots))) => {
            scripted(StatusCode::OK, page::list(&piles, &findings, viewer.basis(), &snapshots, lang))
        }
        Ok(Err(error)) => broken(&error, lang),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn log(Extension(place): Extension<Place>, visit: Visit) -> Response {
    let lang = visit.lang;
    let Some(book) = place else { return no_book(lang) };
    match tokio::task::spawn_blocking(move || decisions(&book)).await {
        Ok(Ok((decisions, findings))) => scripted(StatusCode::OK, page::log(&decisions, &findings, lang)),
        Ok(Err(error)) => broken(&error, lang),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn patient(
    State(viewer): State<Viewer>,
    Extension(place): Extension<Place>,
    visit: Visit,
    Path(id): Path<String>,
) -> Response {
    subject_page(viewer, place, visit, Subject::Patient(PatientId(id))).await
}

async fn number(
    State(viewer): State<Viewer>,
    Extension(place): Extension<Place>,
    visit: Visit,
    Path(number): Path<String>,
) -> Response {
    subject_page(viewer, place, visit, Subject::Number(number)).await
}

async fn subject_page(viewer: Viewer, place: Place, visit: Visit, subject: Subject) -> Response {
    let lang = visit.lang;
    let Some(book) = place else { return no_book(lang) };
    let found = {
        let book = book.clone();
        tokio::task::spawn_blocking(move || decisions(&book)).await
    };
    let decisions = match found {
        Ok(Ok((decisions, _))) => decisions,
        Ok(Err(error)) => return broken(&error, lang),
        Err(_) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
    };
    let _ = viewer.0.output.line(&json!({
        "type": "reconcile_opened", "at": Timestamp::now(), "reader": visit.reader.name, "subject": subject,
    }));
    let Some(charts) = charts(&viewer, &book, &decisions, &subject, None).await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let html = book.look(|notes| {
        let lines = view(notes, &decisions, &subject, |id| charts.get(id).cloned(), lang);
        let emr = lines.iter().find_map(|line| charts.get(line.target.as_ref()?));
        page::subject(&subject, &lines, &decisions, emr, &visit.reader.csrf, lang)
    });
    scripted(StatusCode::OK, html)
}

/// The charts that the notes of a subject are held against, and one more; `None` when the viewer is ending.
async fn charts(
    viewer: &Viewer,
    book: &Book,
    decisions: &Decisions,
    subject: &Subject,
    more: Option<PatientId>,
) -> Option<HashMap<PatientId, Chart>> {
    let of = |notes: &recover::downtime::Notes| {
        let all = notes.all().iter().filter(|kept| Subject::of(kept) == *subject);
        let target = |kept: &recover::downtime::Kept| {
            let assigned = decisions.assigned(&kept.note.id).map(|(_, to, _)| to.clone());
            assigned.or_else(|| kept.note.patient.id.clone())
        };
        all.filter_map(target).chain(more).collect::<BTreeSet<PatientId>>()
    };
    let mut charts = HashMap::new();
    for id in book.look(of) {
        if let Some(chart) = super::chart_of(viewer, id.clone()).await.ok()? {
            charts.insert(id, *chart);
        }
    }
    Some(charts)
}

/// The fields of all forms; which are needed, the act says.
#[derive(Deserialize)]
struct Asked {
    act: String,
    /// `patient` or `number`, and which.
    about: String,
    subject: String,
    #[serde(default)]
    note: String,
    #[serde(default)]
    hash: String,
    #[serde(default)]
    patient: String,
    #[serde(default)]
    choice: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    is_new: Option<String>,
    #[serde(default)]
    decision: String,
    #[serde(default)]
    csrf: String,
}

impl Asked {
    fn subject(&self) -> Subject {
        match self.about.as_str() {
            "number" => Subject::Number(self.subject.clone()),
            _ => Subject::Patient(PatientId(self.subject.clone())),
        }
    }

    /// The act, from the form and, for what concerns several notes, from what is on the desk.
    fn act(self, lines: &[Line]) -> Option<Act> {
        let patient = PatientId(self.patient.trim().to_owned());
        let seen = Seen { note: NoteId(self.note.clone()), hash: self.hash };
        Some(match self.act.as_str() {
            "decide" => {
                Act::Decide { seen, patient, choice: Choice::of_tag(&self.choice)?, reason: self.reason }
            }
            "confirm" => {
                // Exactly those that were shown: the page sends their hashes.
                let shown: Vec<(&str, &str)> =
                    seen.hash.split(' ').filter_map(|pair| pair.split_once(':')).collect();
                let notes = shown
                    .iter()
                    .map(|(note, hash)| Seen { note: NoteId((*note).to_owned()), hash: (*hash).to_owned() });
                Act::Confirm { notes: notes.collect(), patient }
            }
            "assign" => {
                let one = NoteId(self.note);
                let all = lines.iter().filter(|line| one.0.is_empty() || line.kept.note.id == one);
                let notes = all.map(|line| line.kept.note.id.clone()).collect();
                Act::Assign { notes, to: patient, is_new: self.is_new.is_some(), reason: self.reason }
            }
            "undo" => Act::Undo { decision: self.decision, reason: self.reason },
            _ => return None,
        })
    }
}

async fn act(
    State(viewer): State<Viewer>,
    Extension(place): Extension<Place>,
    visit: Visit,
    Form(asked): Form<Asked>,
) -> Response {
    let lang = visit.lang;
    let Some(book) = place else { return no_book(lang) };
    if !visit.is_own_form(&asked.csrf) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let subject = asked.subject();
    let back = page::address(&subject);
    let (before, _) = match decisions(&book) {
        Ok(found) => found,
        Err(error) => return broken(&error, lang),
    };
    let named = Some(PatientId(asked.patient.trim().to_owned())).filter(|id| !id.0.is_empty());
    let Some(charts) = charts(&viewer, &book, &before, &subject, named).await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let (by, output) = (visit.reader.name, viewer.0.output);
    let done = tokio::task::spawn_blocking(move || -> Result<bool, Error> {
        // While the log is held, nobody else decides between the look and the record.
        let mut log = open(&book)?;
        let lines =
            book.look(|notes| view(notes, log.decisions(), &subject, |id| charts.get(id).cloned(), lang));
        let Some(act) = asked.act(&lines) else { return Ok(false) };
        may(&act, &lines, |id| charts.contains_key(id))?;
        let decision = log.record(act, &by, Timestamp::now())?;
        let (records, head) = log.head();
        let _ = output.line(&json!({
            "type": "decided", "at": decision.at, "reader": by, "decision": decision.id, "records": records, "head": head,
        }));
        Ok(true)
    });
    match done.await {
        Ok(Ok(true)) => Redirect::to(&back).into_response(),
        Ok(Ok(false)) => StatusCode::BAD_REQUEST.into_response(),
        Ok(Err(Error::Decision { cause })) => {
            scripted(StatusCode::UNPROCESSABLE_ENTITY, page::refused(cause.words(lang), &back, lang))
        }
        Ok(Err(error)) => broken(&error, lang),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

fn open(book: &Book) -> Result<DecisionLog, Error> {
    let path = DecisionLog::beside(&book.path);
    let secret: Secret<'_> = book.key.secret();
    let mut tried = DecisionLog::open(&path, secret, Timestamp::now());
    for _ in 1..TRIES {
        if !matches!(tried, Err(Error::JournalInUse { .. })) {
            break;
        }
        std::thread::sleep(PAUSE);
        tried = DecisionLog::open(&path, secret, Timestamp::now());
    }
    tried.map(|(log, _)| log)
}

fn broken(error: &Error, lang: Lang) -> Response {
    let text = format!("{error}");
    scripted(StatusCode::SERVICE_UNAVAILABLE, page::refused(&text, "/reconcile", lang))
}

/// Whether a line may be confirmed with others.
fn is_confirmable(line: &Line) -> bool {
    line.identity.is_settled() && line.finding.state == Outcome::Equal && line.replaced_by.is_empty()
}
