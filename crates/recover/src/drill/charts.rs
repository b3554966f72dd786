//! A sample of patients, read as a doctor would read them: does each chart open, and does it speak of the patient whose folder it lies in.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use schema::{PatientId, Shortfall, ShortfallKind};
use sha2::{Digest, Sha256};

use super::compare::{shortfall, tolerated};
use crate::charts::{AlertKind, Charts, Source};
use crate::error::Error;

/// Patients whose charts are read.
const PATIENTS: usize = 24;
/// Causes that are told of one chart.
const CAUSES_MAX: usize = 3;

/// What reading charts came to.
#[derive(Default)]
pub(super) struct Read {
    /// Charts that were as they should be.
    pub(super) good: u64,
    /// Charts that do not open or cannot be read whole, and those with records of others where there are many.
    pub(super) unread: Vec<Shortfall>,
    /// Charts in which a few records name another patient.
    pub(super) misnamed: Vec<Shortfall>,
}

/// Reads charts of restored files. Which patients follows from `seed`.
///
/// What does not decode is named by the examination, so a chart is not held to account for it again: `known` are those paths.
pub(super) fn read(
    sandbox: &Path,
    patients: &HashSet<PatientId>,
    seed: &str,
    known: &BTreeMap<PathBuf, String>,
) -> Result<Read, Error> {
    let mut drawn: Vec<([u8; 32], &PatientId)> = patients
        .iter()
        .map(|patient| (Sha256::new().chain_update(seed).chain_update(&patient.0).finalize().into(), patient))
        .collect();
    drawn.sort_unstable();
    drawn.truncate(PATIENTS);
    if drawn.is_empty() {
        return Ok(Read::default());
    }
    let charts = Charts::open(Source::folder(sandbox))?.without_exports();
    let mut read = Read::default();
    for (_, patient) in &drawn {
        match wrong(&charts, patient, sandbox, known) {
            (None, None) => read.good += 1,
            (unread, misnamed) => {
                read.unread.extend(unread);
                read.misnamed.extend(misnamed);
            }
        }
    }
    // The vault gives back what it was given: a few such records are in real stores, and many are no accident.
    if read.misnamed.len() as u64 > tolerated(drawn.len() as u64) {
        read.unread.append(&mut read.misnamed);
    }
    Ok(read)
}

/// What cannot be read of a chart, and what in it names another patient.
fn wrong(
    charts: &Charts<'_>,
    patient: &PatientId,
    sandbox: &Path,
    known: &BTreeMap<PathBuf, String>,
) -> (Option<Shortfall>, Option<Shortfall>) {
    let fail =
        |detail: String| shortfall(ShortfallKind::Chart, format!("chart of patient {}", patient.0), detail);
    let Some(chart) = charts.chart(patient, None) else {
        return (Some(fail("it does not open, although records of the patient are there".to_owned())), None);
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
    let told = |causes: Vec<String>| (!causes.is_empty()).then(|| fail(causes.join("; ")));
    (told(unread.take(CAUSES_MAX).collect()), told(others.take(CAUSES_MAX).collect()))
}
