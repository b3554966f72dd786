//! A sample of patients, read as a doctor would read them: does each chart open, and does it speak of the patient whose folder it lies in.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use schema::{PatientId, Shortfall, ShortfallKind};
use sha2::{Digest, Sha256};

use super::compare::shortfall;
use crate::charts::{AlertKind, Charts, Source};
use crate::error::Error;

/// Patients whose charts are read.
const PATIENTS: usize = 24;
/// Causes that are told of one chart.
const CAUSES_MAX: usize = 3;

/// Reads charts of restored files; returns how many were as they should be. Which patients follows from `seed`.
///
/// What does not decode is named by the examination, so a chart is not held to account for it again: `known` are those paths.
pub(super) fn read(
    sandbox: &Path,
    patients: &HashSet<PatientId>,
    seed: &str,
    known: &BTreeMap<PathBuf, String>,
) -> Result<(u64, Vec<Shortfall>), Error> {
    let mut drawn: Vec<([u8; 32], &PatientId)> = patients
        .iter()
        .map(|patient| (Sha256::new().chain_update(seed).chain_update(&patient.0).finalize().into(), patient))
        .collect();
    drawn.sort_unstable();
    drawn.truncate(PATIENTS);
    if drawn.is_empty() {
        return Ok((0, Vec::new()));
    }
    let charts = Charts::open(Source::folder(sandbox))?;
    let mut found = Vec::new();
    for (_, patient) in &drawn {
        found.extend(wrong(&charts, patient, sandbox, known));
    }
    Ok(((drawn.len() - found.len()) as u64, found))
}

fn wrong(
    charts: &Charts<'_>,
    patient: &PatientId,
    sandbox: &Path,
    known: &BTreeMap<PathBuf, String>,
) -> Option<Shortfall> {
    let fail =
        |detail: String| shortfall(ShortfallKind::Chart, format!("chart of patient {}", patient.0), detail);
    let Some(chart) = charts.chart(patient, None) else {
        return Some(fail("it does not open, although records of the patient are there".to_owned()));
    };
    let is_known = |path: &str| {
        let path =
            Path::new(path).strip_prefix(sandbox).map_or_else(|_| path.into(), |it| Path::new("/").join(it));
        known.contains_key(&path)
    };
    let unread = chart.unread.iter().filter(|unread| !is_known(&unread.path));
    let unread = unread.map(|unread| format!("{} cannot be read: {}", unread.kind, unread.cause));
    let others = chart.alerts.iter().filter(|alert| alert.kind == AlertKind::OtherPatient);
    let others = others.map(|alert| format!("a record names another patient: {}", alert.what));
    let causes: Vec<String> = unread.chain(others).take(CAUSES_MAX).collect();
    (!causes.is_empty()).then(|| fail(causes.join("; ")))
}
