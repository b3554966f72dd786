//! The downtime viewer: browsers search and read charts from a proven snapshot, with nothing else running.
//!
//! Charts are read by a few threads, each with its own handle of the source; another one reads the list of patients
//! meanwhile. Who came in and opened which chart is recorded before the page is shown.

mod desk;
mod door;
mod extra;
pub(crate) mod notes;
mod page;
mod pages;
pub(crate) mod record;
mod shelf;
mod visit;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, bail};
use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use maud::{Markup, html};
use recover::charts::{Basis, Chart, Charts, Origin};
use schema::{Lang, PatientId};
use serde_json::json;

use crate::access::Guests;
use crate::output::Output;
use crate::serving::{self, Head};
use desk::Desk;
use door::Door;
pub(crate) use door::Way;
pub(crate) use extra::Extra;
use page::Look;
use record::{Act, Entry, Recorder, Written};
pub(crate) use shelf::Keep;
use shelf::Shelf;
pub(crate) use visit::Visit;

/// Threads that may wait for a chart or a disk.
const BLOCKING_MAX: usize = 64;
/// Threads that read charts.
const READERS: usize = 3;
/// Bytes of a form.
const FORM_MAX: usize = 64 * 1024;

/// Where the viewer listens, and who may come in.
pub(crate) struct Entrance {
    pub(crate) listener: TcpListener,
    pub(crate) address: SocketAddr,
    /// Certificate chain and private key (PEM).
    pub(crate) tls: Option<(PathBuf, PathBuf)>,
    /// What readers type where there are no accounts, and in an emergency.
    pub(crate) code: String,
    /// The hub's accounts.
    pub(crate) guests: Option<Guests>,
    /// How long an emergency access lasts.
    pub(crate) emergency: SignedDuration,
    /// Where it is recorded who opened what, and the key of the record.
    pub(crate) record: (PathBuf, [u8; 32]),
}

/// What is shown.
pub(crate) struct Shown<'a> {
    pub(crate) charts: Charts<'a>,
    /// Opens the same charts for one more thread.
    pub(crate) again: Box<dyn Fn() -> anyhow::Result<Charts<'a>> + Send + Sync + 'a>,
    pub(crate) basis: Basis,
    /// Where the list of patients is kept for the next start.
    pub(crate) keep: Option<Keep<'a>>,
}

/// What every handler has at hand. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Viewer(Arc<Inner>);

struct Inner {
    desk: Desk,
    shelf: Shelf,
    door: Door,
    recorder: Recorder,
    record: (PathBuf, [u8; 32]),
    emergencies: Mutex<Vec<Entry>>,
    lang: Lang,
    output: Output,
    look: Look,
}

/// Serves until the process is ended.
pub(crate) fn serve(
    shown: Shown<'_>,
    entrance: Entrance,
    extras: Vec<Extra>,
    lang: Lang,
    output: Output,
) -> anyhow::Result<()> {
    let Shown { charts, again, basis, keep } = shown;
    let Entrance { listener, address, tls, code, guests, emergency, record } = entrance;
    let failed = || format!("cannot record who opens charts in {}", record.0.display());
    let before = record::read(&record.0, &record.1).with_context(failed)?;
    let recorder = Recorder::begin(&record.0, &record.1, &shows(&basis)).with_context(failed)?;
    let (desk, asked) = Desk::open();
    let look = Look::new(&extras, basis.clone(), TimeZone::system());
    let routes = extras.into_iter().fold(Router::new(), |routes, extra| routes.merge(extra.routes));
    let shelf = Shelf::default();
    let mut emergencies = pages::emergencies::pending(before.entries);
    emergencies.retain(|entry| entry.act == Act::Entered);
    let viewer = Viewer(Arc::new(Inner {
        desk,
        shelf: shelf.clone(),
        door: Door::new(&code, guests, emergency, tls.is_some()),
        recorder,
        record,
        emergencies: Mutex::new(emergencies),
        lang,
        output,
        look,
    }));
    let url = format!("{}://{address}/", if tls.is_some() { "https" } else { "http" });
    output.line(&json!({"type": "ready", "url": url, "code": code, "basis": basis}))?;
    output.say(format_args!("{url}\n{} {code}", lang.pick("code:", "参照用コード:")));
    thread::scope(|scope| {
        let server = scope.spawn(move || listen(viewer, routes, listener, tls));
        for _ in 0..READERS {
            let (asked, again) = (asked.clone(), &again);
            scope.spawn(move || match again() {
                Ok(charts) => desk::sit(&charts, basis.as_of, &asked),
                Err(error) => eprintln!("chartward: one reader of charts less: {error:#}"),
            });
        }
        // The first chart comes before the list: it needs nothing of it.
        shelf.fill(&charts, keep.as_ref());
        desk::sit(&charts, basis.as_of, &asked);
        server.join().unwrap_or_else(|_| bail!("the viewer's server failed"))
    })
}

