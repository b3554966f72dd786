use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::date;
use tempfile::tempdir;

use super::chart::{Body, Order};
use super::*;

const CHARTS: u32 = 600;

fn until() -> DateTime {
    date(2018, 10, 16).at(5, 0, 0, 0)
}

fn now() -> DateTime {
    until().saturating_sub(1.minute())
}

fn charts() -> impl Iterator<Item = Chart> {
    (0..CHARTS).map(|index| course::chart(SEED, index, now()))
}

fn tree(dir: &Path, into: &mut BTreeMap<std::path::PathBuf, Vec<u8>>, root: &Path) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tree(&path, into, root);
        } else {
            into.insert(path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap());
        }
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let hospital = Hospital { patients: 30, seed: 7, until: until() };
    let [one, many] = [1, 5].map(|threads| {
        let dir = tempdir().unwrap();
        build_on(threads, &hospital, dir.path(), &|_| ()).unwrap();
        let mut files = BTreeMap::new();
        tree(dir.path(), &mut files, dir.path());
        files
    });
    assert!(one.len() > 300);
    assert!(one == many, "the trees differ");
}

#[test]
fn patients_stay_who_they_are_when_the_hospital_grows() {
    let same = |index| course::chart(SEED, index, now()).person;
    assert_eq!(same(3).id, same(3).id);
    let ids: BTreeSet<String> = charts().map(|chart| chart.person.id).collect();
    assert_eq!(ids.len(), CHARTS as usize);
    assert!(ids.iter().all(|id| id.len() == 10 && id.bytes().all(|byte| byte.is_ascii_digit())));
}

#[test]
fn nothing_is_later_than_the_present_and_patient_0_has_its_newest_order() {
    for chart in charts() {
        let orders =
            chart.orders.iter().flat_map(|order| [Some(order.ordered), order.amended, order.cancelled]);
        let visits = chart.visits.iter().map(|visit| Some(visit.at));
        let stays =
            chart.stays.iter().flat_map(|stay| [Some(stay.admitted), stay.discharged, stay.cancelled]);
        let notes = chart.notes.iter().map(|note| Some(note.written));
        let newest = orders.chain(visits).chain(stays).chain(notes).flatten().max();
        assert!(newest.is_some_and(|newest| newest <= now()), "patient {}", chart.person.index);
        if chart.person.index == 0 {
            assert_eq!(newest, Some(now()));
        }
    }
}

#[test]
fn order_numbers_are_unique_and_cancelled_laboratory_orders_have_no_result() {
    let mut numbers = BTreeSet::new();
    for chart in charts() {
        for Order { number, cancelled, body, .. } in &chart.orders {
            assert!(numbers.insert(*number));
            let has_result = matches!(body, Body::Lab { reports, .. } if !reports.is_empty());
            assert!(cancelled.is_none() || !has_result);
        }
    }
}

#[test]
fn who_is_in_hospital_lies_in_a_bed_of_their_own_and_visits_no_clinic() {
    let mut beds = BTreeSet::new();
    let mut in_hospital = 0;
    for chart in charts() {
        for stay in chart.stays.iter().filter(|stay| stay.cancelled.is_none()) {
            let leaves = stay.discharged.unwrap_or_else(now);
            assert!(stay.admitted < leaves);
            let inside = stay.admitted.date()..=leaves.date();
            assert!(chart.visits.iter().all(|visit| !inside.contains(&visit.at.date())));
            if stay.discharged.is_none() {
                let bed = stay.last_care().bed.unwrap();
                assert!(beds.insert((bed.ward(), bed.room_number(), bed.bed)), "two patients in one bed");
                in_hospital += 1;
            }
        }
    }
    assert_eq!(in_hospital, CHARTS.div_ceil(catalogue::PATIENTS_PER_BED));
}

#[test]
fn impossible_hospitals_are_refused() {
    let dir = tempdir().unwrap();
    let refused = |patients, year| {
        let hospital = Hospital { patients, seed: 1, until: date(year, 1, 1).at(0, 0, 0, 0) };
        build(&hospital, dir.path(), &|_| ()).is_err()
    };
    assert!(refused(0, 2018) && refused(PATIENTS_MAX + 1, 2018) && refused(1, 1) && refused(1, 9999));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_hospital_of_one_patient_and_any_present_can_be_made() {
    for present in [date(1970, 1, 1).at(0, 0, 0, 0), date(2024, 2, 29).at(23, 59, 59, 0)] {
        let dir = tempdir().unwrap();
        let hospital = Hospital { patients: 1, seed: 3, until: present };
        let built = build(&hospital, dir.path(), &|_| ()).unwrap();
        let age = built.newest_record.duration_until(present).as_secs();
        assert!((59..=60).contains(&age), "{age} s");
    }
}
