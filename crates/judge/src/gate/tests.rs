use schema::FileEvidence;

use super::*;

/// A record of 400 bytes replaced by noise in place.
const ENCRYPTED: FileEvidence = FileEvidence {
    file: 0,
    size_before: 400,
    size_after: 400,
    bytes_changed: 400,
    bytes_compared: 400,
    entropy_before: 5.4,
    entropy_after: 7.46,
    chi2_before: 14.0,
    chi2_changed: 1.02,
    chi2_xor: 0.97,
    structured_before: true,
    structure_kept: false,
    structured_after: false,
    bytes_differing: 400,
    noise_before: 0,
    noise_after: 0,
    kind_before: 1,
    plain_before: false,
    packed_before: false,
    opened_after: false,
    forged: false,
    sealed: false,
    spells_noise: false,
    even_after: false,
    suffix: 0,
    made: false,
    suffix_added: false,
    suffix_known: false,
    original_gone: false,
    ransom_note: false,
    canary: false,
};

/// The same record rewritten by its own program.
const EDITED: FileEvidence =
    FileEvidence { chi2_changed: 13.0, chi2_xor: 9.0, entropy_after: 5.4, structure_kept: true, ..ENCRYPTED };

fn check(what: &str, evidence: &[FileEvidence], expected: &str) {
    let mut gate = Gate::default();
    let mut verdict = Verdict::Allow;
    for (file, evidence) in evidence.iter().enumerate() {
        let file = if evidence.file > 0 { evidence.file } else { file as u64 + 1 };
        let input = GateInput { actor: 7, evidence: vec![FileEvidence { file, ..*evidence }] };
        verdict = gate.decide(&input, Timestamp::UNIX_EPOCH);
    }
    let name = match verdict {
        Verdict::Allow => "allow",
        Verdict::Watch(_) => "watch",
        Verdict::Stop(_) => "stop",
    };
    assert_eq!(name, expected, "{what}");
}

#[test]
fn verdicts_follow_the_contents() {
    let e = ENCRYPTED;
    let note = FileEvidence { ransom_note: true, ..FileEvidence::default() };
    let renamed = FileEvidence { suffix_added: true, suffix_known: true, ..FileEvidence::default() };
    let gzip = FileEvidence { structured_after: true, suffix_added: true, original_gone: true, ..e };
    let jpeg = FileEvidence { chi2_before: 1.1, entropy_before: 7.9, ..e };
    let recompressed = FileEvidence { structure_kept: true, ..jpeg };
    let blob_in_database = FileEvidence { structure_kept: true, size_before: 1 << 20, ..e };
    let short = FileEvidence { bytes_changed: 40, bytes_compared: 40, ..e };
    for (what, evidence, expected) in [
        ("one file is a mishap", vec![e], "watch"),
        ("two are an attack", vec![e, e], "stop"),
        (
            "one file measured twice is one file",
            vec![FileEvidence { file: 9, ..e }, FileEvidence { file: 9, ..e }],
            "watch",
        ),
        ("one with a note", vec![note, e], "stop"),
        (
            "one with a family's suffix",
            vec![FileEvidence { suffix_added: true, suffix_known: true, ..e }],
            "stop",
        ),
        ("a readme alone", vec![note, note], "watch"),
        ("names alone", vec![renamed; 50], "watch"),
        ("a program at work", vec![EDITED; 5000], "allow"),
        ("gzip of many files", vec![gzip; 50], "allow"),
        ("pictures that are none any more", vec![jpeg, jpeg], "stop"),
        ("pictures recompressed", vec![recompressed; 50], "allow"),
        (
            "pictures stored into one database",
            vec![FileEvidence { file: 3, ..blob_in_database }; 20],
            "watch",
        ),
        ("frames kept, contents encrypted", vec![blob_in_database; 3], "stop"),
        ("short texts lost", vec![short; 3], "stop"),
        (
            "deletions",
            vec![FileEvidence { original_gone: true, size_before: 400, ..FileEvidence::default() }; 500],
            "allow",
        ),
        ("a canary", vec![FileEvidence { canary: true, ..EDITED }], "stop"),
        (
            "caught in the midst of a rewrite",
            vec![FileEvidence { file: 4, ..e }, FileEvidence { file: 4, ..EDITED }],
            "allow",
        ),
    ] {
        check(what, &evidence, expected);
    }
}

#[test]
fn waiting_between_files_gains_nothing_and_actors_are_apart() {
    let mut gate = Gate::default();
    let hour = |n: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(n);
    let input = |actor, file| GateInput { actor, evidence: vec![FileEvidence { file, ..ENCRYPTED }] };
    assert!(matches!(gate.decide(&input(1, 1), hour(0)), Verdict::Watch(_)));
    assert!(matches!(gate.decide(&input(2, 2), hour(1)), Verdict::Watch(_)));
    assert!(matches!(gate.decide(&input(1, 3), hour(20)), Verdict::Stop(_)));
    let nothing = GateInput { actor: 1, evidence: vec![] };
    assert!(matches!(gate.decide(&nothing, hour(21)), Verdict::Stop(_)));
    gate.release(1);
    assert_eq!(gate.decide(&nothing, hour(21)), Verdict::Allow);
}

#[test]
fn state_survives_a_restart_and_stays_bounded() {
    let mut gate = Gate::default();
    for actor in 0..3 * ACTORS_MAX as u64 {
        gate.decide(
            &GateInput { actor, evidence: vec![FileEvidence { file: actor, ..ENCRYPTED }] },
            Timestamp::UNIX_EPOCH,
        );
    }
    assert!(gate.actors.len() <= ACTORS_MAX);
    let json = serde_json::to_string(&gate).unwrap();
    assert_eq!(serde_json::from_str::<Gate>(&json).unwrap(), gate);
}
