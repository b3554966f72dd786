//! From a request to a thread that answers it, and back with the headers that every answer carries.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, RawPathParams, Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::{MethodFilter, on};

use super::form::Form;
use super::gate::Asked;
use super::reply::Reply;
use super::route::{Route, Verb};
use super::{Console, live, pages};

/// No form and no call of ours is longer.
const BODY_MAX: usize = 64 * 1024;
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The table as axum wants it.
pub(super) fn router(console: Arc<Console>) -> Router {
    let mut router = Router::new().route("/live", on(MethodFilter::GET, live::stream));
    for route in pages::all() {
        let method = match route.verb {
            Verb::Get => MethodFilter::GET,
            Verb::Post => MethodFilter::POST,
        };
        let handler = move |State(console): State<Arc<Console>>,
                            ConnectInfo(peer): ConnectInfo<SocketAddr>,
                            params: RawPathParams,
                            request: Request| async move {
            let params = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            answer(console, route, peer, params, request).await
        };
        router = router.route(route.path, on(method, handler));
    }
    let missing = |State(console): State<Arc<Console>>,
                   ConnectInfo(peer): ConnectInfo<SocketAddr>,
                   request: Request| async move {
        answer(console, &pages::MISSING, peer, Vec::new(), request).await
    };
    router.fallback(missing).method_not_allowed_fallback(missing).with_state(console)
}

async fn answer(
    console: Arc<Console>,
    route: &'static Route,
    peer: SocketAddr,
    params: Vec<(String, String)>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let tls = console.settings.tls;
    let asked = Asked {
        route,
        params,
        path: head.uri.path().to_owned(),
        query: Form::parse(head.uri.query().unwrap_or_default()),
        headers: head.headers,
        peer: peer.ip().to_canonical(),
        body: Vec::new(),
    };
    let read = tokio::time::timeout(BODY_TIMEOUT, axum::body::to_bytes(body, BODY_MAX)).await;
    let Ok(Ok(body)) = read else {
        return finish(
            plain(StatusCode::PAYLOAD_TOO_LARGE, "the request's body is too long or came too slowly\n"),
            tls,
        );
    };
    let asked = Asked { body: body.into(), ..asked };
    // SQLite, argon2 and the hub all make their caller wait.
    let answered = tokio::task::spawn_blocking(move || console.answer(&asked)).await;
    finish(
        answered
            .unwrap_or_else(|_| plain(StatusCode::INTERNAL_SERVER_ERROR, "this page could not be made\n")),
        tls,
    )
}

fn plain(status: StatusCode, text: &'static str) -> Reply {
    Reply::text("text/plain; charset=utf-8", text).status(status)
}

/// The security headers of every answer.
fn finish(reply: Reply, tls: bool) -> Response {
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = reply.status;
    let headers = response.headers_mut();
    for (name, value) in [
        ("content-type", reply.content_type),
        ("content-security-policy", CONTENT_SECURITY_POLICY),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
        ("cache-control", "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if tls {
        headers.insert("strict-transport-security", HeaderValue::from_static("max-age=31536000"));
    }
    for (name, value) in reply.headers {
        let Ok(value) = HeaderValue::from_str(&value) else { continue };
        match name {
            "set-cookie" => _ = headers.append(name, value),
            _ => _ = headers.insert(name, value),
        }
    }
    response
}
