//! `chartward charts serve`: the downtime viewer, in its first form: search and read, one code for all readers.
//!
//! It works from a proven snapshot with nothing else running. Who read which chart is printed as it happens; the hub
//! that started it keeps those lines.

use std::collections::HashSet;
use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, bail, ensure};
use axum::extract::{Form, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use crossbeam_channel::{Receiver, Sender, bounded};
use jiff::tz::TimeZone;
use recover::charts::{Roster, entrance_page, list_page, page};
use schema::{Lang, PatientId};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{FromArgs, Reading};
use crate::output::Output;
use crate::serving::{self, Head};

/// Readers that may be logged in at once.
const READERS_MAX: usize = 1_000;
/// Wrong codes after which the viewer accepts none any more until it is started again.
const WRONG_MAX: u32 = 1_000;
/// Threads that wait for a page; one thread makes them all.
const BLOCKING_MAX: usize = 64;
const COOKIE: &str = "chartward-charts";

#[derive(clap::Args)]
pub(super) struct ServeArgs {
    /// Address and port; anything but loopback needs --certificate and --key
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8480")]
    listen: SocketAddr,
    /// Certificate chain (PEM)
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// File with the code that readers type (default: a new one, printed once)
    #[arg(long, value_name = "FILE")]
    code_file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) from: FromArgs,
}

/// What a reader asks of the thread that holds the charts.
enum Ask {
    List { query: String, lang: Lang },
    Chart { patient: PatientId, lang: Lang },
}

struct Asked {
    ask: Ask,
    answer: Sender<Option<String>>,
}

#[derive(Clone)]
struct Viewer {
    asks: Sender<Asked>,
    code: [u8; 32],
    door: Arc<Mutex<Door>>,
    lang: Lang,
    is_tls: bool,
    output: Output,
}

#[derive(Default)]
struct Door {
    /// SHA-256 of the cookies of those who are inside, with the name each of them gave.
    inside: Vec<([u8; 32], String)>,
    wrong: u32,
}

pub(super) fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    let ServeArgs { listen, certificate, key, code_file, from } = args;
    let tls = certificate.zip(key);
    ensure!(
        listen.ip().is_loopback() || tls.is_some(),
        "charts are not served to other machines in the clear: give --certificate and --key, or listen on 127.0.0.1"
    );
    let code = code(code_file)?;
    super::with_records(from, |reading| {
        let (listener, address) =
            serving::bind(listen).with_context(|| format!("cannot listen on {listen}"))?;
        serve(reading, listener, address, tls, &code)
    })
}

/// The code from its file, else eight groups of letters and digits that nobody mistakes for one another.
fn code(file: Option<PathBuf>) -> anyhow::Result<String> {
    const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    if let Some(file) = file {
        let mut text = String::new();
        std::fs::File::open(&file)
            .and_then(|open| open.take(1024).read_to_string(&mut text))
            .with_context(|| format!("cannot read the code file {}", file.display()))?;
        ensure!(text.trim().len() >= 12, "the code in {} has fewer than 12 characters", file.display());
        return Ok(text.trim().to_owned());
    }
    let mut bytes = [0u8; 20];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("cannot draw a code: {error}"))?;
    let letters = bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
    let letters: Vec<char> = letters.collect();
    Ok(letters.chunks(5).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-"))
}

