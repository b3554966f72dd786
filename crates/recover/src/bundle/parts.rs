//! Patients in groups that stay the same from export to export.

use jiff::civil::Date;
use schema::Lang;

use super::error::Error;
use super::manifest::{Kind, Manifest};
use super::seal::Sealer;
use super::twin::twin;
use crate::charts::{Charts, Roster, lasting};

/// Bytes of a part's file that are aimed at: read and unpacked in a moment on an old tablet, and few enough files for a stick.
const FILE_BYTES: u64 = 640 * 1024;
/// As long as the parts of the bundle before lie between these, it is cut as it was.
const FILE_BYTES_KEPT: std::ops::Range<u64> = 192 * 1024..1536 * 1024;
/// Charts that are made for an estimate.
const SAMPLED: usize = 48;
const PATIENTS_MIN: u64 = 8;
const PATIENTS_MAX: u64 = 4096;
/// Patients of one index part, on average: 2 MB of text.
pub(super) const PATIENTS_PER_INDEX: u64 = 16_384;
/// Whatever the number of patients, a part is no larger than this before it is packed.
const CONTENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// One file of data before it is sealed.
pub(super) struct Plain {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) patients: u64,
    pub(super) content: Vec<u8>,
}

/// Says where a part ends: behind patients whose keyed number says so. Patients follow one another by id, so a new one changes the
/// part that it falls into and no other, and those who were admitted lately lie together.
pub(super) struct Cutter {
    mean: u64,
    patients: u64,
    bytes: usize,
}

impl Cutter {
    /// `mean` is a power of two.
    pub(super) fn new(mean: u64) -> Cutter {
        Cutter { mean, patients: 0, bytes: 0 }
    }

    /// Whether the part ends behind this patient.
    pub(super) fn ends_behind(&mut self, number: u64, bytes: usize) -> bool {
        self.patients += 1;
        self.bytes += bytes;
        let is_marked = number & (self.mean - 1) == 0 && self.patients >= self.mean / 4;
        let ends = is_marked || self.patients >= self.mean * 3 || self.bytes >= CONTENT_BYTES_MAX;
        if ends {
            *self = Cutter::new(self.mean);
        }
        ends
    }
}

/// A patient's chart in both languages, as a part holds it: `["id",[pieces]]`, or `["id",null]` where no chart could be read.
pub(super) fn entry(
    charts: &Charts<'_>,
    id: &schema::PatientId,
    as_of: Option<Date>,
) -> Result<Entry, Error> {
    let chart = charts.chart(id, as_of);
    let pieces = chart.map(|chart| twin(&lasting(&chart, Lang::En), &lasting(&chart, Lang::Ja)));
    let has_chart = pieces.is_some();
    let json = serde_json::to_vec(&(id, pieces)).map_err(|source| Error::Json { what: "a chart", source })?;
    Ok(Entry { json, has_chart })
}

/// See [`entry`].
pub(super) struct Entry {
    pub(super) json: Vec<u8>,
    pub(super) has_chart: bool,
}

/// How many patients to a part: as in the bundle before, where its parts are of a good size; else so many that they become so.
pub(super) fn patients_per_part(
    charts: &Charts<'_>,
    roster: &Roster,
    as_of: Option<Date>,
    before: Option<&Manifest>,
    sealer: &Sealer,
) -> Result<u64, Error> {
    if let Some(before) = before {
        let parts = before.parts.iter().filter(|part| part.kind == Kind::Charts);
        let (count, bytes) = parts.fold((0, 0), |(count, bytes), part| (count + 1, bytes + part.bytes));
        let is_sound = before.patients_per_part.is_power_of_two()
            && (PATIENTS_MIN..=PATIENTS_MAX).contains(&before.patients_per_part);
        // Of few parts the last, short one makes the mean; they are cut anew only when they are far too large.
        let range = if count < 4 { 0..FILE_BYTES_KEPT.end } else { FILE_BYTES_KEPT };
        if is_sound && range.contains(&(bytes / count.max(1))) {
            return Ok(before.patients_per_part);
        }
    }
    let step = roster.patients.len().div_ceil(SAMPLED).max(1);
    let (mut content, mut sampled) = (Vec::new(), 0_u64);
    for patient in roster.patients.iter().step_by(step) {
        content.extend(entry(charts, &patient.patient, as_of)?.json);
        sampled += 1;
        if content.len() > CONTENT_BYTES_MAX {
            break;
        }
    }
    // Base64 makes four bytes of three.
    let bytes = sealer.seal("estimate", &content)?.len() as u64 * 4 / 3;
    let per_part = FILE_BYTES * sampled.max(1) / bytes.max(1);
    Ok(per_part.clamp(PATIENTS_MIN, PATIENTS_MAX).next_power_of_two().min(PATIENTS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(numbers: &[u64]) -> Vec<Vec<u64>> {
        let mut cutter = Cutter::new(16);
        let mut parts = vec![Vec::new()];
        for number in numbers {
            parts.last_mut().unwrap().push(*number);
            if cutter.ends_behind(*number, 100) {
                parts.push(Vec::new());
            }
        }
        parts
    }

    #[test]
    fn a_new_patient_changes_one_part() {
        let sealer = Sealer::new("x", &[7; 32]).unwrap();
        let numbers: Vec<u64> = (0..2000).map(|id| sealer.number(&format!("{id}"))).collect();
        let before = cut(&numbers);
        assert!((60..250).contains(&before.len()), "{}", before.len());
        assert!(before.iter().all(|part| part.len() <= 48));
        let mut more = numbers.clone();
        more.insert(1000, 1);
        let changed = cut(&more).into_iter().filter(|part| !before.contains(part)).count();
        assert!((1..=3).contains(&changed), "{changed}");
    }
}