/// What stands in the record's first line.
fn shows(basis: &Basis) -> String {
    match &basis.origin {
        Origin::Snapshot { snapshot, .. } => snapshot.0.clone(),
        Origin::Folder { path } => path.clone(),
    }
}

fn listen(
    viewer: Viewer,
    routes: Router<Viewer>,
    listener: TcpListener,
    tls: Option<(PathBuf, PathBuf)>,
) -> anyhow::Result<()> {
    let app = Router::new()
        .route("/", get(pages::list::get))
        .route("/chart/{patient}", get(pages::chart::get))
        .route("/wards", get(pages::wards::all))
        .route("/ward/{ward}", get(pages::wards::one))
        .route("/help", get(pages::help::get))
        .route("/emergencies", get(pages::emergencies::get).post(pages::emergencies::noted))
        .route("/enter", post(pages::entrance::enter))
        .route("/leave", post(pages::entrance::leave))
        .route("/look", get(pages::entrance::look))
        .merge(routes)
        .with_state(viewer)
        .layer(axum::extract::DefaultBodyLimit::max(FORM_MAX));
    serving::runtime("charts", BLOCKING_MAX)?.block_on(async {
        let config = match tls {
            None => None,
            Some((certificate, key)) => {
                let _ = rustls::crypto::ring::default_provider().install_default();
                let config = RustlsConfig::from_pem_file(certificate, key).await;
                Some(config.context("cannot use the certificate and key")?)
            }
        };
        Ok(serving::serve(listener, config, Handle::new(), Head::OF_A_BROWSER, app).await?)
    })
}

/// Answers on a thread that may wait.
pub(crate) async fn blocking(answer: impl FnOnce() -> Response + Send + 'static) -> Response {
    let answered = tokio::task::spawn_blocking(answer).await;
    answered.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// For this room and those that add to it.
impl Viewer {
    /// What the charts rest on.
    pub(crate) fn basis(&self) -> &Basis {
        &self.0.look.basis
    }

    /// A patient's chart, waiting for it; `None` when there is no such patient.
    pub(crate) fn chart(&self, patient: &PatientId) -> anyhow::Result<Option<Box<Chart>>> {
        self.0.desk.chart(patient.clone())
    }

    /// A page of the viewer's, around this content.
    pub(crate) fn page(&self, visit: &Visit, title: &str, content: &Markup) -> Response {
        self.0.look.page(StatusCode::OK, visit, title, content)
    }

    /// Writes down what a reader does, waiting for the disk; [`Act::Did`] is for other rooms.
    pub(crate) fn record(&self, visit: &Visit, act: Act) -> io::Result<()> {
        self.record_entry(Entry::of(&visit.reader, visit.address, act))
    }
}

impl Viewer {
    fn shelf(&self) -> &Shelf {
        &self.0.shelf
    }

    fn door(&self) -> &Door {
        &self.0.door
    }

    fn look(&self) -> &Look {
        &self.0.look
    }

    fn default_lang(&self) -> Lang {
        self.0.lang
    }

    /// Emergency accesses that no administrator has noted.
    fn emergencies(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.emergencies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record_entry(&self, entry: Entry) -> io::Result<()> {
        let written = self.0.recorder.write(entry);
        if let Err(error) = &written {
            eprintln!("chartward: the record of access cannot be written: {error}");
        }
        written
    }

    /// A chart that cannot be recorded is shown all the same: a full disk must not keep anybody from a patient's
    /// allergies. The page says so.
    fn not_recorded(&self, recorded: &io::Result<()>, lang: Lang) -> Markup {
        html! {
            @if recorded.is_err() {
                p.notice role="alert" { "⚠ " (lang.pick(
                    "This could not be recorded (disk?). Write down on paper who opened which chart, and tell the administrator.",
                    "閲覧記録を保存できませんでした（ディスク容量など）。誰がどのカルテを開いたかを紙に控え、管理者に連絡してください。",
                )) }
            }
        }
    }

    fn tag(&self, patient: &PatientId) -> String {
        record::tag(&self.0.record.1, patient)
    }

    fn written(&self) -> io::Result<Written> {
        record::read(&self.0.record.0, &self.0.record.1)
    }

    /// A line for the hub that runs this viewer; nothing on a terminal.
    fn tell_hub(&self, line: &serde_json::Value) {
        let _ = self.0.output.line(line);
    }
}
