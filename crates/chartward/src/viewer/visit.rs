//! One request of a reader: who asks, from where, and how they want to see the answer.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use schema::Lang;

use super::Viewer;
use super::door::{Reader, cookie};

/// How pages look: chosen by links, kept in the browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) lang: Lang,
    pub(crate) theme: Theme,
    pub(crate) is_large: bool,
}

/// Brightness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Theme {
    /// As the device says.
    Auto,
    Light,
    Dark,
}

impl Theme {
    pub(super) fn id(self) -> &'static str {
        match self {
            Theme::Auto => "auto",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }
}

/// Choices with the cookies that keep them.
pub(super) const CHOICES: [(&str, &str, &[&str]); 3] = [
    ("lang", "charts-lang", &["ja", "en"]),
    ("theme", "charts-theme", &["auto", "light", "dark"]),
    ("size", "charts-size", &["normal", "large"]),
];

impl View {
    /// What was chosen, else the browser's language, else the language that the viewer was started in.
    pub(super) fn of(headers: &HeaderMap, default: Lang) -> View {
        let chosen = |at: usize| {
            let (_, name, values) = CHOICES[at];
            cookie(headers, name).filter(|value| values.contains(value))
        };
        let browser = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let lang = match chosen(0).or(browser).and_then(|wish| wish.get(..2)) {
            Some("ja") => Lang::Ja,
            Some("en") => Lang::En,
            _ => default,
        };
        let theme = match chosen(1) {
            Some("light") => Theme::Light,
            Some("dark") => Theme::Dark,
            _ => Theme::Auto,
        };
        View { lang, theme, is_large: chosen(2) == Some("large") }
    }
}

/// A request of somebody who may read charts. As an argument of a handler it lets nobody else in: they are sent
/// to the entrance, and forms that do not come from this viewer's pages are refused.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    pub(crate) reader: Reader,
    pub(crate) lang: Lang,
    pub(super) view: View,
    pub(super) address: IpAddr,
    /// Path and query, for links that come back here.
    pub(super) here: String,
}

impl FromRequestParts<Viewer> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, viewer: &Viewer) -> Result<Self, Response> {
        let stranger = Stranger::from_request_parts(parts, viewer).await?;
        let Stranger { view, address, here } = stranger;
        let door = viewer.door().clone();
        let headers = parts.headers.clone();
        // Now and then the hub's accounts are read.
        let found = tokio::task::spawn_blocking(move || door.reader(&headers, Timestamp::now())).await;
        match found.ok().flatten() {
            Some(reader) => Ok(Self { reader, lang: view.lang, view, address, here }),
            None => Err(Redirect::to("/").into_response()),
        }
    }
}

impl Visit {
    /// Whether a form came from one of the pages that this reader opened: each form sends `csrf` back.
    pub(crate) fn is_own_form(&self, csrf: &str) -> bool {
        !csrf.is_empty() && self.reader.csrf == csrf
    }
}

/// A request of anybody.
pub(super) struct Stranger {
    pub(super) view: View,
    pub(super) address: IpAddr,
    pub(super) here: String,
}

impl FromRequestParts<Viewer> for Stranger {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, viewer: &Viewer) -> Result<Self, Response> {
        if parts.method != axum::http::Method::GET && !is_same_origin(&parts.headers) {
            return Err(StatusCode::FORBIDDEN.into_response());
        }
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let address = peer.map_or(IpAddr::from([0; 4]), |ConnectInfo(peer)| peer.ip().to_canonical());
        let here = parts.uri.path_and_query().map_or("/", |here| here.as_str()).to_owned();
        Ok(Self { view: View::of(&parts.headers, viewer.default_lang()), address, here })
    }
}

/// Browsers say where a form comes from. Programs say nothing, and nobody can make a browser do that.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text("host").unwrap_or_default();
    let is_ours =
        text("origin").is_none_or(|origin| origin.split_once("://").is_some_and(|(_, from)| from == host));
    is_ours && text("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"))
}
