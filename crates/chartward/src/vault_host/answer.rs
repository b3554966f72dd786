//! Requests of restic's REST protocol, answered. Refusals carry the status that restic's own append-only server uses.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE, WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use recover::Error;
use recover::host::{Client, FileName, Host, Kind, Noted, Refusal, Repository, View};
use schema::Lang;
use serde_json::json;
use tokio::task::spawn_blocking;

use super::target::{Target, What};
use super::{Patience, transfer};

/// What every answer needs.
pub(super) struct Served {
    pub(super) host: Host,
    pub(super) lang: Lang,
    pub(super) patience: Patience,
    /// Where audit lines are shown as they are written.
    pub(super) show: fn(&Noted),
}

const VERSION_2: &str = "application/vnd.x.restic.rest.v2";
const VERSION_1: &str = "application/vnd.x.restic.rest.v1";
/// A header that names a client and its key is not longer.
const AUTHORIZATION_MAX: usize = 512;

/// The one handler of the server.
pub(super) async fn answer(State(served): State<Arc<Served>>, request: Request) -> Response {
    let login = login(request.headers());
    let client = match who(&served.host, login.as_ref()) {
        Ok(client) => client,
        Err(refusal) => {
            let name = claimed(&served.host, login.as_ref());
            return refuse(&served, &name, "", refusal).await;
        }
    };
    let by = client.name.to_string();
    let Some(target) = Target::parse(request.uri().path()) else {
        return refuse(&served, &by, &by, Refusal::NotUnderstood).await;
    };
    let about = target.repository.to_string();
    if !client.may_use(&target.repository) {
        return refuse(&served, &by, &by, Refusal::NotYours).await;
    }
    match carry_out(&served, &client, target, request).await {
        Ok(response) => response,
        Err(refusal) => refuse(&served, &about, &by, refusal).await,
    }
}

/// The name and the key that a request carries.
fn login(headers: &HeaderMap) -> Option<(String, String)> {
    let given = headers.get(AUTHORIZATION).filter(|value| value.len() <= AUTHORIZATION_MAX)?;
    let text = BASE64_STANDARD.decode(given.as_bytes().strip_prefix(b"Basic ")?).ok()?;
    let text = String::from_utf8(text).ok()?;
    text.split_once(':').map(|(name, key)| (name.to_owned(), key.to_owned()))
}

fn who(host: &Host, login: Option<&(String, String)>) -> Result<Client, Refusal> {
    let (name, key) = login.ok_or(Refusal::Unknown)?;
    host.registry().who(name, key)?.ok_or(Refusal::Unknown)
}

/// Whom somebody with a wrong key claimed to be, if there is such a client; other text of strangers is noted nowhere.
fn claimed(host: &Host, login: Option<&(String, String)>) -> String {
    let known = host.registry().clients().unwrap_or_default();
    let claimed = login.and_then(|(name, _)| known.iter().find(|client| client.name.as_str() == name));
    claimed.map(|client| client.name.to_string()).unwrap_or_default()
}

async fn carry_out(
    served: &Arc<Served>,
    client: &Client,
    target: Target,
    request: Request,
) -> Result<Response, Refusal> {
    let (view, what) = (target.view, target.what);
    let now = view == View::Now;
    let repository = {
        let served = Arc::clone(served);
        transfer::blocking(move || Ok(served.host.repository(&target.repository)?)).await?
    };
    let method = request.method().clone();
    match (&method, what) {
        (&Method::POST, What::Repository) if now && is_create(&request) => {
            // The folders are there already; a config, if there is one, stays.
            Ok(StatusCode::OK.into_response())
        }
        (&Method::GET, What::Protection) if now => {
            let found = transfer::blocking(move || repository.protection()).await?;
            Ok(axum::Json(found).into_response())
        }
        (&Method::GET, What::List(kind)) => {
            let found = transfer::blocking(move || repository.list(kind, view)).await?;
            Ok(listing(request.headers(), &found))
        }
        (&Method::GET | &Method::HEAD, What::File(name)) => {
            let (file, size) = transfer::blocking(move || repository.read(&name, view)).await?;
            if method == Method::HEAD {
                return Ok((StatusCode::OK, [(CONTENT_LENGTH, size.to_string())]).into_response());
            }
            part(request.headers(), file, size, served.patience)
        }
        (&Method::POST, What::File(name)) if now => {
            let quota = quota(&served.host, client, &repository)?;
            let by = client.name.to_string();
            transfer::receive(repository, name, quota, by, request, served.patience).await?;
            Ok(StatusCode::OK.into_response())
        }
        (&Method::DELETE, What::File(name)) if now => {
            remove(served, client, repository, name).await?;
            Ok(StatusCode::OK.into_response())
        }
        (&Method::DELETE, What::Repository) => Err(Refusal::Never),
        (&Method::POST | &Method::DELETE, _) if !now => Err(Refusal::Never),
        _ => Err(Refusal::NotUnderstood),
    }
}

