//! Capturing what a program prints, such as a database's dump, with a manifest like any other capture.

use std::io::Read;
use std::path::PathBuf;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use schema::{Exception, ExceptionKind, Manifest};

use crate::adapter::ssmix2::Tally;
use crate::capture::Captured;
use crate::error::Error;
use crate::manifest;
use crate::vault::{Progress, StreamRequest, Vault};

/// A stream to capture.
pub struct StreamCapture {
    /// Absolute path of the file that it becomes in the snapshot.
    pub path: PathBuf,
    /// Tags of the snapshot.
    pub tags: Vec<String>,
    /// This host's name.
    pub hostname: String,
    /// The hospital's time zone.
    pub zone: TimeZone,
    /// The moment to note in the snapshot, if not the one at which the capture begins.
    pub time: Option<Timestamp>,
}

/// Captures `input` to its end and seals a snapshot of it if `whole` then says that this was all of it. An error means that no snapshot
/// was made. A stream without a byte is sealed, and named in the exceptions.
pub fn capture_stream(
    vault: &Vault,
    request: &StreamCapture,
    input: &mut dyn Read,
    whole: impl FnOnce() -> Result<(), Error>,
    now: &dyn Fn() -> Timestamp,
    progress: &dyn Fn(Progress),
) -> Result<Captured, Error> {
    let started_at = now();
    let path = request.path.to_string_lossy().into_owned();
    let mut sealed = None;
    let stream = StreamRequest {
        path: request.path.clone(),
        tags: request.tags.clone(),
        hostname: request.hostname.clone(),
        time: request.time.unwrap_or(started_at),
        extra: Some(Box::new(|report| {
            let mut tally = Tally::new(request.zone.clone());
            tally.file(&request.path, report.bytes, Some(started_at));
            let nothing = Exception {
                path: path.clone(),
                kind: ExceptionKind::Empty,
                cause: "not a single byte came".to_owned(),
            };
            let manifest = Manifest {
                version: manifest::VERSION,
                started_at,
                finished_at: now(),
                hostname: request.hostname.clone(),
                roots: vec![path.clone()],
                census: tally.finish(Vec::new()),
                sources: Vec::new(),
                recovery: Vec::new(),
                moments: Vec::new(),
                exceptions: if report.bytes == 0 { vec![nothing] } else { Vec::new() },
            };
            let bytes = manifest::write(&manifest)?;
            sealed = Some(manifest);
            Ok(vec![(manifest::PATH.to_owned(), bytes)])
        })),
    };
    let report = vault.backup_stream(stream, input, whole, progress)?;
    let (Some(snapshot), Some(manifest)) = (report.snapshot.clone(), sealed) else {
        let source = std::io::Error::other("the engine sealed no snapshot");
        return Err(Error::Engine { op: "seal the snapshot", source });
    };
    Ok(Captured { snapshot, report, manifest, left_behind: Vec::new() })
}
