//! Whose turn it is, and what is said of it.

use jiff::civil::time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::*;

fn rotation(sets: &[&str], turn_days: u32) -> Rotation {
    Rotation {
        name: "offsite".to_owned(),
        sets: sets.iter().map(|set| (*set).to_owned()).collect(),
        turn_days,
        at: time(9, 0, 0, 0),
        overdue_after: SignedDuration::from_hours(24),
        zone: TimeZone::get("Asia/Tokyo").unwrap(),
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn sets_take_turns_by_the_calendar() {
    let weekly = rotation(&["A", "B", "C"], 7);
    let monday = weekly.due(at("2026-11-23T12:00:00+09:00"));
    assert_eq!(monday.since, at("2026-11-23T09:00:00+09:00"));
    assert_eq!(monday.until, at("2026-11-30T09:00:00+09:00"));
    for (when, turns_on) in [
        ("2026-11-23T09:00:00+09:00", 0),
        ("2026-11-23T08:59:59+09:00", 2),
        ("2026-11-29T23:00:00+09:00", 0),
        ("2026-11-30T09:00:00+09:00", 1),
        ("2026-12-07T09:00:00+09:00", 2),
        ("2026-12-14T09:00:00+09:00", 0),
    ] {
        let first = weekly.sets.iter().position(|set| *set == monday.set).unwrap();
        assert_eq!(weekly.due(at(when)).set, weekly.sets[(first + turns_on) % 3], "{when}");
    }
    let daily = rotation(&["A", "B"], 1);
    assert_ne!(
        daily.due(at("2026-11-23T10:00:00+09:00")).set,
        daily.due(at("2026-11-24T10:00:00+09:00")).set
    );
    assert_eq!(rotation(&[], 0).due(at("1969-01-01T00:00:00Z")).set, "");
}

fn entry(set: &str, written: Option<&str>) -> Known {
    let identity = Identity {
        id: format!("id-{set}"),
        rotation: "offsite".to_owned(),
        set: set.to_owned(),
        made_at: at("2026-01-01T00:00:00Z"),
        vault_id: "v".to_owned(),
    };
    let receipt = |when: &str| Receipt {
        medium: identity.id.clone(),
        number: 1,
        at: at(when),
        snapshots: 3,
        newest: Some(at(when)),
        newest_proven: None,
        bytes_read: 1,
        read_for_certain: true,
    };
    Known { last: written.map(receipt), identity, disk: None, path: None }
}

#[test]
fn what_is_said_of_a_rotation() {
    let weekly = rotation(&["A", "B"], 7);
    let turn = weekly.due(at("2026-11-23T12:00:00+09:00"));
    let (this, other) = if turn.set == "A" { ("A", "B") } else { ("B", "A") };
    let nothing = [std::path::PathBuf::from("/nowhere/at/all")];
    let in_turn = "2026-11-23T10:00:00+09:00";
    let before = "2026-11-17T10:00:00+09:00";
    for (media, now, said, detached) in [
        (vec![], "2026-11-23T12:00:00+09:00", vec!["media.change", "media.none_detached"], 0),
        (vec![], "2026-11-24T12:00:00+09:00", vec!["media.overdue", "media.none_detached"], 0),
        (
            vec![entry(other, Some(before)), entry(this, None)],
            "2026-11-23T12:00:00+09:00",
            vec!["media.change"],
            1,
        ),
        (
            vec![entry(other, Some(before)), entry(this, Some(in_turn))],
            "2026-11-25T12:00:00+09:00",
            vec![],
            2,
        ),
        // Written in the turn before: that does not count for this one.
        (vec![entry(this, Some(before))], "2026-11-25T12:00:00+09:00", vec!["media.overdue"], 1),
    ] {
        let book = Book { media, ..Book::default() };
        let (standing, alarms) = assess(&weekly, &nothing, &book, at(now));
        let ids: Vec<&str> = alarms.iter().map(|alarm| alarm.id.as_str()).collect();
        assert_eq!((ids, standing.detached), (said, detached), "{now}");
        assert!(alarms.iter().all(|alarm| !alarm.title_ja.is_ascii()));
    }
}

#[test]
fn what_went_wrong_is_said_until_it_went_right() {
    let weekly = rotation(&["A", "B"], 7);
    let mut book = Book::default();
    for (trouble, id) in [
        (Trouble::Full, "media.full"),
        (Trouble::ReadOnly, "media.write_protected"),
        (Trouble::ReadsBackWrong, "media.verification_failed"),
        (Trouble::PulledOut, "media.pulled_out"),
        (Trouble::Swapped, "media.swapped"),
        (Trouble::Incomplete, "media.incomplete"),
        (Trouble::Other, "media.failed"),
    ] {
        let attempt = Attempt {
            at: at("2026-11-23T00:00:00Z"),
            set: "A".to_owned(),
            trouble: Some(trouble),
            cause: "x\x1b".to_owned(),
        };
        book.attempts.insert("offsite".to_owned(), attempt);
        let (_, alarms) = assess(&weekly, &[], &book, at("2026-11-23T12:00:00+09:00"));
        let alarm = alarms.iter().find(|alarm| alarm.id == id).unwrap();
        assert!(!alarm.title.contains('\x1b'));
    }
}
