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
    complete: false,
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
    let recompressed = FileEvidence { structure_kept: true, size_after: 350, ..jpeg };
    let within_its_frame = FileEvidence { structure_kept: true, ..jpeg };
    let blob_in_database =
        FileEvidence { structure_kept: true, size_before: 1 << 20, size_after: 1 << 20, ..e };
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
        ("pictures overwritten behind their headers", vec![within_its_frame; 3], "stop"),
        (
            "pictures edited in place that unpack",
            vec![FileEvidence { opened_after: true, ..within_its_frame }; 50],
            "allow",
        ),
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

/// A record that lost its format and got no other, without the statistics of noise.
const LOST: FileEvidence = FileEvidence { chi2_changed: 14.0, chi2_xor: 9.0, ..ENCRYPTED };
/// A record that was emptied.
const EMPTIED: FileEvidence =
    FileEvidence { size_after: 0, bytes_changed: 0, bytes_compared: 0, bytes_differing: 0, ..ENCRYPTED };
/// A record that was removed, and nothing took its place.
const GONE: FileEvidence = FileEvidence { original_gone: true, ..EMPTIED };
/// A new file of noise.
const NOISE_MADE: FileEvidence = FileEvidence {
    made: true,
    even_after: true,
    structured_before: false,
    size_before: 0,
    size_after: 40_000,
    ..ENCRYPTED
};

fn formats(count: u8, evidence: FileEvidence, each: u8) -> Vec<FileEvidence> {
    (0..count * each).map(|n| FileEvidence { kind_before: 1 + n % count, ..evidence }).collect()
}

#[test]
fn what_is_not_noise_counts_by_its_breadth() {
    let longer = FileEvidence { size_after: 430, ..LOST };
    for (what, evidence, expected) in [
        ("eleven records to a format of its own", vec![longer; 11], "watch"),
        ("twelve", vec![longer; 12], "stop"),
        ("five that kept their lengths", vec![LOST; 5], "watch"),
        ("six that kept their lengths", vec![LOST; 6], "stop"),
        ("three files of three formats", formats(3, LOST, 1), "watch"),
        ("four that kept their lengths", formats(4, LOST, 1), "stop"),
        ("four of two formats", formats(2, LOST, 2), "watch"),
        ("five that got others", formats(5, FileEvidence { size_after: 390, ..LOST }, 1), "watch"),
        ("five under other names", formats(5, FileEvidence { original_gone: true, ..LOST }, 1), "watch"),
        ("six files of three formats", formats(3, FileEvidence { size_after: 390, ..LOST }, 2), "stop"),
        ("six files of two formats", formats(2, longer, 3), "watch"),
        (
            "two that kept their lengths, and nobody is at them",
            vec![FileEvidence { complete: true, ..LOST }; 2],
            "watch",
        ),
        ("three", vec![FileEvidence { complete: true, ..LOST }; 3], "stop"),
        ("eleven that got others", vec![FileEvidence { complete: true, ..longer }; 11], "watch"),
        ("fifty to another format", vec![FileEvidence { structured_after: true, ..LOST }; 50], "allow"),
        ("spelled as text", vec![FileEvidence { spells_noise: true, ..LOST }; 2], "stop"),
        ("noise in some places", vec![FileEvidence { noise_after: 2048, ..LOST }; 2], "stop"),
        (
            "pictures that were noise in all places",
            vec![FileEvidence { noise_before: 2048, noise_after: 2048, ..LOST }; 2],
            "watch",
        ),
    ] {
        check(what, &evidence, expected);
    }
}

#[test]
fn what_went_away_counts_beside_noise_only() {
    let log = FileEvidence { plain_before: true, kind_before: 3, ..EMPTIED };
    let note = FileEvidence { ransom_note: true, made: true, ..FileEvidence::default() };
    for (what, evidence, expected) in [
        ("a folder removed", vec![GONE; 4000], "allow"),
        ("noise made and nothing removed", vec![NOISE_MADE; 500], "allow"),
        ("a folder removed and noise in its place", [vec![NOISE_MADE], vec![GONE; 10]].concat(), "stop"),
        ("the other way round", [vec![GONE; 10], vec![NOISE_MADE]].concat(), "stop"),
        (
            "a folder removed and a little noise",
            [vec![FileEvidence { size_after: 200, ..NOISE_MADE }], vec![GONE; 500]].concat(),
            "allow",
        ),
        (
            "a folder removed and documents checked out that were never quite right",
            [
                vec![FileEvidence { forged: true, even_after: false, chi2_changed: 30.0, ..NOISE_MADE }; 9],
                vec![GONE; 500],
            ]
            .concat(),
            "allow",
        ),
        (
            "a folder removed and noise behind headers",
            [vec![FileEvidence { forged: true, even_after: false, ..NOISE_MADE }], vec![GONE; 10]].concat(),
            "stop",
        ),
        (
            "packed and removed",
            [vec![FileEvidence { structured_after: true, ..NOISE_MADE }], vec![GONE; 500]].concat(),
            "allow",
        ),
        (
            "old noise pruned for new",
            [vec![NOISE_MADE; 9], vec![FileEvidence { structured_before: false, ..GONE }; 50]].concat(),
            "allow",
        ),
        ("logs emptied", vec![log; 300], "watch"),
        ("nine records emptied", vec![EMPTIED; 9], "watch"),
        ("ten", vec![EMPTIED; 10], "stop"),
        ("two that nobody is at", vec![FileEvidence { complete: true, ..EMPTIED }; 2], "watch"),
        ("three", vec![FileEvidence { complete: true, ..EMPTIED }; 3], "stop"),
        ("logs that nobody is at", vec![FileEvidence { complete: true, ..log }; 300], "watch"),
        ("logs emptied and a note", [vec![log; 3], vec![note]].concat(), "stop"),
    ] {
        check(what, &evidence, expected);
    }
}

