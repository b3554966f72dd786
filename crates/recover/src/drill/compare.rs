//! What was restored against what the manifest promises and what the last proven snapshot held.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schema::{Census, DatabaseCensus, ExceptionKind, Manifest, Shortfall, ShortfallKind};

use crate::examine::Examination;
use crate::proof::Earlier;
use crate::vault::RestoreReport;

/// So many broken records may be in any store.
const BROKEN_MIN: u64 = 3;
/// Of a larger store one in so many.
const BROKEN_SHARE: u64 = 100;

/// What a drill compares.
pub(super) struct Comparison<'c> {
    pub(super) manifest: Option<&'c Manifest>,
    pub(super) previous: Option<&'c Earlier>,
    pub(super) found: &'c Examination,
    /// Only a part was restored: counts of the whole say nothing about it.
    pub(super) is_sample: bool,
}

impl Comparison<'_> {
    /// Shortfalls, and remarks on what was broken before it was captured.
    pub(super) fn run(&self, restored: &RestoreReport) -> (Vec<Shortfall>, Vec<Shortfall>) {
        let mut shortfalls = Vec::new();
        let mut remarks = Vec::new();
        // Counts first: whoever reads only the beginning must see how much is wrong.
        if self.found.census.files == 0 {
            shortfalls.push(shortfall(ShortfallKind::Empty, "snapshot", "it holds no file"));
        }
        match self.manifest {
            Some(manifest) if self.is_sample => {
                let mut of_sources = manifest.census.clone();
                // Those among the files may not have been chosen; sources have a name and no path.
                of_sources.databases.retain(|database| !database.path.starts_with('/'));
                against_databases(&of_sources, &self.found.census, &mut shortfalls);
            }
            Some(manifest) => against_manifest(&manifest.census, &self.found.census, &mut shortfalls),
            None => remarks.push(shortfall(
                ShortfallKind::Fewer,
                "manifest",
                "the snapshot has none (another program made it): restored files were compared with the snapshot alone",
            )),
        }
        if let Some(previous) = self.previous.filter(|_| !self.is_sample) {
            shortfalls.extend(against_previous(&previous.census, &self.found.census));
            shortfalls.extend(fewer_decode(previous.proof.records, self.found.records_decoded));
        }
        shortfalls.extend(self.found.signs.shortfalls());
        for lost in &restored.not_restored {
            shortfalls.push(shortfall(ShortfallKind::NotRestored, lost.path.display(), &lost.cause));
        }
        self.contents(&mut shortfalls, &mut remarks);
        self.duplicates(&mut shortfalls, &mut remarks);
        // Paths are what was captured, or a hash would have told: whoever wrote the record put it there.
        if let Some((count, example)) = &self.found.misfiled {
            let detail = format!(
                "{count} records lie in folders of another patient, day or type than their names say"
            );
            remarks.push(shortfall(ShortfallKind::Misfiled, example.display(), detail));
        }
        (shortfalls, remarks)
    }

    fn contents(&self, shortfalls: &mut Vec<Shortfall>, remarks: &mut Vec<Shortfall>) {
        let broken_at_capture: BTreeMap<&str, ExceptionKind> = self
            .manifest
            .into_iter()
            .flat_map(|manifest| &manifest.exceptions)
            .map(|exception| (exception.path.as_str(), exception.kind))
            .collect();
        // A few broken records are as they were captured; many are no accident, whoever knew of them.
        let unreadable = self.found.undecodable.len() as u64;
        let too_many = unreadable > tolerated(self.found.census.records());
        for (path, cause) in &self.found.undecodable {
            let path = path.to_string_lossy();
            let known = matches!(
                broken_at_capture.get(path.as_ref()),
                Some(ExceptionKind::Malformed | ExceptionKind::Encrypted)
            );
            let found = shortfall(ShortfallKind::Undecodable, &path, cause);
            // Without a manifest nobody knows what the record was; its bytes are what was captured, so it is named.
            let as_captured = known || self.manifest.is_none();
            if as_captured && !too_many { remarks.push(found) } else { shortfalls.push(found) }
        }
        for (path, complaints) in &self.found.database_complaints {
            shortfalls.push(shortfall(ShortfallKind::DatabaseDamaged, path.display(), complaints.join("; ")));
        }
    }

    /// Two current files for one key are wrong; where the store was so when it was captured, it is not the vault's doing.
    fn duplicates(&self, shortfalls: &mut Vec<Shortfall>, remarks: &mut Vec<Shortfall>) {
        for storage in self.found.census.ssmix2.iter().filter(|storage| storage.duplicate_current > 0) {
            let detail = format!("{} keys have more than one current file", storage.duplicate_current);
            let found = shortfall(ShortfallKind::DuplicateCurrent, &storage.root, detail);
            let at_capture = self
                .manifest
                .and_then(|manifest| manifest.census.ssmix2.iter().find(|other| other.root == storage.root))
                .map_or(0, |storage| storage.duplicate_current);
            let known = storage.duplicate_current <= at_capture;
            if known { remarks.push(found) } else { shortfalls.push(found) }
        }
    }
}

