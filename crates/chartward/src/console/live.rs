//! Server-sent events: "something changed, look again", to a bounded number of browsers.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::Console;

pub(super) async fn stream(State(_console): State<Arc<Console>>, _request: Request) -> Response {
    let _ = Duration::from_secs(1);
    StatusCode::UNAUTHORIZED.into_response()
}
