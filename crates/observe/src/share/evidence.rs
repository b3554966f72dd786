//! From a sample of a changed file, and of what it was, to the numbers that judge decides on.

use decode::content::{Family, Histogram, Kind, Sample};
use decode::ssmix2::RecordName;
use schema::FileEvidence;

use crate::files::measure::measure;

/// Statistics are taken of pieces of this size, so that noise beside text is seen as such.
const BLOCK: usize = 512;
/// Noise has a chi-square of 1 ± 0.09 for each degree of freedom.
const NOISE_CHI2_MAX: f32 = 1.45;

/// Measures a changed file against its former sample; without one, against what its former name promises.
pub(super) fn evidence(
    before: Option<&Sample>,
    name_before: &str,
    size_before: u64,
    now: &Sample,
) -> FileEvidence {
    match before {
        Some(before) => measure(before, now),
        None => promised(name_before, size_before, now),
    }
}

fn promised(name_before: &str, size_before: u64, now: &Sample) -> FileEvidence {
    let promise = promise(name_before);
    let family = Kind::of(now).family();
    let (mut whole, mut noise) = (Histogram::default(), Histogram::default());
    for chunk in &now.chunks {
        whole.add(chunk.bytes.iter().copied());
        for block in chunk.bytes.chunks(BLOCK) {
            let mut alone = Histogram::default();
            alone.add(block.iter().copied());
            if alone.chi2() <= NOISE_CHI2_MAX {
                noise.add(block.iter().copied());
            }
        }
    }
    FileEvidence {
        size_before,
        size_after: now.len,
        bytes_changed: noise.total(),
        bytes_compared: whole.total(),
        entropy_after: whole.entropy(),
        chi2_changed: noise.chi2(),
        chi2_xor: noise.chi2(),
        structured_before: promise.is_some(),
        structure_kept: promise.is_some() && promise == family,
        structured_after: matches!(family, Some(Family::Packed | Family::Image)),
        ..FileEvidence::default()
    }
}

/// What a file of this name holds wherever its program did its work.
fn promise(name: &str) -> Option<Family> {
    if RecordName::parse(name.as_bytes()).is_some() {
        return Some(Family::Text);
    }
    let (_, suffix) = name.rsplit_once('.')?;
    Some(match suffix.to_lowercase().as_str() {
        "txt" | "csv" | "tsv" | "xml" | "json" | "htm" | "html" | "hl7" | "ini" | "log" => Family::Text,
        "jpg" | "jpeg" | "png" | "gif" | "tif" | "tiff" | "bmp" | "webp" => Family::Image,
        "zip" | "docx" | "xlsx" | "pptx" => Family::Packed,
        "pdf" => Family::Single(Kind::Pdf),
        "dcm" => Family::Single(Kind::Dicom),
        "sqlite" | "sqlite3" => Family::Single(Kind::Sqlite),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = "0000000042_20181016_OML-11_000000000000001_20181016054000000_01_1";

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
        })
        .take(len)
        .collect()
    }

    #[test]
    fn names_promise_a_structure() {
        let text =
            b"MSH|^~\\&|HIS|SEND|GW|RECEIVE|20181016054000||OUL^R22|42|P|2.5\rPID|0001||42\r".repeat(9);
        let half = [noise(1024), text.repeat(9)].concat();
        for (name, now, lost, noisy) in [
            (RECORD, text.clone(), false, false),
            (RECORD, noise(600), true, true),
            (RECORD, half, true, true),
            ("a.pdf", noise(600), true, true),
            ("a.bin", noise(600), false, true),
            ("a.csv", text.clone(), false, false),
        ] {
            let found = evidence(None, name, 600, &Sample::whole(&now));
            assert_eq!(found.structured_before && !found.structure_kept, lost, "{name}");
            assert_eq!(found.bytes_changed >= 512, noisy, "{name} {found:?}");
        }
    }
}
