//! What a backup came to, for programs and for people.

use std::path::Path;

use jiff::Timestamp;
use recover::adapter;
use recover::capture::Captured;
use schema::{Instant, Manifest, RootMoment};
use serde_json::json;

use super::NAMED_MAX;
use crate::output::{Output, printable};

pub(super) fn tell(captured: &Captured, output: Output) -> anyhow::Result<()> {
    name_what_is_missing(captured, output)?;
    as_json(captured, output)?;
    if output == Output::People {
        in_words(captured, output);
    }
    Ok(())
}

fn name_what_is_missing(captured: &Captured, output: Output) -> anyhow::Result<()> {
    let Captured { manifest, left_behind, .. } = captured;
    for reason in left_behind {
        let reason = printable(reason);
        eprintln!(
            "chartward: a snapshot of the file system is still there; the next backup removes it: {reason}"
        );
    }
    for exception in manifest.exceptions.iter().take(NAMED_MAX) {
        let (path, cause) = (printable(&exception.path), printable(&exception.cause));
        eprintln!("chartward: {:?}: {path}: {cause}", exception.kind);
    }
    if let Some(more) = manifest.exceptions.len().checked_sub(NAMED_MAX).filter(|more| *more > 0) {
        eprintln!("chartward: and {more} more; see `chartward snapshots --exceptions`");
    }
    for exception in &manifest.exceptions {
        output.line(&json!({ "type": "exception", "path": exception.path, "kind": exception.kind, "cause": exception.cause }))?;
    }
    Ok(())
}

fn as_json(captured: &Captured, output: Output) -> anyhow::Result<()> {
    let Captured { snapshot, manifest, report, .. } = captured;
    let census = &manifest.census;
    output.line(&json!({
        "type": "summary",
        "snapshot": snapshot,
        "files": census.files,
        "files_new": report.files_new,
        "files_changed": report.files_changed,
        "files_unmodified": report.files_unmodified,
        "bytes": census.bytes,
        "bytes_added": report.bytes_added,
        "patients": census.patients(),
        "records": census.records(),
        "databases": census.databases,
        "sources": manifest.sources,
        "moments": manifest.moments,
        "spread_seconds": spread_seconds(manifest),
        "exceptions": manifest.exceptions.len(),
        "seconds": manifest.finished_at.duration_since(manifest.started_at).as_secs_f64(),
    }))?;
    Ok(())
}

fn in_words(captured: &Captured, output: Output) {
    let Captured { snapshot, manifest, report, .. } = captured;
    let census = &manifest.census;
    output.say(format_args!(
        "Snapshot {}: {} files ({} new, {} changed), {} patients, {} records, {} databases.",
        snapshot.short(),
        census.files,
        report.files_new,
        report.files_changed,
        census.patients(),
        census.records(),
        census.databases.len()
    ));
    for source in &manifest.sources {
        let (name, at) = (printable(&source.name), source.instant);
        output.say(format_args!("{} {name}: as it was at {at}.", source.kind));
    }
    manifest.moments.iter().take(NAMED_MAX).for_each(|moment| output.say(of_moment(moment)));
    if let Some(seconds) = spread_seconds(manifest) {
        output.say(format_args!(
            "What is in it was captured within {seconds:.1} s: databases first, then files."
        ));
    }
    output.say("It is not proven yet: run `chartward drill`.");
}

/// What moment a folder shows, for people.
fn of_moment(moment: &RootMoment) -> String {
    let path = printable(&moment.path);
    if let Some(at) = moment.pulled_as_of {
        return format!("{path}: the share as of one instant, {at} (previous version).");
    }
    match moment.instant {
        Instant::BtrfsSnapshot => format!("{path}: as of one instant, {} (btrfs snapshot).", moment.ended_at),
        Instant::Reread => format!("{path}: read until it held still, by {}.", moment.ended_at),
    }
}

/// How far apart the moments lie that a group of stores shows; a single store has no spread.
fn spread_seconds(manifest: &Manifest) -> Option<f64> {
    let of_sources = manifest.sources.iter().map(|source| (source.instant, source.instant));
    // A source's own folders are grafts. What was read until it held still shows the moment at which it did.
    let files =
        manifest.moments.iter().filter(|moment| !Path::new(&moment.path).starts_with(adapter::FOLDER));
    let of_files = files.map(|moment| match (moment.pulled_as_of, moment.instant) {
        (Some(at), _) => (at, at),
        (None, Instant::Reread) => (moment.ended_at, moment.ended_at),
        (None, Instant::BtrfsSnapshot) => (moment.began_at, moment.ended_at),
    });
    let all: Vec<(Timestamp, Timestamp)> = of_sources.chain(of_files).collect();
    let (first, last) = (all.iter().map(|it| it.0).min()?, all.iter().map(|it| it.1).max()?);
    (all.len() > 1).then(|| last.duration_since(first).as_secs_f64())
}
