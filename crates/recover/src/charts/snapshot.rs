//! Charts from the vault: which snapshot, and what stands behind it.

use decode::hl7::MAX_BYTES;
use jiff::tz::TimeZone;

use super::model::Chart;
use super::source::{Entry, Source};
use super::words::{Basis, Origin};
use super::{Charts, storage};
use crate::vault::{Kind, Snapshot, Vault};
use crate::{Error, manifest, proof};

impl<'v> Source<'v> {
    /// A snapshot in the vault. Of its directories only those on the way to what is asked for are read.
    pub fn snapshot(vault: &'v Vault, snapshot: &Snapshot) -> Source<'v> {
        let (listed, read) = (vault.files(snapshot), vault.files(snapshot));
        Source::new(
            "/",
            move |folder| {
                let entries = listed.list(&listed.entry(folder)?)?.into_iter();
                let usable = entries.filter(|entry| matches!(entry.kind(), Kind::Dir | Kind::File));
                Ok(usable
                    .map(|entry| Entry { is_folder: entry.kind() == Kind::Dir, path: entry.path })
                    .collect())
            },
            move |path| read.read(&read.entry(path)?, MAX_BYTES as u64),
        )
    }
}

/// The snapshot that charts are read from: the newest proven one, or the one that `wanted` names, proven or
/// not. `zone` is the hospital's.
pub fn basis(vault: &Vault, wanted: Option<&str>, zone: &TimeZone) -> Result<(Snapshot, Basis), Error> {
    let (snapshot, proof) = match wanted {
        None => {
            let proof = proof::newest_proven(vault)?
                .ok_or_else(|| Error::NotProven { dir: vault.dir().to_path_buf() })?;
            (vault.find(&proof.snapshot.0)?, Some(proof))
        }
        Some(id) => {
            let snapshot = vault.find(id)?;
            let mut proofs = proof::proofs(vault)?;
            proofs.retain(|proof| proof.snapshot == snapshot.id);
            (snapshot, proofs.pop().filter(|proof| proof.passed))
        }
    };
    let newest_record = match &proof {
        Some(proof) => proof.newest_record,
        // Unproven and perhaps damaged: the count at capture is better than nothing, and its loss no obstacle.
        None => {
            manifest::read(vault, &snapshot).ok().flatten().and_then(|manifest| manifest.census.newest_record)
        }
    };
    // A clock that ran ahead must not end anybody's medication.
    let day_of_data = newest_record.map_or(snapshot.time, |newest| newest.min(snapshot.time));
    let basis = Basis {
        origin: Origin::Snapshot {
            snapshot: snapshot.id.clone(),
            captured_at: snapshot.time,
            proven_at: proof.map(|proof| proof.proven_at),
        },
        as_of: Some(day_of_data.to_zoned(zone.clone()).date()),
        newest_record,
    };
    Ok((snapshot, basis))
}

/// The chart of the first patient of a snapshot that has a name on it, which is what a drill times; `None`
/// when there is no such chart.
pub fn first_chart(vault: &Vault, snapshot: &Snapshot) -> Result<Option<Chart>, Error> {
    let charts = Charts::open(Source::snapshot(vault, snapshot))?;
    let mut unread = Vec::new();
    for root in charts.roots() {
        for (patient, _) in storage::patient_folders(&charts.source, root, &mut unread) {
            let chart = charts.chart(&patient, None);
            if let Some(chart) = chart.filter(|chart| chart.banner.name.is_some()) {
                return Ok(Some(chart));
            }
        }
    }
    Ok(None)
}
