use super::*;

const USER: Circle = Circle::User { uid: 1000 };
const JOB: Circle = Circle::Cgroup { number: 7 };

fn noise(file: u64) -> FileEvidence {
    FileEvidence {
        file,
        size_before: 4000,
        size_after: 4000,
        bytes_changed: 4000,
        bytes_compared: 4000,
        entropy_before: 4.5,
        entropy_after: 7.9,
        chi2_before: 60.0,
        chi2_changed: 1.0,
        chi2_xor: 1.0,
        structured_before: true,
        ..FileEvidence::default()
    }
}

/// Noise in parts of it: the frame still stands.
fn partly(file: u64) -> FileEvidence {
    FileEvidence { structure_kept: true, ..noise(file) }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

/// One file each by as many actors, `pace` seconds apart: how many it takes until all of them are named.
fn taken(circles: &[Circle], pace: i64, evidence: fn(u64) -> FileEvidence) -> Option<u64> {
    let mut all = Circles::default();
    (1..=40).find(|&file| {
        let input = GateInput { actor: 100 + file, evidence: vec![evidence(file)] };
        let joint = all.weigh(&input, circles, at(pace * file as i64));
        assert!(joint.as_ref().is_none_or(|joint| joint.actors.contains(&(100 + file))));
        joint.is_some()
    })
}

#[test]
fn the_wider_the_circle_the_more_it_takes_and_the_sooner() {
    for (circles, pace, evidence, expected) in [
        (&[JOB, USER, Circle::Anybody][..], 1, noise as fn(u64) -> FileEvidence, Some(3)),
        (&[USER, Circle::Anybody], 1, noise, Some(4)),
        (&[Circle::Anybody], 1, noise, Some(6)),
        (&[Circle::Anybody], 1, partly, Some(12)),
        // As slowly as people do such things by hand.
        (&[JOB], 400, noise, None),
        (&[USER], 120, noise, None),
        (&[Circle::Anybody], 15, noise, None),
        // Documents of formats that hold together.
        (
            &[JOB, USER, Circle::Anybody],
            1,
            |file| FileEvidence { structured_after: true, ..noise(file) },
            None,
        ),
    ] {
        assert_eq!(taken(circles, pace, evidence), expected, "{circles:?} every {pace} s");
    }
}

#[test]
fn an_alert_circle_needs_one_more_file_until_somebody_is_released() {
    let mut all = Circles::default();
    let weigh = |all: &mut Circles, actor, file, second| {
        let input = GateInput { actor, evidence: vec![noise(file)] };
        all.weigh(&input, &[Circle::Anybody], at(second)).map(|joint| joint.actors)
    };
    for file in 1..6 {
        assert_eq!(weigh(&mut all, file, file, 1), None);
    }
    assert_eq!(weigh(&mut all, 6, 6, 1), Some(vec![1, 2, 3, 4, 5, 6]));
    assert_eq!(weigh(&mut all, 7, 7, 60), Some(vec![7]));
    let kept: Circles = serde_json::from_str(&serde_json::to_string(&all).unwrap()).unwrap();
    assert_eq!(kept, all);
    all.release(3);
    assert_eq!(weigh(&mut all, 8, 8, 61), None);
}

#[test]
fn who_is_stopped_alone_draws_in_those_who_did_the_same_around_it() {
    let mut all = Circles::default();
    let weigh = |all: &mut Circles, actor, circles: &[Circle], second| {
        let input = GateInput { actor, evidence: vec![noise(actor)] };
        all.weigh(&input, circles, at(second)).map(|joint| joint.actors)
    };
    assert_eq!(weigh(&mut all, 1, &[USER, Circle::Anybody], 0), None);
    assert_eq!(weigh(&mut all, 2, &[Circle::Anybody], 0), None);
    assert_eq!(weigh(&mut all, 3, &[Circle::Anybody], 50), None);
    // The first by its user, the third by the minute; the second was too long ago.
    assert_eq!(all.alarm(9, &[USER, Circle::Anybody], at(100)), [1, 3]);
    assert_eq!(weigh(&mut all, 4, &[Circle::Anybody], 110), Some(vec![4]));
    assert_eq!(weigh(&mut all, 5, &[USER], 800), Some(vec![5]));
    all.release(9);
    assert_eq!(weigh(&mut all, 6, &[USER], 801), None);
}

#[test]
fn a_file_counts_once_and_one_that_is_whole_again_not_at_all() {
    let mut all = Circles::default();
    for actor in 1..=20 {
        let input = GateInput { actor, evidence: vec![noise(7)] };
        assert_eq!(all.weigh(&input, &[Circle::Anybody], at(1)), None);
    }
    for file in 10..40 {
        for evidence in [noise(file), FileEvidence { file, ..FileEvidence::default() }] {
            let input = GateInput { actor: 1, evidence: vec![evidence] };
            assert_eq!(all.weigh(&input, &[USER], at(2)), None);
        }
    }
}

#[test]
fn what_is_remembered_has_a_bound() {
    let mut all = Circles::default();
    for number in 0..10_000 {
        let input = GateInput { actor: number, evidence: vec![noise(number)] };
        all.weigh(&input, &[Circle::Cgroup { number }, Circle::Anybody], at(number as i64));
    }
    assert!(all.circles.len() <= CIRCLES_MAX + 1);
    assert!(all.circles.values().all(|ring| ring.harms.len() <= HARMS_MAX));
}