/// An administrator adds to the share of the client whose repository it is.
fn quota(host: &Host, client: &Client, repository: &Repository) -> Result<u64, Refusal> {
    if !client.is_admin() {
        return Ok(client.quota);
    }
    Ok(host.registry().client(repository.name())?.map_or(0, |owner| owner.quota))
}

fn is_create(request: &Request) -> bool {
    request.uri().query() == Some("create=true")
}

async fn remove(
    served: &Arc<Served>,
    client: &Client,
    repository: Arc<Repository>,
    name: FileName,
) -> Result<(), Refusal> {
    if name.kind == Kind::Locks {
        return transfer::blocking(move || repository.remove_lock(&name)).await;
    }
    if !client.is_admin() {
        return Err(Refusal::OnlyLocks);
    }
    let (served, by) = (Arc::clone(served), client.name.to_string());
    transfer::blocking(move || {
        let number = repository.set_aside(&name, &by)?;
        let detail = format!("removal {number}: files are set aside and can be put back");
        if let Some(noted) = served.host.note_often("removal", repository.name().as_str(), &by, &detail)? {
            (served.show)(&noted);
        }
        Ok(())
    })
    .await
}

fn listing(headers: &HeaderMap, found: &[(FileName, u64)]) -> Response {
    let version_2 = headers.get(ACCEPT).is_some_and(|accept| accept.as_bytes() == VERSION_2.as_bytes());
    let list: serde_json::Value = match version_2 {
        true => found.iter().map(|(name, size)| json!({ "name": name.id, "size": size })).collect(),
        false => found.iter().map(|(name, _)| json!(name.id)).collect(),
    };
    let version = if version_2 { VERSION_2 } else { VERSION_1 };
    ([(CONTENT_TYPE, version)], list.to_string()).into_response()
}

/// A file, or the part of it that was asked for.
fn part(
    headers: &HeaderMap,
    file: std::fs::File,
    size: u64,
    patience: Patience,
) -> Result<Response, Refusal> {
    let wanted =
        headers.get(RANGE).map(|range| range.to_str().ok().and_then(|range| parse_range(range, size)));
    let (status, start, end) = match wanted {
        None => (StatusCode::OK, 0, size),
        Some(Some((start, end))) => (StatusCode::PARTIAL_CONTENT, start, end),
        Some(None) => return Ok(StatusCode::RANGE_NOT_SATISFIABLE.into_response()),
    };
    let mut response = (
        status,
        [(CONTENT_TYPE, "application/octet-stream".to_owned()), (CONTENT_LENGTH, (end - start).to_string())],
        transfer::body(file, start, end, patience.pause),
    )
        .into_response();
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(range) = format!("bytes {start}-{}/{size}", end - 1).parse()
    {
        response.headers_mut().insert(CONTENT_RANGE, range);
    }
    Ok(response)
}

/// `bytes=a-b` or `bytes=a-`, as a half-open range that is not empty and lies in the file as far as it goes.
fn parse_range(text: &str, size: u64) -> Option<(u64, u64)> {
    let (start, end) = text.strip_prefix("bytes=")?.split_once('-')?;
    let start: u64 = start.parse().ok()?;
    let end = match end {
        "" => size,
        end => end.parse::<u64>().ok()?.checked_add(1)?.min(size),
    };
    (start < end).then_some((start, end))
}

