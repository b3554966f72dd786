//! From an original and what stands in its place to the numbers that the gate decides on.

use schema::FileEvidence;

use super::{Comparison, Family, Histogram, Kind, Sample, Structure, compare, fields};

/// Entropy is told from this much of a file: it only helps with short ones.
const ENTROPY_BYTES_MAX: usize = 16 * 1024;

/// Measures what became of one content. Nothing that depends on names is filled in.
pub fn measure(before: &Sample, after: &Sample) -> FileEvidence {
    let comparison = compare(before, after);
    let was = Structure::of(before, &comparison.ranges);
    let is = Structure::of(after, &comparison.ranges);
    // A text that spells noise is as lost as noise.
    let spells_noise = !was.spells_noise && (is.spells_noise || is_shaped(before, after, &is));
    let family = was.kind.family();
    let kept = family.is_some() && family == is.kind.family() && !spells_noise;
    let is_packed = matches!(family, Some(Family::Packed | Family::Image)) || was.kind == Kind::Pdf;
    FileEvidence {
        size_before: before.len,
        size_after: after.len,
        bytes_compared: comparison.compared,
        bytes_differing: comparison.differing,
        bytes_changed: comparison.changed,
        entropy_before: entropy(before),
        entropy_after: entropy(after),
        chi2_before: comparison.before.chi2(),
        chi2_changed: comparison.after.chi2(),
        chi2_xor: comparison.xor.chi2(),
        noise_before: comparison.noise_before,
        noise_after: comparison.noise_after,
        kind_before: number(was.kind),
        plain_before: matches!(was.kind, Kind::Text | Kind::Markup),
        packed_before: is_packed,
        structured_before: family.is_some(),
        structure_kept: kept,
        // What had a password before may have one now.
        structured_after: (holds(&is) || kept && was.sealed) && !spells_noise,
        opened_after: is.opened,
        forged: is.broken,
        sealed: is.sealed && !was.sealed,
        spells_noise,
        even_after: is_even(&comparison),
        ..FileEvidence::default()
    }
}

/// Tells of a content of which nothing is left.
pub fn measure_gone(before: &Sample) -> FileEvidence {
    let was = Structure::of(before, &[]);
    FileEvidence {
        size_before: before.len,
        kind_before: number(was.kind),
        plain_before: matches!(was.kind, Kind::Text | Kind::Markup),
        structured_before: was.kind.family().is_some(),
        original_gone: true,
        ..FileEvidence::default()
    }
}

/// Measures a file that nobody had before: whether it is noise without a format.
pub fn measure_made(made: &Sample) -> FileEvidence {
    let is = Structure::of(made, &[]);
    let mut bytes = Histogram::default();
    for chunk in &made.chunks {
        bytes.add(chunk.bytes.iter().take(ENTROPY_BYTES_MAX).copied());
    }
    FileEvidence {
        made: true,
        size_after: made.len,
        entropy_after: bytes.entropy(),
        chi2_changed: bytes.chi2(),
        structured_after: holds(&is) && !is.spells_noise,
        opened_after: is.opened,
        forged: is.broken,
        sealed: is.sealed,
        spells_noise: is.spells_noise,
        even_after: bytes.is_even(),
        ..FileEvidence::default()
    }
}

/// Whether a content may stand for another: it has a format, and does not say that a password is needed.
fn holds(structure: &Structure) -> bool {
    structure.kind.family().is_some() && !structure.sealed
}

/// Whether the frame of a text stands and its fields became noise.
fn is_shaped(before: &Sample, after: &Sample, is: &Structure) -> bool {
    let is_text = is.kind.family() == Some(Family::Text);
    is_text
        && fields::spell_noise(after)
        && fields::lines_are_gone(before, after)
        && !fields::spell_noise(before)
}

fn is_even(comparison: &Comparison) -> bool {
    comparison.after.is_even() && !comparison.before.is_even()
}

/// Formats by number: what is different to a person counts as different.
fn number(kind: Kind) -> u8 {
    match kind {
        Kind::Empty | Kind::Unknown => 0,
        Kind::Hl7 => 1,
        Kind::Markup => 2,
        Kind::Text => 3,
        Kind::Sqlite => 4,
        Kind::Pdf => 5,
        Kind::Zip => 6,
        Kind::Compressed => 7,
        Kind::Image => 8,
        Kind::Dicom => 9,
        Kind::Other => 10,
    }
}

fn entropy(sample: &Sample) -> f32 {
    let mut histogram = Histogram::default();
    histogram.add(sample.head().iter().take(ENTROPY_BYTES_MAX).copied());
    histogram.entropy()
}
