//! Server-sent events: "something changed, look again", to a bounded number of browsers.
//!
//! No event carries content: the browser fetches its page again, through every check of that page.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;

use super::Console;
use crate::hub::Live;

/// Browsers that are told of changes at the same time; one more is refused and reloads by hand.
pub(super) const CLIENTS_MAX: usize = 64;
const HEARTBEAT: Duration = Duration::from_secs(20);
/// After this the browser comes again, and whether it still may is looked at again.
const STREAM_MAX: Duration = Duration::from_secs(15 * 60);

pub(super) async fn stream(State(console): State<Arc<Console>>, request: Request) -> Response {
    let headers = request.into_parts().0.headers;
    if !console.knows_host(&headers) {
        return StatusCode::MISDIRECTED_REQUEST.into_response();
    }
    let Ok(seat) = Arc::clone(&console.live).try_acquire_owned() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let asked = Arc::clone(&console);
    let session = tokio::task::spawn_blocking(move || asked.session(&headers, Timestamp::now())).await;
    if !matches!(session, Ok(Ok(Some(_)))) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let events = changes(&console, seat);
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response();
    response.headers_mut().insert("cache-control", axum::http::HeaderValue::from_static("no-store"));
    response
}

fn changes(
    console: &Console,
    seat: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Event, Infallible>> + use<> {
    // One event waits at most: whoever is slow is told once that something changed.
    let (told, stream) = mpsc::channel(1);
    let (mut live, mut closed): (_, watch::Receiver<bool>) = (console.hub.live(), console.closed.clone());
    tokio::spawn(async move {
        let _seat = seat;
        let end = tokio::time::sleep(STREAM_MAX);
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => return,
                _ = closed.changed() => return,
                () = told.closed() => return,
                change = live.recv() => match change {
                    Ok(change) => _ = told.try_send(Ok(event(Some(change)))),
                    Err(RecvError::Lagged(_)) => _ = told.try_send(Ok(event(None))),
                    Err(RecvError::Closed) => return,
                },
            }
        }
    });
    ReceiverStream::new(stream)
}

fn event(change: Option<Live>) -> Event {
    let what =
        change.and_then(|change| serde_json::to_string(&change).ok()).unwrap_or_else(|| "{}".to_owned());
    Event::default().event("change").data(what)
}

/// The seats of live clients.
pub(super) fn seats() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(CLIENTS_MAX))
}