/// What a refusal means to somebody who watches, if anything.
fn notable(refusal: &Refusal) -> Option<&'static str> {
    Some(match refusal {
        Refusal::Unknown => "key-refused",
        Refusal::NotYours => "foreign-repository",
        Refusal::NotUnderstood => "not-understood",
        Refusal::Exists => "overwrite-refused",
        Refusal::WrongName => "wrong-content",
        Refusal::Quota { .. } | Refusal::TooMany => "share-used-up",
        Refusal::TooLarge => "too-large",
        Refusal::OnlyLocks | Refusal::Never => "removal-refused",
        Refusal::Failed(_) => "failed",
        _ => return None,
    })
}

fn status(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::Unknown => StatusCode::UNAUTHORIZED,
        Refusal::NotFound => StatusCode::NOT_FOUND,
        Refusal::NotYours | Refusal::Exists | Refusal::OnlyLocks | Refusal::Never => StatusCode::FORBIDDEN,
        Refusal::NoLength => StatusCode::LENGTH_REQUIRED,
        Refusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::Quota { .. } | Refusal::TooMany | Refusal::Failed(Error::VaultFull { .. }) => {
            StatusCode::INSUFFICIENT_STORAGE
        }
        Refusal::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    }
}

async fn refuse(served: &Arc<Served>, client: &str, by: &str, refusal: Refusal) -> Response {
    let text = refusal.text(served.lang);
    let mut response =
        (status(&refusal), [(CONTENT_TYPE, "text/plain; charset=utf-8")], Body::from(text + "\n"))
            .into_response();
    if matches!(refusal, Refusal::Unknown) {
        response
            .headers_mut()
            .insert(WWW_AUTHENTICATE, axum::http::HeaderValue::from_static("Basic realm=\"Chartward\""));
    }
    if let Some(what) = notable(&refusal) {
        let (served, client, by) = (Arc::clone(served), client.to_owned(), by.to_owned());
        let detail = match refusal {
            Refusal::Failed(error) => format!("{:#}", anyhow::Error::from(error)),
            other => other.text(Lang::En),
        };
        let noted = spawn_blocking(move || {
            if let Ok(Some(noted)) = served.host.note_often(what, &client, &by, &detail) {
                (served.show)(&noted);
            }
        });
        let _ = noted.await;
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_range_is_part_of_the_file_or_none(text in r"(bytes=)?[0-9]{0,21}-?[0-9]{0,21}|\PC{0,40}", size in any::<u64>()) {
            let found = parse_range(&text, size);
            prop_assert!(found.is_none_or(|(start, end)| start < end && end <= size));
        }

        #[test]
        fn a_login_is_a_name_and_a_key_or_none(bytes in any::<Vec<u8>>(), name in "[^:\x00-\x1f]{0,20}", key in r"\PC{0,40}") {
            let headers = |value: &[u8]| {
                let value = HeaderValue::from_bytes(value).ok()?;
                Some(HeaderMap::from_iter([(AUTHORIZATION, value)]))
            };
            let _ = headers(&bytes).and_then(|headers| login(&headers));
            let _ = headers(&[b"Basic ", BASE64_STANDARD.encode(&bytes).as_bytes()].concat()).and_then(|h| login(&h));
            let right = format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{key}")));
            prop_assert_eq!(headers(right.as_bytes()).and_then(|headers| login(&headers)), Some((name, key)));
        }
    }

    #[test]
    fn ranges_are_cut_at_the_end_and_never_beyond() {
        for (text, expected) in [
            ("bytes=0-0", Some((0, 1))),
            ("bytes=5-9", Some((5, 10))),
            ("bytes=5-", Some((5, 10))),
            ("bytes=5-99", Some((5, 10))),
            ("bytes=0-18446744073709551615", None),
            ("bytes=10-", None),
            ("bytes=7-3", None),
            ("bytes=-3", None),
            ("lines=1-2", None),
            ("bytes=0-1,3-4", None),
        ] {
            assert_eq!(parse_range(text, 10), expected, "{text}");
        }
    }
}
