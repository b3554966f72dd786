use super::*;

const NOISE: FileEvidence = FileEvidence {
    file: 0,
    size_before: 900,
    size_after: 900,
    bytes_changed: 900,
    bytes_compared: 900,
    entropy_before: 5.3,
    entropy_after: 7.7,
    chi2_before: 13.0,
    chi2_changed: 1.02,
    chi2_xor: 0.98,
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

fn look(files: std::ops::Range<u64>) -> ShareLook {
    let evidence = files.map(|file| FileEvidence { file, ..NOISE }).collect();
    ShareLook { answered: true, evidence, ..ShareLook::default() }
}

fn hour(hours: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours)
}

#[test]
fn one_attack_is_told_once_and_again_when_it_grows() {
    let mut share = Share::default();
    assert_eq!(share.look(&look(0..2), hour(0)), None);
    let first = share.look(&look(2..3), hour(1)).unwrap();
    assert_eq!((first.detector.as_str(), first.severity_id), (ENTRY.id, Severity::High));
    assert!(first.signs.contains(&Sign::WriterUnknown));
    assert_eq!(share.look(&look(3..4), hour(1)), None);
    assert_eq!(share.look(&look(4..9), hour(1)).unwrap().severity_id, Severity::Critical);
    assert_eq!(share.look(&look(9..90), hour(2)), None);
    assert!(share.look(&look(90..99), hour(48)).is_some(), "a new day, a new attack");
}

#[test]
fn mishaps_of_different_days_do_not_add_up() {
    let mut share = Share::default();
    for day in 0..30 {
        assert_eq!(share.look(&look(day..day + 1), hour(25 * day as i64)), None);
    }
}

#[test]
fn silence_is_told_after_a_quarter_of_an_hour_and_once_a_day() {
    let mut share = Share::default();
    let silent = ShareLook::default();
    let at = |minutes: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes);
    assert_eq!(share.look(&silent, at(0)), None);
    assert_eq!(share.look(&silent, at(14)), None);
    let said = share.look(&silent, at(15)).unwrap();
    assert_eq!((said.detector.as_str(), said.severity_id), (TAMPER.id, Severity::Medium));
    assert_eq!(share.look(&silent, at(300)), None);
    assert_eq!(share.look(&look(0..0), at(301)), None);
    assert_eq!(share.look(&silent, at(302)), None, "counted anew");
}

#[test]
fn state_survives_a_restart_and_stays_bounded() {
    let mut share = Share::default();
    for round in 0..3 * FILES_MAX as u64 {
        let few = look(10 * round..10 * round + 10);
        share.look(&ShareLook { notes: 1, suffixed_alike: 1, ..few }, hour(0));
    }
    assert!(
        share.files.len() <= FILES_MAX && share.notes.len() <= FILES_MAX && share.renamed.len() <= FILES_MAX
    );
    let json = serde_json::to_string(&share).unwrap();
    assert_eq!(serde_json::from_str::<Share>(&json).unwrap(), share);
}

#[test]
fn every_sign_has_words_in_both_languages() {
    for sign in [
        Sign::CanariesEncrypted { files: 1 },
        Sign::ReplacedByNoise { files: 2 },
        Sign::PartlyNoise { files: 2 },
        Sign::SuffixAndLostStructure { files: 1 },
        Sign::RenamedAlike { files: 3 },
        Sign::Locked { files: 3 },
        Sign::Notes { files: 3 },
        Sign::KnownFamily { files: 3 },
        Sign::Silent { minutes: 15 },
        Sign::CanariesMissing { files: 3 },
        Sign::FoldersLost { folders: 3 },
        Sign::WriterUnknown,
    ] {
        assert!(sign.words(Lang::En).is_ascii() && !sign.words(Lang::Ja).is_ascii(), "{sign:?}");
    }
}