fn serve(
    reading: Reading<'_>,
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<(PathBuf, PathBuf)>,
    code: &str,
) -> anyhow::Result<ExitCode> {
    let (asks, asked) = bounded(64);
    let (lang, output, is_tls) = (reading.lang, reading.output, tls.is_some());
    let viewer = Viewer { asks, code: digest(code), door: Arc::default(), lang, is_tls, output };
    let scheme = if is_tls { "https" } else { "http" };
    let url = format!("{scheme}://{address}/");
    output.line(&json!({"type": "ready", "url": url, "code": code, "basis": reading.basis}))?;
    output.say(format_args!("{url}\n{} {code}", lang.pick("code:", "参照用コード:")));
    thread::scope(|scope| {
        let server = scope.spawn(move || listen(viewer, listener, tls));
        read(&reading, &asked);
        server.join().unwrap_or_else(|_| bail!("the viewer's server failed"))
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Answers with pages until the server is gone: one chart at a time, since the vault is read for each.
fn read(reading: &Reading<'_>, asked: &Receiver<Asked>) {
    let zone = TimeZone::system();
    let roster: Roster = reading.charts.roster();
    let known: HashSet<&PatientId> = roster.patients.iter().map(|line| &line.patient).collect();
    for Asked { ask, answer } in asked {
        let html = match ask {
            Ask::List { query, lang } => Some(list_page(&roster, &query, &reading.basis, lang, &zone)),
            Ask::Chart { patient, lang } => known
                .contains(&patient)
                .then(|| reading.charts.chart(&patient, reading.basis.as_of))
                .flatten()
                .map(|chart| page(&chart, &reading.basis, lang, &zone)),
        };
        let _ = answer.send(html);
    }
}

fn listen(viewer: Viewer, listener: TcpListener, tls: Option<(PathBuf, PathBuf)>) -> anyhow::Result<()> {
    let app = Router::new()
        .route("/", get(list))
        .route("/chart/{patient}", get(chart))
        .route("/enter", post(enter))
        .with_state(viewer)
        .layer(axum::extract::DefaultBodyLimit::max(4096));
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

#[derive(Deserialize)]
struct Search {
    #[serde(default)]
    q: String,
}

async fn list(State(viewer): State<Viewer>, headers: HeaderMap, Query(search): Query<Search>) -> Response {
    if viewer.reader(&headers).is_none() {
        return private(StatusCode::OK, entrance_page(false, viewer.language(&headers)));
    }
    let query: String = search.q.chars().take(100).collect();
    let lang = viewer.language(&headers);
    viewer.ask(Ask::List { query, lang }).await
}

async fn chart(State(viewer): State<Viewer>, headers: HeaderMap, Path(patient): Path<String>) -> Response {
    let Some(reader) = viewer.reader(&headers) else { return Redirect::to("/").into_response() };
    let lang = viewer.language(&headers);
    let _ = viewer.output.line(&json!({
        "type": "chart_opened", "at": jiff::Timestamp::now(), "reader": reader, "patient": patient,
    }));
    viewer.ask(Ask::Chart { patient: PatientId(patient), lang }).await
}

#[derive(Deserialize)]
struct Entrance {
    code: String,
    who: String,
}

async fn enter(State(viewer): State<Viewer>, headers: HeaderMap, Form(entrance): Form<Entrance>) -> Response {
    let Some(cookie) = viewer.admit(&entrance) else {
        // Guessing is slowed down for everybody alike.
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        return private(StatusCode::FORBIDDEN, entrance_page(true, viewer.language(&headers)));
    };
    let secure = if viewer.is_tls { "; Secure" } else { "" };
    let value = format!("{COOKIE}={cookie}; HttpOnly; SameSite=Strict; Path=/{secure}");
    let mut response = Redirect::to("/").into_response();
    if let Ok(value) = HeaderValue::from_str(&value) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}

impl Viewer {
    fn door(&self) -> MutexGuard<'_, Door> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cookie for somebody who knows the code and says a name.
    fn admit(&self, entrance: &Entrance) -> Option<String> {
        let is_right = bool::from(digest(entrance.code.trim()).ct_eq(&self.code));
        let who: String = entrance.who.trim().chars().filter(|c| !c.is_control()).take(100).collect();
        let mut cookie = [0u8; 32];
        getrandom::fill(&mut cookie).ok()?;
        let mut door = self.door();
        if !is_right || who.is_empty() || door.wrong >= WRONG_MAX {
            door.wrong = door.wrong.saturating_add(u32::from(!is_right));
            return None;
        }
        if door.inside.len() >= READERS_MAX {
            door.inside.remove(0);
        }
        let cookie = hex::encode(cookie);
        door.inside.push((digest(&cookie), who));
        Some(cookie)
    }

    /// The name of the reader whose cookie came with the request.
    fn reader(&self, headers: &HeaderMap) -> Option<String> {
        let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
        let cookie =
            cookies.split(';').find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))?;
        let wanted = digest(cookie);
        let door = self.door();
        let found = door.inside.iter().find(|(known, _)| bool::from(known.ct_eq(&wanted)));
        found.map(|(_, who)| who.clone())
    }

    /// The browser's wish, else the language that the viewer was started in.
    fn language(&self, headers: &HeaderMap) -> Lang {
        let wish = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        match wish.map(|wish| wish.get(..2).unwrap_or("")) {
            Some("ja") => Lang::Ja,
            Some("en") => Lang::En,
            _ => self.lang,
        }
    }

    async fn ask(&self, ask: Ask) -> Response {
        let (answer, answered) = bounded(1);
        let asks = self.asks.clone();
        let asked = tokio::task::spawn_blocking(move || {
            asks.send(Asked { ask, answer }).ok()?;
            answered.recv().ok()
        });
        match asked.await {
            Ok(Some(Some(html))) => private(StatusCode::OK, html),
            Ok(Some(None)) => private(StatusCode::NOT_FOUND, entrance_not_found(self.lang)),
            _ => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"error": "the viewer is ending"})))
                .into_response(),
        }
    }
}

fn entrance_not_found(lang: Lang) -> String {
    maud::html! {
        p { (lang.pick("There is no such patient in this snapshot.", "このスナップショットに該当する患者はいません。")) }
        p { a href="/" { (lang.pick("Back to the list", "一覧へ戻る")) } }
    }
    .into_string()
}

/// A page with patient data: nobody keeps it, nothing is loaded into it, nothing leaves it.
fn private(status: StatusCode, html: String) -> Response {
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
        ),
    ];
    (status, headers, Html(html)).into_response()
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}