/// How many of so many records may be broken in any store.
pub(super) fn tolerated(records: u64) -> u64 {
    BROKEN_MIN.max(records / BROKEN_SHARE)
}

/// Records that decoded in the last proven snapshot and do not now, beyond single accidents.
fn fewer_decode(before: u64, now: u64) -> Option<Shortfall> {
    let detail = format!("{now} in this snapshot, {before} in the last proven one");
    (now + tolerated(before) < before).then(|| shortfall(ShortfallKind::Fewer, "records that decode", detail))
}

/// Counts taken at capture are promises: nothing may be missing.
fn against_manifest(expected: &Census, found: &Census, shortfalls: &mut Vec<Shortfall>) {
    let mut fewer = |what: &str, expected: u64, found: u64| {
        if found < expected {
            shortfalls.push(shortfall(ShortfallKind::Fewer, what, format!("{found} of {expected} captured")));
        }
    };
    fewer("files", expected.files, found.files);
    fewer("patients", expected.patients(), found.patients());
    fewer("SS-MIX2 records", expected.records(), found.records());
    against_databases(expected, found, shortfalls);
}

/// Databases of a source come back whole or not at all, also where files are sampled. Those among files may not have been chosen.
fn against_databases(expected: &Census, found: &Census, shortfalls: &mut Vec<Shortfall>) {
    let mut fewer = |what: &str, expected: u64, found: u64| {
        if found < expected {
            shortfalls.push(shortfall(ShortfallKind::Fewer, what, format!("{found} of {expected} captured")));
        }
    };
    for database in &expected.databases {
        let restored = found.databases.iter().find(|other| other.path == database.path);
        rows(database, restored, &mut fewer);
    }
    for database in &expected.databases {
        let restored = found.databases.iter().find(|other| other.path == database.path);
        shortfalls.extend(contents_of(database, restored));
    }
}

/// What counts cannot see: sampled contents that are no longer the same, and a newest record that is gone.
fn contents_of(expected: &DatabaseCensus, found: Option<&DatabaseCensus>) -> Vec<Shortfall> {
    let Some(found) = found else { return Vec::new() };
    let wrong = expected.digests.iter().filter(|(name, digest)| found.digests.get(*name) != Some(digest));
    let mut shortfalls: Vec<Shortfall> = wrong
        .map(|(name, _)| {
            let what = format!("{name} in {}", expected.path);
            shortfall(ShortfallKind::DatabaseDamaged, what, "its content is not what was captured")
        })
        .collect();
    if found.newest_record < expected.newest_record {
        let shown = |time: Option<Timestamp>| time.map_or_else(|| "none".to_owned(), |time| time.to_string());
        let detail = format!("{}, captured {}", shown(found.newest_record), shown(expected.newest_record));
        shortfalls.push(shortfall(
            ShortfallKind::Fewer,
            format!("newest record of {}", expected.path),
            detail,
        ));
    }
    shortfalls
}

fn rows(expected: &DatabaseCensus, found: Option<&DatabaseCensus>, fewer: &mut impl FnMut(&str, u64, u64)) {
    for (table, rows) in &expected.tables {
        let restored = found.and_then(|census| census.tables.get(table)).copied().unwrap_or(0);
        fewer(&format!("rows of {table} in {}", expected.path), *rows, restored);
    }
}

/// SS-MIX2 storage only grows (deleting renames), so fewer patients or records than the last proven snapshot held
/// mean that something removed or renamed them before the capture. A database that is gone, or has lost most of its
/// rows, was removed, encrypted or replaced.
pub(crate) fn against_previous(previous: &Census, found: &Census) -> Vec<Shortfall> {
    let mut shortfalls = Vec::new();
    for (what, before, now) in [
        ("patients", previous.patients(), found.patients()),
        ("SS-MIX2 records", previous.records(), found.records()),
    ] {
        if now < before {
            let detail = format!("{now} in this snapshot, {before} in the last proven one");
            shortfalls.push(shortfall(ShortfallKind::Fewer, what, detail));
        }
    }
    let rows = |database: &DatabaseCensus| database.tables.values().sum::<u64>();
    for before in &previous.databases {
        let rows_before = rows(before);
        let rows_now = found.databases.iter().find(|other| other.path == before.path).map(rows);
        let what = format!("database {}", before.path);
        match rows_now {
            None => {
                let detail =
                    format!("it had {rows_before} rows in the last proven snapshot and is no database now");
                shortfalls.push(shortfall(ShortfallKind::DatabaseDamaged, what, detail));
            }
            // Rows are deleted in daily work, but not most of them.
            Some(rows_now) if rows_now < rows_before / 2 => {
                let detail =
                    format!("{rows_now} rows in this snapshot, {rows_before} in the last proven one");
                shortfalls.push(shortfall(ShortfallKind::Fewer, what, detail));
            }
            Some(_) => {}
        }
    }
    shortfalls
}

pub(super) fn shortfall(kind: ShortfallKind, what: impl ToString, detail: impl ToString) -> Shortfall {
    Shortfall { kind, what: what.to_string(), detail: detail.to_string() }
}
