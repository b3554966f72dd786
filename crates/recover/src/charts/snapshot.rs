//! Charts from the vault: which snapshot, and what stands behind it.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use decode::hl7::MAX_BYTES;
use jiff::tz::TimeZone;

use super::model::Chart;
use super::source::{Entry, Source};
use super::words::{Basis, Origin};
use super::{Charts, storage};
use crate::vault::{Kind, RangeReader, Snapshot, Vault};
use crate::{Error, manifest, proof};

impl<'v> Source<'v> {
    /// A snapshot in the vault. Of its directories only those on the way to what is asked for are read.
    pub fn snapshot(vault: &'v Vault, snapshot: &Snapshot) -> Source<'v> {
        let listed = Arc::new(vault.files(snapshot));
        let (read, again) = (Arc::clone(&listed), snapshot.clone());
        let source = Source::new(
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
        .with_parts(parts(vault, snapshot));
        source.readable_again(move || Source::snapshot(vault, &again))
    }
}

/// Parts of files, of which the one that was read last stays open: what is asked for next mostly lies behind it.
fn parts<'v>(
    vault: &'v Vault,
    snapshot: &Snapshot,
) -> impl Fn(&Path, u64, usize) -> Result<Vec<u8>, Error> + 'v {
    let files = vault.files(snapshot);
    let open: RefCell<Option<(PathBuf, RangeReader<'v>)>> = RefCell::new(None);
    move |path, offset, length| {
        let mut open = open.borrow_mut();
        if open.as_ref().is_none_or(|(opened, _)| opened != path) {
            *open = Some((path.to_path_buf(), files.ranges(&files.entry(path)?)?));
        }
        let Some((_, reader)) = open.as_mut() else { return Ok(Vec::new()) };
        reader.read(offset, length)
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
            let proof = proof::standing(&snapshot.id, &proof::proofs(vault)?).cloned();
            (snapshot, proof)
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
    if charts.roots().is_empty() {
        let mut named = charts.roster().patients.into_iter().filter(|line| line.name.is_some());
        return Ok(named.next().and_then(|line| charts.chart(&line.patient, None)));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use jiff::Timestamp;
    use schema::{Drill, PatientId, SnapshotId};

    use super::*;
    use crate::vault::{BackupRequest, KeyCost, Password};

    const ADT: &str = "0001234567_-_ADT-00_999999999999999_20181014120000000_-_1";

    /// A vault with one snapshot of a store that holds one patient of this name.
    fn vault(dir: &Path) -> Vault {
        let vault = Vault::init_with_cost(&dir.join("vault"), &Password::new("x"), KeyCost::TEST).unwrap();
        backup(&vault, dir, "A");
        vault
    }

    fn backup(vault: &Vault, dir: &Path, name: &str) -> SnapshotId {
        let folder = dir.join("store/000/123/0001234567/-/ADT-00");
        fs::create_dir_all(&folder).unwrap();
        let message =
            format!("MSH|^~\\&|H|S|G|R|2018||ADT^A08|1|P|2.5\rPID|1||0001234567||{name}^B||19480405|M\r");
        fs::write(folder.join(ADT), message).unwrap();
        let mut request = BackupRequest::new(vec![dir.join("store")]);
        request.time = Timestamp::now();
        vault.backup(request, &|_| {}).unwrap().snapshot.unwrap()
    }

    fn drilled(vault: &Vault, wanted: &str, shortfalls: usize) {
        let snapshot = vault.find(wanted).unwrap();
        let now = Timestamp::now();
        let shortfall = schema::Shortfall {
            kind: schema::ShortfallKind::Undecodable,
            what: "x".into(),
            detail: "y".into(),
        };
        let drill = Drill {
            snapshot: snapshot.id,
            captured_at: snapshot.time,
            started_at: now,
            finished_at: now,
            rto_first_chart_seconds: None,
            rto_full_seconds: 1.0,
            rpo_seconds: None,
            records_decoded: 1,
            census: schema::Census::default(),
            expected: schema::Census::default(),
            shortfalls: vec![shortfall; shortfalls],
            remarks: Vec::new(),
            not_proven: Vec::new(),
            evidence: schema::Evidence::default(),
        };
        proof::store(vault, &proof::of_drill(&drill, vault.id(), proof::RestoredTo::Memory), b"{}").unwrap();
    }

    fn name(vault: &Vault, wanted: Option<&str>) -> (Option<String>, bool) {
        let (snapshot, basis) = basis(vault, wanted, &TimeZone::UTC).unwrap();
        let charts = Charts::open(Source::snapshot(vault, &snapshot)).unwrap();
        let chart = charts.chart(&PatientId("0001234567".into()), basis.as_of).unwrap();
        assert_eq!(charts.roster().patients.len(), 1);
        (chart.banner.name, basis.is_proven())
    }

    #[test]
    fn charts_come_from_the_newest_proven_snapshot_unless_another_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let vault = vault(dir.path());
        let refused = basis(&vault, None, &TimeZone::UTC).map(|_| ());
        assert!(matches!(refused, Err(Error::NotProven { .. })));
        assert_eq!(name(&vault, Some("latest")), (Some("A B".into()), false));
        drilled(&vault, "latest", 0);
        assert_eq!(name(&vault, None), (Some("A B".into()), true));
        let newer = backup(&vault, dir.path(), "C");
        assert_eq!(name(&vault, None), (Some("A B".into()), true), "a newer one is not proven yet");
        drilled(&vault, &newer.0, 1);
        assert_eq!(name(&vault, None), (Some("A B".into()), true), "a drill found the newer one wanting");
        assert_eq!(name(&vault, Some(newer.short())), (Some("C B".into()), false));
        drilled(&vault, &newer.0, 0);
        assert_eq!(name(&vault, None), (Some("C B".into()), true));
        let first = first_chart(&vault, &vault.find("latest").unwrap()).unwrap().unwrap();
        assert_eq!(first.patient.0, "0001234567");
    }
}