#[test]
fn some_documents_may_get_a_password() {
    let sealed = FileEvidence { sealed: true, structure_kept: true, size_after: 460, ..ENCRYPTED };
    for (what, evidence, expected) in [
        ("four", vec![sealed; 4], "watch"),
        (
            "four, and an archive in the place of another",
            [vec![sealed; 4], vec![ENCRYPTED]].concat(),
            "watch",
        ),
        ("five", vec![sealed; 5], "stop"),
    ] {
        check(what, &evidence, expected);
    }
}

#[test]
fn a_note_named_after_the_suffix_speaks_for_what_has_it() {
    let renamed = FileEvidence { suffix_added: true, suffix: 77, ..FileEvidence::default() };
    let note = |suffix| FileEvidence { ransom_note: true, made: true, suffix, ..FileEvidence::default() };
    for (what, evidence, expected) in [
        ("renamed, and a note of that name", [vec![renamed; 3], vec![note(77)]].concat(), "stop"),
        ("the note first", [vec![note(77)], vec![renamed; 3]].concat(), "stop"),
        ("a note of another name", [vec![renamed; 30], vec![note(78)]].concat(), "watch"),
        ("one lost record", vec![note(77), FileEvidence { suffix: 77, ..LOST }], "stop"),
    ] {
        check(what, &evidence, expected);
    }
}

#[test]
fn canaries_are_for_changing_only() {
    let canary = FileEvidence { canary: true, size_before: 400, size_after: 400, ..FileEvidence::default() };
    let gone = FileEvidence { canary: true, ..GONE };
    for (what, evidence, expected) in [
        ("read, copied, backed up", vec![canary; 50], "allow"),
        ("one byte changed", vec![FileEvidence { bytes_differing: 1, ..canary }], "stop"),
        ("appended to", vec![FileEvidence { size_after: 401, ..canary }], "stop"),
        ("emptied", vec![FileEvidence { size_after: 0, ..canary }], "stop"),
        ("given a suffix", vec![FileEvidence { suffix_added: true, ..canary }], "stop"),
        ("removed with its folder", [vec![gone], vec![GONE; 50]].concat(), "watch"),
        ("removed by one who harmed another file", vec![gone, LOST], "stop"),
    ] {
        check(what, &evidence, expected);
    }
}

#[test]
fn each_indicator_can_be_switched_off() {
    let verdict = |off: &[Indicator], evidence: &[FileEvidence]| {
        let mut gate = Gate::with(Indicators::without(off.iter().copied()));
        let numbered = evidence.iter().zip(1..).map(|(one, file)| FileEvidence { file, ..*one });
        gate.decide(&GateInput { actor: 1, evidence: numbered.collect() }, Timestamp::UNIX_EPOCH)
    };
    let named = FileEvidence { suffix_added: true, suffix_known: true, ..FileEvidence::default() };
    let renamed = FileEvidence { suffix_added: true, suffix: 7, ..FileEvidence::default() };
    let note = FileEvidence { ransom_note: true, suffix: 7, ..FileEvidence::default() };
    for (off, evidence) in [
        (Indicator::Noise, vec![ENCRYPTED; 2]),
        (Indicator::PartlyNoise, vec![FileEvidence { structure_kept: true, ..ENCRYPTED }; 3]),
        (Indicator::Suffix, vec![FileEvidence { suffix_added: true, ..LOST }; 3]),
        (Indicator::Family, vec![named, ENCRYPTED]),
        (Indicator::Note, vec![renamed, renamed, renamed, note]),
        (Indicator::Canary, vec![FileEvidence { canary: true, ..LOST }]),
        (Indicator::Breadth, vec![LOST; 12]),
        (Indicator::Text, vec![FileEvidence { spells_noise: true, ..LOST }; 2]),
        (Indicator::Emptied, vec![EMPTIED; 10]),
        (Indicator::Forged, vec![FileEvidence { forged: true, ..ENCRYPTED }; 2]),
        (Indicator::Removed, [vec![GONE; 10], vec![NOISE_MADE]].concat()),
    ] {
        assert!(matches!(verdict(&[], &evidence), Verdict::Stop(_)), "{off:?}");
        let alone = Indicators::without([off]);
        assert!(!alone.has(off) && alone.names().len() == 10 && Indicator::named(off.name()) == Some(off));
        assert!(!matches!(verdict(&[off], &evidence), Verdict::Stop(_)), "without {off:?}");
    }
}
