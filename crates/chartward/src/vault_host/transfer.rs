//! Bodies, in both directions, in bounded pieces and never slower than a line that is worth waiting for.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::CONTENT_LENGTH;
use recover::Error;
use recover::host::{FileName, Refusal, Repository};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use super::Patience;

/// A body is given some time, and a second more for every so many bytes.
pub(super) const BYTES_A_SECOND_MIN: u64 = 8 << 10;
/// Pieces of a file that is sent.
const PIECE: u64 = 256 << 10;
/// Pieces that wait in either direction.
const PIECES_MAX: usize = 4;

enum Part {
    Bytes(Bytes),
    End,
}

/// Receives a file: the bytes go through a bounded queue to a thread that hashes and writes them.
pub(super) async fn receive(
    repository: Arc<Repository>,
    name: FileName,
    quota: u64,
    by: String,
    request: Request,
    patience: Patience,
) -> Result<(), Refusal> {
    let announced =
        request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let size: u64 = announced.ok_or(Refusal::NoLength)?;
    if size > name.kind.size_max() {
        return Err(Refusal::TooLarge);
    }
    let (parts, mut queue) = mpsc::channel(PIECES_MAX);
    let receiving = blocking(move || {
        let mut upload = repository.receive(name, size, quota, &by)?;
        while let Some(part) = queue.blocking_recv() {
            match part {
                Part::Bytes(bytes) => upload.write(&bytes)?,
                Part::End => return upload.finish(),
            }
        }
        Err(Refusal::WrongLength)
    });
    let (result, ()) = tokio::join!(receiving, pump(request.into_body(), parts, size, patience));
    result
}

/// Hands the body over. When it is refused early, the rest is read all the same: a client that still sends would not see the answer.
async fn pump(body: Body, parts: mpsc::Sender<Part>, size: u64, patience: Patience) {
    let deadline = Instant::now() + patience.body + Duration::from_secs(size / BYTES_A_SECOND_MIN);
    let mut stream = body.into_data_stream();
    let whole = timeout_at(deadline, async {
        loop {
            match timeout(patience.pause, stream.next()).await {
                Ok(Some(Ok(bytes))) => _ = parts.send(Part::Bytes(bytes)).await,
                Ok(None) => return true,
                Ok(Some(Err(_))) | Err(_) => return false,
            }
        }
    });
    if whole.await == Ok(true) {
        let _ = parts.send(Part::End).await;
    }
}

/// Part of a file as a body.
pub(super) fn body(file: File, start: u64, end: u64, pause: Duration) -> Body {
    let (pieces, queue) = mpsc::channel(PIECES_MAX);
    tokio::spawn(async move {
        let file = Arc::new(file);
        let mut at = start;
        while at < end {
            let (from, length) = (Arc::clone(&file), PIECE.min(end - at));
            let piece = spawn_blocking(move || read_piece(&from, at, length))
                .await
                .unwrap_or_else(|cause| Err(io::Error::other(cause)));
            at += length;
            let failed = piece.is_err();
            // A reader that takes nothing is let go; the announced length tells it that the rest is missing.
            if !matches!(timeout(pause, pieces.send(piece)).await, Ok(Ok(()))) || failed {
                return;
            }
        }
    });
    Body::from_stream(ReceiverStream::new(queue))
}

fn read_piece(file: &File, at: u64, length: u64) -> io::Result<Bytes> {
    let mut piece = vec![0; length as usize];
    file.read_exact_at(&mut piece, at)?;
    Ok(piece.into())
}

/// Runs what waits for the disk on a thread of its own.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    spawn_blocking(work).await.unwrap_or_else(|cause| {
        Err(Error::Engine { op: "finish a request", source: std::io::Error::other(cause) }.into())
    })
}
