//! What may be left as a stopped actor left it, and what must be kept for putting back.

use schema::FileEvidence;

/// Whether what stands there may be the same document, edited or converted. Other bytes in the same places are no edit where they are
/// nearly all of it, or where the frame around them was not opened; where there was no format, half of the content has to stand.
pub(super) fn is_sound(evidence: &FileEvidence) -> bool {
    let (before, after) = (evidence.size_before, evidence.size_after);
    if evidence.made || evidence.bytes_changed == 0 {
        return after >= before;
    }
    if evidence.structured_after {
        let mostly = evidence.bytes_changed * 10 >= evidence.bytes_compared * 9;
        return before != after || (evidence.opened_after && !mostly);
    }
    !evidence.structured_before
        && evidence.bytes_changed * 2 < evidence.bytes_compared
        && after.saturating_mul(2) >= before
}

/// Whether a touch must be kept for putting back: anything that is not plainly harmless.
pub(super) fn is_suspicious(evidence: &FileEvidence) -> bool {
    let lost = evidence.structured_before && !evidence.structure_kept && evidence.size_after > 0;
    let emptied = evidence.size_before > 0 && evidence.size_after == 0;
    let noise = evidence.bytes_changed > 0 && evidence.chi2_changed < 1.6 && evidence.chi2_before > 2.0;
    let in_places = evidence.noise_after >= evidence.noise_before + 1024;
    let named = evidence.suffix_known || evidence.ransom_note;
    !evidence.made && (lost || emptied || noise || in_places) || named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_and_conversions_are_sound_and_what_stands_in_a_frame_is_not() {
        let nothing = FileEvidence {
            size_before: 4000,
            size_after: 4000,
            bytes_compared: 4000,
            structured_before: true,
            ..FileEvidence::default()
        };
        let edited =
            FileEvidence { bytes_changed: 900, structured_after: true, opened_after: true, ..nothing };
        let nameless = FileEvidence { structured_before: false, structured_after: false, ..edited };
        for (what, evidence, expected) in [
            ("left as it was", nothing, true),
            ("longer", FileEvidence { size_after: 5000, ..nothing }, true),
            ("removed", FileEvidence { size_after: 0, ..nothing }, false),
            ("cut", FileEvidence { size_after: 3000, ..nothing }, false),
            ("edited", edited, true),
            ("written anew", FileEvidence { bytes_changed: 4000, size_after: 3900, ..edited }, true),
            ("all of it in the same places", FileEvidence { bytes_changed: 4000, ..edited }, false),
            ("in a frame that was not opened", FileEvidence { opened_after: false, ..edited }, false),
            ("no format any more", FileEvidence { structured_after: false, ..edited }, false),
            ("a part of what had no format", nameless, true),
            ("most of what had no format", FileEvidence { bytes_changed: 2000, ..nameless }, false),
        ] {
            assert_eq!(is_sound(&evidence), expected, "{what}");
        }
    }
}
