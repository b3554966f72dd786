//! From an original and what stands in its place to the numbers that judge decides on.

use decode::content::{Family, Histogram, Kind, Sample, compare};
use schema::FileEvidence;

/// Measures what became of one content. Nothing that depends on names is filled in.
pub(crate) fn measure(before: &Sample, after: &Sample) -> FileEvidence {
    let (kind_before, kind_after) = (Kind::of(before), Kind::of(after));
    let comparison = compare(before, after);
    let family_before = kind_before.family();
    FileEvidence {
        size_before: before.len,
        size_after: after.len,
        bytes_changed: comparison.changed,
        bytes_compared: comparison.compared,
        entropy_before: histogram(before).entropy(),
        entropy_after: histogram(after).entropy(),
        chi2_before: comparison.before.chi2(),
        chi2_changed: comparison.after.chi2(),
        chi2_xor: comparison.xor.chi2(),
        structured_before: family_before.is_some(),
        structure_kept: family_before.is_some() && family_before == kind_after.family(),
        structured_after: kind_after
            .family()
            .is_some_and(|family| family == Family::Packed || family == Family::Image),
        ..FileEvidence::default()
    }
}

fn histogram(sample: &Sample) -> Histogram {
    let mut histogram = Histogram::default();
    for chunk in &sample.chunks {
        histogram.add(chunk.bytes.iter().copied());
    }
    histogram
}
